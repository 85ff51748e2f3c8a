/**
 * Where lease statements begin to look in a lane. Before its first ready job stand those that were leased lately, and the
 * index entries of all that were leased and ended since the last vacuum: thousands when workers are many, and millions when
 * somebody holds a snapshot for ten minutes. So after a look from the lane's head the next statements begin where the one
 * before ended, for so long that looks from the head take a small part of the time. Not where the lane alone could not fill
 * the slots, unless the look was dear: there the next statement finds whether the lane is empty.
 *
 * What stands before that place all the same, such as a job that another server queued with a higher priority or one that is
 * tried again at once, is found by the next look from the head. There is one as soon as a statement found less than it wanted.
 * Where looks from the head are dear, it waits until they have rested. Until then one look from where statements ended some
 * seconds ago tells whether the lane is empty: jobs may be committed in another order than that of their places.
 */
import { LANE_HEAD, type LanePlace } from "../store/job-lease.ts";

/** A look from the head that takes longer is dear. Statements of 1,000 rows take 20 to 40 ms on a busy machine. */
const DEAR_MS = 50;
/** After a look from the head so many times its duration pass until the next one, */
const REST_TIMES = 10;
/** but no more than this. */
const REST_MS_MAX = 30_000;
/** Statements that queue jobs seldom take longer from when they draw a place to their commit. */
const WRITE_MS_MAX = 2_000;

export class LeaseStart {
  #end: LanePlace = LANE_HEAD;
  /** Where statements had ended at #markedAtMs, and WRITE_MS_MAX or longer before that. */
  #mark: LanePlace = LANE_HEAD;
  #beforeMark: LanePlace = LANE_HEAD;
  #markedAtMs = Number.NEGATIVE_INFINITY;
  /** Whether the next look begins there, and where the last such look began. */
  #looksBack = false;
  #lookedBackFrom: LanePlace | undefined;
  #headMs = 0;
  #isHeadDear = false;
  #restsUntilMs = 0;

  /** Where to begin now. */
  next(nowMs: number): LanePlace {
    if (nowMs >= this.#restsUntilMs) return LANE_HEAD;
    if (!this.#looksBack) return this.#end;
    this.#looksBack = false;
    this.#lookedBackFrom = this.#beforeMark;
    return this.#beforeMark;
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

  /**
   * Notes that a look found less than was wanted, which did not begin at the head.
   *
   * @returns how long the lane counts as empty, in milliseconds, until it is looked at from its head; 0: not before the next look,
   *   which begins further back
   */
  foundTooFew(from: LanePlace, nowMs: number): number {
    if (!this.#isHeadDear) {
      this.lookFromHead();
      return 0;
    }
    if (from === this.#lookedBackFrom) return Math.max(0, this.#restsUntilMs - nowMs);
    this.#looksBack = true;
    return 0;
  }

  /** Has the next look begin at the head: jobs may stand anywhere, or none stand behind the place. */
  lookFromHead(): void {
    this.#restsUntilMs = 0;
  }

  /** Notes the last job that a statement leased. */
  leased(priority: number, position: number, nowMs: number): void {
    if (nowMs - this.#markedAtMs >= WRITE_MS_MAX) {
      this.#beforeMark = this.#mark;
      this.#mark = this.#end;
      this.#markedAtMs = nowMs;
    }
    this.#end = { priority, position };
  }

  /** Notes a job that was queued here, behind all others of its priority. */
  queued(priority: number): void {
    this.#end = atLatest(this.#end, priority);
    this.#mark = atLatest(this.#mark, priority);
    this.#beforeMark = atLatest(this.#beforeMark, priority);
  }
}

/** The place, or the head of jobs of a priority where that comes first. */
function atLatest(place: LanePlace, priority: number): LanePlace {
  return priority > place.priority ? { priority, position: 0 } : place;
}
