/** Attempts that begin and end: leases, outcomes, and workers that come and go with what they hold. */
import assert from "node:assert/strict";
import fc from "fast-check";

import { JOB_STATES, type Outcome } from "../../src/domain/job.ts";
import { BATCH_BYTES_MAX } from "../../src/domain/limits.ts";
import { decideOutcome } from "../../src/domain/outcome.ts";
import { rescheduleAttempts } from "../../src/operations/end-attempts.ts";
import {
  reapGoneWorker,
  reapWorker,
  releaseWorker,
  type ReapReport,
} from "../../src/operations/sweep.ts";
import { attemptRecorded, jobFinish, jobSucceed } from "../../src/store/job-finish.ts";
import { jobLease, jobRunning, laneShares } from "../../src/store/job-lease.ts";
import { leaseBatchTidy } from "../../src/store/lease-batch.ts";
import { workerAttach, workerDetach } from "../../src/store/worker.ts";
import { aShare, present, workersOf } from "../a-job.ts";
import { command, pick, someJob, someWorker } from "./job-command.ts";
import type { JobModel, ModelJob } from "./job-model.ts";
import type { Tables } from "./job-tables.ts";

const BACK_OFF_MS = 2_000;
const BATCHES_MAX = 100;
const JOBS_MAX = 1_000;
const someQueues = fc.constantFrom([0], [1], [0, 1], [1, 0], [0, 1], [1, 0]);

export const lease = fc
  .record({ queues: someQueues, workers: fc.array(someWorker, { minLength: 1, maxLength: 5 }) })
  .map(({ queues, workers }) =>
    command(`lease from ${queues.join()} for ${workers.join()}`, async (model, tables) => {
      const laneIds = queues.map((queue) => present(tables.laneIds[queue]));
      const shares = await laneShares(
        tables.db,
        laneIds.map((laneId) => aShare(laneId, workers.length)),
        workers.length,
      );
      const rows = await jobLease(
        tables.db,
        shares.map((share) => aShare(share.lane_id, share.count)),
        workers.map((worker) => present(tables.workerIds[worker])),
        BATCH_BYTES_MAX,
      );

      const expected = model.lease(queues, workers);
      assert.deepEqual(
        rows.map((row) => [row.id, row.attempt]),
        expected.map((job) => [job.id, job.attempt]),
      );
      assert.deepEqual(
        await workersOf(tables.db, rows),
        expected.map((job) => tables.workerIds[job.worker ?? -1]),
      );
    }),
  );

const ends = ["succeeded", "retry", "failed", "snoozed", "cancelled", "timed_out"] as const;

export const end = fc
  .record({
    which: someJob,
    outcome: fc.constantFrom<Outcome>(...ends),
    delayMs: fc.constantFrom(undefined, 0, 1_000, 30_000),
    knowsOfCancel: fc.boolean(),
  })
  .map(({ which, outcome, delayMs, knowsOfCancel }) =>
    command(
      `end ${which} as ${outcome} after ${delayMs}${knowsOfCancel ? "" : ", decided early"}`,
      async (model, tables) => {
        const job = pick(model.in("running"), which);

        await endAttempt(tables, job, { kind: outcome, delayMs }, knowsOfCancel);

        const policyMs = outcome === "snoozed" ? 0 : BACK_OFF_MS;
        model.end(job, outcome, delayMs ?? policyMs, knowsOfCancel);
      },
      (model) => model.in("running").length > 0,
    ),
  );

/** As outcomes.ts does it: looks, decides, writes. */
async function endAttempt(
  { db }: Tables,
  { id, attempt }: ModelJob,
  reported: { readonly kind: Outcome; readonly delayMs: number | undefined },
  knowsOfCancel: boolean,
): Promise<void> {
  const row = present((await jobRunning(db, [{ id, attempt }]))[0]);
  const decision = decideOutcome(
    {
      attempt,
      failureCount: row.failure_count,
      lostCount: row.lost_count,
      maxAttempts: row.max_attempts,
      isCancelRequested: row.is_cancel_requested && knowsOfCancel,
      deadlineInMs: row.deadline_in_ms ?? undefined,
      retry: { strategy: "fixed", baseMs: BACK_OFF_MS, jitter: "none" },
    },
    reported,
    0,
  );
  const fence = { jobId: id, attempt, durationMs: 5 };
  if (decision.kind === "reschedule") {
    const rows = await rescheduleAttempts(db, [{ ...fence, ...decision }]);
    assert.deepEqual([rows.length, rows[0]?.is_stale], [1, false]);
  } else if (decision.state === "succeeded") {
    assert.deepEqual(await jobSucceed(db, [{ ...fence, result: "1" }]), []);
  } else {
    assert.deepEqual(await jobFinish(db, [{ ...fence, ...decision }]), []);
  }
}

export const endStale = fc
  .record({
    which: someJob,
    outcome: fc.constantFrom<Outcome>(...ends),
    ago: fc.constantFrom(-1, 0, 1, 2),
  })
  .map(({ which, outcome, ago }) =>
    command(
      `report ${outcome} of ${which}, ${ago} attempts ago, without a lease`,
      async (model, tables) => {
        const job = pick(model.in(...JOB_STATES), which);
        // What runs under this very fence is not stale.
        const attempt = job.attempt - (job.state === "running" && ago === 0 ? 1 : ago);
        const fence = { jobId: job.id, attempt, durationMs: 5, failureCount: 9, lostCount: 9 };
        const told = { ...fence, outcome, error: undefined };

        const unmatched = [
          ...(await jobSucceed(tables.db, [{ ...fence, result: "1" }])),
          ...(await jobFinish(tables.db, [{ ...told, state: "dead" }])),
          ...(await rescheduleAttempts(tables.db, [{ ...told, delayMs: 0 }])).filter(
            (row) => row.is_stale,
          ),
        ];
        const recorded = await attemptRecorded(tables.db, [{ id: job.id, attempt, outcome }]);

        assert.deepEqual(
          unmatched.map((row) => [row.id, row.attempt]),
          Array.from({ length: 3 }, () => [job.id, attempt]),
        );
        const isRecorded = model.recorded.get(`${job.id} ${attempt}`) === outcome;
        assert.equal(recorded.length === 1, isRecorded);
      },
      (model) => model.jobs.size > 0,
    ),
  );

export const detach = someWorker.map((number) =>
  command(
    `worker ${number} falls silent`,
    async (model, tables) => {
      const worker = present(model.workers[number]);

      await workerDetach(tables.db, keyOf(tables, model, number), 1_000);

      worker.detachedAt = model.nowMs - 1_000;
    },
    (model) => {
      const worker = model.workers[number];
      return worker?.isGone === false && worker.detachedAt === undefined;
    },
  ),
);

export const attach = someWorker.map((number) =>
  command(`worker ${number} connects`, async (model, tables) => {
    const worker = present(model.workers[number]);

    const key = await workerAttach(tables.db, present(tables.newWorkers[number]));

    worker.connection += 1;
    worker.detachedAt = undefined;
    worker.isGone = false;
    assert.deepEqual(key, keyOf(tables, model, number));
  }),
);

export const reap = fc.constant(
  command("reap", async (model, tables) => {
    const report = await reapWorker(tables.db);

    const number = model.lostWorker();
    expectTakenBack(tables, model, number, report);
    takeBack(model, number, "lost");
  }),
);

export const reapGone = fc.constant(
  command("reap what gone workers hold", async (model, tables) => {
    let report = await reapGoneWorker(tables.db);
    // Of some there are batches only whose jobs are over.
    while (report.workers.length > 0 && report.jobIds.length === 0) {
      report = await reapGoneWorker(tables.db);
    }

    const number = model.goneHolder();
    expectTakenBack(tables, model, number, report);
    takeBack(model, number, "snoozed");
  }),
);

export const tidy = fc.constant(
  command("tidy what tells who holds what", async (_model, tables) => {
    // Of any age: they are of this very instant.
    await leaseBatchTidy(tables.db, -1, BATCHES_MAX, JOBS_MAX);
  }),
);

export const release = fc
  .record({ number: someWorker, isLate: fc.boolean() })
  .map(({ number, isLate }) =>
    command(
      `worker ${number} takes its leave${isLate ? " on a former connection" : ""}`,
      async (model, tables) => {
        const { id, connection } = keyOf(tables, model, number);
        const isHeard = !isLate && model.workers[number]?.isGone === false;

        const report = await releaseWorker(tables.db, {
          id,
          connection: connection - (isLate ? 1 : 0),
        });

        const left = isHeard ? number : undefined;
        expectTakenBack(tables, model, left, report);
        takeBack(model, left, "snoozed");
      },
    ),
  );

function expectTakenBack(
  tables: Tables,
  model: JobModel,
  number: number | undefined,
  report: ReapReport,
): void {
  const held = number === undefined ? [] : model.heldBy(number);
  assert.deepEqual(
    [report.workers.map((worker) => worker.id), report.jobIds.toSorted()],
    [number === undefined ? [] : [tables.workerIds[number]], held.map((job) => job.id)],
  );
}

function takeBack(model: JobModel, number: number | undefined, outcome: "lost" | "snoozed"): void {
  if (number === undefined) return;
  for (const job of model.heldBy(number)) model.end(job, outcome, 0);
  present(model.workers[number]).isGone = true;
}

function keyOf(tables: Tables, model: JobModel, number: number) {
  return {
    id: present(tables.workerIds[number]),
    connection: present(model.workers[number]).connection,
  };
}
