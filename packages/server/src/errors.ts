import { status as Rpc } from "@grpc/grpc-js";

/**
 * Every error that a caller can meet. docs/errors.md has one heading for each and a test keeps both equal.
 * `isRetryable`: the same call may succeed later without a change.
 */
export const ERRORS = {
  invalid_argument: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  malformed_json: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  invalid_cursor: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  bulk_rejected: { http: 400, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  payload_too_large: { http: 413, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
  unsupported_media_type: { http: 415, rpc: Rpc.INVALID_ARGUMENT, isRetryable: false },
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
