/** Counts what happened in the last window, roughly: from one to two windows back. */
export class RecentCount {
  readonly #windowMs: number;
  #windowEndMs = 0;
  #before = 0;
  #now = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  add(nowMs: number): void {
    this.#turn(nowMs);
    this.#now += 1;
  }

  count(nowMs: number): number {
    this.#turn(nowMs);
    return this.#before + this.#now;
  }

  #turn(nowMs: number): void {
    if (nowMs < this.#windowEndMs) return;
    this.#before = nowMs < this.#windowEndMs + this.#windowMs ? this.#now : 0;
    this.#now = 0;
    this.#windowEndMs = nowMs + this.#windowMs;
  }
}
