/** What the clock brings about: due jobs, expired jobs, lost workers. Safe to run on every server at the same time. */
import { decideOutcome } from "../domain/outcome.ts";
import type { JobError } from "../domain/job.ts";
import type { TaskDefinition } from "../domain/views.ts";
import type { Database, Db } from "../store/db.ts";
import { jobEnd, jobLockExpired } from "../store/job-change.ts";
import { jobFinish, type FinishedAttempt, type RescheduledAttempt } from "../store/job-finish.ts";
import { jobHeldBy, type LeasedJob } from "../store/job-lease.ts";
import { workerGoneHolding, workerTakeLost } from "../store/worker.ts";
import { rescheduleAttempts } from "./end-attempts.ts";

/** An attempt that ended without a word of its handler. */
const LOST_ERROR: JobError = {
  code: "worker_lost",
  message: "The worker was not heard of within its lease.",
};

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

export interface ReapReport {
  readonly workers: readonly { readonly id: number; readonly name: string }[];
  readonly requeuedLaneIds: readonly number[];
  readonly jobIds: readonly string[];
}

/**
 * Takes back the jobs of one worker whose lease is over, or that is gone and was leased some all the same: they are queued at once, or end when they were cancelled, are
 * past their deadline or were lost too often.
 */
export function reapWorker(database: Database): Promise<ReapReport> {
  return database.transaction(async (tx) => {
    const lost = await workerTakeLost(tx, 1);
    const workers = lost.length > 0 ? lost : await workerGoneHolding(tx, 1);
    const rows: LeasedJob[] = [];
    for (const worker of workers) rows.push(...(await jobHeldBy(tx, worker.id)));
    const requeuedLaneIds = await endLost(tx, rows);
    return { workers, requeuedLaneIds, jobIds: rows.map((row) => row.id) };
  });
}

async function endLost(tx: Db, rows: readonly LeasedJob[]): Promise<readonly number[]> {
  const finished: FinishedAttempt[] = [];
  const rescheduled: RescheduledAttempt[] = [];
  for (const row of rows) {
    const ended = {
      attempt: row.attempt,
      failureCount: row.failure_count,
      lostCount: row.lost_count,
      maxAttempts: row.max_attempts,
      isCancelRequested: row.is_cancel_requested,
      deadlineInMs: row.deadline_in_ms ?? undefined,
      retry: NO_DELAY,
    };
    const decision = decideOutcome(ended, { kind: "lost", error: LOST_ERROR }, 0);
    const attempt = { jobId: row.id, attempt: row.attempt, durationMs: undefined, ...decision };
    if (attempt.kind === "finish") finished.push(attempt);
    else rescheduled.push(attempt);
  }
  if (finished.length > 0) await jobFinish(tx, finished);
  if (rescheduled.length === 0) return [];
  const moved = await rescheduleAttempts(tx, rescheduled);
  return [...new Set(moved.flatMap((row) => row.lane_id ?? []))];
}

const NO_DELAY: TaskDefinition["retry"] & object = { strategy: "fixed", baseMs: 0, jitter: "none" };
