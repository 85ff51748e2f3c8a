/** Statements about queues, tasks and lanes. */
import type { QueueView, TaskDefinition } from "../domain/views.ts";
import type { Db } from "./db.ts";
import { running } from "./lease-batch.ts";
import { sql } from "./sql.ts";

export interface LaneRow {
  readonly id: number;
  readonly queue: string;
  readonly task: string;
}

export function laneList(db: Db, namespaceId: number, limit: number): Promise<readonly LaneRow[]> {
  return db.query<LaneRow>(sql`
    select id, queue, task from baton.lane where namespace_id = ${namespaceId} order by id limit ${limit}`);
}

/** The name of a lane. */
export type LaneName = Pick<LaneRow, "queue" | "task">;

/** Those of these lanes that there are. */
export function laneFind(
  db: Db,
  namespaceId: number,
  names: readonly LaneName[],
): Promise<readonly LaneRow[]> {
  return db.query<LaneRow>(sql`
    select lane.id, lane.queue, lane.task
      from unnest(${names.map((name) => name.queue)}::text[], ${names.map((name) => name.task)}::text[])
             as name(queue, task)
      join baton.lane
        on lane.namespace_id = ${namespaceId} and lane.queue = name.queue and lane.task = name.task`);
}

/** Lanes by id; for those that another server made. */
export function laneGet(db: Db, ids: readonly number[]): Promise<readonly LaneRow[]> {
  return db.query<LaneRow>(sql`
    select id, queue, task from baton.lane where id = any(${ids}::integer[])`);
}

/** Makes lanes of queues that exist; those that there are stay as they are. */
export async function laneCreate(
  db: Db,
  namespaceId: number,
  names: readonly LaneName[],
): Promise<void> {
  await db.query(sql`
    insert into baton.lane (namespace_id, queue, task)
    select ${namespaceId}::integer, name.queue, name.task
      from unnest(${names.map((name) => name.queue)}::text[], ${names.map((name) => name.task)}::text[])
             as name(queue, task)
     order by name.queue, name.task
    on conflict do nothing`);
}

/** Those of these queues that there are. */
export async function queueFind(
  db: Db,
  namespaceId: number,
  names: readonly string[],
): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(sql`
    select name from baton.queue where namespace_id = ${namespaceId} and name = any(${names}::text[])`);
  return rows.map((row) => row.name);
}

/** Makes queues; those that there are stay as they are. */
export async function queueCreate(
  db: Db,
  namespaceId: number,
  names: readonly string[],
): Promise<void> {
  await db.query(sql`
    insert into baton.queue (namespace_id, name)
    select ${namespaceId}::integer, name
      from unnest(${names}::text[]) as name
     order by name
    on conflict do nothing`);
}

/** Makes those who bring new names into a namespace take turns until the end of their transactions. */
export async function namespaceLock(tx: Db, namespaceId: number): Promise<void> {
  await tx.query(sql`select from baton.namespace where id = ${namespaceId} for no key update`);
}

/** How many queues, tasks and lanes a namespace has. */
export async function nameCounts(
  db: Db,
  namespaceId: number,
): Promise<{ readonly queues: number; readonly tasks: number; readonly lanes: number }> {
  const rows = await db.query<{ queues: number; tasks: number; lanes: number }>(sql`
    select (select count(*) from baton.queue where namespace_id = ${namespaceId}) as queues,
           (select count(*) from baton.task  where namespace_id = ${namespaceId}) as tasks,
           (select count(*) from baton.lane  where namespace_id = ${namespaceId}) as lanes`);
  return rows[0] ?? { queues: 0, tasks: 0, lanes: 0 };
}

/** Pauses a queue that exists; a paused one gets the new reason. */
export async function queuePause(
  db: Db,
  namespaceId: number,
  name: string,
  reason: string | undefined,
): Promise<void> {
  await db.query(sql`
    update baton.queue
       set paused_at = coalesce(paused_at, baton.clock()), pause_reason = ${reason ?? null}
     where namespace_id = ${namespaceId} and name = ${name}`);
}

/** @returns the queue's name when it exists */
export function queueResume(
  db: Db,
  namespaceId: number,
  name: string,
): Promise<readonly { readonly name: string }[]> {
  return db.query(sql`
    update baton.queue
       set paused_at = null, pause_reason = null
     where namespace_id = ${namespaceId} and name = ${name}
    returning name`);
}

/** Names of the paused queues. */
export async function queuePaused(db: Db, namespaceId: number): Promise<readonly string[]> {
  const rows = await db.query<{ name: string }>(sql`
    select name from baton.queue where namespace_id = ${namespaceId} and paused_at is not null order by name`);
  return rows.map((row) => row.name);
}

/**
 * Queues with their numbers of live jobs, each counted up to `most` for each lane and no further.
 *
 * @param name only this one
 */
export async function queueList(
  db: Db,
  namespaceId: number,
  most: number,
  name?: string,
): Promise<readonly QueueView[]> {
  const rows = await db.query<{
    name: string;
    paused_at: Date | null;
    pause_reason: string | null;
    queued_count: number;
    scheduled_count: number;
    running_count: number;
    oldest_queued_at: Date | null;
  }>(sql`
    with ready as (
      select lane.queue, sum(ready.count)::bigint as count, min(ready.oldest) as oldest
        from baton.lane
       cross join lateral (
               select count(*) as count, min(created_at) as oldest
                 from (select job.created_at from baton.job
                        where job.lane_id = lane.id and job.is_in_line and job.state = 'queued'
                        order by - job.priority, job.queue_position
                        limit ${most}) as job
             ) as ready
       where lane.namespace_id = ${namespaceId}
       group by lane.queue
    ),
    scheduled as (
      select lane.queue, count(*) as count
        from (select lane_id from baton.job where run_at is not null limit ${most}) as job
        join baton.lane on lane.id = job.lane_id
       group by lane.queue
    ),
    running as (
      select lane.queue, count(*) as count
        from (select job.lane_id from ${running} limit ${most}) as job
        join baton.lane on lane.id = job.lane_id
       group by lane.queue
    )
    select queue.name, queue.paused_at, queue.pause_reason,
           least(coalesce(ready.count, 0), ${most}::bigint) as queued_count,
           coalesce(scheduled.count, 0) as scheduled_count,
           coalesce(running.count, 0) as running_count,
           ready.oldest as oldest_queued_at
      from baton.queue
      left join ready     on ready.queue     = queue.name
      left join scheduled on scheduled.queue = queue.name
      left join running   on running.queue   = queue.name
     where queue.namespace_id = ${namespaceId}
       and (${name ?? null}::text is null or queue.name = ${name ?? null})
     order by queue.name`);
  return rows.map((row) => ({
    name: row.name,
    isPaused: row.paused_at !== null,
    pausedAt: row.paused_at ?? undefined,
    pauseReason: row.pause_reason ?? undefined,
    queuedCount: row.queued_count,
    scheduledCount: row.scheduled_count,
    runningCount: row.running_count,
    oldestQueuedAt: row.oldest_queued_at ?? undefined,
  }));
}

interface TaskRow {
  readonly name: string;
  readonly definition: Omit<TaskDefinition, "name" | "updatedAt">;
  readonly updated_at: Date;
}

/** Creates or replaces definitions; those that are the same stay as they are. */
export async function taskPut(
  db: Db,
  namespaceId: number,
  definitions: readonly TaskDefinition[],
): Promise<void> {
  const sorted = [...definitions].sort((a, b) => (a.name < b.name ? -1 : 1));
  await db.query(sql`
    insert into baton.task (namespace_id, name, definition)
    select ${namespaceId}::integer, task.name, task.definition
      from unnest(
             ${sorted.map((definition) => definition.name)}::text[],
             ${sorted.map(({ name: _name, updatedAt: _updatedAt, ...definition }) => JSON.stringify(definition))}::json[]
           ) with ordinality as task(name, definition, n)
     order by task.n
    on conflict (namespace_id, name) do update
       set definition = excluded.definition, updated_at = baton.clock()
     where task.definition::text <> excluded.definition::text`);
}

/** Definitions by name; all when no names are given. */
export async function taskList(
  db: Db,
  namespaceId: number,
  limit: number,
  names?: readonly string[],
): Promise<readonly TaskDefinition[]> {
  const rows = await db.query<TaskRow>(sql`
    select name, definition, updated_at
      from baton.task
     where namespace_id = ${namespaceId}
       and (${names ?? null}::text[] is null or name = any(${names ?? null}::text[]))
     order by name
     limit ${limit}`);
  return rows.map((row) => ({ name: row.name, ...row.definition, updatedAt: row.updated_at }));
}
