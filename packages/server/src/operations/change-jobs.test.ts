import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aQueuedJob, aRunningJob, aWorker, leaseFrom, present } from "../../test/a-job.ts";
import { until } from "../../../../test/until.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { ATTEMPT_LIST_MAX } from "../domain/limits.ts";
import type { Database } from "../store/db.ts";
import { jobFinish, jobSucceed } from "../store/job-finish.ts";
import { attemptList, jobGet } from "../store/job-read.ts";
import { sql } from "../store/sql.ts";
import { cancelJob, cancelJobs, redriveJob, redriveJobs } from "./change-jobs.ts";

describe("changing jobs", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  let workerId: number;
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
    workerId = await aWorker(db);
  });
  const aDeadJob = async (lane = laneId, uniqueKey?: string): Promise<string> => {
    const job = await aRunningJob(
      db,
      lane,
      workerId,
      uniqueKey === undefined ? {} : { extra: { uniqueKey } },
    );
    await jobFinish(db, [
      {
        jobId: job.id,
        attempt: job.attempt,
        state: "dead",
        outcome: "retry",
        failureCount: 3,
        lostCount: 0,
        error: { code: "Error", message: "no" },
        durationMs: 1,
      },
    ]);
    return job.id;
  };

  it("cancels a queued job at once", async () => {
    const id = await aQueuedJob(db, laneId);

    const result = await cancelJob(db, id, "not needed");

    const job = present(await jobGet(db, id));
    assert.deepEqual(result, { cancelledIds: [id], stops: [], hasMore: false });
    assert.deepEqual([job.state, job.cancelReason], ["cancelled", "not needed"]);
  });

  it("cancels a scheduled job at once", async () => {
    const id = await aQueuedJob(db, laneId, { extra: { delayMs: 60_000 } });

    await cancelJob(db, id, undefined);

    assert.equal((await jobGet(db, id))?.state, "cancelled");
  });

  it("asks the worker of a running job to stop it, and leaves it running until then", async () => {
    const job = await aRunningJob(db, laneId, workerId);

    const result = await cancelJob(db, job.id, "enough");

    const stored = present(await jobGet(db, job.id));
    assert.deepEqual(result.stops, [{ jobId: job.id, attempt: 1, workerId }]);
    assert.deepEqual([stored.state, stored.cancelReason], ["running", "enough"]);
    assert.ok(stored.cancelRequestedAt);
  });

  it("refuses to cancel what is over, and what never was", async () => {
    const job = await aRunningJob(db, laneId, workerId);
    await jobSucceed(db, [{ jobId: job.id, attempt: 1, result: undefined, durationMs: 0 }]);

    await assert.rejects(cancelJob(db, job.id, undefined), { code: "job_finished" });
    await assert.rejects(cancelJob(db, "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b", undefined), {
      code: "job_not_found",
    });
  });

  it("cancels by filter, at most as many as asked for, and says whether there are more", async () => {
    const lane = await aLane(db, "many");
    for (let job = 0; job < 3; job += 1) await aQueuedJob(db, lane);

    const first = await cancelJobs(db, { queue: "many" }, 2, undefined);
    const second = await cancelJobs(db, { queue: "many" }, 2, undefined);

    assert.deepEqual(
      [first, second].map(({ cancelledIds, hasMore }) => [cancelledIds.length, hasMore]),
      [
        [2, true],
        [1, false],
      ],
    );
  });

  it("refuses to cancel by a final state, and a limit out of range", async () => {
    await assert.rejects(async () => cancelJobs(db, { states: ["dead"] }, 1, undefined), {
      code: "invalid_argument",
    });
    await assert.rejects(
      async () => cancelJobs(db, {}, 10_001, undefined),
      /from 1 to 10000; received 10001/,
    );
  });

  it("redrives a dead job: queued with its failures forgiven, attempts kept, attempt number going on", async () => {
    const id = await aDeadJob();

    const lanes = await redriveJob(db, id);

    const job = present(await jobGet(db, id));
    assert.deepEqual(lanes, [laneId]);
    assert.deepEqual([job.state, job.attempt, job.failureCount], ["queued", 1, 0]);
    const [leased] = await leaseFrom(db, [laneId], [workerId]);
    assert.deepEqual([leased?.id, leased?.attempt], [id, 2]);
    assert.deepEqual(
      (await attemptList(db, id, ATTEMPT_LIST_MAX)).map((attempt) => attempt.outcome),
      ["retry", undefined],
    );
  });

  it("refuses to redrive what is not dead", async () => {
    const id = await aQueuedJob(db, laneId);

    await assert.rejects(redriveJob(db, id), { code: "job_not_dead" });
    await cancelJob(db, id, undefined);
    await assert.rejects(redriveJob(db, id), { code: "job_not_dead" });
  });

  it("refuses to redrive a job whose unique key another live job holds, and passes it over by filter", async () => {
    const lane = await aLane(db, "keyed");
    const dead = await aDeadJob(lane, "1:k");
    const holder = await aQueuedJob(db, lane, { extra: { uniqueKey: "1:k" } });

    await assert.rejects(redriveJob(db, dead), {
      code: "unique_conflict",
      details: { jobId: dead, holderId: holder },
    });
    const passedOver = await redriveJobs(db, { queue: "keyed" }, undefined);

    assert.deepEqual(passedOver, { laneIds: [], hasMore: false });
    assert.equal((await jobGet(db, dead))?.state, "dead");
  });

  it("passes over by filter a job whose unique key is taken between the look and the insert", async () => {
    const lane = await aLane(db, "raced");
    const [raced, other] = [await aDeadJob(lane, "1:raced"), await aDeadJob(lane)];
    const racing = afterFirstLook(db, () =>
      aQueuedJob(db, lane, { extra: { uniqueKey: "1:raced" } }),
    );

    const result = await redriveJobs(racing, { queue: "raced" }, undefined);

    assert.deepEqual(result, { laneIds: [lane], hasMore: false });
    assert.deepEqual(
      [(await jobGet(db, raced))?.state, (await jobGet(db, other))?.state],
      ["dead", "queued"],
    );
  });

  it("redrives many as fast as few, each looked at once", async () => {
    const lane = await aLane(db, "many");
    await db.query(sql`
      insert into baton.job_dead
        (id, created_at, lane_id, attempt, max_attempts, failure_count, lost_count, state, priority, input)
      select gen_random_uuid(), baton.clock(), ${lane}, 1, 1, 1, 0, 'dead', 0, 'null'
        from generate_series(1, 20000)`);

    const { laneIds, hasMore } = await redriveJobs(db, { queue: "many" }, 10_000);

    assert.deepEqual([laneIds.length, hasMore], [10_000, true]);
  });

  it("redrives the oldest of several dead jobs with one unique key", async () => {
    const lane = await aLane(db, "twins");
    const [older, younger] = [await aDeadJob(lane, "1:twin"), await aDeadJob(lane, "1:twin")];

    const result = await redriveJobs(db, { queue: "twins" }, undefined);

    assert.deepEqual(result.laneIds, [lane]);
    assert.equal((await jobGet(db, older))?.state, "queued");
    assert.equal((await jobGet(db, younger))?.state, "dead");
  });

  it("cancels by filter what somebody else is just changing, too", async () => {
    const lane = await aLane(db, "held");
    const id = await aQueuedJob(db, lane);

    const cancelling = await db.transaction(async (tx) => {
      await tx.query(sql`select from baton.job where id = ${id} for update`);
      const started = cancelJobs(db, { queue: "held" }, undefined, undefined);
      await until("a statement that waits for the lock", 30_000, async () => {
        const [waiting] = await db.query(sql`
          select pid from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`);
        return waiting;
      });
      return { started };
    });

    assert.deepEqual((await cancelling.started).cancelledIds, [id]);
  });

  it("redrives by filter, at most as many as asked for", async () => {
    const lane = await aLane(db, "redrive");
    for (let job = 0; job < 3; job += 1) await aDeadJob(lane);

    const first = await redriveJobs(db, { queue: "redrive" }, 2);
    const second = await redriveJobs(db, { queue: "redrive" }, 2);

    assert.deepEqual(
      [first, second].map(({ laneIds, hasMore }) => [laneIds.length, hasMore]),
      [
        [2, true],
        [1, false],
      ],
    );
  });
});

/** A database where something happens once, before the second statement of the first transaction. */
function afterFirstLook(database: Database, happen: () => Promise<unknown>): Database {
  let statements = 0;
  return {
    ...database,
    transaction: (work) =>
      database.transaction((tx) =>
        work({
          query: async (statement, name) => {
            statements += 1;
            if (statements === 2) await happen();
            return tx.query(statement, name);
          },
        }),
      ),
  };
}
