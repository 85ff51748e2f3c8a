import { sql, type Statement } from "./sql.ts";

/** A fence as rows have it. */
export interface AttemptKey {
  readonly id: string;
  readonly attempt: number;
}

/**
 * The condition that a row called `job` runs under a fence of `fences`, the name of a CTE with `id` and `attempt`.
 *
 * The ids are said twice so that PostgreSQL finds the rows by the primary key, whatever its statistics make it believe of
 * the table's size.
 */
export function runsUnder(fences: Statement): Statement {
  return sql`job.id = any(array(select id from ${fences}))
         and job.id = ${fences}.id and job.attempt = ${fences}.attempt and job.worker_id is not null`;
}
