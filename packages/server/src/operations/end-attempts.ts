/** Ends attempts whose jobs are to be tried again, unless somebody asked to cancel them. */
import type { Db } from "../store/db.ts";
import {
  jobFinish,
  jobReschedule,
  type RescheduledAttempt,
  type RescheduleResult,
} from "../store/job-finish.ts";

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
