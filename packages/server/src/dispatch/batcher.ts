/**
 * Natural batching: what arrives while a statement is under way forms the next one. There is no timer: a lone item is
 * written at once, and the busier the system, the larger the batches.
 */
import { AppError } from "../errors.ts";

export interface BatcherBounds {
  /** Rows and bytes of one batch at most; an item that is larger makes a batch of its own. */
  readonly batchRowsMax: number;
  readonly batchBytesMax: number;
  /** Rows and bytes that may wait; beyond either `add` throws `resource_exhausted`. */
  readonly pendingRowsMax: number;
  readonly pendingBytesMax: number;
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

interface Pending<Item> {
  readonly item: Item;
  readonly rows: number;
  readonly bytes: number;
}

export class Batcher<Item> {
  readonly #options: BatcherOptions<Item>;
  #pending: Pending<Item>[] = [];
  #pendingRows = 0;
  #pendingBytes = 0;
  #writes = 0;
  #isScheduled = false;
  #idle: (() => void)[] = [];

  constructor(options: BatcherOptions<Item>) {
    this.#options = options;
  }

  /** Rows that wait for a statement. */
  get pendingRows(): number {
    return this.#pendingRows;
  }

  /** Bytes that wait for a statement. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return this.#pending.length === 0 && this.#writes === 0;
  }

  /**
   * Adds one item to the next batch.
   *
   * @param rows that it makes, at least 1
   * @param bytes of its payloads, or about as many
   * @throws AppError resource_exhausted
   */
  add(item: Item, rows: number, bytes = 0): void {
    const { pendingRowsMax, pendingBytesMax, what } = this.#options;
    if (this.#pendingRows + rows > pendingRowsMax || this.#pendingBytes + bytes > pendingBytesMax) {
      throw new AppError(
        "resource_exhausted",
        `${this.#pendingRows} ${what} wait for the database already, as much as this server keeps. ` +
          "Slow down and try again.",
      );
    }
    this.#pending.push({ item, rows, bytes });
    this.#pendingRows += rows;
    this.#pendingBytes += bytes;
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
    const { batchRowsMax, batchBytesMax } = this.#options;
    let count = 0;
    let rows = 0;
    let bytes = 0;
    for (const entry of this.#pending) {
      const fits = rows + entry.rows <= batchRowsMax && bytes + entry.bytes <= batchBytesMax;
      if (count > 0 && !fits) break;
      count += 1;
      rows += entry.rows;
      bytes += entry.bytes;
    }
    const taken = this.#pending.splice(0, count);
    this.#pendingRows -= rows;
    this.#pendingBytes -= bytes;
    return taken.map((entry) => entry.item);
  }

  #settleIdle(): void {
    if (this.#writes > 0 || this.#pending.length > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
