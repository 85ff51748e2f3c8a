/**
 * Statements that give jobs to workers and follow them.
 *
 * The lease protocol. A job is leased by setting it running with the id of a worker and the next attempt number; the pair
 * (job id, attempt) is the fence of every later write, and a batch of leases (lease-batch.ts) tells who holds what. Rows carry
 * no expiry: the row names its worker, the worker's row names its server, and the server renews its own row each second. A
 * worker's lease is over when it has been detached for longer than its lease, or when its server has not renewed for that
 * long; then the reaper takes all its jobs back in one transaction and marks the worker gone. A worker that reconnects before
 * that, to any server, changes one row, its own, and keeps every job it holds. A server that finds itself declared dead (its
 * renewal matches no row) drops its workers, which connect anew.
 */
import type { JobOptions } from "../domain/check-spec.ts";
import { PRIORITY_MAX } from "../domain/limits.ts";
import type { Db } from "./db.ts";
import { runsUnder, type AttemptKey } from "./fence.ts";
import { bigintArray, integerArray } from "./array-parameter.ts";
import { insertBatches, runsLongWith, runsWith } from "./lease-batch.ts";
import { sql, type Statement } from "./sql.ts";

/** What its worker is told of a job, without its input. */
interface JobRow {
  readonly id: string;
  readonly attempt: number;
  readonly lane_id: number;
  readonly input_content_type: string | null;
  readonly priority: number;
  readonly max_attempts: number;
  readonly failure_count: number;
  readonly lost_count: number;
  /** Milliseconds since 1970: a number, as `pg` takes 2 µs to read an instant. */
  readonly created_ms: number;
  readonly tags: readonly string[] | null;
  readonly options: JobOptions | null;
  /** Milliseconds from now. */
  readonly deadline_in_ms: number | null;
}

/** A running job without its input, which can be large and is read where it is needed. */
export interface HeldJob extends JobRow {
  readonly worker_id: number;
  readonly is_cancel_requested: boolean;
  readonly leased_ago_ms: number;
}

/** A job as handed to a worker. */
export interface LeasedJob extends JobRow {
  readonly input: string;
}

const jobColumns = sql`
    job.id, job.attempt, job.lane_id, job.input_content_type, job.priority, job.max_attempts,
    job.failure_count, job.lost_count, date_part('epoch', job.created_at) * 1000 as created_ms, job.tags, job.options,
    date_part('epoch', job.finish_by - baton.clock()) * 1000 as deadline_in_ms`;

const heldColumns = sql`${jobColumns},
    job.worker_id, job.cancel_requested_at is not null as is_cancel_requested,
    date_part('epoch', baton.clock() - job.leased_at) * 1000 as leased_ago_ms`;

/** A place in the order in which a lane's jobs are leased. */
export interface LanePlace {
  readonly priority: number;
  readonly position: number;
}

/** The place before all jobs. */
export const LANE_HEAD: LanePlace = { priority: PRIORITY_MAX, position: 0 };

/** A lane to lease from. */
export interface LaneShare {
  readonly laneId: number;
  /** Jobs before this place are not seen. */
  readonly from: LanePlace;
  /** Jobs to take from it, at most. */
  readonly most: number;
}

/**
 * Of the `limit` jobs that come first in these lanes' shares, how many stand in each: so that a lease locks rows that it takes,
 * and no others. Paused queues have none.
 */
export function laneShares(
  db: Db,
  shares: readonly LaneShare[],
  limit: number,
): Promise<readonly { readonly lane_id: number; readonly count: number }[]> {
  return db.query(
    sql`
    with ${openLane(shares)}
    select first.lane_id, count(*) as count
      from (select ready.lane_id
              from open_lane
             cross join lateral (
                     select job.lane_id, job.priority, job.queue_position
                       from baton.job
                      where ${isReadyInOpenLane}
                      order by - job.priority, job.queue_position
                      limit open_lane.most
                   ) as ready
             order by - ready.priority, ready.queue_position
             limit ${limit}
           ) as first
     group by first.lane_id`,
    "lane_shares",
  );
}

/** A leased job, whose it is, and its place. */
export interface LeaseRow extends LeasedJob {
  readonly worker_id: number;
  readonly queue_position: number;
}

/**
 * Leases ready jobs, highest priority first, then in queue order, one for each entry of `workerIds`.
 * Rows that another server is leasing are passed over. Paused queues are left alone.
 *
 * @param shares where to look
 * @param workerIds one entry a free slot, best slot first
 * @param inputBytesMax ends with the job with which all inputs together reach it
 * @returns in their order. Fewer than there were, when one was given back by another server while the statement looked
 */
export async function jobLease(
  db: Db,
  shares: readonly LaneShare[],
  workerIds: readonly number[],
  inputBytesMax: number,
): Promise<readonly LeaseRow[]> {
  // All for one worker, as with few large ones, needs neither numbers nor a join: 3.6 ms of 14 for 1,000 rows.
  const isForOne = workerIds.every((workerId) => workerId === workerIds[0]);
  const { assigned, workerId, matching } = isForOne
    ? toOneWorker(workerIds[0], inputBytesMax)
    : toWorkers(workerIds, inputBytesMax);
  const rows = await db.query<LeaseRow>(
    sql`
    with ${openLane(shares)},
    -- Materialized: as an inlined subquery it could run again for each joined row, and lock more than its limit.
    candidate as materialized (
      select ready.place, ready.priority, ready.queue_position, ready.input_bytes
        from open_lane
       cross join lateral (
               select job.ctid as place, job.priority, job.queue_position, octet_length(job.input) as input_bytes
                 from baton.job
                where ${isReadyInOpenLane}
                order by - job.priority, job.queue_position
                limit open_lane.most
                  for update skip locked
             ) as ready
       order by - ready.priority, ready.queue_position
       limit ${workerIds.length}
    ),
    assigned as (${assigned}
    ),
    leased as (
      update baton.job
         set state = 'running', attempt = job.attempt + 1, worker_id = ${workerId}, leased_at = baton.clock(), start_by = null
       -- By the row's own place: it is locked, so it stays there.
       ${matching} job.ctid = any(array(select place from assigned))
      returning ${jobColumns}, job.input, job.queue_position, job.worker_id
    ),
    held as (${insertBatches(sql`leased`)}
    ),
    told as (
      insert into baton.event (sequence, state, job_ids, lane_ids, attempts)
      select baton.event_sequence('running'), 'running', array_agg(id), array_agg(lane_id), array_agg(attempt)
        from leased
      having count(*) > 0
    )
    select * from leased`,
    isForOne ? "job_lease" : "job_lease_slots",
  );
  // They come nearly in this order; PostgreSQL would sort whole rows.
  return rows.toSorted((a, b) => b.priority - a.priority || a.queue_position - b.queue_position);
}

/** How candidates get their workers. */
interface LeaseParts {
  /** Places of candidates, as many as one answer carries. */
  readonly assigned: Statement;
  /** Of the row called `job`. */
  readonly workerId: Statement;
  /** Ends where a condition follows. */
  readonly matching: Statement;
}

/** Candidates in their order, each with the bytes of all inputs before its own. @param more columns, each with its comma */
const numbered = (more: Statement): Statement => sql`
             (select place, ${more} sum(input_bytes) over line - input_bytes as bytes_before
                from candidate
              window line as (order by - priority, queue_position rows unbounded preceding)) as numbered`;

function toOneWorker(workerId: number | undefined, inputBytesMax: number): LeaseParts {
  return {
    assigned: sql`
      select place
        from candidate
       where (select sum(input_bytes) from candidate) <= ${inputBytesMax}
      union all
      select place
        from ${numbered(sql``)}
       where bytes_before < ${inputBytesMax}
         and (select sum(input_bytes) from candidate) > ${inputBytesMax}`,
    workerId: sql`${workerId}::bigint`,
    matching: sql`where`,
  };
}

/** The nth job goes to the nth slot. */
function toWorkers(workerIds: readonly number[], inputBytesMax: number): LeaseParts {
  const ofSlot = sql`(${bigintArray(workerIds)}::bigint[])[row_number() over line] as worker_id,`;
  return {
    assigned: sql`
      select place, worker_id
        from ${numbered(ofSlot)}
       where bytes_before < ${inputBytesMax}`,
    workerId: sql`assigned.worker_id`,
    matching: sql`from assigned where job.ctid = assigned.place and`,
  };
}

/** Those of these lanes whose queues are not paused. */
function openLane(shares: readonly LaneShare[]): Statement {
  return sql`open_lane as (
      select lane.id, share.most, share.urgency, share.position
        from unnest(
               ${integerArray(shares.map((share) => share.laneId))}::integer[],
               ${integerArray(shares.map((share) => share.most))}::integer[],
               ${integerArray(shares.map((share) => -share.from.priority))}::integer[],
               ${bigintArray(shares.map((share) => share.from.position))}::bigint[]
             ) as share(lane_id, most, urgency, position)
        join baton.lane on lane.id = share.lane_id
        join baton.queue on queue.namespace_id = lane.namespace_id and queue.name = lane.queue
       where queue.paused_at is null
    )`;
}

const isReadyInOpenLane = sql`job.lane_id = open_lane.id
                  and job.is_in_line
                  and job.state = 'queued'
                  and (- job.priority, job.queue_position) >= (open_lane.urgency::smallint, open_lane.position)`;

/** The jobs that a worker holds, and how large their inputs are. */
export function jobHeldBy(
  db: Db,
  workerId: number,
): Promise<readonly (HeldJob & { readonly input_bytes: number })[]> {
  return db.query(sql`
    select ${heldColumns}, octet_length(job.input) as input_bytes
      from baton.job
     where ${runsWith(sql`array[${workerId}]::bigint[]`)}
     order by job.leased_at, job.id`);
}

/** Of these jobs, those that a worker holds. */
export function jobHeldAmong(
  tx: Db,
  workerId: number,
  ids: readonly string[],
): Promise<readonly HeldJob[]> {
  return tx.query<HeldJob>(sql`
    select ${heldColumns}
      from baton.job
     where job.id = any(${ids}::uuid[]) and job.worker_id = ${workerId}
     order by job.leased_at, job.id`);
}

/** The inputs of these attempts, as far as they still run. */
export function jobInputs(
  db: Db,
  attempts: readonly AttemptKey[],
): Promise<readonly (AttemptKey & { readonly input: string })[]> {
  return db.query(sql`
    with wanted as (${keys(attempts)})
    select job.id, job.attempt, job.input
      from wanted
     cross join baton.job
     where ${runsUnder(sql`wanted`)}`);
}

/** How many jobs each of these workers holds for longer than `heldMs`; no row for those that hold none. */
export function jobHeldCounts(
  db: Db,
  workerIds: readonly number[],
  heldMs: number,
): Promise<readonly { readonly worker_id: number; readonly count: number }[]> {
  return db.query(
    sql`
    select worker_id, count(*) as count
      from baton.job
     where ${runsLongWith(sql`${workerIds}::bigint[]`, heldMs)}
     group by worker_id`,
    "job_held_counts",
  );
}

/** Of these fences, the jobs that run. */
export function jobRunning(db: Db, fences: readonly AttemptKey[]): Promise<readonly HeldJob[]> {
  return db.query<HeldJob>(sql`
    with told as (${keys(fences)})
    select ${heldColumns}
      from told
     cross join baton.job
     where ${runsUnder(sql`told`)}`);
}

function keys(fences: readonly AttemptKey[]): Statement {
  return sql`
      select * from unnest(
        ${fences.map((fence) => fence.id)}::uuid[],
        ${fences.map((fence) => fence.attempt)}::integer[]
      ) as fence(id, attempt)`;
}

/**
 * Of these workers, the attempts that should stop and run for longer than `heldMs`: for cancels whose notice was lost.
 */
export function jobCancelRequested(
  db: Db,
  workerIds: readonly number[],
  heldMs: number,
): Promise<
  readonly { readonly id: string; readonly attempt: number; readonly worker_id: number }[]
> {
  return db.query(sql`
    select id, attempt, worker_id
      from baton.job
     where ${runsLongWith(sql`${workerIds}::bigint[]`, heldMs)}
       and cancel_requested_at is not null`);
}

/** Lanes that have ready jobs, found by skipping through the ready index: costs one probe a lane, not one a job. */
export function laneReady(db: Db): Promise<readonly { readonly lane_id: number }[]> {
  return db.query(
    sql`
    with recursive ready as (
      (select lane_id from baton.job where is_in_line and state = 'queued' order by lane_id limit 1)
      union all
      select (select job.lane_id
                from baton.job
               where job.is_in_line and job.state = 'queued' and job.lane_id > ready.lane_id
               order by job.lane_id
               limit 1)
        from ready
       where ready.lane_id is not null
    )
    select lane_id from ready where lane_id is not null`,
    "lane_ready",
  );
}
