import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aQueuedJob, aRunningJob, aWorker, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { cancelJob, redriveJob } from "../operations/change-jobs.ts";
import type { Database, Db } from "./db.ts";
import { jobFinish } from "./job-finish.ts";
import { jobGet } from "./job-read.ts";

describe("jobGet", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
  });
  const aDeadJob = async (): Promise<string> => {
    const { id: jobId, attempt } = await aRunningJob(db, laneId, await aWorker(db));
    await jobFinish(db, [
      {
        jobId,
        attempt,
        state: "dead",
        outcome: "retry",
        failureCount: 3,
        lostCount: 0,
        error: { code: "Error", message: "no" },
        durationMs: 1,
      },
    ]);
    return jobId;
  };

  it("shows a live job, a finished one, and nothing of one that never was", async () => {
    const live = await aQueuedJob(db, laneId, { input: '"live"' });
    const finished = await aQueuedJob(db, laneId, { input: '"over"' });
    await cancelJob(db, finished, undefined);

    const shown = [await jobGet(db, live), await jobGet(db, finished)].map(present);

    assert.deepEqual(
      shown.map(({ id, state, input, queue, task }) => [id, state, input, queue, task]),
      [
        [live, "queued", '"live"', "default", "noop"],
        [finished, "cancelled", '"over"', "default", "noop"],
      ],
    );
    assert.equal(await jobGet(db, "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b"), undefined);
  });

  it("finds a job that is redriven while it is looked for", async () => {
    const id = await aDeadJob();

    const job = await jobGet(
      afterFirstStatement(db, () => redriveJob(db, id)),
      id,
    );

    assert.equal(job?.id, id);
  });
});

/** A database where something happens once, when the first statement has run and before its answer is there. */
function afterFirstStatement(db: Db, happen: () => Promise<unknown>): Db {
  let statements = 0;
  return {
    query: async (statement, name) => {
      const rows = await db.query<never>(statement, name);
      statements += 1;
      if (statements === 1) await happen();
      return rows;
    },
  };
}
