/** Jobs in the words of proto.MasterService. */
import { cutText } from "../../domain/cut-text.ts";
import type { JobSpec } from "../../domain/job-spec.ts";
import { isFinal, type JobState } from "../../domain/job.ts";
import { parseJsonText } from "../../domain/json-text.ts";
import { MAX_ATTEMPTS_MAX, TIMEOUT_MS_MAX } from "../../domain/limits.ts";
import type { JobView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { Job, JobResult, SubmitJobRequest } from "../../gen/conductor/master.ts";
import { inputBytes } from "../grpc/job-message.ts";

const STATUS = {
  waiting: "pending",
  scheduled: "pending",
  queued: "pending",
  running: "running",
  succeeded: "completed",
  dead: "failed",
  cancelled: "cancelled",
} as const satisfies Record<JobState, string>;

/** The states behind each status; Baton knows no state between queued and running. */
const STATES: Readonly<Record<string, readonly JobState[]>> = {
  pending: ["waiting", "scheduled", "queued"],
  assigned: [],
  running: ["running"],
  completed: ["succeeded"],
  failed: ["dead"],
  cancelled: ["cancelled"],
};

/**
 * States for a `status_filter`; undefined for "", which means all, and none for "assigned".
 *
 * @throws AppError invalid_argument
 */
export function statesOf(statusFilter: string): readonly JobState[] | undefined {
  if (statusFilter === "") return undefined;
  const states = Object.hasOwn(STATES, statusFilter) ? STATES[statusFilter] : undefined;
  if (states !== undefined) return states;
  throw new AppError(
    "invalid_argument",
    `status_filter must be empty or one of ${Object.keys(STATES).join(", ")}; ` +
      `received ${JSON.stringify(cutText(statusFilter, 80))}`,
    { field: "status_filter" },
  );
}

/**
 * Translates a request. A failure counts against `max_retries` and the job is tried again while fewer have happened, so
 * both 0 and 1 mean a single attempt.
 *
 * @throws AppError invalid_argument, payload_too_large
 */
export function masterJobSpec(request: SubmitJobRequest, payloadBytesMax: number): JobSpec {
  const { maxRetries, timeoutSeconds } = request;
  checkRange("max_retries", maxRetries, MAX_ATTEMPTS_MAX);
  checkRange("timeout_seconds", timeoutSeconds, TIMEOUT_MS_MAX / 1_000);
  return {
    task: request.type,
    ...payloadInput(request.payload, payloadBytesMax),
    priority: request.priority,
    maxAttempts: Math.max(1, maxRetries),
    attemptTimeoutMs: timeoutSeconds === 0 ? undefined : timeoutSeconds * 1_000,
  };
}

/** The message of a job. */
export function masterJobMessage(job: JobView): Job {
  return {
    id: job.id,
    type: job.task,
    payload: inputBytes(job),
    priority: job.priority,
    status: STATUS[job.state],
    assignedTo: job.worker ?? "",
    createdAt: job.createdAt,
    startedAt: job.startedAt,
    completedAt: job.finishedAt,
    result: isFinal(job.state) ? resultMessage(job) : undefined,
    retryCount: job.failureCount,
    maxRetries: job.maxAttempts,
    errorMessage: errorText(job),
    timeoutSeconds: Math.ceil((job.attemptTimeoutMs ?? 0) / 1_000),
  };
}

function resultMessage(job: JobView): JobResult {
  const { startedAt, finishedAt } = job;
  const hasRun = startedAt !== undefined && finishedAt !== undefined;
  const durationMs = hasRun ? Math.max(0, finishedAt.getTime() - startedAt.getTime()) : 0;
  return {
    success: job.state === "succeeded",
    output: Buffer.from(job.result ?? ""),
    error: errorText(job),
    durationMs,
  };
}

function errorText(job: JobView): string {
  if (job.state === "succeeded") return "";
  return job.error?.message ?? (job.state === "cancelled" ? (job.cancelReason ?? "") : "");
}

/** JSON goes on as JSON; any other bytes as bytes, since payloads of this service mean nothing to the scheduler. */
function payloadInput(
  payload: Buffer,
  payloadBytesMax: number,
): Pick<JobSpec, "input" | "inputContentType"> {
  if (payload.length > payloadBytesMax) {
    throw new AppError(
      "payload_too_large",
      `payload may have ${payloadBytesMax} bytes; received ${payload.length}`,
      { field: "payload", bytes: payload.length, bytesMax: payloadBytesMax },
    );
  }
  if (payload.length === 0) return { input: "null" };
  const parsed = parseJsonText(payload, { bytesMax: payloadBytesMax });
  if (parsed.kind === "ok") return { input: parsed.text };
  return { input: payload.toString("base64"), inputContentType: "application/octet-stream" };
}

function checkRange(field: string, value: number, most: number): void {
  if (value >= 0 && value <= most) return;
  throw new AppError(
    "invalid_argument",
    `${field} must be a whole number from 0 to ${most}; received ${value}`,
    { field },
  );
}
