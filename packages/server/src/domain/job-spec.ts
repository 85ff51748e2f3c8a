import type { RetryPolicy } from "./retry.ts";

/**
 * What a caller asks for, after its door has translated names and before it is checked.
 * Absent options come from the task's definition, then from limits.ts. All durations are milliseconds.
 */
export interface JobSpec {
  readonly task: string;
  /** JSON text, or text in `inputContentType`'s own encoding (base64 for bytes). */
  readonly input: string;
  /** Absent: application/json. */
  readonly inputContentType?: string | undefined;
  readonly queue?: string | undefined;
  readonly priority?: number | undefined;
  readonly delayMs?: number | undefined;
  readonly runAt?: Date | undefined;
  readonly maxAttempts?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly attemptTimeoutMs?: number | undefined;
  readonly queueTimeoutMs?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly heartbeatTimeoutMs?: number | undefined;
  readonly cancelGraceMs?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly uniqueKey?: string | undefined;
  readonly onConflict?: string | undefined;
}

/** What became of a spec. */
export interface SubmitResult {
  readonly jobId: string;
  readonly isDuplicate: boolean;
  readonly state: string;
}
