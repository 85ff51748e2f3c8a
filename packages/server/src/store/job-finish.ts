/** Statements that end attempts. Each is fenced by (job id, attempt): what matches no running row changes nothing. */
import type { FinalState, JobError, Outcome } from "../domain/job.ts";
import type { Db } from "./db.ts";
import { runsUnder, type AttemptKey } from "./fence.ts";
import { integerArray, textArray, uuidArray } from "./array-parameter.ts";
import { sql, type Statement } from "./sql.ts";

export interface SucceededAttempt {
  readonly jobId: string;
  readonly attempt: number;
  /** JSON text. */
  readonly result: string | undefined;
  readonly durationMs: number;
}

export interface FinishedAttempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly state: FinalState;
  readonly outcome: Outcome;
  readonly failureCount: number;
  readonly lostCount: number;
  readonly error: JobError | undefined;
  /** Absent when the handler never started. */
  readonly durationMs: number | undefined;
}

export interface RescheduledAttempt extends Omit<FinishedAttempt, "state"> {
  /** 0: queued at once. */
  readonly delayMs: number;
}

const tellFinished = sql`
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence(state), state, array_agg(id), array_agg(lane_id), array_agg(attempt)
        from gone
       group by state`;

/** The fences that matched nothing; they are looked for only when there are some. */
const unmatched = sql`
    select ended.id, ended.attempt
      from ended
     where (select count(*) from gone) < (select count(*) from ended)
       and not exists (select from gone where gone.id = ended.id)`;

/**
 * Moves jobs whose attempt succeeded to the finished ones.
 *
 * @returns the fences that matched nothing
 */
export function jobSucceed(
  db: Db,
  attempts: readonly SucceededAttempt[],
): Promise<readonly AttemptKey[]> {
  return db.query<AttemptKey>(
    sql`
    with ended as (
      -- Several sets in one list advance together; unlike those of a FROM they are not stored first.
      select unnest(${uuidArray(attempts.map((attempt) => attempt.jobId))}::uuid[]) as id,
             unnest(${integerArray(attempts.map((attempt) => attempt.attempt))}::integer[]) as attempt,
             unnest(${textArray(attempts.map((attempt) => attempt.result))}::text[]) as result,
             unnest(${integerArray(attempts.map((attempt) => attempt.durationMs))}::integer[]) as duration_ms
    ),
    gone as (
      delete from baton.job
       using ended
       where ${runsUnder(sql`ended`)}
      -- First what is read more than once: to get at a column costs a step for each before it.
      returning job.id, job.lane_id, job.attempt, job.created_at, job.leased_at, job.finish_by, job.cancel_requested_at,
                job.worker_id, job.max_attempts, job.failure_count, job.lost_count, job.priority, job.input,
                job.input_content_type, job.unique_key, job.cancel_reason, job.tags, job.options, job.progress, job.error,
                'succeeded'::baton.job_state as state, ended.result, ended.duration_ms
    ),
    moved as (
      insert into baton.job_ended
        (id, created_at, leased_at, started_at, finish_by, cancel_requested_at, worker_id, lane_id,
         attempt, max_attempts, failure_count, lost_count, priority, input,
         input_content_type, unique_key, cancel_reason, tags, options, progress, error,
         state, outcome, result)
      select id, created_at, leased_at, greatest(leased_at, baton.clock() - duration_ms * interval '1 ms'),
             finish_by, cancel_requested_at, worker_id, lane_id,
             attempt, max_attempts, failure_count, lost_count, priority, input,
             input_content_type, unique_key, cancel_reason, tags, options, progress, error,
             state, 'succeeded', result
        from gone
    ),
    told as (${tellFinished})
    ${unmatched}`,
    "job_succeed",
  );
}

/**
 * Moves jobs that end otherwise (dead, cancelled) to the finished ones.
 *
 * @returns the fences that matched nothing
 */
export function jobFinish(
  db: Db,
  attempts: readonly FinishedAttempt[],
): Promise<readonly AttemptKey[]> {
  return db.query<AttemptKey>(sql`
    with ended as (
      select * from unnest(
        ${attempts.map((attempt) => attempt.jobId)}::uuid[],
        ${attempts.map((attempt) => attempt.attempt)}::integer[],
        ${attempts.map((attempt) => attempt.state)}::baton.job_state[],
        ${attempts.map((attempt) => attempt.outcome)}::baton.outcome[],
        ${attempts.map((attempt) => attempt.failureCount)}::integer[],
        ${attempts.map((attempt) => attempt.lostCount)}::integer[],
        ${attempts.map((attempt) => attempt.durationMs ?? null)}::integer[],
        ${attempts.map((attempt) => errorJson(attempt.error))}::json[]
      ) as ended(id, attempt, state, outcome, failure_count, lost_count, duration_ms, error)
    ),
    gone as (
      delete from baton.job
       using ended
       where ${runsUnder(sql`ended`)}
      returning job.id, job.created_at, job.leased_at, job.finish_by, job.cancel_requested_at, job.worker_id, job.lane_id,
                job.attempt, job.max_attempts, job.priority, job.input,
                job.input_content_type, job.unique_key, job.cancel_reason, job.tags, job.options, job.progress,
                ended.state, ended.outcome, ended.failure_count, ended.lost_count, ended.duration_ms,
                coalesce(ended.error, job.error) as error
    ),
    moved as (
      insert into baton.job_finished
        (id, created_at, leased_at, started_at, finish_by, cancel_requested_at, worker_id, lane_id,
         attempt, max_attempts, priority, input,
         input_content_type, unique_key, cancel_reason, tags, options, progress,
         state, outcome, failure_count, lost_count, error)
      select id, created_at, leased_at, greatest(leased_at, baton.clock() - duration_ms * interval '1 ms'),
             finish_by, cancel_requested_at, worker_id, lane_id,
             attempt, max_attempts, priority, input,
             input_content_type, unique_key, cancel_reason, tags, options, progress,
             state, outcome, failure_count, lost_count, error
        from gone
    ),
    told as (${tellFinished})
    ${unmatched}`);
}

export interface RescheduleResult extends AttemptKey {
  /** True when the fence matched nothing. */
  readonly is_stale: boolean;
  /** True when the job was left as it is because somebody asked to cancel it. */
  readonly is_cancelled: boolean;
  readonly lane_id: number | null;
}

/**
 * Ends attempts whose jobs will be tried again, and keeps the attempts. Jobs that somebody asked to cancel meanwhile are
 * left alone.
 *
 * @returns every attempt given, with its lane when the job was moved
 */
export function jobReschedule(
  db: Db,
  attempts: readonly RescheduledAttempt[],
): Promise<readonly RescheduleResult[]> {
  return db.query<RescheduleResult>(sql`
    with ended as (
      select * from unnest(
        ${attempts.map((attempt) => attempt.jobId)}::uuid[],
        ${attempts.map((attempt) => attempt.attempt)}::integer[],
        ${attempts.map((attempt) => attempt.outcome)}::baton.outcome[],
        ${attempts.map((attempt) => attempt.delayMs)}::bigint[],
        ${attempts.map((attempt) => attempt.failureCount)}::integer[],
        ${attempts.map((attempt) => attempt.lostCount)}::integer[],
        ${attempts.map((attempt) => attempt.durationMs ?? null)}::integer[],
        ${attempts.map((attempt) => errorJson(attempt.error))}::json[]
      ) as ended(id, attempt, outcome, delay_ms, failure_count, lost_count, duration_ms, error)
    ),
    -- The old row, read under its lock: RETURNING of an update shows only the new one before PostgreSQL 18.
    held as (
      select job.id, job.attempt, job.worker_id, job.leased_at, job.lane_id, job.cancel_requested_at
        from baton.job
        cross join ended
       where ${runsUnder(sql`ended`)}
       order by job.id
         for update of job
    ),
    moved as (${moveBack})
    , kept as (
      insert into baton.attempt (job_id, attempt, outcome, worker_id, leased_at, started_at, error)
      select held.id, held.attempt, ended.outcome, held.worker_id, held.leased_at,
             greatest(held.leased_at, baton.clock() - ended.duration_ms * interval '1 ms'), ended.error
        from held
        join ended using (id)
        join moved using (id)
    ),
    told as (
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence(state), state, array_agg(id), array_agg(lane_id), array_agg(attempt)
        from moved
       group by state
    )
    select ended.id, ended.attempt, moved.lane_id,
           held.id is null as is_stale, held.id is not null and moved.id is null as is_cancelled
      from ended
      left join held using (id)
      left join moved using (id)`);
}

const moveBack: Statement = sql`
      update baton.job
         set state = case when ended.delay_ms > 0 then 'scheduled' else 'queued' end::baton.job_state,
             is_in_line = ended.delay_ms = 0,
             run_at = case when ended.delay_ms > 0 then baton.clock() + ended.delay_ms * interval '1 ms' end,
             worker_id = null, leased_at = null, progress = null,
             failure_count = ended.failure_count, lost_count = ended.lost_count,
             error = coalesce(ended.error, job.error)
        from ended
        join held using (id)
       where job.id = held.id
         and job.id = any(array(select id from held))
         and held.cancel_requested_at is null
      returning job.id, job.state, job.lane_id, job.attempt`;

export interface RecordedAttempt extends AttemptKey {
  readonly outcome: Outcome;
}

/**
 * Tells which of these outcomes stand in the books already: the caller just repeats them. Lost ones never do: it was the
 * server that found the attempt lost, and its worker shall hear so.
 */
export function attemptRecorded(
  db: Db,
  attempts: readonly RecordedAttempt[],
): Promise<readonly AttemptKey[]> {
  return db.query<AttemptKey>(sql`
    with told as (
      select * from unnest(
        ${attempts.map((attempt) => attempt.id)}::uuid[],
        ${attempts.map((attempt) => attempt.attempt)}::integer[],
        ${attempts.map((attempt) => attempt.outcome)}::baton.outcome[]
      ) as told(id, attempt, outcome)
    )
    select told.id, told.attempt
      from told
     where told.outcome <> 'lost'
       and (exists (select from baton.job_finished as job
                     where job.id = told.id and job.attempt = told.attempt and job.outcome = told.outcome)
         or exists (select from baton.attempt
                     where attempt.job_id = told.id and attempt.attempt = told.attempt
                       and attempt.outcome = told.outcome))`);
}

function errorJson(error: JobError | undefined): string | null {
  return error === undefined ? null : JSON.stringify(error);
}
