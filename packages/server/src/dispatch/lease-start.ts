/**
 * Where lease statements begin to look in a lane. The first ready job stands behind the index entries of all that were
 * leased before it, until vacuum takes those away. That is soon, unless somebody holds a snapshot: a report of ten minutes
 * leaves millions of them, and a statement that reads them all takes seconds. So while looking from the lane's head is
 * dear, most statements begin where the one before ended.
 *
 * What stands before that place all the same, such as a job that another server queued with a higher priority, is found by
 * the next look from the head. There is one when a statement found less than it wanted, and after ten seconds at the latest.
 */
import { LANE_HEAD, type LanePlace } from "../store/job-lease.ts";

/** A look from the head that takes longer is dear. Statements of 1,000 rows take 20 to 40 ms on a busy machine. */
const DEAR_MS = 100;
/** After dear looks from the head so many times their duration pass until the next one, */
const REST_TIMES = 20;
/** but no more than this. */
const REST_MS_MAX = 10_000;
/** Jobs queued in transactions that commit in another order than they began: a few batches of some servers. */
const POSITIONS_BACK = 10_000;

export class LeaseStart {
  #end: LanePlace = LANE_HEAD;
  #headMs = 0;
  #restsUntilMs = 0;

  /** Where to begin now. */
  next(nowMs: number): LanePlace {
    return nowMs < this.#restsUntilMs ? this.#end : LANE_HEAD;
  }

  /** Notes a look from the head. One that was dear alone may have waited for something else than the index. */
  lookedFromHead(tookMs: number, nowMs: number): void {
    const dearMs = Math.min(tookMs, this.#headMs);
    this.#headMs = tookMs;
    if (dearMs > DEAR_MS) this.#restsUntilMs = nowMs + Math.min(REST_MS_MAX, dearMs * REST_TIMES);
  }

  /** Notes the last job that a statement leased. */
  leased(priority: number, position: number): void {
    this.#end = { priority, position: Math.max(0, position - POSITIONS_BACK) };
  }

  /** Notes a job that was queued here, behind all others of its priority. */
  queued(priority: number): void {
    if (priority > this.#end.priority) this.#end = { priority, position: 0 };
  }

  /** Has the next look begin at the head: jobs may stand anywhere, or none stand behind the place. */
  lookFromHead(): void {
    this.#restsUntilMs = 0;
  }
}
