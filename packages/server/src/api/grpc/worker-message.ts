/** From workers' messages to the engine's words. What a worker says is bounded and cleaned here. */
import type {
  Hello,
  LogEntry,
  Outcome as OutcomeMessage,
  ProgressReport as ProgressMessage,
} from "@baton/sdk/contract";
import { cutText } from "../../domain/cut-text.ts";
import type { AttemptOutcome } from "../../dispatch/outcomes.ts";
import type { WorkerHello } from "../../dispatch/worker-connection.ts";
import { OUTCOMES, type AttemptRef, type JobError, type Outcome } from "../../domain/job.ts";
import { parseJsonText } from "../../domain/json-text.ts";
import {
  DELAY_MS_MAX,
  ERROR_MESSAGE_CHARACTERS_MAX,
  ERROR_STACK_CHARACTERS_MAX,
  LOG_MESSAGE_BYTES_MAX,
  NAME_CHARACTERS_MAX,
  PROGRESS_BYTES_MAX,
} from "../../domain/limits.ts";
import { isUuid } from "../../domain/job-id.ts";
import { LOG_LEVELS } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { NewLogLine } from "../../store/job-notes.ts";
import { taskDefinitionFromMessage } from "./task-message.ts";

const OUTCOME_BY_NAME: ReadonlyMap<string, Outcome> = new Map(
  OUTCOMES.map((outcome) => [outcome, outcome]),
);
/** PostgreSQL's integer. */
const INTEGER_MAX = 2 ** 31 - 1;
/** Instants that PostgreSQL and RFC 3339 can write. */
const EARLIEST_MS = Date.parse("0001-01-01T00:00:00Z");
const LATEST_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** @throws AppError invalid_argument and those of task definitions */
export function helloFromMessage(hello: Hello): WorkerHello {
  return {
    instance: hello.workerId,
    name: hello.name,
    tasks: hello.tasks.map(taskDefinitionFromMessage),
    queues: hello.queues,
    slots: hello.slots,
    prefetch: hello.prefetch,
    labels: hello.labels,
    host: hello.host,
    pid: hello.pid,
    sdk: hello.sdk,
    leaseMs: hello.leaseMs,
    held: hello.held,
  };
}

/**
 * Translates an outcome. A result that is no JSON, or too large, turns a success into a failure that says so.
 *
 * @throws AppError invalid_argument for a fence or a kind that is none
 */
export function outcomeFromMessage(
  message: OutcomeMessage,
  payloadBytesMax: number,
): AttemptOutcome {
  const kind = OUTCOME_BY_NAME.get(message.kind);
  if (kind === undefined) {
    throw new AppError(
      "invalid_argument",
      `outcome.kind must be one of ${OUTCOMES.join(", ")}; received ${JSON.stringify(cutText(message.kind, 80))}`,
      { ...refOf(message) },
    );
  }
  const durationMs = clamp(message.durationMs, INTEGER_MAX);
  const isEmpty = message.result === undefined || message.result.length === 0;
  // Most outcomes by far are of this kind: nothing is made but what is needed.
  if (kind === "succeeded" && isEmpty && isRef(message)) {
    return { jobId: message.jobId, attempt: message.attempt, kind, durationMs };
  }
  const ref = refOf(message);
  const delayMs = message.delayMs === undefined ? undefined : clamp(message.delayMs, DELAY_MS_MAX);
  const error = message.error && errorOf(message.error);
  if (kind === "snoozed" && (message.delayMs === undefined || message.delayMs < 0)) {
    // Without a delay the job would come back at once, again and again.
    const problem = {
      code: "invalid_outcome",
      message: "a snoozed outcome needs delay_ms of 0 or more",
    };
    return { ...ref, kind: "failed", durationMs, error: problem };
  }
  if (kind !== "succeeded" || message.result === undefined || isEmpty) {
    return { ...ref, kind, durationMs, delayMs, error };
  }
  const result = parseJsonText(message.result, { bytesMax: payloadBytesMax });
  if (result.kind === "ok") return { ...ref, kind, durationMs, result: result.text };
  const code = result.code === "payload_too_large" ? result.code : "invalid_result";
  return {
    ...ref,
    kind: "failed",
    durationMs,
    error: { code, message: `result: ${result.message}` },
  };
}

/** Progress that is no JSON, or too large, counts as a heartbeat. */
export function progressFromMessage(
  message: ProgressMessage,
): AttemptRef & { readonly value: string | undefined } {
  const ref = refOf(message);
  if (message.value === undefined) return { ...ref, value: undefined };
  const value = parseJsonText(message.value, { bytesMax: PROGRESS_BYTES_MAX });
  return { ...ref, value: value.kind === "ok" ? value.text : undefined };
}

export function logLineFromMessage(message: LogEntry): NewLogLine {
  return {
    ...refOf(message),
    at: isStorable(message.at) ? message.at : new Date(),
    level: LOG_LEVELS.find((level) => level === message.level) ?? "info",
    message: storable(message.message, LOG_MESSAGE_BYTES_MAX),
    fields: message.fields.length === 0 ? undefined : fieldsFromBytes(message.fields),
  };
}

/** A JSON object whatever came: the line is worth keeping, and readers count on an object. */
function fieldsFromBytes(bytes: Buffer): string {
  const fields = parseJsonText(bytes, { bytesMax: LOG_MESSAGE_BYTES_MAX });
  if (fields.kind === "invalid") {
    return JSON.stringify({ note: `fields were left out: ${fields.message}` });
  }
  const { value, text } = fields;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? text : `{"value":${text}}`;
}

function isRef({ jobId, attempt }: AttemptRef): boolean {
  return attempt >= 0 && isUuid(jobId);
}

/** @throws AppError invalid_argument */
function refOf(message: AttemptRef): AttemptRef {
  const { jobId, attempt } = message;
  if (isRef(message)) return { jobId, attempt };
  throw new AppError(
    "invalid_argument",
    `A fence is a job's UUID and an attempt; received ${JSON.stringify(cutText(jobId, 80))}, ${attempt}`,
  );
}

function errorOf(error: {
  readonly code: string;
  readonly message: string;
  readonly stack: string;
}): JobError {
  return {
    code: storable(error.code, NAME_CHARACTERS_MAX),
    message: storable(error.message, ERROR_MESSAGE_CHARACTERS_MAX),
    ...(error.stack !== "" && { stack: storable(error.stack, ERROR_STACK_CHARACTERS_MAX) }),
  };
}

/** Text that PostgreSQL can keep: without NUL, and of bounded length. */
function storable(text: string, charactersMax: number): string {
  const plain = text.includes("\0") ? text.replaceAll("\0", "\uFFFD") : text;
  return cutText(plain, charactersMax);
}

/** Whether PostgreSQL can keep an instant; what a wrong clock says is kept as it is. */
function isStorable(at: Date | undefined): at is Date {
  return at !== undefined && at.getTime() >= EARLIEST_MS && at.getTime() <= LATEST_MS;
}

function clamp(value: number, most: number): number {
  return Math.min(most, Math.max(0, Math.round(value)));
}
