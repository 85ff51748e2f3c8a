/**
 * Statements about who holds which running jobs. `baton.lease_batch` is an index by worker that costs a row for each
 * statement that leases, not an entry for each job. A job that stands in a batch may be over, or with somebody else by now:
 * what counts is the job's own row, which is always looked at too.
 */
import type { Db } from "./db.ts";
import { sql, type Statement } from "./sql.ts";

/** Writes batches, one a worker. @param held a relation with `id` and `worker_id`, null for jobs that no worker holds */
export function insertBatches(held: Statement): Statement {
  return sql`
      insert into baton.lease_batch (worker_id, job_ids)
      select worker_id, array_agg(id)
        from ${held} as held
       where worker_id is not null
       group by worker_id`;
}

/** The condition that a row called `job` stands in a batch: jobs are looked for by their ids. @param where which batches */
const standsInBatch = (where: Statement): Statement =>
  sql`job.id = any(array(select unnest(batch.job_ids) from baton.lease_batch as batch ${where}))`;

/** The condition that a row called `job` runs, said so that it is not looked for among all live jobs. */
export const runs: Statement = sql`${standsInBatch(sql``)} and job.state = 'running'`;

/** The condition that a row called `job` runs with one of these workers. @param workerIds an array */
export function runsWith(workerIds: Statement): Statement {
  return sql`${standsInBatch(sql`where batch.worker_id = any(${workerIds})`)} and job.worker_id = any(${workerIds})`;
}

/** The same, of jobs that were leased longer ago than that: cheap, as of the others there can be many. */
export function runsLongWith(workerIds: Statement, forMs: number): Statement {
  const longAgo = sql`baton.clock() - ${forMs}::integer * interval '1 ms'`;
  const inOldBatch = standsInBatch(sql`
             where batch.worker_id = any(${workerIds}) and (batch.generation > 0 or batch.created_at < ${longAgo})`);
  return sql`${inOldBatch} and job.worker_id = any(${workerIds}) and job.leased_at < ${longAgo}`;
}

/**
 * Running jobs as a relation `job` to count some of, with `lane_id`: reads batches one by one, as many as needed. A job that
 * its worker was leased again stands in two of them, and runs under the later one.
 */
export const running: Statement = sql`baton.lease_batch as batch
             cross join lateral (
               select job.lane_id from baton.job
                where job.id = any(batch.job_ids)
                  and job.worker_id = batch.worker_id
                  and job.leased_at <= batch.created_at) as job`;

/**
 * Takes the batches of one worker away, for who takes back all that it holds. One that a statement under way still writes
 * stays, and is found by the next look at what workers hold that are gone.
 *
 * @returns ids of jobs that may run with this worker
 */
export async function leaseBatchTake(tx: Db, workerId: number): Promise<readonly string[]> {
  const rows = await tx.query<{ readonly id: string }>(sql`
    with taken as (
      delete from baton.lease_batch where worker_id = ${workerId} returning job_ids
    )
    select distinct unnest(job_ids) as id from taken`);
  return rows.map((row) => row.id);
}

/** Later generations are looked through no more rarely than this one. */
const GENERATION_MAX = 9;

/**
 * Looks through batches of workers that are not gone: those whose jobs are all over go, of the others what still runs becomes
 * one batch for each worker, of the next generation. Each generation rests twice as long as the one before, so that jobs
 * that run for hours are seldom looked at and those that ended are soon forgotten. What still runs is taken out of the
 * index of ready jobs, where it would be in the way.
 *
 * Whoever takes a worker's jobs back holds its row: such workers are passed over.
 *
 * @param restMs how old a batch of the first generation must be
 * @param batchesMax looked at
 * @param jobsMax ends with the batch whose jobs go beyond it
 * @returns how many batches were looked through
 */
export async function leaseBatchTidy(
  db: Db,
  restMs: number,
  batchesMax: number,
  jobsMax: number,
): Promise<number> {
  const rows = await db.query<{ readonly count: number }>(
    sql`
    with due as materialized (
      select batch.ctid as place, batch.worker_id, batch.generation, batch.job_ids
        from baton.lease_batch as batch
        join baton.worker on worker.id = batch.worker_id
       where worker.gone_at is null
         and batch.created_at < baton.clock() - ${restMs}::integer * power(2, batch.generation) * interval '1 ms'
       limit ${batchesMax}
         for update of batch skip locked
         for share of worker skip locked
    ),
    old as materialized (
      select *
        from (select due.*, sum(cardinality(job_ids)) over (rows unbounded preceding) - cardinality(job_ids) as jobs_before
                from due) as counted
       where jobs_before < ${jobsMax}
    ),
    member as (
      select worker_id, unnest(job_ids) as id, min(generation) as generation
        from old
       group by 1, 2
    ),
    running as materialized (
      select job.id, job.worker_id, member.generation, job.is_in_line, job.ctid as place
        from member
        join baton.job on job.id = member.id and job.worker_id = member.worker_id
       where job.id = any(array(select id from member))
    ),
    -- Without those that somebody is changing: to wait for them could end in a deadlock, and they are about to end. By their
    -- places alone: PostgreSQL would rather read the index of ready jobs, with all that were leased while somebody holds a
    -- snapshot, once it takes that for empty.
    lasting as materialized (
      select job.ctid as place
        from baton.job
       where job.ctid = any(array(select place from running where is_in_line))
         and job.state = 'running'
         for update skip locked
    ),
    lifted as (
      update baton.job set is_in_line = false where job.ctid = any(array(select place from lasting))
    ),
    merged as (
      insert into baton.lease_batch (worker_id, generation, job_ids)
      select worker_id, least(generation + 1, ${GENERATION_MAX}), array_agg(id)
        from running
       group by worker_id, generation
    ),
    gone as (
      delete from baton.lease_batch as batch where batch.ctid = any(array(select place from old))
    )
    select count(*) as count from old`,
    "lease_batch_tidy",
  );
  return rows[0]?.count ?? 0;
}
