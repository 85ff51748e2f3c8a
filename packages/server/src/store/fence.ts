import { sql, type Statement } from "./sql.ts";

/** A fence as rows have it. */
export interface AttemptKey {
  readonly id: string;
  readonly attempt: number;
}

/**
 * The condition that a row called `job` runs under a fence of `fences`, the name of a CTE with `id` and `attempt`.
 *
 * It is said so that only the primary key helps to find the rows. For `state = 'running'` PostgreSQL would take the index
 * of running jobs while its statistics call the table small, and read all of it for every batch: with the entries of jobs
 * that ended since the last vacuum, 32 for each row that was wanted.
 */
export function runsUnder(fences: Statement): Statement {
  return sql`job.id = any(array(select id from ${fences}))
         and job.id = ${fences}.id and job.attempt = ${fences}.attempt and job.worker_id is not null`;
}
