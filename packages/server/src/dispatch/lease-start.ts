/**
 * Where lease statements begin to look in a lane. Before its first ready job stand those that were leased lately, and the
 * index entries of all that were leased and ended since the last vacuum: thousands when workers are many, and millions when
 * somebody holds a snapshot for ten minutes. So after a look from the lane's head the next statements begin where the one
 * before ended, for so long that looks from the head take a small part of the time. Not where the lane alone could not fill
 * the slots, unless the look was dear: there the next statement finds whether the lane is empty, which only a look from the
 * head can tell.
 *
 * What stands before that place all the same, such as a job that another server queued with a higher priority or one that is
 * tried again at once, is found by the next look from the head. There is one as soon as a statement found less than it
 * wanted; where looks from the head are dear, when they have rested.
 */
import { LANE_HEAD, type LanePlace } from "../store/job-lease.ts";

/** A look from the head that takes longer is dear. Statements of 1,000 rows take 20 to 40 ms on a busy machine. */
const DEAR_MS = 50;
/** After a look from the head so many times its duration pass until the next one, */
const REST_TIMES = 10;
/** but no more than this. */
const REST_MS_MAX = 30_000;

export class LeaseStart {
  #end: LanePlace = LANE_HEAD;
  #headMs = 0;
  #isHeadDear = false;
  #restsUntilMs = 0;

  /** Where to begin now. */
  next(nowMs: number): LanePlace {
    return nowMs < this.#restsUntilMs ? this.#end : LANE_HEAD;
  }

  /**
   * Notes a look from the head. One that took long alone may have waited for something else than the index.
   *
   * @param hasMore whether the lane filled all slots, so that more may stand in it
   */
  lookedFromHead(tookMs: number, nowMs: number, hasMore: boolean): void {
    const usualMs = Math.min(tookMs, this.#headMs);
    this.#headMs = tookMs;
    this.#isHeadDear = usualMs > DEAR_MS;
    if (hasMore || this.#isHeadDear)
      this.#restsUntilMs = nowMs + Math.min(REST_MS_MAX, usualMs * REST_TIMES);
  }

  /** How long dear looks from the head still rest; 0 where they are not dear, or it is time for one. */
  dearRestMs(nowMs: number): number {
    return this.#isHeadDear ? Math.max(0, this.#restsUntilMs - nowMs) : 0;
  }

  /** Notes the last job that a statement leased. */
  leased(priority: number, position: number): void {
    this.#end = { priority, position };
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
