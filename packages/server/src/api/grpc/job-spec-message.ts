/** From JobSpec messages to the domain's job specs. */
import type { JobSpec as JobSpecMessage } from "@baton/sdk/contract";
import { checkSpec } from "../../domain/check-spec.ts";
import type { JobSpec } from "../../domain/job-spec.ts";
import { parseJsonText } from "../../domain/json-text.ts";
import { BULK_JOBS_MAX } from "../../domain/limits.ts";
import { AppError } from "../../errors.ts";
import { presentText } from "./present.ts";
import { retryPolicyFromMessage } from "./task-message.ts";

/**
 * Translates one job. Ranges are checked by the operation, the input here.
 *
 * @param payloadBytesMax largest input, in bytes
 * @throws AppError invalid_argument, malformed_json, payload_too_large
 */
export function jobSpecFromMessage(message: JobSpecMessage, payloadBytesMax: number): JobSpec {
  return {
    task: message.task,
    ...inputFromBytes(message.input, message.inputContentType, payloadBytesMax),
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

/**
 * Translates a bulk call, all or nothing. When jobs cannot be translated, the others are checked as well, so that the
 * caller learns of every bad one at once.
 *
 * @throws AppError bulk_rejected; for a single job its own code; invalid_argument when there are none or too many
 */
export function jobSpecsFromMessages(
  messages: readonly JobSpecMessage[],
  payloadBytesMax: number,
): readonly JobSpec[] {
  if (messages.length === 0 || messages.length > BULK_JOBS_MAX) {
    throw new AppError(
      "invalid_argument",
      `One call takes 1 to ${BULK_JOBS_MAX} jobs; received ${messages.length}. Send several calls, or a stream.`,
      { field: "jobs", received: messages.length },
    );
  }
  const problems = new Map<number, AppError>();
  const specs = messages.map((message, index) => {
    try {
      return jobSpecFromMessage(message, payloadBytesMax);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      problems.set(index, error);
      return undefined;
    }
  });
  const [first] = problems.values();
  if (first === undefined) return specs.filter((spec) => spec !== undefined);
  if (messages.length === 1) throw first;
  specs.forEach((spec, index) => {
    const problem = spec === undefined ? undefined : checkSpec(spec);
    if (problem !== undefined)
      problems.set(index, new AppError("invalid_argument", problem.message));
  });
  throw bulkRejected(problems, messages.length);
}

function bulkRejected(problems: ReadonlyMap<number, AppError>, jobCount: number): AppError {
  const items = [...problems]
    .toSorted(([left], [right]) => left - right)
    .map(([index, { code, message }]) => ({ index, code, message }));
  return new AppError(
    "bulk_rejected",
    `${items.length} of ${jobCount} jobs are wrong, so none was accepted. ` +
      `The first is job ${items[0]?.index}: ${items[0]?.message}`,
    { items },
  );
}

const JSON_TYPE = /^application\/json\s*(;|$)/i;

function inputFromBytes(
  input: Buffer,
  contentType: string,
  payloadBytesMax: number,
): Pick<JobSpec, "input" | "inputContentType"> {
  if (input.length > payloadBytesMax) {
    throw new AppError(
      "payload_too_large",
      `input may have ${payloadBytesMax} bytes; received ${input.length}. ` +
        `Put large data elsewhere and pass a reference to it.`,
      { field: "input", bytes: input.length, bytesMax: payloadBytesMax },
    );
  }
  if (contentType !== "" && !JSON_TYPE.test(contentType)) {
    return { input: input.toString("base64"), inputContentType: contentType };
  }
  if (input.length === 0) return { input: "null" };
  const parsed = parseJsonText(input, { bytesMax: payloadBytesMax });
  if (parsed.kind === "ok") return { input: parsed.text };
  throw new AppError(parsed.code, `input must be JSON: ${parsed.message}`, { field: "input" });
}
