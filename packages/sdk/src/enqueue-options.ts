/** How a job shall be run: options of one submission, checked before they are sent. */
import { BatonError } from "./errors.ts";
import type { RetryPolicy as WireRetryPolicy } from "./gen/baton/v1/job.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { shown } from "./shown.ts";

/** Absent options come from the task's definition, then from the server's defaults. Durations are milliseconds. */
export interface EnqueueOptions {
  /** @default "default" */
  readonly queue?: string | undefined;
  /** -100 to 100, higher first. @default 0 */
  readonly priority?: number | undefined;
  /** Earliest start from now, 0 to 10 years. Not together with `runAt`. */
  readonly delayMs?: number | undefined;
  /** Earliest start. */
  readonly runAt?: Date | undefined;
  /** Failed attempts until the job is dead, 1 to 1,000. @default 3 */
  readonly maxAttempts?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** One attempt may take so long; 0 means no limit. @default 1 hour */
  readonly attemptTimeoutMs?: number | undefined;
  /** The first attempt must start within so long after the job is due. @default no limit */
  readonly queueTimeoutMs?: number | undefined;
  /** The job must end within so long after acceptance, retries included. @default no limit */
  readonly deadlineMs?: number | undefined;
  /** The handler must report at least so often. @default no limit */
  readonly heartbeatTimeoutMs?: number | undefined;
  /** How long a handler may take to end after it was told to stop. @default 10 s */
  readonly cancelGraceMs?: number | undefined;
  /** At most 16, each 1 to 128 characters. */
  readonly tags?: readonly string[] | undefined;
  /**
   * 1 to 255 characters. The same key with the same job returns the first one; with another job it is refused as
   * `idempotency_conflict`. It also lets the client repeat a submission whose answer was lost.
   */
  readonly idempotencyKey?: string | undefined;
  /** 1 to 255 characters. At most one unfinished job holds a unique key. */
  readonly uniqueKey?: string | undefined;
  /** What to do when another unfinished job holds the unique key. @default "return_existing" */
  readonly onConflict?: "return_existing" | "reject" | undefined;
  /** Of an input that is a Uint8Array or a string and shall be sent as it is; the handler gets a Buffer. */
  readonly inputContentType?: string | undefined;
}

/**
 * Checks names and kinds of options; ranges are the server's to check.
 *
 * @throws BatonError invalid_argument: an unknown option or a value of the wrong kind
 */
export function checkEnqueueOptions(options: EnqueueOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new BatonError("invalid_argument", `options must be an object, got ${shown(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const kind = kindOf(name);
    if (kind === undefined) {
      throw new BatonError(
        "invalid_argument",
        `there is no option "${name}"; options are ${Object.keys(KINDS).join(", ")}`,
        { option: name },
      );
    }
    if (!CHECKS[kind](value)) {
      throw new BatonError(
        "invalid_argument",
        `option ${name} must be ${EXPECTED[kind]}, got ${shown(value)}`,
        { option: name },
      );
    }
  }
}

/** A retry policy as a message. @throws BatonError invalid_argument: a delay that is no integer */
export function toWireRetryPolicy(retry: RetryPolicy | undefined): WireRetryPolicy | undefined {
  if (retry === undefined) return undefined;
  for (const name of ["baseMs", "maxMs"] as const) {
    const value = retry[name];
    if (value !== undefined && !Number.isSafeInteger(value)) {
      throw new BatonError(
        "invalid_argument",
        `retry.${name} must be an integer of milliseconds, got ${shown(value)}`,
        { option: `retry.${name}` },
      );
    }
  }
  return {
    strategy: retry.strategy ?? "",
    baseMs: retry.baseMs,
    maxMs: retry.maxMs,
    jitter: retry.jitter ?? "",
  };
}

type Kind = "text" | "integer" | "instant" | "texts" | "object";

const KINDS: Readonly<Record<keyof EnqueueOptions, Kind>> = {
  queue: "text",
  priority: "integer",
  delayMs: "integer",
  runAt: "instant",
  maxAttempts: "integer",
  retry: "object",
  attemptTimeoutMs: "integer",
  queueTimeoutMs: "integer",
  deadlineMs: "integer",
  heartbeatTimeoutMs: "integer",
  cancelGraceMs: "integer",
  tags: "texts",
  idempotencyKey: "text",
  uniqueKey: "text",
  onConflict: "text",
  inputContentType: "text",
};

const EXPECTED: Readonly<Record<Kind, string>> = {
  text: "a string",
  integer: "an integer",
  instant: "a valid Date",
  texts: "an array of strings",
  object: "an object",
};

const CHECKS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string",
  integer: (value) => Number.isSafeInteger(value),
  instant: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  texts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
  object: (value) => typeof value === "object" && value !== null,
};

const KIND_BY_NAME = new Map<string, Kind>(Object.entries(KINDS));

function kindOf(name: string): Kind | undefined {
  return KIND_BY_NAME.get(name);
}
