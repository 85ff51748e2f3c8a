/** Statements about servers, which lease their workers. The lease protocol stands in job-lease.ts. */
import type { ServerView } from "../domain/views.ts";
import type { Db } from "./db.ts";
import { sql, type Statement } from "./sql.ts";

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

/** A server that nobody has declared dead. @param ownId the caller's own, which is none of them */
export function otherServer(ownId: number): Statement {
  return sql`stopped_at is null and id <> ${ownId}`;
}

/** One of those that did not renew for so long. */
export function silentServer(ownId: number, silentMs: number): Statement {
  return sql`${otherServer(ownId)}
         and renewed_at < baton.clock() - ${silentMs}::integer * interval '1 ms'`;
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
       where ${silentServer(ownId, silentMs)}
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
