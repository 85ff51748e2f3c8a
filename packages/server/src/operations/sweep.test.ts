import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aQueuedJob, aRunningJob, aWorker, leaseFrom, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { ATTEMPT_LIST_MAX, LOST_ATTEMPTS_MAX } from "../domain/limits.ts";
import type { Database } from "../store/db.ts";
import { attemptList, jobGet } from "../store/job-read.ts";
import { sql } from "../store/sql.ts";
import { cancelJob } from "./change-jobs.ts";
import { expireJobs, reapGoneWorker, reapWorker, releaseWorker } from "./sweep.ts";

describe("what the clock brings about", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
  });
  /** As if nothing had been heard of the worker for so long. */
  const silence = (workerId: number, ms: number) =>
    db.query(sql`
      update baton.worker set detached_at = baton.clock() - ${ms}::integer * interval '1 ms' where id = ${workerId}`);

  it("ends a job that no worker started within its queue timeout", async () => {
    const id = await aQueuedJob(db, laneId, { extra: { queueTimeoutMs: 1 } });
    await db.query(
      sql`update baton.job set start_by = baton.clock() - interval '1 ms' where id = ${id}`,
    );

    const expired = await expireJobs(db, 10);

    const job = present(await jobGet(db, id));
    assert.deepEqual(expired, [id]);
    assert.deepEqual([job.state, job.error?.code], ["dead", "queue_timed_out"]);
  });

  it("ends a waiting job behind its total deadline", async () => {
    const id = await aQueuedJob(db, laneId, { extra: { delayMs: 60_000, deadlineMs: 1 } });
    await db.query(
      sql`update baton.job set finish_by = baton.clock() - interval '1 ms' where id = ${id}`,
    );

    await expireJobs(db, 10);

    assert.equal((await jobGet(db, id))?.error?.code, "deadline_exceeded");
  });

  it("takes back what a worker held whose lease is over: queued at once, the attempt kept as lost", async () => {
    const workerId = await aWorker(db);
    const job = await aRunningJob(db, laneId, workerId);
    await silence(workerId, 9_000);

    const report = await reapWorker(db);

    const stored = present(await jobGet(db, job.id));
    assert.deepEqual(
      report.workers.map((worker) => worker.id),
      [workerId],
    );
    assert.deepEqual(report.requeuedLaneIds, [laneId]);
    assert.deepEqual([stored.state, stored.failureCount], ["queued", 0]);
    assert.deepEqual(
      (await attemptList(db, job.id, ATTEMPT_LIST_MAX)).map(({ attempt, outcome, error }) => [
        attempt,
        outcome,
        error?.code,
      ]),
      [[1, "lost", "worker_lost"]],
    );
  });

  it("leaves a worker alone that is within its lease, however long that is", async () => {
    const workerId = await aWorker(db, { leaseMs: 600_000 });
    const job = await aRunningJob(db, laneId, workerId);
    await silence(workerId, 500_000);

    const report = await reapWorker(db);

    assert.deepEqual(report.workers, []);
    assert.equal((await jobGet(db, job.id))?.state, "running");
  });

  it("cancels instead when that was asked for, and gives up on a job that was lost too often", async () => {
    const workerId = await aWorker(db);
    const [cancelled, lost] = [
      await aRunningJob(db, laneId, workerId),
      await aRunningJob(db, laneId, workerId),
    ];
    await cancelJob(db, cancelled.id, undefined);
    await db.query(
      sql`update baton.job set lost_count = ${LOST_ATTEMPTS_MAX - 1} where id = ${lost.id}`,
    );
    await silence(workerId, 9_000);

    await reapWorker(db);

    assert.equal((await jobGet(db, cancelled.id))?.state, "cancelled");
    assert.equal((await jobGet(db, lost.id))?.state, "dead");
  });

  it("puts a lost job before those that were accepted later", async () => {
    const lane = await aLane(db, "front");
    const workerId = await aWorker(db);
    const job = await aRunningJob(db, lane, workerId);
    await aQueuedJob(db, lane, { priority: 100 });
    await silence(workerId, 9_000);
    await reapWorker(db);

    const [next] = await leaseFrom(db, [lane], [await aWorker(db)]);

    assert.deepEqual([next?.id, next?.attempt], [job.id, 2]);
  });

  it("gives back at once what was on its way to a worker that took its leave", async () => {
    const id = await aWorker(db);
    const job = await aRunningJob(db, laneId, id);

    const report = await releaseWorker(db, { id, connection: 1 });

    assert.deepEqual(report.jobIds, [job.id]);
    assert.deepEqual(report.requeuedLaneIds, [laneId]);
    assert.equal((await jobGet(db, job.id))?.state, "queued");
    assert.deepEqual(
      (await attemptList(db, job.id, ATTEMPT_LIST_MAX)).map(({ attempt, outcome }) => [
        attempt,
        outcome,
      ]),
      [[1, "snoozed"]],
    );
  });

  it("leaves a worker alone that connected anew before its former connection took its leave", async () => {
    const id = await aWorker(db);
    await db.query(sql`update baton.worker set connection = 2 where id = ${id}`);
    const job = await aRunningJob(db, laneId, id);

    const report = await releaseWorker(db, { id, connection: 1 });

    assert.deepEqual(report.workers, []);
    assert.equal((await jobGet(db, job.id))?.state, "running");
  });

  it("gives back what a worker was leased after it was gone", async () => {
    const id = await aWorker(db);
    await releaseWorker(db, { id, connection: 1 });
    const job = await aRunningJob(db, laneId, id);

    const report = await reapGoneWorker(db);

    assert.deepEqual(report.jobIds, [job.id]);
    assert.deepEqual(
      (await attemptList(db, job.id, ATTEMPT_LIST_MAX)).map(({ attempt, outcome }) => [
        attempt,
        outcome,
      ]),
      [[1, "snoozed"]],
    );
    assert.deepEqual((await reapGoneWorker(db)).workers, []);
  });
});
