import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { aLane, aRunningJob, aWorker } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { jobRedrive } from "./job-change.ts";
import { jobFinish, jobSucceed } from "./job-finish.ts";
import { leaseBatchTidy } from "./lease-batch.ts";
import { sql } from "./sql.ts";

describe("a database whose tables are all published", () => {
  it("still lets rows go: PostgreSQL refuses that of tables without replica identity", async (t) => {
    const db = await aDatabase(t);
    await db.query(sql`create publication everything for all tables`);
    const laneId = await aLane(db);
    const workerId = await aWorker(db);
    const well = await aRunningJob(db, laneId, workerId);
    const badly = await aRunningJob(db, laneId, workerId);

    await jobSucceed(db, [{ jobId: well.id, attempt: 1, result: undefined, durationMs: 0 }]);
    await jobFinish(db, [
      {
        jobId: badly.id,
        attempt: 1,
        state: "dead",
        outcome: "failed",
        failureCount: 1,
        lostCount: 0,
        error: undefined,
        durationMs: 0,
      },
    ]);

    assert.equal(await leaseBatchTidy(db, 0, 10, 10), 2);
    const redriven = await jobRedrive(db, [badly.id]);
    assert.deepEqual(redriven, [{ id: badly.id, lane_id: laneId }]);
  });
});
