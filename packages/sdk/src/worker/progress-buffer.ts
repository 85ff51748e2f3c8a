/** Progress on its way up: the latest value of each attempt, at most every so often. */
import type { ProgressReports } from "../gen/baton/v1/worker.ts";
import { PROGRESS_INTERVAL_MS } from "../limits.ts";
import type { Attempt } from "./attempt.ts";

export class ProgressBuffer {
  #values = new Map<Attempt, Buffer | undefined>();
  #takenAt = Number.NEGATIVE_INFINITY;

  get hasWaiting(): boolean {
    return this.#values.size > 0;
  }

  /** @param value JSON, or undefined for a heartbeat, which never replaces a value that waits */
  set(attempt: Attempt, value: Buffer | undefined): void {
    if (value !== undefined || !this.#values.has(attempt)) this.#values.set(attempt, value);
  }

  /** When the next message may go, by the worker's clock: at once after a pause. */
  get dueAt(): number {
    return this.#takenAt + PROGRESS_INTERVAL_MS;
  }

  /** All that waits, or undefined. */
  take(now: number): ProgressReports | undefined {
    if (this.#values.size === 0) return undefined;
    const reports = [...this.#values].map(([attempt, value]) => ({
      jobId: attempt.job.jobId,
      attempt: attempt.job.attempt,
      value,
    }));
    this.#values = new Map();
    this.#takenAt = now;
    return { reports };
  }
}
