/**
 * Natural batching: what arrives while a statement is under way forms the next one. There is no timer: a lone item is
 * written at once, and the busier the system, the larger the batches.
 */
import { AppError } from "../errors.ts";

export interface BatcherBounds {
  /** Weight of one batch at most; an item heavier than that makes a batch of its own. */
  readonly batchWeightMax: number;
  /** Items and weight that may wait; beyond it `add` throws `resource_exhausted`. */
  readonly pendingMax: number;
  readonly pendingWeightMax: number;
  /** Named in the error of a full batcher. */
  readonly what: string;
}

export interface BatcherOptions<Item> extends BatcherBounds {
  /** Writes one batch. Must settle every item itself; a rejection is a bug and reaches `onError`. */
  readonly write: (items: readonly Item[]) => Promise<void>;
  /** Statements under way at the same time, at least 1. */
  readonly writesMax: number;
  readonly onError: (error: unknown) => void;
}

export class Batcher<Item> {
  readonly #options: BatcherOptions<Item>;
  #pending: { readonly item: Item; readonly weight: number }[] = [];
  #pendingWeight = 0;
  #writes = 0;
  #isScheduled = false;
  #idle: (() => void)[] = [];

  constructor(options: BatcherOptions<Item>) {
    this.#options = options;
  }

  /** Number of items that wait for a statement. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** Weight of the items that wait for a statement. */
  get pendingWeight(): number {
    return this.#pendingWeight;
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#pending.length === 0 && this.#writes === 0;
  }

  /**
   * Adds one item to the next batch.
   *
   * @param weight share of `batchWeightMax`, at least 1
   * @throws AppError resource_exhausted
   */
  add(item: Item, weight: number): void {
    const { pendingMax, pendingWeightMax, what } = this.#options;
    if (this.#pending.length >= pendingMax || this.#pendingWeight + weight > pendingWeightMax) {
      throw new AppError(
        "resource_exhausted",
        `${this.#pending.length} ${what} wait for the database already, as much as this server keeps. ` +
          "Slow down and try again.",
      );
    }
    this.#pending.push({ item, weight });
    this.#pendingWeight += weight;
    this.#schedule();
  }

  /** Resolves when nothing waits and nothing is under way. */
  async idle(): Promise<void> {
    while (this.#pending.length > 0 || this.#writes > 0 || this.#isScheduled) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  // One turn of the event loop gathers what arrived together, e.g. the messages of one network read.
  #schedule(): void {
    if (this.#isScheduled || this.#writes >= this.#options.writesMax) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#writeNext();
    });
  }

  #writeNext(): void {
    if (this.#writes >= this.#options.writesMax) return;
    const batch = this.#take();
    if (batch.length === 0) {
      this.#settleIdle();
      return;
    }
    this.#writes += 1;
    this.#options
      .write(batch)
      .catch(this.#options.onError)
      .finally(() => {
        this.#writes -= 1;
        if (this.#pending.length > 0) this.#schedule();
        else this.#settleIdle();
      });
    if (this.#pending.length > 0) this.#schedule();
  }

  #take(): Item[] {
    let weight = 0;
    let count = 0;
    for (const entry of this.#pending) {
      if (count > 0 && weight + entry.weight > this.#options.batchWeightMax) break;
      weight += entry.weight;
      count += 1;
    }
    const taken = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    this.#pendingWeight -= weight;
    return taken.map((entry) => entry.item);
  }

  #settleIdle(): void {
    if (this.#writes > 0 || this.#pending.length > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
