/** What the clock brings about: due jobs, expired jobs, lost workers. Safe to run on every server at the same time. */
import { decideOutcome, type ReportedOutcome } from "../domain/outcome.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import type { Database, Db } from "../store/db.ts";
import { jobEnd, jobLockExpired } from "../store/job-change.ts";
import { jobFinish, type FinishedAttempt, type RescheduledAttempt } from "../store/job-finish.ts";
import { jobHeldAmong, type HeldJob } from "../store/job-lease.ts";
import { leaseBatchTake } from "../store/lease-batch.ts";
import { workerGoneHolding, workerLeave, workerTakeLost, type WorkerKey } from "../store/worker.ts";
import { endedAttempt, rescheduleAttempts } from "./end-attempts.ts";

/** An attempt that ended without a word of its handler. */
const LOST: ReportedOutcome = {
  kind: "lost",
  error: { code: "worker_lost", message: "The worker was not heard of within its lease." },
};
/** An attempt that no handler got to see ends as if its worker had given it back: it counts for nothing. */
const GIVEN_BACK: ReportedOutcome = { kind: "snoozed", delayMs: 0 };

/** Ends up to `limit` jobs that wait past their queue timeout or deadline. @returns their ids */
export function expireJobs(database: Database, limit: number): Promise<readonly string[]> {
  return database.transaction(async (tx) => {
    const expired = await jobLockExpired(tx, limit);
    if (expired.length === 0) return [];
    const ids = expired.map((row) => row.id);
    await jobEnd(tx, ids, "dead", undefined);
    return ids;
  });
}

/** What was taken back, and from whom. */
export interface ReapReport {
  readonly workers: readonly { readonly id: number; readonly name: string }[];
  readonly requeuedLaneIds: readonly number[];
  readonly jobIds: readonly string[];
}

/**
 * Takes back the jobs of one worker whose lease is over: they are queued at once, or end when they were cancelled, are
 * past their deadline or were lost too often.
 */
export function reapWorker(database: Database): Promise<ReapReport> {
  return database.transaction(async (tx) => takeBack(tx, await workerTakeLost(tx, 1), LOST));
}

/**
 * Takes back the jobs of one worker that is gone and was leased some all the same, by a statement that was under way
 * when it went. Nobody can have started them. They may be over by now: then only what is left of their leases goes.
 */
export function reapGoneWorker(database: Database): Promise<ReapReport> {
  return database.transaction(async (tx) =>
    takeBack(tx, await workerGoneHolding(tx, 1), GIVEN_BACK),
  );
}

/**
 * Marks a worker gone that took its leave in good order, and takes back at once what the table says it holds: it was on
 * its way when the worker closed its stream, so nobody has started it.
 */
export function releaseWorker(database: Database, key: WorkerKey): Promise<ReapReport> {
  return database.transaction(async (tx) => takeBack(tx, await workerLeave(tx, key), GIVEN_BACK));
}

async function takeBack(
  tx: Db,
  workers: ReapReport["workers"],
  outcome: ReportedOutcome,
): Promise<ReapReport> {
  const rows: HeldJob[] = [];
  for (const { id } of workers) {
    rows.push(...(await jobHeldAmong(tx, id, await leaseBatchTake(tx, id))));
  }
  const requeuedLaneIds = await endAttempts(tx, rows, outcome);
  return { workers, requeuedLaneIds, jobIds: rows.map((row) => row.id) };
}

async function endAttempts(
  tx: Db,
  rows: readonly HeldJob[],
  outcome: ReportedOutcome,
): Promise<readonly number[]> {
  const finished: FinishedAttempt[] = [];
  const rescheduled: RescheduledAttempt[] = [];
  for (const row of rows) {
    const decision = decideOutcome(endedAttempt(row, AT_ONCE), outcome, 0);
    const attempt = { jobId: row.id, attempt: row.attempt, durationMs: undefined, ...decision };
    if (attempt.kind === "finish") finished.push(attempt);
    else rescheduled.push(attempt);
  }
  if (finished.length > 0) await jobFinish(tx, finished);
  if (rescheduled.length === 0) return [];
  const moved = await rescheduleAttempts(tx, rescheduled);
  return [...new Set(moved.flatMap((row) => row.lane_id ?? []))];
}

const AT_ONCE: RetryPolicy = { strategy: "fixed", baseMs: 0, jitter: "none" };
