/**
 * Vacuums the table of live jobs, whose rows turn over within seconds. PostgreSQL's own autovacuum looks once a minute by
 * default, when a busy queue has left millions of dead rows; and while somebody holds a snapshot it reads the whole growing
 * table again and again, and may remove nothing. Here a pass that was in vain is followed by a rest, until the snapshot that
 * was in its way is gone.
 */
import type { Database } from "../store/db.ts";
import { jobVacuum, jobWaste, type JobWaste } from "../store/vacuum.ts";

/** With fewer dead rows a pass is not worth while. */
const DEAD_ROWS_MIN = 20_000;
/** After a pass in vain so many times its duration pass until the next one, */
const REST_TIMES = 20;
/** but no more than this: snapshots of other users cannot be seen. */
const REST_MS_MAX = 60_000;
/** Younger snapshots are those of statements under way, which are in nobody's way for long. */
const SNAPSHOT_AGE_MIN = 100;

export interface VacuumerOptions {
  readonly db: Database;
  /** Ends a pass under way. */
  readonly signal: AbortSignal;
  readonly now: () => number;
}

export class Vacuumer {
  readonly #options: VacuumerOptions;
  #restMs = 0;
  /** Of the snapshot that was in the way of the last pass. */
  #snapshotAge = 0;

  constructor(options: VacuumerOptions) {
    this.#options = options;
  }

  /** One look, and a pass where it is worth while. @returns whether there was one */
  async passOnce(): Promise<boolean> {
    const { db, signal, now } = this.#options;
    const [waste] = await jobWaste(db);
    if (waste === undefined || !this.#isWorthWhile(waste)) return false;
    const startMs = now();
    await jobVacuum(db, signal);
    const tookMs = now() - startMs;
    const [left] = await jobWaste(db);
    const isInVain = left !== undefined && left.dead_count > waste.dead_count / 2;
    this.#restMs = isInVain ? Math.min(REST_MS_MAX, tookMs * REST_TIMES) : 0;
    this.#snapshotAge = waste.snapshot_age;
    return true;
  }

  #isWorthWhile({ dead_count, vacuumed_ago_ms, snapshot_age }: JobWaste): boolean {
    if (dead_count < DEAD_ROWS_MIN) return false;
    // Another server, or autovacuum, may have had that pass in vain: all rest together.
    const isRested = vacuumed_ago_ms === null || vacuumed_ago_ms >= this.#restMs;
    // While it is held its age grows.
    const isSnapshotGone =
      this.#snapshotAge >= SNAPSHOT_AGE_MIN && snapshot_age < this.#snapshotAge;
    return isRested || isSnapshotGone;
  }
}
