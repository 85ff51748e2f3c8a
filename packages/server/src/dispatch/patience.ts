import { setTimeout as sleep } from "node:timers/promises";

import { DATABASE_WAIT_MS_MAX } from "../domain/limits.ts";
import { asUnavailable, isConflictError, isConnectionError, isDataError } from "../store/db.ts";

const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 500;

/** Ends all waiting: a server that stops does not wait for its database to come back. */
interface Abandonable {
  readonly abandoned: AbortSignal;
}

/**
 * Runs work that may be repeated, again and again while the database is away or broke a deadlock at its cost.
 *
 * @param work must be safe to repeat even when an earlier run was committed; it is told whether there was one
 * @param waitMsMax default DATABASE_WAIT_MS_MAX
 * @throws AppError unavailable after `waitMsMax`, or when the database is abandoned; everything else at once
 */
export async function patiently<Result>(
  { abandoned }: Abandonable,
  work: (isRepeat: boolean) => Promise<Result>,
  waitMsMax: number = DATABASE_WAIT_MS_MAX,
): Promise<Result> {
  const startMs = performance.now();
  let isRepeat = false;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)) {
    try {
      return await work(isRepeat);
    } catch (error) {
      if (!isConnectionError(error) && !isConflictError(error)) throw error;
      if (performance.now() - startMs + waitMs > waitMsMax) throw asUnavailable(error);
      await wait(waitMs, abandoned, error);
      isRepeat = true;
    }
  }
}

/**
 * Runs work that must not be repeated when it may have been committed: only a transaction that stood in another one's way
 * is tried again.
 *
 * @throws AppError unavailable when the database is away: the work was done, or it was not
 */
export async function once<Result>(
  { abandoned }: Abandonable,
  work: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isConflictError(error)) throw asUnavailable(error);
      await wait(FIRST_WAIT_MS, abandoned, error);
    }
  }
}

/**
 * Runs work that must not be given up, until it succeeds or turns out to be about its data: a disk that is full, or a
 * lock that is held, is a reason to wait, not to forget.
 *
 * @param onError told of every failure that is not just a database that is away
 * @throws a data error; AppError unavailable when the database is abandoned
 */
export async function persistently<Result>(
  database: Abandonable,
  work: () => Promise<Result>,
  onError: (error: unknown) => void,
): Promise<Result> {
  for (;;) {
    try {
      return await patiently(database, work, Number.POSITIVE_INFINITY);
    } catch (error) {
      if (isDataError(error)) throw error;
      if (database.abandoned.aborted) throw asUnavailable(error);
      onError(error);
      await wait(WAIT_MS_MAX, database.abandoned, error);
    }
  }
}

async function wait(waitMs: number, abandoned: AbortSignal, cause: unknown): Promise<void> {
  await sleep(waitMs, undefined, { signal: abandoned }).catch(() => {
    throw asUnavailable(cause);
  });
}
