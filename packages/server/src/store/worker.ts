/** Statements about workers. The lease protocol stands in job-lease.ts. */
import type { WorkerState, WorkerView } from "../domain/views.ts";
import type { Db } from "./db.ts";
import { bigintArray } from "./array-parameter.ts";
import { runsWith } from "./lease-batch.ts";
import { sql } from "./sql.ts";

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
            or (server.id = ${serverId} and worker.id <> all(${bigintArray(presentIds)}::bigint[])))`,
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

/** A worker without connection that nobody has marked gone. */
export const detachedWorker = sql`gone_at is null and detached_at is not null`;

/** A worker whose lease is over, and that nobody has marked gone. */
export const lostWorker = sql`gone_at is null and detached_at < baton.clock() - lease_ms * interval '1 ms'`;

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
              where ${lostWorker}
              order by id
              limit ${limit}
                for update skip locked)
    returning id, name`,
    "worker_take_lost",
  );
}

/** Workers, of all servers, that may hold running jobs. */
export function workerHolding(db: Db): Promise<readonly { readonly worker_id: number }[]> {
  return db.query(sql`select distinct worker_id from baton.lease_batch`, "worker_holding");
}

/**
 * Workers that are gone and may hold jobs all the same, locked: a statement that was under way when they went gave them
 * these.
 */
export function workerGoneHolding(
  tx: Db,
  limit: number,
): Promise<readonly { readonly id: number; readonly name: string }[]> {
  return tx.query(
    sql`
    select worker.id, worker.name
      from baton.worker
     where worker.gone_at is not null
       and worker.id = any(array(select distinct worker_id from baton.lease_batch))
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
                and id <> all(array(select worker_id from baton.lease_batch))
              order by gone_at
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
           (select count(*) from baton.job where ${runsWith(sql`array[worker.id]`)}) as running_count
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
