/** Ends attempts whose jobs are to be tried again, unless somebody asked to cancel them. */
import type { EndedAttempt } from "../domain/outcome.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import type { Db } from "../store/db.ts";
import {
  jobFinish,
  jobReschedule,
  type RescheduledAttempt,
  type RescheduleResult,
} from "../store/job-finish.ts";
import type { HeldJob } from "../store/job-lease.ts";

/** What a decision needs to know of a running row. @param retry unless the job brings its own */
export function endedAttempt(row: HeldJob, retry: RetryPolicy): EndedAttempt {
  return {
    attempt: row.attempt,
    failureCount: row.failure_count,
    lostCount: row.lost_count,
    maxAttempts: row.max_attempts,
    isCancelRequested: row.is_cancel_requested,
    deadlineInMs: row.deadline_in_ms ?? undefined,
    retry,
  };
}

/**
 * Reschedules jobs; those whose cancellation was requested after the decision to try them again end as cancelled.
 *
 * @returns one row for each attempt
 */
export async function rescheduleAttempts(
  db: Db,
  attempts: readonly RescheduledAttempt[],
): Promise<readonly RescheduleResult[]> {
  const rows = await jobReschedule(db, attempts);
  const cancelled = new Set(rows.filter((row) => row.is_cancelled).map((row) => row.id));
  if (cancelled.size === 0) return rows;
  const ended = attempts.filter((attempt) => cancelled.has(attempt.jobId));
  await jobFinish(
    db,
    ended.map((attempt) => ({ ...attempt, state: "cancelled" as const })),
  );
  return rows;
}
