import type { Job, JobError } from "./views.ts";

/** Codes that only a client makes; docs/sdk.md explains each. */
export type ClientErrorCode =
  | "connection_failed"
  | "deadline_exceeded"
  | "invalid_input"
  | "job_failed";

/** Codes of docs/errors.md that a caller over gRPC can meet. */
export type ServerErrorCode =
  | "invalid_argument"
  | "malformed_json"
  | "invalid_cursor"
  | "bulk_rejected"
  | "payload_too_large"
  | "route_not_found"
  | "job_not_found"
  | "task_not_found"
  | "queue_not_found"
  | "idempotency_conflict"
  | "unique_conflict"
  | "job_finished"
  | "job_not_dead"
  | "stale_lease"
  | "protocol_violation"
  | "resource_exhausted"
  | "unavailable"
  | "internal";

/** A code; open, because a newer server may know more. */
export type BatonErrorCode = ClientErrorCode | ServerErrorCode | (string & {});

/**
 * The one error class of this package. `code` says what happened and is stable, `message` is for people, `details`
 * hold ids, indexes and limits; `cause` is the error underneath, if there was one. `details.mayHaveHappened` is true
 * where a call that changes something got no answer.
 */
export class BatonError extends Error {
  readonly code: BatonErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: BatonErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "BatonError";
    this.code = code;
    this.details = details;
  }
}

/** `job.result()` of a job that ended dead or cancelled. Its code is `job_failed`. */
export class JobFailedError extends BatonError {
  /** The job as it ended; without `attempts`. */
  readonly job: Job;
  /** The error of the last attempt; absent when the job was cancelled before one failed. */
  readonly error: JobError | undefined;

  constructor(job: Job) {
    super("job_failed", failureMessage(job), { jobId: job.id, task: job.task, state: job.state });
    this.name = "JobFailedError";
    this.job = job;
    this.error = job.error;
  }
}

function failureMessage(job: Job): string {
  const subject = `job ${job.id} (task ${job.task})`;
  if (job.state === "cancelled") {
    return `${subject} was cancelled${job.cancelReason === undefined ? "" : `: ${job.cancelReason}`}`;
  }
  const attempts = job.attempt === 1 ? "1 attempt" : `${job.attempt} attempts`;
  const error = job.error === undefined ? "" : `: ${job.error.code}: ${job.error.message}`;
  return `${subject} is ${job.state} after ${attempts}${error}`;
}
