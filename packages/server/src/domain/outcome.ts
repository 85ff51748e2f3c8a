/** What follows from the outcome of an attempt. Pure: the caller brings the policy and the random number. */
import type { FinalState, JobError, Outcome } from "./job.ts";
import { ATTEMPTS_MAX, LOST_ATTEMPTS_MAX } from "./limits.ts";
import { retryDelayMs, type RetryPolicy } from "./retry.ts";

/** What is known of the attempt that ended. */
export interface EndedAttempt {
  readonly attempt: number;
  /** Before this attempt. */
  readonly failureCount: number;
  /** Before this attempt. */
  readonly lostCount: number;
  readonly maxAttempts: number;
  readonly isCancelRequested: boolean;
  /** Milliseconds until the job's total deadline, negative when it has passed; absent without a deadline. */
  readonly deadlineInMs?: number | undefined;
  readonly retry: RetryPolicy;
}

/** What the worker, or the server in its place, says of the attempt. */
export interface ReportedOutcome {
  readonly kind: Outcome;
  readonly error?: JobError | undefined;
  /** retry: instead of the policy's delay; snoozed: how long. */
  readonly delayMs?: number | undefined;
}

export type Decision =
  | {
      readonly kind: "finish";
      readonly state: FinalState;
      readonly outcome: Outcome;
      readonly failureCount: number;
      readonly lostCount: number;
      readonly error: JobError | undefined;
    }
  | {
      readonly kind: "reschedule";
      readonly outcome: Outcome;
      /** 0: queued at once. */
      readonly delayMs: number;
      readonly failureCount: number;
      readonly lostCount: number;
      readonly error: JobError | undefined;
    };

/**
 * Decides whether a job ends or is tried again.
 *
 * A failure counts against `maxAttempts`, a lost attempt against LOST_ATTEMPTS_MAX, a snooze against neither. A job whose
 * cancellation was requested is never tried again, nor one whose next start would lie behind its deadline.
 *
 * @param random uniform in [0, 1)
 */
export function decideOutcome(
  ended: EndedAttempt,
  reported: ReportedOutcome,
  random: number,
): Decision {
  const { failureCount, lostCount } = ended;
  const { error } = reported;
  const finish = (state: FinalState, counts: Partial<Counts> = {}, cause = error): Decision => ({
    kind: "finish",
    state,
    outcome: reported.kind,
    failureCount,
    lostCount,
    ...counts,
    error: cause,
  });
  const again = (delayMs: number, counts: Partial<Counts> = {}): Decision => {
    if (ended.isCancelRequested) return finish("cancelled", counts);
    if (ended.deadlineInMs !== undefined && delayMs >= ended.deadlineInMs) {
      return finish("dead", counts, because(DEADLINE_ERROR, error));
    }
    if (ended.attempt >= ATTEMPTS_MAX) {
      return finish("dead", counts, because(ATTEMPTS_ERROR, error));
    }
    return {
      kind: "reschedule",
      outcome: reported.kind,
      delayMs,
      failureCount,
      lostCount,
      ...counts,
      error,
    };
  };

  switch (reported.kind) {
    case "succeeded":
      return finish("succeeded");
    case "cancelled":
      return finish("cancelled");
    case "failed":
      return finish(ended.isCancelRequested ? "cancelled" : "dead", {
        failureCount: failureCount + 1,
      });
    case "snoozed":
      return again(reported.delayMs ?? 0);
    case "lost":
      return lostCount + 1 >= LOST_ATTEMPTS_MAX
        ? finish("dead", { lostCount: lostCount + 1 }, because(LOST_ERROR, error))
        : again(0, { lostCount: lostCount + 1 });
    case "retry":
    case "timed_out": {
      const counts = { failureCount: failureCount + 1 };
      if (counts.failureCount >= ended.maxAttempts) {
        return finish(ended.isCancelRequested ? "cancelled" : "dead", counts);
      }
      return again(
        reported.delayMs ?? retryDelayMs(ended.retry, counts.failureCount, random),
        counts,
      );
    }
  }
}

/** Why the job is over, with the error of its last attempt behind. */
function because(reason: JobError, error: JobError | undefined): JobError {
  if (error === undefined) return reason;
  return {
    ...reason,
    message: `${reason.message} The last error was ${error.code}: ${error.message}`,
  };
}

interface Counts {
  readonly failureCount: number;
  readonly lostCount: number;
}

const DEADLINE_ERROR: JobError = {
  code: "deadline_exceeded",
  message: "The job's total deadline leaves no time for another attempt.",
};
const ATTEMPTS_ERROR: JobError = {
  code: "attempts_exhausted",
  message: `The job was started ${ATTEMPTS_MAX} times without an end.`,
};
const LOST_ERROR: JobError = {
  code: "lost_too_often",
  message: `${LOST_ATTEMPTS_MAX} attempts were lost together with their worker. Does the job make its worker crash?`,
};
