/** Statements that people's commands and the clock bring about: cancel, redrive, due, expired. */
import type { JobState } from "../domain/job.ts";
import type { JobFilter } from "../domain/views.ts";
import type { Db } from "./db.ts";
import { sql, type Statement } from "./sql.ts";

export interface LockedJob {
  readonly id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly lane_id: number;
  readonly worker_id: number | null;
}

/** The conditions of a filter on a row called `job`. States are the caller's business. */
export function filterConditions(filter: JobFilter): Statement {
  const { queue, task, tag, createdAfter, createdBefore } = filter;
  const lane =
    queue === undefined && task === undefined
      ? sql``
      : sql`and job.lane_id in (
              select lane.id from baton.lane
               where (${queue ?? null}::text is null or lane.queue = ${queue ?? null})
                 and (${task ?? null}::text is null or lane.task = ${task ?? null}))`;
  const tagged = tag === undefined ? sql`` : sql`and job.tags @> array[${tag}]::text[]`;
  const after = createdAfter === undefined ? sql`` : sql`and job.created_at >= ${createdAfter}`;
  const before = createdBefore === undefined ? sql`` : sql`and job.created_at < ${createdBefore}`;
  return sql`true ${lane} ${tagged} ${after} ${before}`;
}

/** Locks one live job. */
export function jobLock(tx: Db, jobId: string): Promise<readonly LockedJob[]> {
  return tx.query<LockedJob>(sql`
    select id, state, attempt, lane_id, worker_id from baton.job where id = ${jobId} for update`);
}

/** Locks live jobs in these states, oldest first. Waits for those that somebody else is changing, and looks again. */
export function jobLockMany(
  tx: Db,
  states: readonly JobState[],
  filter: JobFilter,
  limit: number,
): Promise<readonly LockedJob[]> {
  return tx.query<LockedJob>(sql`
    select id, state, attempt, lane_id, worker_id
      from baton.job
     where state = any(${states}::baton.job_state[])
       and ${filterConditions(filter)}
     order by id
     limit ${limit}
       for update`);
}

/**
 * Ends live jobs that no worker holds: cancelled, or dead with an error.
 *
 * @param jobs locked by this transaction, or picked by a condition that is checked again here
 */
export function jobEnd(
  tx: Db,
  jobIds: readonly string[],
  state: "cancelled" | "dead",
  reason: string | undefined,
): Promise<readonly { readonly id: string }[]> {
  return tx.query(sql`
    with gone as (
      delete from baton.job
       where id = any(${jobIds}::uuid[])
         and state in ('waiting', 'scheduled', 'queued')
      returning *
    ),
    moved as (
      insert into baton.job_finished
        (id, created_at, finish_by, cancel_requested_at, lane_id, attempt, max_attempts, failure_count, lost_count,
         state, priority, input, input_content_type, unique_key, cancel_reason, tags, options, progress, error)
      select id, created_at, finish_by,
             case when ${state} = 'cancelled' then baton.clock() end,
             lane_id, attempt, max_attempts, failure_count, lost_count,
             ${state}::baton.job_state, priority, input, input_content_type, unique_key,
             coalesce(${reason ?? null}::text, cancel_reason), tags, options, progress,
             case when ${state} = 'dead' and finish_by <= baton.clock()
                    then json_build_object('code', 'deadline_exceeded',
                           'message', 'The job''s total deadline passed before it ended.')
                  when ${state} = 'dead'
                    then json_build_object('code', 'queue_timed_out',
                           'message', 'No worker started the job within its queue timeout.')
                  else error end
        from gone
      returning id, lane_id, attempt
    ),
    told as (
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence(${state}::baton.job_state), ${state}::baton.job_state,
             array_agg(id), array_agg(lane_id), array_agg(attempt)
        from moved
      having count(*) > 0
    )
    select id from moved`);
}

/** Notes on running jobs that they should stop. */
export function jobRequestCancel(
  tx: Db,
  jobIds: readonly string[],
  reason: string | undefined,
): Promise<
  readonly { readonly id: string; readonly attempt: number; readonly worker_id: number }[]
> {
  return tx.query(sql`
    update baton.job
       set cancel_requested_at = coalesce(cancel_requested_at, baton.clock()),
           cancel_reason = coalesce(cancel_reason, ${reason ?? null})
     where id = any(${jobIds}::uuid[]) and state = 'running'
    returning id, attempt, worker_id`);
}

/** Locks one finished job. */
export function finishedLock(
  tx: Db,
  jobId: string,
): Promise<readonly { readonly state: JobState; readonly unique_key: string | null }[]> {
  return tx.query(sql`
    select state, unique_key from baton.job_finished where id = ${jobId} for update`);
}

/** The live job that holds a unique key. */
export function jobHoldingKey(
  tx: Db,
  uniqueKey: string,
): Promise<readonly { readonly id: string }[]> {
  return tx.query(sql`select id from baton.job where unique_key = ${uniqueKey}`);
}

/** Locks dead jobs whose unique key no live job holds, the oldest of each key, oldest first. */
export function deadLockMany(
  tx: Db,
  filter: JobFilter,
  limit: number,
): Promise<readonly { readonly id: string }[]> {
  return tx.query(sql`
    select id
      from baton.job_dead as job
     where ${filterConditions(filter)}
       -- A case keeps these two from becoming joins with whole tables: few jobs have a key, and those look it up.
       and case when job.unique_key is null then true
                else not exists (select from baton.job as live where live.unique_key = job.unique_key)
                 and not exists (select from baton.job_dead as older
                                  where older.unique_key = job.unique_key and older.id < job.id)
           end
     order by id
     limit ${limit}
       for update skip locked`);
}

/**
 * Puts dead jobs back to their queues with their failures forgiven and their deadline lifted; the attempt number goes on,
 * and the last attempt moves to the kept ones.
 *
 * @param jobIds dead jobs locked by this transaction
 */
export function jobRedrive(
  tx: Db,
  jobIds: readonly string[],
): Promise<readonly { readonly id: string; readonly lane_id: number }[]> {
  return tx.query(sql`
    with gone as (
      delete from baton.job_dead
       where id = any(${jobIds}::uuid[])
      returning *
    ),
    kept as (
      insert into baton.attempt (job_id, attempt, outcome, worker_id, leased_at, started_at, finished_at, error)
      select id, attempt, outcome, worker_id, leased_at, started_at, finished_at, error
        from gone
       where outcome is not null
    ),
    moved as (
      insert into baton.job
        (id, created_at, lane_id, attempt, max_attempts, state, is_in_line, priority, input, input_content_type, unique_key,
         tags, options, error)
      select id, created_at, lane_id, attempt, max_attempts, 'queued', true, priority, input, input_content_type, unique_key,
             tags, options, error
        from gone
       order by id
      returning id, lane_id, attempt
    ),
    told as (
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence('queued'), 'queued', array_agg(id), array_agg(lane_id), array_agg(attempt)
        from moved
      having count(*) > 0
    )
    select id, lane_id from moved`);
}

/** Queues scheduled jobs that are due, earliest first. @returns their lanes, one row a job */
export function jobPromote(
  db: Db,
  limit: number,
): Promise<readonly { readonly lane_id: number }[]> {
  return db.query(
    sql`
    with due as (
      select id, run_at
        from baton.job
       where state = 'scheduled' and run_at <= baton.clock()
       order by run_at
       limit ${limit}
         for update skip locked
    ),
    placed as (
      select id, nextval('baton.job_queue_position_seq') as queue_position
        from (select id from due order by run_at) as due
    ),
    moved as (
      update baton.job
         set state = 'queued', is_in_line = true, run_at = null, queue_position = placed.queue_position
        from placed
       where job.id = placed.id
         and job.id = any(array(select id from placed))
      returning job.id, job.lane_id, job.attempt
    ),
    told as (
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence('queued'), 'queued', array_agg(id), array_agg(lane_id), array_agg(attempt)
        from moved
      having count(*) > 0
    )
    select lane_id from moved`,
    "job_promote",
  );
}

/** Milliseconds until the next scheduled job is due: negative when it is late, no row when there is none. */
export function jobNextDue(db: Db): Promise<readonly { readonly due_in_ms: number }[]> {
  return db.query(
    sql`
    select (extract(epoch from run_at - baton.clock()) * 1000)::float8 as due_in_ms
      from baton.job
     where state = 'scheduled' and run_at is not null
     order by run_at
     limit 1`,
    "job_next_due",
  );
}

/** A job that waits past its queue timeout or total deadline. */
export const expiredJob = sql`state in ('waiting', 'scheduled', 'queued')
       and (start_by is not null or finish_by is not null)
       and least(start_by, finish_by) <= baton.clock()`;

/** Locks jobs that wait past their queue timeout or total deadline. */
export function jobLockExpired(tx: Db, limit: number): Promise<readonly { readonly id: string }[]> {
  return tx.query(
    sql`
    select id
      from baton.job
     where ${expiredJob}
     order by least(start_by, finish_by)
     limit ${limit}
       for update skip locked`,
    "job_lock_expired",
  );
}
