/** Cancel and redrive, of one job or by filter. */
import { FILTER_CHANGE_LIMIT_DEFAULT, FILTER_CHANGE_LIMIT_MAX } from "../domain/limits.ts";
import { LIVE_STATES, isFinal, type AttemptRef, type JobState } from "../domain/job.ts";
import type { JobFilter } from "../domain/views.ts";
import { AppError, jobNotFound } from "../errors.ts";
import { isDataError, type Database, type Db } from "../store/db.ts";
import * as store from "../store/job-change.ts";

/** A running attempt whose worker must be told to stop. */
export interface StopNotice extends AttemptRef {
  readonly workerId: number;
}

export interface CancelJobsResult {
  readonly cancelledIds: readonly string[];
  readonly stops: readonly StopNotice[];
  readonly hasMore: boolean;
}

/**
 * Ends a job that does not run, or notes on a running one that it should stop.
 *
 * @param isRepeat it follows a try whose answer was lost, which may have cancelled the job
 * @throws AppError job_not_found, job_finished
 */
export function cancelJob(
  database: Database,
  jobId: string,
  reason: string | undefined,
  isRepeat = false,
): Promise<CancelJobsResult> {
  return database.transaction(async (tx) => {
    const locked = await store.jobLock(tx, jobId);
    if (locked.length === 0) {
      const [finished] = await store.finishedLock(tx, jobId);
      if (finished === undefined) throw jobNotFound(jobId);
      if (isRepeat && finished.state === "cancelled")
        return { cancelledIds: [jobId], stops: [], hasMore: false };
      throw new AppError(
        "job_finished",
        `Job ${jobId} is ${finished.state} already, so it can not be cancelled.`,
        { jobId, state: finished.state },
      );
    }
    return cancelLocked(tx, locked, reason, false);
  });
}

/** The same for up to `limit` live jobs that match, oldest first. @throws AppError invalid_argument */
export function cancelJobs(
  database: Database,
  filter: JobFilter,
  limit: number | undefined,
  reason: string | undefined,
): Promise<CancelJobsResult> {
  const most = checkLimit(limit);
  const states = statesWithin(filter, LIVE_STATES, "cancel");
  return database.transaction(async (tx) => {
    const locked = await store.jobLockMany(tx, states, filter, most + 1);
    return cancelLocked(tx, locked.slice(0, most), reason, locked.length > most);
  });
}

/** Puts a dead job back to its queue. @throws AppError job_not_found, job_not_dead, unique_conflict */
export function redriveJob(database: Database, jobId: string): Promise<readonly number[]> {
  return redriveIn(database, async (tx) => {
    const [finished] = await store.finishedLock(tx, jobId);
    const [live] = finished === undefined ? await store.jobLock(tx, jobId) : [];
    const state = finished?.state ?? live?.state;
    if (state === undefined) throw jobNotFound(jobId);
    if (finished === undefined || finished.state !== "dead") {
      throw new AppError(
        "job_not_dead",
        `Only dead jobs can be redriven; job ${jobId} is ${state}.`,
        {
          jobId,
          state,
        },
      );
    }
    await refuseHeldKey(tx, jobId, finished.unique_key);
    const moved = await store.jobRedrive(tx, [jobId]);
    return moved.map((row) => row.lane_id);
  });
}

/**
 * The same for up to `limit` dead jobs that match, oldest first. Jobs whose unique key another live job holds stay dead.
 *
 * @returns their lanes, one for each job
 * @throws AppError invalid_argument
 */
export function redriveJobs(
  database: Database,
  filter: JobFilter,
  limit: number | undefined,
): Promise<{ readonly laneIds: readonly number[]; readonly hasMore: boolean }> {
  const most = checkLimit(limit);
  statesWithin(filter, ["dead"], "redrive");
  return redriveIn(database, async (tx) => {
    const locked = await store.deadLockMany(tx, filter, most + 1);
    const moved = await store.jobRedrive(
      tx,
      locked.slice(0, most).map((row) => row.id),
    );
    return { laneIds: moved.map((row) => row.lane_id), hasMore: locked.length > most };
  });
}

async function cancelLocked(
  tx: Db,
  jobs: readonly store.LockedJob[],
  reason: string | undefined,
  hasMore: boolean,
): Promise<CancelJobsResult> {
  const waiting = jobs.filter((job) => job.state !== "running").map((job) => job.id);
  const running = jobs.filter((job) => job.state === "running").map((job) => job.id);
  const cancelled = waiting.length > 0 ? await store.jobEnd(tx, waiting, "cancelled", reason) : [];
  const stops = running.length > 0 ? await store.jobRequestCancel(tx, running, reason) : [];
  return {
    cancelledIds: cancelled.map((row) => row.id),
    stops: stops.map((row) => ({ jobId: row.id, attempt: row.attempt, workerId: row.worker_id })),
    hasMore,
  };
}

/** Redrives in a transaction, once more when another job took a unique key between the look and the insert. */
async function redriveIn<Result>(
  database: Database,
  redrive: (tx: Db) => Promise<Result>,
): Promise<Result> {
  try {
    return await database.transaction(redrive);
  } catch (error) {
    if (!isDataError(error)) throw error;
    // The next look finds who holds it.
    return database.transaction(redrive);
  }
}

async function refuseHeldKey(tx: Db, jobId: string, uniqueKey: string | null): Promise<void> {
  if (uniqueKey === null) return;
  const [holder] = await store.jobHoldingKey(tx, uniqueKey);
  if (holder === undefined) return;
  throw new AppError(
    "unique_conflict",
    `Job ${jobId} can not be redriven while unfinished job ${holder.id} holds its unique key.`,
    { jobId, holderId: holder.id },
  );
}

function checkLimit(limit: number | undefined): number {
  const most = limit ?? FILTER_CHANGE_LIMIT_DEFAULT;
  if (Number.isInteger(most) && most >= 1 && most <= FILTER_CHANGE_LIMIT_MAX) return most;
  throw new AppError(
    "invalid_argument",
    `limit must be a whole number from 1 to ${FILTER_CHANGE_LIMIT_MAX}; received ${most}.`,
  );
}

function statesWithin(
  filter: JobFilter,
  possible: readonly JobState[],
  verb: string,
): readonly JobState[] {
  if (filter.states === undefined || filter.states.length === 0) return possible;
  const bad = filter.states.find((state) => !possible.includes(state));
  if (bad === undefined) return filter.states;
  throw new AppError(
    "invalid_argument",
    `Jobs that are ${bad} can not be given to ${verb}; expected states: ${possible.join(", ")}` +
      (isFinal(bad) ? "." : ". Leave states away to mean all of these."),
  );
}
