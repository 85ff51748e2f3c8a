import { setTimeout as sleep } from "node:timers/promises";

import { DATABASE_WAIT_MS_MAX } from "../domain/limits.ts";
import { asUnavailable, isConnectionError } from "../store/db.ts";

const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 500;

/**
 * Runs work that may be repeated, again and again while the database is away.
 *
 * @param work must be safe to repeat even when an earlier run was committed
 * @param waitMsMax default DATABASE_WAIT_MS_MAX; Infinity for work that must not be given up
 * @throws AppError unavailable after `waitMsMax`; everything else at once
 */
export async function patiently<Result>(
  work: () => Promise<Result>,
  waitMsMax: number = DATABASE_WAIT_MS_MAX,
): Promise<Result> {
  const startMs = performance.now();
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)) {
    try {
      return await work();
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      if (performance.now() - startMs + waitMs > waitMsMax) throw asUnavailable(error);
      await sleep(waitMs);
    }
  }
}
