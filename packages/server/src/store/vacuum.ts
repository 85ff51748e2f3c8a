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
   * The oldest snapshot that is held in this database, as far as one may see: the first transaction that it does not see
   * the end of. What ended later vacuum can not remove. Null when none is held.
   */
  readonly snapshot: string | null;
  /** Transactions that began since it was taken; 0 without one. */
  readonly snapshot_age: number;
  /** Of the table's file, without its indexes. */
  readonly table_bytes: number;
}

/** @returns one row */
export function jobWaste(db: Db): Promise<readonly JobWaste[]> {
  return db.query(
    sql`
    select stat.n_dead_tup as dead_count,
           date_part('epoch', baton.clock() - greatest(stat.last_vacuum, stat.last_autovacuum)) * 1000 as vacuumed_ago_ms,
           oldest.snapshot,
           coalesce(oldest.age, 0) as snapshot_age,
           pg_relation_size(stat.relid) as table_bytes
      from pg_stat_user_tables as stat
      left join lateral (
             select activity.backend_xmin::text as snapshot, age(activity.backend_xmin) as age
               from pg_stat_activity as activity
              where activity.datname = current_database()
                and activity.pid <> pg_backend_pid()
                -- Whose snapshots are in nobody's way.
                and activity.backend_type is distinct from 'autovacuum worker'
                and activity.backend_xmin is not null
              order by age(activity.backend_xmin) desc
              limit 1) as oldest on true
     where stat.relid = 'baton.job'::regclass`,
    "job_waste",
  );
}

/**
 * Makes room where dead rows were. The table's file keeps its size unless it is asked to end where its last row stands: for
 * that PostgreSQL locks everybody out again and again, for some milliseconds each, and no other vacuum can run meanwhile.
 * Waits for somebody else's vacuum for five seconds; an autovacuum gives way after one.
 *
 * @param client a connection of its own: its settings change, and a large table takes longer than any other statement may
 * @param shrinks whether the file is cut off behind its last row
 * @throws 55P03 when another vacuum did not end in time
 */
export async function jobVacuum(client: Pick<pg.Client, "query">, shrinks: boolean): Promise<void> {
  await client.query("set lock_timeout = '5s'; set statement_timeout = 0");
  // When this process is gone nobody needs the rest of it. Some platforms cannot tell, and refuse.
  await client.query("set client_connection_check_interval = '2s'").catch(() => undefined);
  // Autovacuum is never parallel either: two more processes, which need a /dev/shm.
  await client.query(
    shrinks
      ? "vacuum (parallel 0) baton.job, baton.lease_batch"
      : "vacuum (parallel 0, truncate off) baton.job, baton.lease_batch",
  );
}
