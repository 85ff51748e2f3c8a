/**
 * Vacuums the table of live jobs, whose rows turn over within seconds. PostgreSQL's own autovacuum looks once a minute by
 * default, when a busy queue has left millions of dead rows; and while somebody holds a snapshot it reads the whole growing
 * table again and again, and may remove nothing. Here a pass that was in vain is the last one until the snapshot that was in
 * its way is gone, where that is to be seen. What the table has grown by then is used again, and given back to the disk when
 * little happens.
 */
import { isLockTimeout, type Database } from "../store/db.ts";
import { jobVacuum, jobWaste, type JobWaste } from "../store/vacuum.ts";

/** A pass that takes longer waits for something that does not come. */
const PASS_MS_MAX = 30 * 60_000;

/** With fewer dead rows a pass is not worth while. */
const DEAD_ROWS_MIN = 20_000;
/**
 * After a pass so many times its duration pass until the next one: each reads the indexes as a whole, which are large behind a
 * long snapshot. After more, so much would be dead that the next pass takes longer again.
 */
const REST_TIMES = 5;
/** The same after a pass in vain, */
const REST_TIMES_IN_VAIN = 20;
/** but no more than this. */
const REST_MS_MAX = 60_000;
/** A table that is no larger is not worth a look at whether it could be smaller, */
const SHRINK_BYTES_MIN = 64 * 2 ** 20;
/** nor is any so soon after the last one. */
const SHRINK_REST_MS = 10 * 60_000;
/** Younger snapshots are those of statements under way, which are in nobody's way for long. */
const SNAPSHOT_AGE_MIN = 100;

export interface VacuumerOptions {
  readonly db: Database;
  /** Ends a pass under way. */
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Called with what PostgreSQL has to say of a pass, for instance that the role may not vacuum. */
  readonly onNotice: (message: string) => void;
}

export class Vacuumer {
  readonly #options: VacuumerOptions;
  #restMs = 0;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  /** The snapshot that was in the way of the last pass. */
  #obstacle: string | null = null;
  #mayShrinkAtMs = Number.NEGATIVE_INFINITY;
  #notice = "";

  constructor(options: VacuumerOptions) {
    this.#options = options;
  }

  /** One look, and a pass where it is worth while. @returns whether there was one */
  async passOnce(): Promise<boolean> {
    const { db, signal, now } = this.#options;
    const [waste] = await jobWaste(db);
    if (waste === undefined) return false;
    const shrinks = this.#isTooLarge(waste);
    if (!shrinks && !this.#isWorthWhile(waste)) return false;
    const startMs = now();
    if (shrinks) this.#mayShrinkAtMs = startMs + SHRINK_REST_MS;
    try {
      await this.#vacuum(shrinks);
    } catch (error) {
      // The server stops, or another one is at it.
      if (signal.aborted || isLockTimeout(error)) return false;
      this.#rest(REST_MS_MAX);
      throw error;
    }
    const tookMs = now() - startMs;
    const [left] = await jobWaste(db);
    const isInVain = left !== undefined && left.dead_count > waste.dead_count / 2;
    const restTimes = isInVain ? REST_TIMES_IN_VAIN : REST_TIMES;
    this.#rest(Math.min(REST_MS_MAX, tookMs * restTimes));
    const isObstacle = isInVain && waste.snapshot_age >= SNAPSHOT_AGE_MIN;
    this.#obstacle = isObstacle ? waste.snapshot : null;
    return true;
  }

  async #vacuum(shrinks: boolean): Promise<void> {
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(PASS_MS_MAX)]);
    const client = await this.#options.db.connect("baton-vacuum");
    client.on("notice", ({ message = "" }) => this.#tell(message));
    const end = (): void => void client.end().catch(() => undefined);
    signal.addEventListener("abort", end, { once: true });
    try {
      signal.throwIfAborted();
      await jobVacuum(client, shrinks);
    } finally {
      signal.removeEventListener("abort", end);
      await client.end().catch(() => undefined);
    }
  }

  /** Once, though each pass may hear it again. */
  #tell(message: string): void {
    if (message === this.#notice) return;
    this.#notice = message;
    this.#options.onNotice(message);
  }

  #rest(restMs: number): void {
    this.#restMs = restMs;
    this.#restsUntilMs = this.#options.now() + restMs;
  }

  /** Whether it is large, while few jobs change. */
  #isTooLarge({ dead_count, table_bytes }: JobWaste): boolean {
    const isQuiet = dead_count < DEAD_ROWS_MIN;
    return isQuiet && table_bytes >= SHRINK_BYTES_MIN && this.#options.now() >= this.#mayShrinkAtMs;
  }

  #isWorthWhile({ dead_count, vacuumed_ago_ms, snapshot }: JobWaste): boolean {
    if (dead_count < DEAD_ROWS_MIN) return false;
    // While it is held nothing more can be removed than by the last pass, however long that is.
    if (this.#obstacle !== null && snapshot === this.#obstacle) return false;
    // Another server, or autovacuum, may have had the next pass in vain meanwhile.
    const isRested = vacuumed_ago_ms === null || vacuumed_ago_ms >= this.#restMs;
    return isRested && this.#options.now() >= this.#restsUntilMs;
  }
}
