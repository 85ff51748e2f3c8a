/** From JobSpec messages to the domain's job specs. */
import type { JobSpec as JobSpecMessage } from "@baton/sdk/contract";
import type { JobSpec } from "../../domain/job-spec.ts";
import { parseJsonText } from "../../domain/json-text.ts";
import { BULK_JOBS_MAX } from "../../domain/limits.ts";
import { AppError, type BadJob } from "../../errors.ts";
import { presentText } from "./present.ts";
import { retryPolicyFromMessage } from "./task-message.ts";

const JSON_TYPE = /^application\/json\s*(;|$)/i;

/**
 * Translates one job. Ranges are checked by the operation, the input here.
 *
 * @param payloadBytesMax largest input, in bytes
 * @throws AppError invalid_argument, malformed_json, payload_too_large
 */
export function jobSpecFromMessage(message: JobSpecMessage, payloadBytesMax: number): JobSpec {
  const { input, inputContentType } = message;
  const isJson = inputContentType === "" || JSON_TYPE.test(inputContentType);
  return {
    task: message.task,
    input: inputFromBytes(input, isJson, payloadBytesMax),
    inputContentType: isJson ? undefined : inputContentType,
    queue: presentText(message.queue),
    priority: message.priority,
    delayMs: message.delayMs,
    runAt: message.runAt,
    maxAttempts: message.maxAttempts,
    retry: retryPolicyFromMessage(message.retry),
    attemptTimeoutMs: message.attemptTimeoutMs,
    queueTimeoutMs: message.queueTimeoutMs,
    deadlineMs: message.deadlineMs,
    heartbeatTimeoutMs: message.heartbeatTimeoutMs,
    cancelGraceMs: message.cancelGraceMs,
    tags: message.tags.length === 0 ? undefined : message.tags,
    idempotencyKey: presentText(message.idempotencyKey),
    uniqueKey: presentText(message.uniqueKey),
    onConflict: presentText(message.onConflict),
  };
}

/** A bulk call: the jobs that could be translated, in order, and the others. */
export interface BulkJobs {
  readonly specs: readonly JobSpec[];
  readonly unread: readonly BadJob[];
}

/**
 * Translates a bulk call. Jobs that cannot be translated stand aside, so that the operation tells of them and of every
 * other bad one.
 *
 * @throws AppError invalid_argument when there are none or too many
 */
export function jobSpecsFromMessages(
  messages: readonly JobSpecMessage[],
  payloadBytesMax: number,
): BulkJobs {
  if (messages.length === 0 || messages.length > BULK_JOBS_MAX) {
    throw new AppError(
      "invalid_argument",
      `One call takes 1 to ${BULK_JOBS_MAX} jobs; received ${messages.length}. Send several calls, or a stream.`,
      { field: "jobs", received: messages.length },
    );
  }
  const specs: JobSpec[] = [];
  const unread: BadJob[] = [];
  for (const [index, message] of messages.entries()) {
    try {
      specs.push(jobSpecFromMessage(message, payloadBytesMax));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      unread.push({ index, error });
    }
  }
  return { specs, unread };
}

/** Text as in {@link JobSpec}. */
function inputFromBytes(input: Buffer, isJson: boolean, payloadBytesMax: number): string {
  if (input.length > payloadBytesMax) {
    throw new AppError(
      "payload_too_large",
      `input may have ${payloadBytesMax} bytes; received ${input.length}. ` +
        `Put large data elsewhere and pass a reference to it.`,
      { field: "input", bytes: input.length, bytesMax: payloadBytesMax },
    );
  }
  if (!isJson) return input.toString("base64");
  if (input.length === 0) return "null";
  const parsed = parseJsonText(input, { bytesMax: payloadBytesMax });
  if (parsed.kind === "ok") return parsed.text;
  throw new AppError(parsed.code, `input must be JSON: ${parsed.message}`, { field: "input" });
}
