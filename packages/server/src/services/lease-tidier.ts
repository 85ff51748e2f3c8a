/** Keeps the batches of leases few, and what runs for long out of the index of ready jobs. Safe on every server at once. */
import { DELIVERY_MS_MAX } from "../domain/limits.ts";
import type { Db } from "../store/db.ts";
import { leaseBatchTidy } from "../store/lease-batch.ts";

/** Jobs that one statement may touch, about: whoever ends one of them waits for it, 0.1 s when all of them last. */
const JOBS_PER_STATEMENT = 5_000;
/** Until it is known how large batches are. */
const BATCHES_AT_FIRST = 5;
const BATCHES_MAX = 1_000;

/** One pass: looks through all batches that rested for long enough. */
export async function tidyLeasesOnce(db: Db, restMs = DELIVERY_MS_MAX): Promise<void> {
  for (let limit = BATCHES_AT_FIRST; ;) {
    const { batchCount, jobCount } = await leaseBatchTidy(db, restMs, limit);
    if (batchCount < limit) return;
    const batchesNext = Math.floor((JOBS_PER_STATEMENT * batchCount) / Math.max(1, jobCount));
    limit = Math.min(BATCHES_MAX, Math.max(1, batchesNext));
  }
}
