/** Keeps the batches of leases few, and what runs for long out of the index of ready jobs. Safe on every server at once. */
import { DELIVERY_MS_MAX } from "../domain/limits.ts";
import type { Db } from "../store/db.ts";
import { leaseBatchTidy } from "../store/lease-batch.ts";

/** Of one statement. Whoever ends one of its jobs waits for it: 0.1 s when all of them last. */
const JOBS_MAX = 5_000;
const BATCHES_MAX = 100;

/** One pass: looks through all batches that rested for long enough. */
export async function tidyLeasesOnce(db: Db): Promise<void> {
  while ((await leaseBatchTidy(db, DELIVERY_MS_MAX, BATCHES_MAX, JOBS_MAX)) > 0);
}
