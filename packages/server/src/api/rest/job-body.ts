/** A job as REST callers describe it, and its translation into a {@link JobSpec}. */
import { type Static, Type } from "@fastify/type-provider-typebox";
import { ON_CONFLICT } from "../../domain/check-spec.ts";
import type { JobSpec } from "../../domain/job-spec.ts";
import {
  DELAY_MS_MAX,
  JSON_DEPTH_MAX,
  KEY_CHARACTERS_MAX,
  MAX_ATTEMPTS_DEFAULT,
  MAX_ATTEMPTS_MAX,
  PRIORITY_MAX,
  PRIORITY_MIN,
  RETRY_BASE_MS_DEFAULT,
  RETRY_BASE_MS_MAX,
  RETRY_MAX_MS_DEFAULT,
  RETRY_MAX_MS_MAX,
  TAG_CHARACTERS_MAX,
  TAGS_MAX,
  TIMEOUT_MS_MAX,
} from "../../domain/limits.ts";
import { RETRY_JITTERS, RETRY_STRATEGIES, type RetryPolicy } from "../../domain/retry.ts";
import { AppError } from "../../errors.ts";
import { parseOptionalInstant } from "./instant.ts";
import { optional } from "./optional.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

// Ranges stand in the descriptions only: the operation behind every door checks them.
function milliseconds(what: string): ReturnType<typeof Type.Integer> {
  return Type.Integer({ description: `${what} Milliseconds.` });
}

function timeout(what: string, byDefault: string): ReturnType<typeof Type.Integer> {
  const days = TIMEOUT_MS_MAX / DAY_MS;
  return milliseconds(`${what} 0 means no limit; at most ${days} days. Default: ${byDefault}.`);
}

export const RetryBody = Type.Object(
  {
    strategy: optional(
      Type.Enum(RETRY_STRATEGIES, { type: "string", description: "Default: exponential." }),
    ),
    baseMs: optional(
      milliseconds(`First delay, 0 to ${RETRY_BASE_MS_MAX}. Default: ${RETRY_BASE_MS_DEFAULT}.`),
    ),
    maxMs: optional(
      milliseconds(
        `Longest delay, baseMs to ${RETRY_MAX_MS_MAX}. Default: ${RETRY_MAX_MS_DEFAULT}.`,
      ),
    ),
    jitter: optional(
      Type.Enum(RETRY_JITTERS, {
        type: "string",
        description: "full (default): uniform between 0 and the delay.",
      }),
    ),
  },
  { additionalProperties: false, description: "How long to wait before the next attempt." },
);

/** Options that a job and a task's definition share. */
export const sharedOptions = {
  maxAttempts: optional(
    Type.Integer({
      description: `Failed attempts until the job is dead, 1 to ${MAX_ATTEMPTS_MAX}. Default: ${MAX_ATTEMPTS_DEFAULT}.`,
    }),
  ),
  retry: optional(RetryBody),
  attemptTimeoutMs: optional(timeout("One attempt may take so long.", "1 hour")),
  queueTimeoutMs: optional(
    timeout("The first attempt must start within so long after the job is due.", "no limit"),
  ),
  deadlineMs: optional(
    timeout("The job must end within so long after acceptance, retries included.", "no limit"),
  ),
  heartbeatTimeoutMs: optional(
    timeout("The handler must report progress or a heartbeat at least so often.", "no limit"),
  ),
  cancelGraceMs: optional(
    milliseconds("A handler may take so long to end after it was told to stop. Default: 10000."),
  ),
};

export const JobBody = Type.Object(
  {
    task: Type.String({
      description: "Name of a task that a worker or a definition has made known.",
    }),
    input: Type.Optional(
      Type.Unknown({
        description: `Any JSON, nested at most ${JSON_DEPTH_MAX} deep. Absent: null. With inputContentType: base64.`,
      }),
    ),
    inputContentType: optional(
      Type.String({ description: "Type of the bytes in input. Absent: application/json." }),
    ),
    queue: optional(Type.String({ description: "Default: default." })),
    priority: optional(
      Type.Integer({
        description: `${PRIORITY_MIN} to ${PRIORITY_MAX}, higher first. Default: 0.`,
      }),
    ),
    delayMs: optional(
      milliseconds(
        `From acceptance to the earliest start, 0 to ${DELAY_MS_MAX}. Not together with runAt.`,
      ),
    ),
    runAt: optional(
      Type.String({
        description: "Earliest start: RFC 3339 with an offset.",
        examples: ["2026-11-22T14:00:00Z"],
      }),
    ),
    ...sharedOptions,
    tags: optional(
      Type.Array(Type.String(), {
        description: `At most ${TAGS_MAX}, each 1 to ${TAG_CHARACTERS_MAX} characters.`,
      }),
    ),
    idempotencyKey: optional(
      Type.String({
        description:
          `1 to ${KEY_CHARACTERS_MAX} characters. The same key with the same job returns the first ` +
          "one; with another job it is refused as idempotency_conflict. Kept for 24 hours by default.",
      }),
    ),
    uniqueKey: optional(
      Type.String({
        description: `1 to ${KEY_CHARACTERS_MAX} characters. At most one unfinished job holds it.`,
      }),
    ),
    onConflict: optional(
      Type.Enum(ON_CONFLICT, {
        type: "string",
        description: "When another unfinished job holds uniqueKey. Default: return_existing.",
      }),
    ),
  },
  { $id: "JobBody", additionalProperties: false, description: "What to run and how." },
);
export type JobBody = Static<typeof JobBody>;

/**
 * Translates a body into a spec.
 *
 * @param exactInput the body's input as `exactJson` has it
 * @throws AppError invalid_argument: runAt is not an instant, input is not base64
 */
export function jobSpecOf(body: JobBody, exactInput: unknown): JobSpec {
  return {
    task: body.task,
    ...inputOf(body, exactInput),
    queue: body.queue ?? undefined,
    priority: body.priority ?? undefined,
    delayMs: body.delayMs ?? undefined,
    runAt: parseOptionalInstant("runAt", body.runAt),
    ...sharedOptionsOf(body),
    tags: body.tags ?? undefined,
    idempotencyKey: body.idempotencyKey ?? undefined,
    uniqueKey: body.uniqueKey ?? undefined,
    onConflict: body.onConflict ?? undefined,
  };
}

type SharedOptions = Pick<JobBody, keyof typeof sharedOptions>;

/** The options that a job and a task's definition share, null made absent. */
export function sharedOptionsOf(body: SharedOptions): {
  [Name in Exclude<keyof SharedOptions, "retry">]: number | undefined;
} & { retry: RetryPolicy | undefined } {
  return {
    maxAttempts: body.maxAttempts ?? undefined,
    retry: retryOf(body.retry),
    attemptTimeoutMs: body.attemptTimeoutMs ?? undefined,
    queueTimeoutMs: body.queueTimeoutMs ?? undefined,
    deadlineMs: body.deadlineMs ?? undefined,
    heartbeatTimeoutMs: body.heartbeatTimeoutMs ?? undefined,
    cancelGraceMs: body.cancelGraceMs ?? undefined,
  };
}

function retryOf(retry: Static<typeof RetryBody> | null | undefined): RetryPolicy | undefined {
  if (retry === undefined || retry === null) return undefined;
  return {
    strategy: retry.strategy ?? undefined,
    baseMs: retry.baseMs ?? undefined,
    maxMs: retry.maxMs ?? undefined,
    jitter: retry.jitter ?? undefined,
  };
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function inputOf(body: JobBody, exactInput: unknown): Pick<JobSpec, "input" | "inputContentType"> {
  const contentType = body.inputContentType ?? undefined;
  if (contentType === undefined || contentType.toLowerCase() === "application/json") {
    return { input: JSON.stringify(exactInput ?? null) };
  }
  if (typeof body.input !== "string" || !isBase64(body.input)) {
    throw new AppError(
      "invalid_argument",
      `input must be base64 text, because inputContentType is ${JSON.stringify(contentType)}`,
      { field: "input" },
    );
  }
  return { input: body.input, inputContentType: contentType };
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && BASE64.test(text);
}
