import { Cancelled, LeaseLost, TimedOut, WorkerStopped } from "../control-errors.ts";
import type { TimeoutReason } from "../control-errors.ts";
import type { LeasedJob } from "../gen/baton/v1/worker.ts";

/** Why an attempt shall end before its handler does. */
export type StopReason = "cancelled" | TimeoutReason | "worker_stopped" | "lease_lost";

/**
 * ready: waits for a slot. running: its handler was called. reported: its outcome waits for its acknowledgement. lost:
 * the same, but this worker does not claim it any more. over: nobody's business.
 */
export type AttemptPhase = "ready" | "running" | "reported" | "lost" | "over";

/** One attempt that this worker holds. */
export class Attempt {
  readonly job: LeasedJob;
  phase: AttemptPhase = "ready";
  /** By the worker's clock. */
  startedAt = 0;
  /** The first reason to stop; later ones change nothing, except that a lost lease ends the attempt. */
  stopReason: StopReason | undefined;
  /** Takes the grace timer back. */
  cancelGrace: (() => void) | undefined;
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;

  constructor(job: LeasedJob) {
    this.job = job;
  }

  /** Made on first use: most handlers never look at it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** Asks the handler to stop. */
  stop(reason: StopReason, message: string): void {
    this.stopReason ??= reason;
    this.#abortReason ??= abortReason(reason, message);
    this.#controller?.abort(this.#abortReason);
  }

  /** From here on nothing that the handler does counts. */
  end(phase: "reported" | "lost" | "over"): void {
    this.phase = phase;
    this.cancelGrace?.();
    this.cancelGrace = undefined;
  }
}

function abortReason(reason: StopReason, message: string): Error {
  switch (reason) {
    case "cancelled":
      return new Cancelled(message);
    case "timed_out":
    case "heartbeat_timed_out":
    case "deadline_exceeded":
      return new TimedOut(reason, message);
    case "lease_lost":
      return new LeaseLost(message);
    case "worker_stopped":
      return new WorkerStopped();
  }
}
