/** Queues scheduled jobs when they are due. Sleeps until the next due instant: no polling interval decides latency. */
import { SLOW_POLL_MS, SWEEP_BATCH_MAX } from "../domain/limits.ts";
import type { Db } from "../store/db.ts";
import { jobNextDue, jobPromote } from "../store/job-change.ts";

export interface PromoterOptions {
  readonly db: Db;
  readonly onQueued: (laneIds: readonly number[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

/** Behind a failed pass. */
const ERROR_WAIT_MS = 500;
/** What is due and does not move is in another server's hands: time for it to commit. */
const ELSEWHERE_MS = 20;

export class Promoter {
  readonly #options: PromoterOptions;
  #wakeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** Woken during a pass that may have looked too early. */
  #isWokenAgain = false;
  #isStopped = true;

  constructor(options: PromoterOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isStopped = false;
    this.wake(0);
  }

  /** Takes note of a job that is due in so long; `undefined`: look now. */
  wake(dueInMs: number | undefined): void {
    if (this.#isStopped) return;
    const atMs = performance.now() + Math.min(dueInMs ?? 0, SLOW_POLL_MS);
    if (this.#timer !== undefined && atMs >= this.#wakeAtMs) return;
    clearTimeout(this.#timer);
    this.#wakeAtMs = atMs;
    this.#timer = setTimeout(() => this.#pass(), Math.max(0, atMs - performance.now()));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  #pass(): void {
    this.#timer = undefined;
    if (this.#running !== undefined) {
      this.#isWokenAgain = true;
      return;
    }
    this.#running = promoteOnce(this.#options.db, this.#options.onQueued)
      .catch((error: unknown) => {
        this.#options.onError(error);
        return ERROR_WAIT_MS;
      })
      .then((nextInMs) => {
        this.#running = undefined;
        this.wake(this.#isWokenAgain ? 0 : nextInMs);
        this.#isWokenAgain = false;
      });
  }
}

/**
 * One pass: queues all due jobs.
 *
 * @returns milliseconds until the next one is due, at most SLOW_POLL_MS: another server may schedule an earlier one
 */
export async function promoteOnce(
  db: Db,
  onQueued: (laneIds: readonly number[]) => Promise<void>,
): Promise<number> {
  for (;;) {
    const dueInMs = await nextDueInMs(db);
    if (dueInMs > 0) return dueInMs;
    const moved = await jobPromote(db, SWEEP_BATCH_MAX);
    if (moved.length === 0) return ELSEWHERE_MS;
    await onQueued([...new Set(moved.map((row) => row.lane_id))]);
    if (moved.length < SWEEP_BATCH_MAX) return Math.max(0, await nextDueInMs(db));
  }
}

/** 0 or less: now. */
async function nextDueInMs(db: Db): Promise<number> {
  const [next] = await jobNextDue(db);
  return Math.min(SLOW_POLL_MS, Math.ceil(next?.due_in_ms ?? SLOW_POLL_MS));
}
