/** Keeps history bounded: partitions are made ahead and dropped when their retention is over, never emptied row by row. */
import { PARTITION_DAYS_AHEAD, SWEEP_BATCH_MAX } from "../domain/limits.ts";
import type { Db } from "../store/db.ts";
import { partitionDrop, partitionEnsure, PARTITIONED, type Partitioned } from "../store/event.ts";
import { idempotencyPrune } from "../store/job-enqueue.ts";
import { serverPrune } from "../store/server.ts";
import { workerPrune } from "../store/worker.ts";

export interface Retention {
  /** Succeeded and cancelled jobs, in days. */
  readonly finishedDays: number;
  /** Dead jobs, attempts and logs, in days. */
  readonly deadDays: number;
}

/** One pass. @returns the names of the dropped partitions */
export async function pruneOnce(db: Db, retention: Retention): Promise<readonly string[]> {
  await partitionEnsure(db, PARTITION_DAYS_AHEAD);
  const daysKept: Readonly<Record<Partitioned, number>> = {
    job_ended: retention.finishedDays,
    job_dead: retention.deadDays,
    // Of all jobs that are still shown.
    attempt: Math.max(retention.finishedDays, retention.deadDays),
    log_line: Math.max(retention.finishedDays, retention.deadDays),
    event: retention.finishedDays,
  };
  const dropped: string[] = [];
  for (const table of PARTITIONED)
    dropped.push(...(await partitionDrop(db, table, daysKept[table])));
  // Rows without a partition of their own: few, and gone in small steps.
  const keptDays = daysKept.attempt;
  await untilDone((limit) => idempotencyPrune(db, limit));
  await untilDone((limit) => workerPrune(db, keptDays, limit));
  await untilDone((limit) => serverPrune(db, keptDays, limit));
  return dropped;
}

async function untilDone(prune: (limit: number) => Promise<number>): Promise<void> {
  while ((await prune(SWEEP_BATCH_MAX)) === SWEEP_BATCH_MAX);
}
