import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aQueuedJob, aRunningJob, aWorker, present } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { ATTEMPT_LIST_MAX } from "../domain/limits.ts";
import type { Database } from "./db.ts";
import { attemptRecorded, jobFinish, jobReschedule, jobSucceed } from "./job-finish.ts";
import { attemptList, jobGet } from "./job-read.ts";
import type { LeasedJob } from "./job-lease.ts";
import { sql } from "./sql.ts";

describe("the end of an attempt", () => {
  let db: Database;
  let laneId: number;
  let workerId: number;
  const cleanup = suiteCleanup();
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
    workerId = await aWorker(db);
  });
  const succeed = (job: Pick<LeasedJob, "id" | "attempt">, result?: string) =>
    jobSucceed(db, [{ jobId: job.id, attempt: job.attempt, result, durationMs: 5 }]);
  const finish = (job: Pick<LeasedJob, "id" | "attempt">) =>
    jobFinish(db, [
      {
        jobId: job.id,
        attempt: job.attempt,
        state: "dead",
        outcome: "failed",
        failureCount: 1,
        lostCount: 0,
        error: { code: "Error", message: "a \0 NUL is kept" },
        durationMs: 5,
      },
    ]);
  const reschedule = (job: Pick<LeasedJob, "id" | "attempt">, delayMs: number) =>
    jobReschedule(db, [
      {
        jobId: job.id,
        attempt: job.attempt,
        outcome: "retry",
        delayMs,
        failureCount: 1,
        lostCount: 0,
        error: { code: "Error", message: "no" },
        durationMs: 5,
      },
    ]);

  it("moves a succeeded job to the finished ones with its result", async () => {
    const job = await aRunningJob(db, laneId, workerId, { input: '{"n":1}' });

    const unmatched = await succeed(job, '{"ok":true}');

    const stored = present(await jobGet(db, job.id));
    const [live] = await db.query(sql`select from baton.job where id = ${job.id}`);
    assert.deepEqual(unmatched, []);
    assert.equal(live, undefined);
    assert.deepEqual(
      [stored.state, stored.result, stored.input, stored.attempt],
      ["succeeded", '{"ok":true}', '{"n":1}', 1],
    );
    assert.ok(present(stored.startedAt) <= present(stored.finishedAt));
  });

  it("keeps a dead job with its error", async () => {
    const job = await aRunningJob(db, laneId, workerId);

    await finish(job);

    const stored = present(await jobGet(db, job.id));
    assert.deepEqual(
      [stored.state, stored.error?.message, stored.failureCount],
      ["dead", "a \0 NUL is kept", 1],
    );
  });

  it("queues a job again at once, or schedules it, and keeps the attempt", async () => {
    const [now, later] = [
      await aRunningJob(db, laneId, workerId),
      await aRunningJob(db, laneId, workerId),
    ];

    const results = [...(await reschedule(now, 0)), ...(await reschedule(later, 60_000))];

    assert.deepEqual(
      results.map((row) => [row.is_stale, row.lane_id]),
      [
        [false, laneId],
        [false, laneId],
      ],
    );
    assert.equal((await jobGet(db, now.id))?.state, "queued");
    assert.equal((await jobGet(db, later.id))?.state, "scheduled");
    const attempts = await attemptList(db, later.id, ATTEMPT_LIST_MAX);
    assert.deepEqual(
      attempts.map(({ attempt, outcome, worker, error }) => [
        attempt,
        outcome,
        worker,
        error?.message,
      ]),
      [[1, "retry", "test-worker", "no"]],
    );
    await db.query(sql`delete from baton.job where id = ${now.id}`);
  });

  for (const [what, wrong] of [
    ["another attempt", (job: LeasedJob) => ({ id: job.id, attempt: job.attempt + 1 })],
    ["an earlier attempt", (job: LeasedJob) => ({ id: job.id, attempt: job.attempt - 1 })],
    [
      "another job",
      (job: LeasedJob) => ({
        id: job.id.replace(/.$/, (last) => (last === "0" ? "1" : "0")),
        attempt: 1,
      }),
    ],
  ] as const) {
    it(`changes nothing for the fence of ${what}`, async () => {
      const job = await aRunningJob(db, laneId, workerId);
      const fence = wrong(job);

      const unmatched = [
        ...(await succeed(fence)),
        ...(await finish(fence)),
        ...(await reschedule(fence, 0)).filter((row) => row.is_stale),
      ];

      const stored = present(await jobGet(db, job.id));
      assert.equal(unmatched.length, 3);
      assert.deepEqual([stored.state, stored.attempt], ["running", 1]);
    });
  }

  it("changes nothing for a job that is queued again under the same attempt", async () => {
    const job = await aRunningJob(db, laneId, workerId);
    await reschedule(job, 60_000);

    const unmatched = await succeed(job);

    assert.deepEqual(unmatched, [{ id: job.id, attempt: 1 }]);
    assert.equal((await jobGet(db, job.id))?.state, "scheduled");
  });

  it("is not followed by another one when somebody asked to cancel meanwhile", async () => {
    const job = await aRunningJob(db, laneId, workerId);
    await db.query(
      sql`update baton.job set cancel_requested_at = baton.clock() where id = ${job.id}`,
    );

    const [row] = await reschedule(job, 60_000);

    assert.deepEqual([row?.is_stale, row?.is_cancelled], [false, true]);
    assert.equal((await jobGet(db, job.id))?.state, "running");
  });

  it("happens once: a repeat matches nothing, but stands in the books", async () => {
    const [done, retried] = [
      await aRunningJob(db, laneId, workerId),
      await aRunningJob(db, laneId, workerId),
    ];
    const foreign = { id: await aQueuedJob(db, laneId), attempt: 1 };
    await succeed(done);
    await reschedule(retried, 60_000);

    const unmatched = await succeed(done);
    const recorded = await attemptRecorded(db, [
      { id: done.id, attempt: 1, outcome: "succeeded" },
      { id: retried.id, attempt: 1, outcome: "retry" },
      { id: retried.id, attempt: 1, outcome: "succeeded" },
      { ...foreign, outcome: "succeeded" },
    ]);

    assert.deepEqual(unmatched, [{ id: done.id, attempt: 1 }]);
    assert.deepEqual(recorded.map((row) => row.id).sort(), [done.id, retried.id].sort());
    const [count] = await db.query<{ count: number }>(
      sql`select count(*) as count from baton.job_finished where id = ${done.id}`,
    );
    assert.deepEqual(count, { count: 1 });
  });

  it("samples neither payloads nor arrays of a partition for statistics", async () => {
    const sampled = await db.query<{ column: string }>(sql`
      select distinct regexp_replace(attrelid::regclass::text, '_[0-9]{8}$', '') || '.' || attname as column
        from pg_attribute
       where attrelid::regclass::text ~ '^baton\..*_[0-9]{8}$'
         and attname in ('input', 'result', 'job_ids', 'attempts', 'message')
         and attstattarget is distinct from 0
       order by 1`);

    assert.deepEqual(
      sampled.map((row) => row.column),
      // No dead job has a result.
      ["baton.job_dead.result"],
    );
  });

  it("puts finished rows into the partition of their day, none into the net", async () => {
    const job = await aRunningJob(db, laneId, workerId);
    await succeed(job);

    const rows = await db.query<{ partition: string }>(
      sql`select tableoid::regclass::text as partition from baton.job_finished where id = ${job.id}`,
    );

    assert.match(rows[0]?.partition ?? "", /^baton\.job_ended_\d{8}$/);
  });
});
