/** Statements that bring jobs in. */
import type { JobOptions } from "../domain/check-spec.ts";
import type { JobState } from "../domain/job.ts";
import type { Db } from "./db.ts";
import { bigintArray, integerArray, textArray, uuidArray } from "./array-parameter.ts";
import { insertBatches } from "./lease-batch.ts";
import { sql } from "./sql.ts";

/** A checked job on its way into the table. */
export interface NewJob {
  readonly id: string;
  readonly laneId: number;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly input: string;
  /** The worker that has a slot ready for it: then it is inserted as leased. */
  readonly workerId: number | undefined;
  /** What few jobs have. */
  readonly extra: NewJobExtra | undefined;
}

export interface NewJobExtra {
  readonly delayMs?: number | undefined;
  readonly runAt?: Date | undefined;
  readonly queueTimeoutMs?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly inputContentType?: string | undefined;
  readonly uniqueKey?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly options?: JobOptions | undefined;
}

export interface InsertedJob {
  readonly id: string;
  readonly state: JobState;
}

/** Lanes whose queues are paused; more conditions may follow. */
const fromPausedLanes = sql`from baton.lane
        join baton.queue on queue.namespace_id = lane.namespace_id and queue.name = lane.queue
       where queue.paused_at is not null`;

/**
 * Inserts jobs without extras: the hot path. Everything about them is known beforehand, so nothing is computed for each row
 * that can be said for all, and nothing comes back.
 *
 * @param leased jobs that bring a worker: inserted as running
 * @param queued jobs that bring none
 * @returns false when nothing was inserted, as a queue of a leased one is paused
 */
export async function jobInsertPlain(
  db: Db,
  leased: readonly NewJob[],
  queued: readonly NewJob[],
): Promise<boolean> {
  const jobs = leased.concat(queued);
  const rows = await db.query(
    sql`
    with given as materialized (
      select ${uuidArray(jobs.map((job) => job.id))}::uuid[] as ids,
             ${integerArray(jobs.map((job) => job.laneId))}::integer[] as lane_ids,
             ${bigintArray(leased.map((job) => job.workerId))}::bigint[] as worker_ids,
             ${leased.length}::integer as leased_count
    ),
    paused as (
      select lane.id
        ${fromPausedLanes}
         and lane.id = any(${integerArray([...new Set(leased.map((job) => job.laneId))])}::integer[])
    ),
    inserted as (
      insert into baton.job (id, lane_id, priority, max_attempts, input, worker_id, is_in_line, state, attempt, leased_at)
      select id, lane_id, priority, max_attempts, input, worker_id, worker_id is null,
             case when worker_id is null then 'queued'::baton.job_state else 'running'::baton.job_state end,
             case when worker_id is null then 0 else 1 end,
             case when worker_id is null then null else baton.clock() end
        -- Several sets in one list advance together; unlike those of a FROM they are not stored first.
        from (select unnest(ids) as id,
                     unnest(lane_ids) as lane_id,
                     unnest(${integerArray(jobs.map((job) => job.priority))}::integer[]) as priority,
                     unnest(${integerArray(jobs.map((job) => job.maxAttempts))}::integer[]) as max_attempts,
                     unnest(${textArray(jobs.map((job) => job.input))}::text[]) as input,
                     -- The shorter set, padded with nulls: of jobs that bring no worker.
                     unnest(worker_ids) as worker_id
                from given
               where not exists (select from paused)) as row
    ),
    held as (${insertBatches(sql`
        (select unnest(ids[1:leased_count]) as id, unnest(worker_ids) as worker_id
           from given
          where not exists (select from paused))`)}
    )
    insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
    select baton.event_sequence(part.state), part.state, ids[part.first:part.last], lane_ids[part.first:part.last],
           array_fill(part.attempt, array[part.last - part.first + 1])
      from given
     cross join lateral (
             values ('running'::baton.job_state, 1, leased_count, 1),
                    ('queued'::baton.job_state, leased_count + 1, cardinality(ids), 0)
           ) as part(state, first, last, attempt)
     where part.first <= part.last
       and not exists (select from paused)
    returning state`,
    "job_insert_plain",
  );
  return rows.length > 0;
}

/**
 * Inserts jobs: running when they bring a worker and their queue is not paused, scheduled when their start lies ahead,
 * queued otherwise.
 *
 * @returns only the rows whose state is not what the caller could know: scheduled ones, and queued ones that brought a
 *   worker. With `skipConflicts` all inserted rows; those missing lost to another row's id or unique key.
 */
export function jobInsert(
  db: Db,
  jobs: readonly NewJob[],
  skipConflicts: boolean,
): Promise<readonly InsertedJob[]> {
  const onConflict = skipConflicts ? sql`on conflict do nothing` : sql``;
  const surprising = skipConflicts
    ? sql``
    : // By a hashed set: a correlated subquery would read all of `new` for each row (1,000 rows: 117 ms instead of 0.3).
      sql`where inserted.state = 'scheduled'
             or (inserted.state = 'queued' and inserted.id in (select id from new where worker_id is not null))`;
  return db.query<InsertedJob>(
    sql`
    with new as (
      select given.id, given.lane_id, given.priority, given.max_attempts, given.worker_id, given.input, given.n,
             given.extra::jsonb as extra,
             case when given.extra is null then null
                  else coalesce((given.extra::jsonb->>'runAt')::timestamptz,
                                baton.clock() + (given.extra::jsonb->>'delayMs')::bigint * interval '1 ms')
             end as run_at
        from unnest(
               ${uuidArray(jobs.map((job) => job.id))}::uuid[],
               ${integerArray(jobs.map((job) => job.laneId))}::integer[],
               ${integerArray(jobs.map((job) => job.priority))}::integer[],
               ${integerArray(jobs.map((job) => job.maxAttempts))}::integer[],
               ${bigintArray(jobs.map((job) => job.workerId))}::bigint[],
               ${textArray(jobs.map((job) => job.input))}::text[],
               ${textArray(jobs.map((job) => job.extra && JSON.stringify(job.extra)))}::text[]
             ) with ordinality as given(id, lane_id, priority, max_attempts, worker_id, input, extra, n)
    ),
    paused as (
      select lane.id
        ${fromPausedLanes}
         and lane.id in (select lane_id from new where worker_id is not null)
    ),
    placed as (
      select new.*,
             case when new.run_at > baton.clock() then 'scheduled'::baton.job_state
                  when new.worker_id is not null and new.lane_id not in (select id from paused)
                  then 'running'::baton.job_state
                  else 'queued'::baton.job_state
             end as state
        from new
       order by new.n
    ),
    inserted as (
      insert into baton.job
        (id, lane_id, state, is_in_line, priority, max_attempts, input,
         attempt, worker_id, leased_at,
         run_at, start_by, finish_by, input_content_type, unique_key, tags, options)
      select id, lane_id, state, state = 'queued', priority, max_attempts, input,
             case when state = 'running' then 1 else 0 end,
             case when state = 'running' then worker_id end,
             case when state = 'running' then baton.clock() end,
             case when state = 'scheduled' then run_at end,
             case when state <> 'running'
                  then greatest(run_at, baton.clock()) + (extra->>'queueTimeoutMs')::bigint * interval '1 ms' end,
             baton.clock() + (extra->>'deadlineMs')::bigint * interval '1 ms',
             extra->>'inputContentType',
             extra->>'uniqueKey',
             case when extra ? 'tags' then array(select jsonb_array_elements_text(extra->'tags')) end,
             extra->'options'
        from placed
      ${onConflict}
      returning id, lane_id, state, attempt, worker_id
    ),
    held as (${insertBatches(sql`inserted`)}
    ),
    told as (
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence(state), state, array_agg(id), array_agg(lane_id), array_agg(attempt)
        from inserted
       group by state
    )
    select inserted.id, inserted.state
      from inserted
      ${surprising}`,
    skipConflicts ? "job_insert_skip" : "job_insert",
  );
}

export interface PresentJob {
  readonly id: string;
  readonly state: JobState;
}

/** Of these ids, the jobs that exist, live or finished. */
export function jobPresent(db: Db, ids: readonly string[]): Promise<readonly PresentJob[]> {
  return db.query<PresentJob>(sql`
    select id, state from baton.job where id = any(${ids}::uuid[])
    union all
    select id, state from baton.job_finished where id = any(${ids}::uuid[])`);
}

/** The live jobs that hold these unique keys. */
export function jobByUniqueKey(
  db: Db,
  keys: readonly string[],
): Promise<
  readonly { readonly id: string; readonly state: JobState; readonly unique_key: string }[]
> {
  return db.query(sql`
    select id, state, unique_key from baton.job where unique_key = any(${keys}::text[])`);
}

export interface IdempotencyClaim {
  readonly key: string;
  readonly fingerprint: string;
  readonly jobId: string;
}

export interface HeldKey {
  readonly key: string;
  readonly fingerprint: string;
  readonly job_id: string;
}

/**
 * Claims keys for new jobs; waits for transactions that claim the same. Keys that expired are claimed anew.
 *
 * @param claims distinct keys, sorted, so that two transactions never wait for each other
 * @returns the claims that were won
 */
export function idempotencyClaim(
  tx: Db,
  namespaceId: number,
  claims: readonly IdempotencyClaim[],
  keepMs: number,
): Promise<readonly HeldKey[]> {
  return tx.query<HeldKey>(sql`
    insert into baton.idempotency (namespace_id, key, fingerprint, job_id, expires_at)
    select ${namespaceId}::integer, claim.key, claim.fingerprint, claim.job_id,
           baton.clock() + ${keepMs}::bigint * interval '1 ms'
      from unnest(
             ${claims.map((claim) => claim.key)}::text[],
             ${claims.map((claim) => claim.fingerprint)}::text[],
             ${claims.map((claim) => claim.jobId)}::uuid[]
           ) with ordinality as claim(key, fingerprint, job_id, n)
     order by claim.n
    on conflict (namespace_id, key) do update
       set fingerprint = excluded.fingerprint, job_id = excluded.job_id, expires_at = excluded.expires_at
     where idempotency.expires_at <= baton.clock()
    returning key, fingerprint, job_id`);
}

/** Who holds these keys. */
export function idempotencyHeld(
  tx: Db,
  namespaceId: number,
  keys: readonly string[],
): Promise<readonly HeldKey[]> {
  return tx.query<HeldKey>(sql`
    select key, fingerprint, job_id
      from baton.idempotency
     where namespace_id = ${namespaceId} and key = any(${keys}::text[])`);
}

/** Gives up claims whose jobs were not accepted after all. */
export async function idempotencyRelease(
  tx: Db,
  namespaceId: number,
  claims: readonly Pick<IdempotencyClaim, "key" | "jobId">[],
): Promise<void> {
  await tx.query(sql`
    delete from baton.idempotency
     where namespace_id = ${namespaceId}
       and key = any(${claims.map((claim) => claim.key)}::text[])
       and job_id = any(${claims.map((claim) => claim.jobId)}::uuid[])`);
}

/** Forgets keys that expired. @returns how many of at most `limit` */
export async function idempotencyPrune(db: Db, limit: number): Promise<number> {
  const rows = await db.query(sql`
    delete from baton.idempotency
     where ctid = any(array(
             select ctid from baton.idempotency
              where expires_at <= baton.clock()
              order by expires_at
              limit ${limit}
                for update skip locked))
    returning key`);
  return rows.length;
}
