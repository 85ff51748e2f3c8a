import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { AppError } from "../errors.ts";

/** The right to use an embedded PostgreSQL, held by at most one Baton at a time. */
export interface DataDirectoryLock {
  /** Resolves when the lock is lost although it was not released: the server went away, or ended the session. */
  readonly lost: Promise<void>;
  release(): Promise<void>;
}

/** A Baton that is stopping needs a moment, and restarting it must not fail for that. */
const WAIT_MS_DEFAULT = 3_000;
const RETRY_MS = 50;
// "batondir" in ASCII. As text, because it is larger than a JavaScript number holds.
const LOCK_KEY = 0x62_61_74_6f_6e_64_69_72n.toString();

/**
 * Takes the lock of the database that `connection` leads to, on a connection of its own. It ends with the process,
 * however that ends.
 *
 * @param options `waitMs` how long to wait for the present holder, default 3 000
 * @throws AppError data_directory_in_use with the `pid` of the Baton that holds it
 */
export async function lockDataDirectory(
  connection: pg.ClientConfig,
  options: { readonly waitMs?: number; readonly signal?: AbortSignal } = {},
): Promise<DataDirectoryLock> {
  const client = new pg.Client({
    ...connection,
    application_name: `baton pid ${process.pid}`,
    keepAlive: true,
  });
  const lost = Promise.withResolvers<void>();
  client.on("error", () => lost.resolve());
  await client.connect();
  try {
    // A user's setting for forgotten sessions must not end this one.
    await client.query("set idle_session_timeout = 0");
    await acquire(client, options.waitMs ?? WAIT_MS_DEFAULT, options.signal);
  } catch (error) {
    await client.end();
    throw error;
  }
  return { lost: lost.promise, release: () => client.end() };
}

async function acquire(
  client: pg.Client,
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!(await tryLock(client))) {
    if (Date.now() >= deadline) throw inUse(await holderPid(client));
    await sleep(RETRY_MS, undefined, { ...(signal && { signal }) });
  }
}

async function tryLock(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ isLocked: boolean }>(
    'select pg_try_advisory_lock($1) as "isLocked"',
    [LOCK_KEY],
  );
  return rows[0]?.isLocked ?? false;
}

/** `undefined` when the holder has just gone, or did not name itself. */
async function holderPid(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `select activity.application_name as name
       from pg_locks as lock
       join pg_stat_activity as activity on activity.pid = lock.pid
      where lock.locktype = 'advisory'
        and lock.granted
        and lock.database = (select oid from pg_database where datname = current_database())
        and (lock.classid::bigint << 32) | lock.objid::bigint = $1::bigint
        and lock.objsubid = 1`,
    [LOCK_KEY],
  );
  const pid = /^baton pid (\d+)$/.exec(rows[0]?.name ?? "")?.[1];
  return pid === undefined ? undefined : Number(pid);
}

function inUse(pid: number | undefined): AppError {
  return new AppError(
    "data_directory_in_use",
    `Another Baton${pid === undefined ? "" : ` (pid ${pid})`} is using this data directory. ` +
      "Stop it first, choose another directory with BATON_DATA_DIRECTORY, or give several servers one PostgreSQL " +
      "of your own with DATABASE_URL.",
    pid === undefined ? {} : { pid },
  );
}
