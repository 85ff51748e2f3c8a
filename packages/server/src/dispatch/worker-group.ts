/** Connected workers that can run the same lanes: the unit for which jobs are leased. */
import type { BacklogCounter, Lane } from "./lane.ts";
import { RecentCount } from "./recent-count.ts";
import type { SlotCounter, WorkerSession } from "./worker-session.ts";

/** Candidates looked at for one job: enough to spread the load, independent of the number of workers. */
const CANDIDATES_MAX = 8;
/** What "lately" means for {@link WorkerGroup.endedLately}. */
const LATELY_MS = 250;

/** Somebody who waits until its workers have got so far. */
interface Waiter {
  readonly isOver: () => boolean;
  readonly resolve: () => void;
}

export class WorkerGroup implements BacklogCounter, SlotCounter {
  readonly key: string;
  readonly tasks: ReadonlySet<string>;
  readonly queues: ReadonlySet<string>;
  readonly lanes: Lane[] = [];
  readonly workers: WorkerSession[] = [];
  /** Whether a lease statement for it is under way. */
  isLeasing = false;
  #backlogCount = 0;
  #freeCount = 0;
  readonly #ended = new RecentCount(LATELY_MS);
  #endedCount = 0;
  readonly #waiters = new Set<Waiter>();
  #nextWorker = 0;
  #nextLane = 0;
  readonly #onFree: (group: WorkerGroup) => void;

  constructor(
    key: string,
    tasks: readonly string[],
    queues: readonly string[],
    onFree: (group: WorkerGroup) => void,
  ) {
    this.key = key;
    this.tasks = new Set(tasks);
    this.queues = new Set(queues);
    this.#onFree = onFree;
  }

  canRun(lane: Lane): boolean {
    return this.tasks.has(lane.task) && this.queues.has(lane.queue);
  }

  addLane(lane: Lane): void {
    this.lanes.push(lane);
    lane.counters.add(this);
    if (lane.hasBacklog) this.#backlogCount += 1;
  }

  /** How many of its lanes may have ready jobs. */
  get backlogCount(): number {
    return this.#backlogCount;
  }

  backlogChanged(by: 1 | -1): void {
    this.#backlogCount += by;
    if (this.#backlogCount === 0) this.#tellWaiters();
  }

  /** Slots that are free, as kept by the sessions' changes. */
  get freeCount(): number {
    return this.#freeCount;
  }

  /** Counts anew, after a worker joined, left, became ready or drains. */
  recount(): void {
    this.#freeCount = this.workers.reduce((sum, worker) => sum + worker.freeCount, 0);
    if (this.#freeCount > 0 && this.#backlogCount > 0) this.#onFree(this);
    this.#tellWaiters();
  }

  /** Books that a ready worker's free slots changed. */
  freeChanged(by: number): void {
    this.#freeCount += by;
    if (by <= 0) return;
    if (this.#backlogCount > 0) this.#onFree(this);
    else this.#tellWaiters();
  }

  ended(nowMs: number): void {
    this.#endedCount += 1;
    this.#ended.add(nowMs);
    this.#tellWaiters();
  }

  /** Attempts that ended so far. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** Attempts that ended in the last moment: about as many will end in the next one. */
  endedLately(nowMs: number): number {
    return this.#ended.count(nowMs);
  }

  /** Jobs that its workers can hold together. */
  get capacity(): number {
    return this.workers.reduce((sum, worker) => sum + worker.capacity, 0);
  }

  /** Ready jobs in its lanes, as far as this server knows; infinite when it does not. */
  get readyCount(): number {
    return this.lanes.reduce((sum, lane) => sum + (lane.hasBacklog ? lane.readyCount : 0), 0);
  }

  /** Whether so many new jobs would be leased with the statement that inserts them. */
  hasRoom(slots: number): boolean {
    return this.#backlogCount === 0 && this.#freeCount >= slots;
  }

  /** Resolves when `isOver`, which is asked at each change of slots, backlog and ended attempts, or after `waitMs`. */
  until(isOver: () => boolean, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        isOver,
        resolve: () => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(waiter.resolve, waitMs);
      this.#waiters.add(waiter);
      this.#tellWaiters();
    });
  }

  #tellWaiters(): void {
    for (const waiter of this.#waiters) {
      if (waiter.isOver()) waiter.resolve();
    }
  }

  /**
   * A worker with a free slot: the least loaded of the next few in turn, so that work spreads evenly.
   *
   * @see Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001
   */
  pick(): WorkerSession | undefined {
    if (this.#freeCount <= 0) return undefined;
    const { workers } = this;
    let best: WorkerSession | undefined;
    let candidates = 0;
    for (let step = 0; step < workers.length && candidates < CANDIDATES_MAX; step += 1) {
      const worker = workers[(this.#nextWorker + step) % workers.length];
      if (worker === undefined || worker.freeCount === 0) continue;
      candidates += 1;
      if (best === undefined || worker.loadCount < best.loadCount) best = worker;
    }
    this.#nextWorker = (this.#nextWorker + 1) % Math.max(1, workers.length);
    return best;
  }

  /** Reserves up to `most` slots, best first. */
  reserve(most: number): WorkerSession[] {
    const slots: WorkerSession[] = [];
    while (slots.length < most) {
      const worker = this.pick();
      if (worker === undefined) {
        // No worker has what the count says: it drifted.
        if (slots.length === 0) this.#freeCount = 0;
        break;
      }
      worker.reserve();
      slots.push(worker);
    }
    return slots;
  }

  /** Up to `most` of its lanes that may have ready jobs, taking turns. */
  lanesWithBacklog(most: number): Lane[] {
    const { lanes } = this;
    const found: Lane[] = [];
    let step = 0;
    for (; step < lanes.length && found.length < most; step += 1) {
      const lane = lanes[(this.#nextLane + step) % lanes.length];
      if (lane !== undefined && lane.hasBacklog) found.push(lane);
    }
    this.#nextLane = (this.#nextLane + step) % Math.max(1, lanes.length);
    return found;
  }
}
