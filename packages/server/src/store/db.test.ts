import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { aDatabase, aDatabaseConnection } from "../../test/database.ts";
import { isConnectionError, openDatabase, type Database, type Db } from "./db.ts";
import { sql } from "./sql.ts";

describe("openDatabase", () => {
  it("fails a transaction whose connection breaks between two of its statements", async (t) => {
    const db = await aDatabase(t);

    const failed = db.transaction(async (tx) => {
      await terminate(db, await pidOf(tx));
      await tx.query(sql`select 1`);
    });

    await assert.rejects(failed, isConnectionError);
    assert.deepEqual(await db.query(sql`select 1 as one`), [{ one: 1 }]);
  });

  it("breaks off a connection that leaves a statement without an answer, and goes on with another one", async (t) => {
    const connection = await aDatabaseConnection(t);
    const db = openDatabase({
      connection,
      connectionsMax: 1,
      applicationName: "test",
      onError: () => undefined,
      answerMsMax: 100,
    });
    t.after(() => db.close());

    const silent = db.query(sql`select pg_sleep(60)`);

    await assert.rejects(silent, isConnectionError);
    assert.deepEqual(await db.query(sql`select 1 as one`), [{ one: 1 }]);
  });

  it("survives the end of a connection that it has opened for its caller", async (t) => {
    const db = await aDatabase(t);
    const client = await aConnection(t, db);
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");

    await terminate(db, rows[0]?.pid ?? 0);

    await assert.rejects(client.query("select 1"), isConnectionError);
  });
});

async function aConnection(t: TestContext, db: Database) {
  const client = await db.connect("test");
  t.after(() => client.end().catch(() => undefined));
  return client;
}

async function pidOf(tx: Db): Promise<number> {
  const [row] = await tx.query<{ pid: number }>(sql`select pg_backend_pid() as pid`);
  return row?.pid ?? 0;
}

/** Ends a connection from the server's side, as its crash would. Resolves when the news has come. */
async function terminate(db: Db, pid: number): Promise<void> {
  await db.query(sql`select pg_terminate_backend(${pid}, 5000)`);
  await nextTurn();
}
