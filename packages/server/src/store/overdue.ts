/** Looks at whether the clock has brought anything about that a reaper must act on. */
import type { Db } from "./db.ts";
import { expiredJob } from "./job-change.ts";
import { otherServer, silentServer } from "./server.ts";
import { sql } from "./sql.ts";
import { detachedWorker, lostWorker } from "./worker.ts";

/** What there is to do. */
export interface Overdue {
  /** For `serverBury`. */
  readonly has_dead_server: boolean;
  /** For `workerTakeLost`. */
  readonly has_lost_worker: boolean;
  /** Whether another server lives, or a worker has no connection. Without them nobody is lost before a whole lease is over. */
  readonly has_candidates: boolean;
}

/**
 * @param ownId the caller's own server, which lives
 * @param silentMs a server that did not renew for so long is dead
 * @returns one row
 */
export function overdueFind(db: Db, ownId: number, silentMs: number): Promise<readonly Overdue[]> {
  return db.query(
    sql`
    select exists (select from baton.server where ${silentServer(ownId, silentMs)}) as has_dead_server,
           exists (select from baton.worker where ${lostWorker}) as has_lost_worker,
           exists (select from baton.server where ${otherServer(ownId)})
           or exists (select from baton.worker where ${detachedWorker}) as has_candidates`,
    "overdue_find",
  );
}

/** Whether there is something for `jobLockExpired`. @returns one row */
export function jobOverdue(db: Db): Promise<readonly { readonly has_expired: boolean }[]> {
  return db.query(
    sql`
    select exists (select from baton.job where ${expiredJob}) as has_expired`,
    "job_overdue",
  );
}
