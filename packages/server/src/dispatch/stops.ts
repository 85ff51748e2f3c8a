/** Tells workers to stop attempts whose time is up or that were cancelled, and ends those that do not. */
import {
  ATTEMPT_TIMEOUT_MS_DEFAULT,
  CANCEL_GRACE_MS_DEFAULT,
  STOP_SLACK_MS,
} from "../domain/limits.ts";
import type { ReportedOutcome } from "../domain/outcome.ts";
import type { TaskDefinition } from "../domain/views.ts";
import type { Lanes } from "./lanes.ts";
import type { Outcomes } from "./outcomes.ts";
import type { HeldAttempt, StopReason, WorkerSession } from "./worker-session.ts";
import type { Workers } from "./workers.ts";

export interface StopsOptions {
  readonly lanes: Lanes;
  readonly workers: Workers;
  readonly outcomes: Outcomes;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** A pass costs a look at every held attempt; due ones that lie closer share a pass. */
const PASS_MS_MIN = 20;

export class Stops {
  readonly #options: StopsOptions;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #isStopped = false;

  constructor(options: StopsOptions) {
    this.#options = options;
  }

  /** Takes note of an attempt that is held, started, heard of or told to stop from now on. */
  watch(held: HeldAttempt): void {
    this.#wakeAt(this.#dueAtMs(held));
  }

  /** Tells a worker to stop an attempt because somebody cancelled its job. */
  cancel(session: WorkerSession, jobId: string, attempt: number, reason: string): boolean {
    const held = session.find(jobId, attempt);
    if (held === undefined) return false;
    held.isCancelRequested = true;
    if (held.stop === undefined) this.#stop(session, held, "cancelled", reason);
    return true;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Looks at every held attempt and acts on those that are due. */
  passOnce(): void {
    const nowMs = this.#options.now();
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const session of this.#options.workers.all()) {
      for (const held of session.held.values()) {
        const dueAtMs = this.#dueAtMs(held);
        if (dueAtMs > nowMs) {
          nextMs = Math.min(nextMs, dueAtMs);
          continue;
        }
        if (held.stop === undefined) {
          const reason = this.#dueReason(held);
          this.#stop(session, held, reason, DUE_MESSAGES[reason]);
          nextMs = Math.min(nextMs, this.#dueAtMs(held));
        } else {
          session.sink.stop([held], "stale_lease", 0, "The server ended the attempt.");
          this.#options.outcomes.end(session, held, outcomeOf(held.stop.reason));
        }
      }
    }
    if (Number.isFinite(nextMs)) this.#wakeAt(nextMs);
  }

  #stop(session: WorkerSession, held: HeldAttempt, reason: StopReason, message: string): void {
    const graceMs =
      held.options?.cancelGraceMs ??
      this.#options.lanes.task(held.lane.task)?.cancelGraceMs ??
      CANCEL_GRACE_MS_DEFAULT;
    held.stop = { reason, endsAtMs: this.#options.now() + graceMs + STOP_SLACK_MS };
    session.sink.stop([held], reason, graceMs, message);
    this.#wakeAt(held.stop.endsAtMs);
  }

  /** When the next thing happens to an attempt. */
  #dueAtMs(held: HeldAttempt): number {
    if (held.stop !== undefined) return held.stop.endsAtMs;
    if (held.isCancelRequested) return Number.NEGATIVE_INFINITY;
    const task = this.#options.lanes.task(held.lane.task);
    return Math.min(
      held.deadlineAtMs ?? Number.POSITIVE_INFINITY,
      timesOutAtMs(held, task),
      fallsSilentAtMs(held, task),
    );
  }

  /** What happens to an attempt that is due and was not told to stop. */
  #dueReason(held: HeldAttempt): StopReason {
    if (held.isCancelRequested) return "cancelled";
    const dueAtMs = this.#dueAtMs(held);
    if (dueAtMs === held.deadlineAtMs) return "deadline_exceeded";
    const task = this.#options.lanes.task(held.lane.task);
    return dueAtMs === timesOutAtMs(held, task) ? "timed_out" : "heartbeat_timed_out";
  }

  #wakeAt(atMs: number): void {
    if (this.#isStopped || atMs >= this.#timerAtMs) return;
    this.#timerAtMs = atMs;
    clearTimeout(this.#timer);
    const waitMs = Math.min(TIMER_MS_MAX, Math.max(PASS_MS_MIN, atMs - this.#options.now()));
    this.#timer = setTimeout(() => {
      try {
        this.passOnce();
      } catch (error) {
        this.#options.onError(error);
      }
    }, waitMs);
  }
}

function timesOutAtMs(
  { options, startedAtMs }: HeldAttempt,
  task: TaskDefinition | undefined,
): number {
  if (startedAtMs === undefined) return Number.POSITIVE_INFINITY;
  const timeoutMs =
    options?.attemptTimeoutMs ?? task?.attemptTimeoutMs ?? ATTEMPT_TIMEOUT_MS_DEFAULT;
  return timeoutMs > 0 ? startedAtMs + timeoutMs : Number.POSITIVE_INFINITY;
}

function fallsSilentAtMs(
  { options, startedAtMs, heardAtMs }: HeldAttempt,
  task: TaskDefinition | undefined,
): number {
  if (startedAtMs === undefined) return Number.POSITIVE_INFINITY;
  const timeoutMs = options?.heartbeatTimeoutMs ?? task?.heartbeatTimeoutMs ?? 0;
  return timeoutMs > 0 ? heardAtMs + timeoutMs : Number.POSITIVE_INFINITY;
}

/** setTimeout fires at once for more than 2^31 − 1; a pass in between does no harm. */
const TIMER_MS_MAX = 2 ** 31 - 1;

const DUE_MESSAGES: Readonly<Record<StopReason, string>> = {
  cancelled: "The job was cancelled.",
  timed_out: "The attempt took longer than its timeout.",
  heartbeat_timed_out:
    "The handler reported neither progress nor a heartbeat within its heartbeat timeout.",
  deadline_exceeded: "The job's total deadline passed.",
  stale_lease: "The lease is over.",
};

function outcomeOf(reason: StopReason): ReportedOutcome {
  if (reason === "cancelled") return { kind: "cancelled" };
  return { kind: "timed_out", error: { code: reason, message: DUE_MESSAGES[reason] } };
}
