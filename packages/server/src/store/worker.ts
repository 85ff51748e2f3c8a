/** Statements about workers and servers. The lease protocol stands in job-lease.ts. */
import type { ServerView, WorkerState, WorkerView } from "../domain/views.ts";
import type { Db } from "./db.ts";
import { sql } from "./sql.ts";

/** Books a new start of a server. @returns its id */
export async function serverStart(db: Db, name: string, version: string): Promise<number> {
  const rows = await db.query<{ id: number }>(sql`
    insert into baton.server (name, version) values (${name}, ${version}) returning id`);
  const id = rows[0]?.id;
  if (id === undefined) throw new Error("insert … returning gave no row");
  return id;
}

/** Says that a server is alive. @returns how many others are; no row when this one was declared dead */
export function serverRenew(
  db: Db,
  serverId: number,
): Promise<readonly { readonly other_count: number }[]> {
  return db.query(
    sql`
    update baton.server
       set renewed_at = baton.clock()
     where id = ${serverId} and stopped_at is null
    returning (select count(*) from baton.server as other
                where other.stopped_at is null and other.id <> server.id) as other_count`,
    "server_renew",
  );
}

/** Ends a server's time in order: its workers count as detached from now on. */
export async function serverStop(db: Db, serverId: number): Promise<void> {
  await db.query(sql`
    with stopped as (
      update baton.server set stopped_at = baton.clock() where id = ${serverId} and stopped_at is null returning id
    )
    update baton.worker
       set detached_at = baton.clock()
      from stopped
     where worker.server_id = stopped.id and worker.detached_at is null and worker.gone_at is null`);
}

/**
 * Declares servers dead that did not renew for so long. Their workers count as detached since the last renewal.
 *
 * @param ownId the caller's own server, which lives, however long this took
 * @returns how many
 */
export async function serverBury(db: Db, ownId: number, silentMs: number): Promise<number> {
  const rows = await db.query(
    sql`
    with buried as (
      update baton.server
         set stopped_at = baton.clock()
       where stopped_at is null
         and id <> ${ownId}
         and renewed_at < baton.clock() - ${silentMs}::integer * interval '1 ms'
      returning id, renewed_at
    ),
    detached as (
      update baton.worker
         set detached_at = buried.renewed_at
        from buried
       where worker.server_id = buried.id and worker.detached_at is null and worker.gone_at is null
    )
    select id from buried`,
    "server_bury",
  );
  return rows.length;
}

export async function serverList(db: Db): Promise<readonly ServerView[]> {
  const rows = await db.query<{
    id: number;
    name: string;
    version: string;
    started_at: Date;
    renewed_at: Date;
    is_alive: boolean;
    worker_count: number;
  }>(sql`
    select id, name, version, started_at, renewed_at, stopped_at is null as is_alive,
           (select count(*) from baton.worker
             where worker.server_id = server.id and gone_at is null and detached_at is null) as worker_count
      from baton.server
     where stopped_at is null or stopped_at > baton.clock() - interval '1 hour'
     order by stopped_at is not null, id
     limit 1000`);
  return rows.map((row) => ({
    id: String(row.id),
    name: row.name,
    version: row.version,
    startedAt: row.started_at,
    renewedAt: row.renewed_at,
    isAlive: row.is_alive,
    workerCount: row.worker_count,
  }));
}

/** A worker as it introduces itself. */
export interface NewWorker {
  readonly instance: string;
  readonly serverId: number;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly sdk: string;
  readonly slots: number;
  readonly tasks: readonly string[];
  readonly queues: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly leaseMs: number;
}

/** One connection of a worker. */
export interface WorkerKey {
  readonly id: number;
  /** Number of its connection, from 1. */
  readonly connection: number;
}

/** Books a worker that connected, for the first time or again. */
export async function workerAttach(db: Db, worker: NewWorker): Promise<WorkerKey> {
  const rows = await db.query<WorkerKey>(sql`
    insert into baton.worker (instance, server_id, name, host, pid, sdk, slots, tasks, queues, labels, lease_ms)
    values (${worker.instance}, ${worker.serverId}, ${worker.name}, ${worker.host}, ${worker.pid}, ${worker.sdk},
            ${worker.slots}, ${worker.tasks}, ${worker.queues}, ${JSON.stringify(worker.labels)}, ${worker.leaseMs})
    on conflict (instance) do update
       set server_id = excluded.server_id, name = excluded.name, host = excluded.host, pid = excluded.pid,
           sdk = excluded.sdk, slots = excluded.slots, tasks = excluded.tasks, queues = excluded.queues,
           labels = excluded.labels, lease_ms = excluded.lease_ms, is_draining = false,
           connection = worker.connection + 1,
           connected_at = baton.clock(), detached_at = null, gone_at = null
    returning id, connection`);
  const [key] = rows;
  if (key === undefined) throw new Error("insert … returning gave no row");
  return key;
}

/** Books that a connection of a worker is gone. @param silentMs how long nothing was heard of it */
export async function workerDetach(
  db: Db,
  { id, connection }: WorkerKey,
  silentMs: number,
): Promise<void> {
  await db.query(sql`
    update baton.worker
       set detached_at = baton.clock() - ${silentMs}::bigint * interval '1 ms'
     where id = ${id} and connection = ${connection} and detached_at is null and gone_at is null`);
}

/** Books out workers of a server, or of servers that stopped, that are none of those present. */
export async function workerDetachAbsent(
  db: Db,
  serverId: number,
  presentIds: readonly number[],
  attachingMs: number,
): Promise<void> {
  await db.query(
    sql`
    update baton.worker
       set detached_at = baton.clock()
      from baton.server
     where server.id = worker.server_id
       and worker.gone_at is null
       and worker.detached_at is null
       and worker.connected_at < baton.clock() - ${attachingMs}::integer * interval '1 ms'
       and (server.stopped_at is not null
            or (server.id = ${serverId} and worker.id <> all(${presentIds}::bigint[])))`,
    "worker_detach_absent",
  );
}

export async function workerDrain(db: Db, workerId: number): Promise<void> {
  await db.query(sql`update baton.worker set is_draining = true where id = ${workerId}`);
}

/** Marks a worker gone that said good-bye, and locks it. @returns none when another connection of it was booked since */
export function workerLeave(
  tx: Db,
  { id, connection }: WorkerKey,
): Promise<readonly { readonly id: number; readonly name: string }[]> {
  return tx.query(sql`
    update baton.worker
       set gone_at = baton.clock()
     where id = ${id} and connection = ${connection} and gone_at is null
    returning id, name`);
}

/** Marks workers gone whose lease is over, and locks them. @returns those */
export function workerTakeLost(
  tx: Db,
  limit: number,
): Promise<readonly { readonly id: number; readonly name: string }[]> {
  return tx.query(
    sql`
    update baton.worker
       set gone_at = baton.clock()
     where id in (
             select id from baton.worker
              where gone_at is null
                and detached_at < baton.clock() - lease_ms * interval '1 ms'
              order by id
              limit ${limit}
                for update skip locked)
    returning id, name`,
    "worker_take_lost",
  );
}

/**
 * Workers that are gone and hold jobs all the same, locked: a statement that was under way when they went gave them
 * these. Found by skipping through the index of running jobs: costs one probe a worker, not one a job.
 */
export function workerGoneHolding(
  tx: Db,
  limit: number,
): Promise<readonly { readonly id: number; readonly name: string }[]> {
  return tx.query(
    sql`
    with recursive holder as (
      (select worker_id from baton.job where state = 'running' order by worker_id limit 1)
      union all
      select (select job.worker_id
                from baton.job
               where job.state = 'running' and job.worker_id > holder.worker_id
               order by job.worker_id
               limit 1)
        from holder
       where holder.worker_id is not null
    )
    select worker.id, worker.name
      from holder
      join baton.worker on worker.id = holder.worker_id
     where worker.gone_at is not null
     order by worker.id
     limit ${limit}
       for update of worker skip locked`,
    "worker_gone_holding",
  );
}

/** Forgets workers that are gone for longer than attempts are kept. */
export async function workerPrune(db: Db, daysKept: number, limit: number): Promise<number> {
  const rows = await db.query(sql`
    delete from baton.worker
     where id in (
             select id from baton.worker
              where gone_at < baton.clock() - ${daysKept}::integer * interval '1 day'
              order by gone_at
              limit ${limit}
                for update skip locked)
    returning id`);
  return rows.length;
}

/** Forgets servers that stopped long ago and that no worker names. */
export async function serverPrune(db: Db, daysKept: number, limit: number): Promise<number> {
  const rows = await db.query(sql`
    delete from baton.server
     where id in (
             select id from baton.server
              where stopped_at < baton.clock() - ${daysKept}::integer * interval '1 day'
                and not exists (select from baton.worker where worker.server_id = server.id)
              order by id
              limit ${limit}
                for update skip locked)
    returning id`);
  return rows.length;
}

/** Connected workers first, then detached ones, then those gone in the last hour; at most 10,000. */
export async function workerList(db: Db): Promise<readonly WorkerView[]> {
  const rows = await db.query<{
    instance: string;
    name: string;
    state: WorkerState;
    server: string;
    host: string;
    pid: number;
    sdk: string;
    slots: number;
    running_count: number;
    tasks: readonly string[];
    queues: readonly string[];
    labels: Readonly<Record<string, string>>;
    connected_at: Date;
    seen_at: Date;
  }>(sql`
    select worker.instance, worker.name, server.name as server, worker.host, worker.pid, worker.sdk, worker.slots,
           worker.tasks, worker.queues, worker.labels, worker.connected_at,
           case when worker.gone_at is not null then 'gone'
                when worker.detached_at is not null then 'detached'
                when worker.is_draining then 'draining'
                else 'active' end as state,
           coalesce(worker.detached_at, server.renewed_at) as seen_at,
           (select count(*) from baton.job
             where job.worker_id = worker.id and job.state = 'running') as running_count
      from baton.worker
      join baton.server on server.id = worker.server_id
     where worker.gone_at is null or worker.gone_at > baton.clock() - interval '1 hour'
     order by worker.gone_at is not null, worker.detached_at is not null, worker.id
     limit 10000`);
  return rows.map((row) => ({
    id: row.instance,
    name: row.name,
    state: row.state,
    server: row.server,
    host: row.host,
    pid: row.pid,
    sdk: row.sdk,
    slots: row.slots,
    runningCount: row.running_count,
    tasks: row.tasks,
    queues: row.queues,
    labels: row.labels,
    connectedAt: row.connected_at,
    seenAt: row.seen_at,
  }));
}
