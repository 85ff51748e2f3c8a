import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aNewJob, aQueuedJob, aRunningJob, aWorker, leaseFrom } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { reapGoneWorker, releaseWorker } from "../operations/sweep.ts";
import type { Database } from "./db.ts";
import { jobInsert, jobInsertPlain } from "./job-enqueue.ts";
import { jobReschedule, jobSucceed } from "./job-finish.ts";
import { jobHeldBy, jobHeldCounts } from "./job-lease.ts";
import { jobCounts, jobList } from "./job-read.ts";
import { leaseBatchTidy } from "./lease-batch.ts";
import { queueList } from "./lane.ts";
import { sql } from "./sql.ts";
import { workerList } from "./worker.ts";

const BATCHES_MAX = 100;
const JOBS_MAX = 10_000;

describe("batches of leases", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
  });

  const heldBy = async (workerId: number) =>
    new Set((await jobHeldBy(db, workerId)).map((job) => job.id));
  const batchesOf = (workerId: number) =>
    db.query<{ readonly generation: number; readonly job_ids: readonly string[] }>(sql`
      select generation, job_ids from baton.lease_batch where worker_id = ${workerId} order by generation`);
  const isInLine = async (id: string) => {
    const rows = await db.query<{ is_in_line: boolean }>(
      sql`select is_in_line from baton.job where id = ${id}`,
    );
    return rows[0]?.is_in_line;
  };
  const succeed = (job: { readonly id: string; readonly attempt: number }) =>
    jobSucceed(db, [{ jobId: job.id, attempt: job.attempt, result: undefined, durationMs: 0 }]);
  const tidy = () => leaseBatchTidy(db, 0, BATCHES_MAX, JOBS_MAX);

  it("tell who holds what, however it was leased", async () => {
    const [one, other] = [await aWorker(db), await aWorker(db)];
    const plain = [one, other, one].map((workerId) => aNewJob(laneId, { workerId }));
    const special = aNewJob(laneId, { workerId: other, extra: { tags: ["a"] } });
    await jobInsertPlain(db, plain, []);
    await jobInsert(db, [special], false);
    const queued = [await aQueuedJob(db, laneId), await aQueuedJob(db, laneId)];
    await leaseFrom(db, [laneId], [other, one]);

    const [a, b, c] = plain.map((job) => job.id);
    assert.deepEqual(await heldBy(one), new Set([a, c, queued[1]]));
    assert.deepEqual(await heldBy(other), new Set([b, special.id, queued[0]]));
  });

  it("count what runs, and no more", async () => {
    const own = await aDatabase(cleanup);
    const lane = await aLane(own);
    const workerId = await aWorker(own);
    const [first, second] = [
      (await aRunningJob(own, lane, workerId)).id,
      (await aRunningJob(own, lane, workerId)).id,
    ];
    await aQueuedJob(own, lane);
    await jobSucceed(own, [{ jobId: first, attempt: 1, result: undefined, durationMs: 0 }]);

    const running = await jobList(own, {
      filter: { states: ["running"] },
      limit: 10,
      beforeId: undefined,
      includePayloads: false,
    });

    assert.deepEqual(
      running.map((job) => job.id),
      [second],
    );
    assert.equal((await jobCounts(own, 10)).running, 1);
    assert.equal((await queueList(own, 1, 10)).at(0)?.runningCount, 1);
    assert.deepEqual(
      (await workerList(own)).map((worker) => worker.runningCount),
      [1],
    );
    assert.deepEqual(await jobHeldCounts(own, [workerId], 0), [{ worker_id: workerId, count: 1 }]);
  });

  describe("leaseBatchTidy", () => {
    it("forgets those whose jobs are all over", async () => {
      const workerId = await aWorker(db);
      await succeed(await aRunningJob(db, laneId, workerId));

      await tidy();

      assert.deepEqual(await batchesOf(workerId), []);
    });

    it("makes one of what is left of several, and looks at it later", async () => {
      const workerId = await aWorker(db);
      const jobs = [
        await aRunningJob(db, laneId, workerId),
        await aRunningJob(db, laneId, workerId),
        await aRunningJob(db, laneId, workerId),
      ];
      await succeed(jobs[1] ?? assert.fail());

      await tidy();
      const [batch, ...more] = await batchesOf(workerId);
      await leaseBatchTidy(db, 60_000, BATCHES_MAX, JOBS_MAX);

      const left = new Set([jobs[0]?.id, jobs[2]?.id]);
      assert.deepEqual([batch?.generation, new Set(batch?.job_ids)], [1, left]);
      assert.deepEqual([more, await batchesOf(workerId)], [[], [batch]]);
      assert.deepEqual(await heldBy(workerId), left);
    });

    it("keeps generations apart", async () => {
      const workerId = await aWorker(db);
      const lasting = await aRunningJob(db, laneId, workerId);
      await tidy();
      const lately = await aRunningJob(db, laneId, workerId);

      await tidy();

      assert.deepEqual(await batchesOf(workerId), [
        { generation: 1, job_ids: [lately.id] },
        { generation: 2, job_ids: [lasting.id] },
      ]);
    });

    it("knows a job that its worker was leased twice", async () => {
      const workerId = await aWorker(db);
      const job = await aRunningJob(db, laneId, workerId);
      await jobReschedule(db, [
        {
          jobId: job.id,
          attempt: 1,
          outcome: "retry",
          delayMs: 0,
          failureCount: 1,
          lostCount: 0,
          error: undefined,
          durationMs: 0,
        },
      ]);
      await leaseFrom(db, [laneId], [workerId]);

      await tidy();

      assert.deepEqual(await batchesOf(workerId), [{ generation: 1, job_ids: [job.id] }]);
      assert.deepEqual(await heldBy(workerId), new Set([job.id]));
    });

    it("takes what runs for long out of the line of ready jobs, and a retry brings it back", async () => {
      const workerId = await aWorker(db);
      const job = await aRunningJob(db, laneId, workerId);
      const atFirst = await isInLine(job.id);

      await tidy();
      const during = await isInLine(job.id);
      await releaseWorker(db, { id: workerId, connection: 1 });

      assert.deepEqual([atFirst, during, await isInLine(job.id)], [true, false, true]);
      const [again] = await leaseFrom(db, [laneId], [await aWorker(db)]);
      assert.equal(again?.id, job.id);
    });

    it("waits for nobody: not for a job that is changed, not for a worker that is taken back", async () => {
      const [changed, taken] = [await aWorker(db), await aWorker(db)];
      const job = await aRunningJob(db, laneId, changed);
      await aRunningJob(db, laneId, taken);
      const batchesBefore = await batchesOf(taken);

      await db.transaction(async (tx) => {
        await tx.query(sql`update baton.job set progress = '1' where id = ${job.id}`);
        await tx.query(sql`update baton.worker set is_draining = true where id = ${taken}`);
        await tidy();
      });

      assert.deepEqual(await batchesOf(changed), [{ generation: 1, job_ids: [job.id] }]);
      assert.equal(await isInLine(job.id), true);
      assert.deepEqual(await batchesOf(taken), batchesBefore);
    });

    it("takes nothing of a lease that is about to be committed", async () => {
      const workerId = await aWorker(db);
      const lasting = await aRunningJob(db, laneId, workerId);
      await aQueuedJob(db, laneId);

      const leased = await db.transaction(async (tx) => {
        const rows = await leaseFrom(tx, [laneId], [workerId]);
        await tidy();
        return rows;
      });

      const [job] = leased;
      assert.deepEqual(await batchesOf(workerId), [
        { generation: 0, job_ids: [job?.id] },
        { generation: 1, job_ids: [lasting.id] },
      ]);
      assert.deepEqual(await heldBy(workerId), new Set([lasting.id, job?.id]));
    });

    it("leaves workers that are gone to who takes their jobs back", async () => {
      const workerId = await aWorker(db);
      await releaseWorker(db, { id: workerId, connection: 1 });
      const job = await aRunningJob(db, laneId, workerId);

      await tidy();
      const report = await reapGoneWorker(db);

      assert.deepEqual(report.jobIds, [job.id]);
      assert.deepEqual(await batchesOf(workerId), []);
    });
  });
});
