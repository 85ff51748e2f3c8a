import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { anEngine } from "../../test/an-engine.ts";
import { aDatabase, aDatabaseConnection } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { openDatabase } from "../store/db.ts";
import { sql } from "../store/sql.ts";

describe("operations while the database is away", () => {
  const cleanup = suiteCleanup();

  it("say unavailable, whatever is asked for", async (t) => {
    const db = await aDatabase(cleanup);
    const { operations } = await anEngine(db, cleanup);
    await operations.taskPut({ name: "noop" });
    const [job] = await operations.submit([{ task: "noop", input: "1" }]);
    const jobId = job?.jobId ?? "";
    const lost = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    t.mock.method(db, "query", () => Promise.reject(lost));
    t.mock.method(db, "transaction", () => Promise.reject(lost));
    // Nobody waits for it to come back.
    db.abandon();

    for (const ask of [
      () => operations.submit([{ task: "noop", input: "1", queue: "new" }]),
      () => operations.jobGet(jobId),
      () => operations.jobList({}),
      () => operations.cancel(jobId, undefined),
      () => operations.cancelMany({}, undefined, undefined),
      () => operations.redrive(jobId),
      () => operations.redriveMany({}, undefined),
      () => operations.queuePause("default", undefined),
      () => operations.queueResume("default"),
      () => operations.taskPut({ name: "other" }),
      () => operations.workerList(),
    ])
      await assert.rejects(ask, { code: "unavailable" });
    assert.equal(await operations.isReady(), false);
    t.mock.restoreAll();
  });
});

describe("a list that takes too long", () => {
  const cleanup = suiteCleanup();

  it("is cancelled and says so, while jobs go on being accepted", async () => {
    const connection = await aDatabaseConnection(cleanup);
    const open = {
      connection,
      connectionsMax: 4,
      applicationName: "test",
      onError: () => undefined,
    };
    const [db, reads] = [openDatabase(open), openDatabase({ ...open, statementMsMax: 100 })];
    cleanup.after(() => Promise.all([db.close(), reads.close()]));
    const engine = await anEngine(db, cleanup, { reads });
    await engine.operations.taskPut({ name: "noop" });

    await db.transaction(async (tx) => {
      await tx.query(sql`lock table baton.job_dead in access exclusive mode`);
      const [accepted] = await engine.operations.submit([{ task: "noop", input: "1" }]);

      await assert.rejects(engine.operations.jobList({}), { code: "query_timed_out" });
      assert.equal((await engine.operations.jobGet(accepted?.jobId ?? "")).state, "queued");
    });
  });
});
