import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";

import pg from "pg";

import { aPostgresSite, type PostgresProcess } from "../../test/postgres-process.ts";
import { waitUntilGone } from "./postmaster.ts";

describe("superviseEmbeddedPostgres", { concurrency: 2 }, () => {
  it("starts PostgreSQL again at the same address when it was killed", async (t) => {
    const site = await aPostgresSite(t);
    const baton = site.start();
    const { connection, pid } = await baton.next("ready");
    const pool = aPool(t, connection);
    await pool.query("create table kept as select 7 as number");

    process.kill(pid, "SIGKILL");
    await untilBack(baton);

    assert.notEqual(await site.postmaster(), pid);
    const { rows } = await pool.query("select number from kept");
    assert.deepEqual(rows, [{ number: 7 }]);
  });

  it("starts an adopted PostgreSQL again, too", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    await first.next("ready");
    await first.end("SIGKILL");
    const second = site.start();
    const { pid, isAdopted } = await second.next("ready");
    assert.equal(isAdopted, true);

    process.kill(pid, "SIGKILL");
    await untilBack(second);

    assert.notEqual(await site.postmaster(), undefined);
  });

  it("starts it again as often as it dies", async (t) => {
    const site = await aPostgresSite(t);
    const baton = site.start();
    const { connection } = await baton.next("ready");

    for (let round = 0; round < 3; round += 1) {
      process.kill((await site.postmaster()) ?? assert.fail("no server runs"), "SIGKILL");
      await untilBack(baton);
    }

    assert.deepEqual((await aPool(t, connection).query("select 1 as one")).rows, [{ one: 1 }]);
  });

  it("takes the directory again when a crashed backend has ended all sessions", async (t) => {
    const site = await aPostgresSite(t);
    const baton = site.start();
    const { connection, pid } = await baton.next("ready");
    const pool = aPool(t, connection);
    const { rows } = await pool.query<{ pid: number }>("select pg_backend_pid() as pid");

    process.kill(rows[0]?.pid ?? assert.fail("no backend"), "SIGKILL");
    await untilBack(baton);

    assert.equal(await site.postmaster(), pid, "PostgreSQL recovers by itself");
    assert.equal((await site.start().next("failed")).code, "data_directory_in_use");
  });

  it("takes the directory again when only its session was ended", async (t) => {
    const site = await aPostgresSite(t);
    const baton = site.start();
    const { connection } = await baton.next("ready");

    await aPool(t, connection).query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
      [`baton pid ${baton.pid}`],
    );
    await untilBack(baton);

    assert.equal((await site.start().next("failed")).code, "data_directory_in_use");
  });

  it("refuses a second Baton, names the first, and leaves it alone", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    const { connection } = await first.next("ready");

    const { code, message } = await site.start().next("failed");

    assert.equal(code, "data_directory_in_use");
    assert.ok(message.includes(`(pid ${first.pid})`), message);
    assert.deepEqual((await aPool(t, connection).query("select 1 as one")).rows, [{ one: 1 }]);
  });

  it("lets exactly one of three win that start on an empty directory at once", async (t) => {
    const site = await aPostgresSite(t, { isEmpty: true });
    const batons = [site.start(), site.start(), site.start()];

    const results = await Promise.all(batons.map((baton) => baton.next("ready", "failed")));

    assert.deepEqual(results.map((line) => line.kind).sort(), ["failed", "failed", "ready"]);
    assert.deepEqual(
      results.flatMap((line) => (line.kind === "failed" ? [line.code] : [])),
      ["data_directory_in_use", "data_directory_in_use"],
    );
  });

  it("waits for a Baton that is about to stop, and then takes over", async (t) => {
    const site = await aPostgresSite(t);
    const first = site.start();
    await first.next("ready");
    const second = site.start();
    // It has found the first one's server and is about to wait for the lock.
    await second.next("log");

    await first.end("SIGTERM");

    await second.next("ready");
    assert.notEqual(await site.postmaster(), undefined);
  });

  it("leaves nothing running when it is stopped while it starts again", async (t) => {
    const site = await aPostgresSite(t);
    const baton = site.start();
    const { pid } = await baton.next("ready");

    process.kill(pid, "SIGKILL");
    await baton.next("log");
    await baton.end("SIGTERM");

    assert.equal(await site.postmaster(), undefined);
    assert.equal(await waitUntilGone(pid, { deadlineMs: 5_000 }), true);
  });
});

/** Waits for the line that supervision writes when server and lock are back. */
async function untilBack(baton: PostgresProcess): Promise<void> {
  for (;;) {
    const { message } = await baton.next("log");
    if (message.includes("is back")) return;
  }
}

function aPool(t: TestContext, connection: pg.ClientConfig): pg.Pool {
  const pool = new pg.Pool({ ...connection, max: 1 });
  pool.on("error", () => undefined);
  t.after(() => pool.end());
  return pool;
}
