/**
 * Keeps bulks in step with workers that are fast. A job that finds a free slot is written twice: leased, and finished.
 * One that finds none is written three times, and what comes after it must queue behind it, so that a moment in which
 * submissions are faster than the workers would make every job dearer until the submissions end. So bulks wait for a
 * moment where that lets them start at once, or keeps the backlog from growing. They wait only where workers are so fast that
 * PostgreSQL is what everybody waits for, and not where many jobs are queued: there they would gain nothing.
 */
import { isDelayed, type EnqueueCall } from "./admission.ts";
import type { WorkerGroup } from "./worker-group.ts";
import type { Workers } from "./workers.ts";

/** Calls of fewer jobs never wait. */
export const PACED_JOBS_MIN = 100;
/** A batch of bulks waits for so long at most, all its parts together. */
export const PACE_MS_MAX = 150;

/** Ends in a moment, from 3,000 to 6,000 a second: with fewer the database has time for jobs that are written thrice. */
const ENDED_LATELY_MIN = 1_500;
/** With more ready jobs than this a bulk would wait in vain. */
const BACKLOG_MAX = 50_000;
/** So many attempts end for each job that is let in while there is a backlog, so that it shrinks. */
const ENDED_PER_JOB = 1.5;

export interface IntakePaceOptions {
  readonly workers: Pick<Workers, "groupsOf">;
  readonly now: () => number;
}

export class IntakePace {
  readonly #options: IntakePaceOptions;

  constructor(options: IntakePaceOptions) {
    this.#options = options;
  }

  /**
   * Waits where that is worth while.
   *
   * @param deadlineMs until then
   * @returns those of these calls, from the first on, that are to be written now
   */
  async nextPart(
    calls: readonly EnqueueCall[],
    deadlineMs: number,
  ): Promise<readonly EnqueueCall[]> {
    const { now } = this.#options;
    const group = this.#groupOf(calls[0]);
    const slots = calls[0]?.jobs.length ?? 0;
    // Workers that can not hold two such calls would have nothing to do while the next one is written.
    if (group === undefined || group.capacity < 2 * slots) return calls;
    const rows = calls.reduce((sum, call) => sum + call.jobs.length, 0);
    const enough = group.endedCount + rows * ENDED_PER_JOB;
    const isOver = (): boolean => group.hasRoom(slots) || group.endedCount >= enough;
    // Another batch may have taken the slots that this one was woken for.
    for (
      let nowMs = now();
      !isOver() && nowMs < deadlineMs && isFast(group, nowMs);
      nowMs = now()
    ) {
      await group.until(isOver, deadlineMs - nowMs);
    }
    return group.hasRoom(slots) ? fitting(calls, group.freeCount) : calls;
  }

  /** Whose slots a call's jobs could find; nobody's when they start later. */
  #groupOf(call: EnqueueCall | undefined): WorkerGroup | undefined {
    const job = call?.jobs[0];
    if (job === undefined || job.lane.isPaused) return undefined;
    if (isDelayed(job)) return undefined;
    return this.#options.workers.groupsOf(job.lane)[0];
  }
}

function isFast(group: WorkerGroup, nowMs: number): boolean {
  return group.endedLately(nowMs) >= ENDED_LATELY_MIN && group.readyCount <= BACKLOG_MAX;
}

/** As many of these calls as find free slots, at least one. */
function fitting(calls: readonly EnqueueCall[], freeCount: number): readonly EnqueueCall[] {
  let rows = 0;
  const end = calls.findIndex((call) => {
    rows += call.jobs.length;
    return rows > freeCount;
  });
  return end === -1 ? calls : calls.slice(0, Math.max(1, end));
}
