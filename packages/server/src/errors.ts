import { status as Rpc } from "@grpc/grpc-js";

/**
 * Every error that a caller can meet. docs/errors.md has one heading for each and a test keeps both equal.
 * `isRetryable`: the same call may succeed later without a change.
 */
export const ERRORS = {
  invalid_argument: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  malformed_json: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  invalid_cursor: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  sequence_expired: { http: 410, rpc: Rpc.OUT_OF_RANGE, isRetryable: false },
  bulk_rejected: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  payload_too_large: { http: 413, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  unsupported_media_type: { http: 415, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  malformed_request: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  headers_too_large: { http: 431, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  request_timeout: { http: 408, rpc: Rpc.DEADLINE_EXCEEDED, isRetryable: true },
  route_not_found: { http: 404, rpc: Rpc.UNIMPLEMENTED, isRetryable: false },
  job_not_found: { http: 404, rpc: Rpc.NOT_FOUND, isRetryable: false },
  task_not_found: { http: 404, rpc: Rpc.NOT_FOUND, isRetryable: false },
  queue_not_found: { http: 404, rpc: Rpc.NOT_FOUND, isRetryable: false },
  idempotency_conflict: { http: 409, rpc: Rpc.ALREADY_EXISTS, isRetryable: false },
  unique_conflict: { http: 409, rpc: Rpc.ALREADY_EXISTS, isRetryable: false },
  job_finished: { http: 409, rpc: Rpc.FAILED_PRECONDITION, isRetryable: false },
  job_not_dead: { http: 409, rpc: Rpc.FAILED_PRECONDITION, isRetryable: false },
  stale_lease: { http: 409, rpc: Rpc.FAILED_PRECONDITION, isRetryable: false },
  protocol_violation: { http: 400, rpc: Rpc.FAILED_PRECONDITION, isRetryable: false },
  resource_exhausted: { http: 429, rpc: Rpc.RESOURCE_EXHAUSTED, isRetryable: true },
  query_timed_out: { http: 504, rpc: Rpc.DEADLINE_EXCEEDED, isRetryable: true },
  unavailable: { http: 503, rpc: Rpc.UNAVAILABLE, isRetryable: true },
  internal: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  invalid_config: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  schema_too_new: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  data_directory_in_use: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  data_directory_unusable: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  postgres_start_failed: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  postgres_version_mismatch: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
  address_in_use: { http: 500, rpc: Rpc.INTERNAL, isRetryable: false },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An error that is the caller's or the environment's fault, with a code of {@link ERRORS}.
 * The message says what was expected and what was received; `details` hold ids and indexes.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    details: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "AppError";
    this.code = code;
    this.details = details;
  }
}

/** No job has this id, or its retention is over. */
export function jobNotFound(jobId: string): AppError {
  return new AppError("job_not_found", `There is no job ${jobId}.`, { jobId });
}

/** A job of a call that cannot be accepted. Index: its place in the call. */
export interface BadJob {
  readonly index: number;
  readonly error: AppError;
}

/**
 * Refuses a call when any of its jobs is bad.
 *
 * @param count jobs of the call, the good ones included
 * @throws AppError the error of the only job, otherwise bulk_rejected, which names every bad one in order
 */
export function refuseBadJobs(problems: readonly BadJob[], count: number): void {
  const inOrder = problems.toSorted((left, right) => left.index - right.index);
  const [first] = inOrder;
  if (first === undefined) return;
  if (count === 1) throw first.error;
  const items = inOrder.map(({ index, error: { code, message } }) => ({ index, code, message }));
  throw new AppError(
    "bulk_rejected",
    `${items.length} of ${count} jobs are not acceptable, so none was accepted. ` +
      `First, at index ${first.index}: ${first.error.message}`,
    { items, itemCount: items.length },
  );
}
