import { untilAborted } from "./until-aborted.ts";

/** Bounds how much of one kind of work goes on at a time. Who came first goes first. */
export class Places {
  readonly #countMax: number;
  readonly #waiting: (() => void)[] = [];
  #takenCount = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /**
   * Does the work as soon as there is a place.
   *
   * @throws the signal's reason when it aborts while waiting
   */
  async use<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    signal.throwIfAborted();
    if (this.#takenCount < this.#countMax) this.#takenCount += 1;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#giveBack();
    }
  }

  /** A place that is given back goes straight to who waits longest, so nobody can slip in between. */
  async #wait(signal: AbortSignal): Promise<void> {
    const handedOver = Promise.withResolvers<void>();
    this.#waiting.push(handedOver.resolve);
    try {
      await untilAborted(handedOver.promise, signal);
    } catch (error) {
      const index = this.#waiting.indexOf(handedOver.resolve);
      // Handed over and aborted at the same moment.
      if (index === -1) this.#giveBack();
      else this.#waiting.splice(index, 1);
      throw error;
    }
  }

  #giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#takenCount -= 1;
    else next();
  }
}
