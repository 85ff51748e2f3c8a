/** Statements about the dead rows of the table of live jobs. */
import type { Database, Db } from "./db.ts";
import { sql } from "./sql.ts";

export interface JobWaste {
  /** Rows that jobs left behind when they changed or ended, by PostgreSQL's own estimate. */
  readonly dead_count: number;
  /** Since anybody's latest vacuum ended, in milliseconds; null when there was none. */
  readonly vacuumed_ago_ms: number | null;
  /**
   * Transactions that began since the oldest snapshot which is held in this database, as far as one may see: it keeps vacuum
   * from removing what ended after it. 0 when none is held.
   */
  readonly snapshot_age: number;
}

/** @returns one row */
export function jobWaste(db: Db): Promise<readonly JobWaste[]> {
  return db.query(
    sql`
    select stat.n_dead_tup as dead_count,
           date_part('epoch', baton.clock() - greatest(stat.last_vacuum, stat.last_autovacuum)) * 1000 as vacuumed_ago_ms,
           (select coalesce(max(age(activity.backend_xmin)), 0)
              from pg_stat_activity as activity
             where activity.datname = current_database() and activity.pid <> pg_backend_pid()) as snapshot_age
      from pg_stat_user_tables as stat
     where stat.relid = 'baton.job'::regclass`,
    "job_waste",
  );
}

/**
 * Makes room where dead rows were. Passes over the table while somebody else vacuums it. On a connection of its own, since a
 * large table takes longer than any other statement may.
 *
 * @param signal ends it
 */
export async function jobVacuum(database: Database, signal: AbortSignal): Promise<void> {
  const client = await database.connect("baton vacuum");
  const end = (): void => void client.end().catch(() => undefined);
  signal.addEventListener("abort", end, { once: true });
  try {
    if (!signal.aborted) await client.query("vacuum (skip_locked) baton.job");
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", end);
    await client.end().catch(() => undefined);
  }
}
