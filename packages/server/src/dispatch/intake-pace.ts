/**
 * Keeps bulks in step with workers that are fast. A job that finds a free slot is written twice: leased, and finished.
 * One that finds none is written three times, and what comes after it must queue behind it, so that a moment in which
 * submissions are faster than the workers would make every job dearer until the submissions end. So a bulk waits for a
 * moment where that lets it start at once, or keeps the backlog from growing. It never waits where jobs take long or many
 * are queued: there it would gain nothing.
 */
import type { EnqueueCall } from "./admission.ts";
import type { WorkerGroup } from "./worker-group.ts";
import type { Workers } from "./workers.ts";

/** Calls of fewer jobs never wait. */
export const PACED_JOBS_MIN = 100;

/** A batch of bulks waits for so long at most. */
const WAIT_MS_MAX = 150;
/** Workers that end fewer attempts in a moment are slow: waiting for them costs more than writing a job once more. */
const ENDED_LATELY_MIN = 500;
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

  /** Waits where that is worth while. @returns those of these calls, from the first on, that are to be written now */
  async next(calls: readonly EnqueueCall[]): Promise<readonly EnqueueCall[]> {
    const { workers, now } = this.#options;
    const lane = calls[0]?.jobs[0]?.lane;
    const group = lane && workers.groupsOf(lane)[0];
    const slots = calls[0]?.jobs.length ?? 0;
    // Workers that can not hold two such calls would have nothing to do while the next one is written.
    if (group === undefined || group.capacity < 2 * slots) return calls;
    if (!group.hasRoom(slots) && isFast(group, now())) {
      const rows = calls.reduce((sum, call) => sum + call.jobs.length, 0);
      const enough = group.endedCount + rows * ENDED_PER_JOB;
      await group.until(() => group.hasRoom(slots) || group.endedCount >= enough, WAIT_MS_MAX);
    }
    return group.hasRoom(slots) ? fitting(calls, group.freeCount) : calls;
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
