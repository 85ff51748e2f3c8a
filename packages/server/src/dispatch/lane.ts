import type { LaneRow } from "../store/lane.ts";
import { LeaseStart } from "./lease-start.ts";

/** Somebody who counts lanes that have a backlog. */
export interface BacklogCounter {
  backlogChanged(by: 1 | -1): void;
}

/** A queue's jobs of one task. */
export class Lane {
  readonly id: number;
  readonly queue: string;
  readonly task: string;
  /** Those who count the lanes that have a backlog. */
  readonly counters = new Set<BacklogCounter>();
  readonly leaseStart = new LeaseStart();
  /** Whether ready jobs may stand in the table. Only a lease that found fewer than it wanted clears it. */
  #mayHaveReady = true;
  #isPaused = false;
  #readyCount = Number.POSITIVE_INFINITY;
  /** Grows with each wake-up, so that a lease that began before does not clear the flag. */
  #wakeUps = 0;

  constructor(row: LaneRow) {
    this.id = row.id;
    this.queue = row.queue;
    this.task = row.task;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether jobs may stand in the table that could be leased now. */
  get hasBacklog(): boolean {
    return this.#mayHaveReady && !this.#isPaused;
  }

  get wakeUps(): number {
    return this.#wakeUps;
  }

  /**
   * How many ready jobs were submitted here and not leased here since a lease found the lane empty: a hint, as others do so
   * too, and as jobs are queued otherwise. Infinite until a lease did.
   */
  get readyCount(): number {
    return this.#readyCount;
  }

  /** Counts jobs that were queued here, or leased. */
  countReady(by: number): void {
    this.#readyCount = Math.max(0, this.#readyCount + by);
  }

  /** Notes that a ready job may stand in the table. */
  markBacklog(): void {
    this.#wakeUps += 1;
    this.#set(true, this.#isPaused);
  }

  /** Notes that a lease that began at `wakeUps` found the lane empty. */
  markEmpty(wakeUps: number): void {
    if (wakeUps !== this.#wakeUps) return;
    this.#readyCount = 0;
    this.#set(false, this.#isPaused);
  }

  /** Notes that its queue was paused or resumed. */
  setPaused(isPaused: boolean): void {
    // While it was paused a lease found nothing there, whatever stands in it.
    if (this.#isPaused && !isPaused) this.markBacklog();
    this.#set(this.#mayHaveReady, isPaused);
  }

  #set(mayHaveReady: boolean, isPaused: boolean): void {
    const had = this.hasBacklog;
    this.#mayHaveReady = mayHaveReady;
    this.#isPaused = isPaused;
    if (had === this.hasBacklog) return;
    for (const counter of this.counters) counter.backlogChanged(had ? -1 : 1);
  }
}
