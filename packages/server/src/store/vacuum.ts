/** Statements about the dead rows of the table of live jobs, and of the batches of their leases. */
import type pg from "pg";

import type { Db } from "./db.ts";
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
             where activity.datname = current_database()
               and activity.pid <> pg_backend_pid()
               -- Whose snapshots are in nobody's way.
               and activity.backend_type is distinct from 'autovacuum worker') as snapshot_age
      from pg_stat_user_tables as stat
     where stat.relid = 'baton.job'::regclass`,
    "job_waste",
  );
}

/**
 * Makes room where dead rows were. Waits for somebody else's vacuum for five seconds; an autovacuum gives way after one.
 *
 * @param client a connection of its own: its settings change, and a large table takes longer than any other statement may
 * @throws 55P03 when another vacuum did not end in time
 */
export async function jobVacuum(client: Pick<pg.Client, "query">): Promise<void> {
  await client.query("set lock_timeout = '5s'; set statement_timeout = 0");
  // When this process is gone nobody needs the rest of it. Some platforms cannot tell, and refuse.
  await client.query("set client_connection_check_interval = '2s'").catch(() => undefined);
  // Autovacuum is never parallel either: two more processes, which need a /dev/shm.
  await client.query("vacuum (parallel 0) baton.job, baton.lease_batch");
}
