import type { Clock } from "../src/worker/clock.ts";

/** A clock that goes only when it is told to. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  readonly now = (): number => this.#nowMs;

  readonly after = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((candidate) => candidate !== timer);
    };
  };

  /** Goes on, calling what falls due, in order, also what is set meanwhile. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.atMs <= untilMs)
        .toSorted((a, b) => a.atMs - b.atMs)
        .at(0);
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
    }
    this.#nowMs = untilMs;
  }

  /** Goes on without calling anything, as for a process that was stopped. */
  jump(byMs: number): void {
    this.#nowMs += byMs;
  }

  /** Delays until each timer is due, shortest first. */
  get pendingMs(): readonly number[] {
    return this.#timers.map((timer) => timer.atMs - this.#nowMs).toSorted((a, b) => a - b);
  }
}
