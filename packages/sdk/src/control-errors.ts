/**
 * What a handler throws to steer its job, and what its `ctx.signal` is aborted with. All other errors mean: try again
 * as the retry policy says.
 */
import { DELAY_MS_MAX } from "./limits.ts";

/** Marks control errors, so that they are known even across two copies of this package. */
const CONTROL: unique symbol = Symbol.for("@baton/sdk control error");

export interface FatalOptions extends ErrorOptions {
  /** Kept as the error's code, at most 128 characters. @default "Fatal" */
  readonly code?: string;
}

/** The job cannot succeed: it is dead at once, without further attempts. */
export class Fatal extends Error {
  readonly code: string;

  constructor(message: string, options: FatalOptions = {}) {
    super(message, options);
    this.name = "Fatal";
    this.code = options.code ?? "Fatal";
  }

  get [CONTROL](): Control {
    return { kind: "fatal", code: this.code };
  }
}

/** The attempt failed; the next one comes after `delayMs` instead of what the retry policy says. */
export class RetryAfter extends Error {
  readonly delayMs: number;

  /** @param delayMs 0 to ten years. @throws RangeError otherwise */
  constructor(delayMs: number, message = `retry after ${delayMs} ms`, options?: ErrorOptions) {
    super(message, options);
    this.name = "RetryAfter";
    this.delayMs = checkedDelay("RetryAfter", delayMs);
  }

  get [CONTROL](): Control {
    return { kind: "retry_after", delayMs: this.delayMs };
  }
}

/** Not now: the job comes back after `delayMs`, and the attempt does not count as a failure. */
export class Snooze extends Error {
  readonly delayMs: number;

  /** @param delayMs 0 to ten years. @throws RangeError otherwise */
  constructor(delayMs: number, message = `snoozed for ${delayMs} ms`) {
    super(message);
    this.name = "Snooze";
    this.delayMs = checkedDelay("Snooze", delayMs);
  }

  get [CONTROL](): Control {
    return { kind: "snooze", delayMs: this.delayMs };
  }
}

/**
 * The job ends as cancelled. It is also what `ctx.signal` is aborted with when somebody cancels the job, so that
 * `ctx.signal.throwIfAborted()` does the right thing.
 */
export class Cancelled extends Error {
  constructor(message = "cancelled", options?: ErrorOptions) {
    super(message, options);
    this.name = "Cancelled";
  }

  get [CONTROL](): Control {
    return { kind: "cancelled" };
  }
}

/** Which limit ran out: of the attempt, between two heartbeats, or of the whole job. */
export type TimeoutReason = "timed_out" | "heartbeat_timed_out" | "deadline_exceeded";

/** What `ctx.signal` is aborted with when a time limit ran out. */
export class TimedOut extends Error {
  readonly reason: TimeoutReason;

  constructor(reason: TimeoutReason, message: string) {
    super(message);
    this.name = "TimedOut";
    this.reason = reason;
  }
}

/**
 * What `ctx.signal` is aborted with when the job is this worker's no more: it was without contact for longer than its
 * lease, or the server gave the job to another. Stop at once; nothing the handler does from here on counts.
 */
export class LeaseLost extends Error {
  constructor(message: string) {
    super(message);
    this.name = "LeaseLost";
  }
}

/** What `ctx.signal` is aborted with by `worker.stop()`. The job will be run again. */
export class WorkerStopped extends Error {
  constructor() {
    super("the worker was stopped");
    this.name = "WorkerStopped";
  }
}

/** What a control error asks for. */
export type Control =
  | { readonly kind: "fatal"; readonly code: string }
  | { readonly kind: "retry_after"; readonly delayMs: number }
  | { readonly kind: "snooze"; readonly delayMs: number }
  | { readonly kind: "cancelled" };

/** What a thrown value asks for; undefined for anything but Fatal, RetryAfter, Snooze, Cancelled. */
export function controlOf(thrown: unknown): Control | undefined {
  return isControlError(thrown) ? thrown[CONTROL] : undefined;
}

function isControlError(thrown: unknown): thrown is { readonly [CONTROL]: Control } {
  return thrown instanceof Error && CONTROL in thrown;
}

function checkedDelay(name: string, delayMs: number): number {
  if (!Number.isFinite(delayMs) || delayMs < 0 || delayMs > DELAY_MS_MAX) {
    throw new RangeError(
      `${name} needs a delay of 0 to ${DELAY_MS_MAX} milliseconds, got ${String(delayMs)}`,
    );
  }
  return Math.ceil(delayMs);
}
