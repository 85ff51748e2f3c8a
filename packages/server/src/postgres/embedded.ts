/**
 * A PostgreSQL server of Baton's own on a data directory: finds it running, or starts it.
 *
 * It runs in a session of its own, so that Ctrl-C reaches Baton first, and it survives a Baton that is killed: the
 * next start takes it over. It writes to a log file rather than a pipe for the same reason.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, open, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { AppError } from "../errors.ts";
import { postgresBinaries, type PostgresBinaries } from "./binaries.ts";
import { openDataDirectory, POSTGRES_USER, type DataDirectory } from "./data-directory.ts";
import { initialiseData } from "./initialise.ts";
import { disownPidFile, isAlive, runningPostmaster, stopPostmaster, waitUntilGone } from "./postmaster.ts";
import { settingsFile } from "./settings.ts";

/** What to start. */
export interface EmbeddedPostgresOptions {
  /** Made if missing. See data-directory.ts for what is in it. */
  readonly dataDirectory: string;
  /** Told what takes time: one sentence each. */
  readonly onLog?: (message: string) => void;
  /** Ends the start; a server that it has begun to start is stopped. */
  readonly signal?: AbortSignal;
}

/** A server that answers. */
export interface EmbeddedPostgres {
  /** For the database `baton`, by unix socket. Stays the same over restarts of the server. */
  readonly connection: pg.ClientConfig;
  readonly pid: number;
  /** It was running already, left behind by a Baton that was killed. */
  readonly isAdopted: boolean;
  /** Stops the server: fast shutdown, rougher when that takes too long. Safe to call twice. */
  stop(): Promise<void>;
  /** Resolves when the server is gone, for whatever reason. */
  readonly exited: Promise<void>;
}

/** A server that says nothing for so long is hung. Recovery and shutdown count as saying something. */
const SILENCE_MS_MAX = 15_000;
/** Backends of a server that was killed hold its memory for a moment, in which no other can start. */
const START_ATTEMPTS_MAX = 10;
const START_RETRY_MS = 300;
const CONNECT_TIMEOUT_MS = 3_000;
/** Enough of the log to see why it did not start. */
const LOG_TAIL_CHARACTERS = 2_000;

/**
 * Starts PostgreSQL on a data directory, or adopts the one that runs there.
 *
 * @throws AppError data_directory_unusable, postgres_version_mismatch, postgres_start_failed
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const directory = await openDataDirectory(options.dataDirectory);
  const binaries = await postgresBinaries(directory.account);
  options.signal?.throwIfAborted();
  if (await initialiseData(directory, binaries)) options.onLog?.(`Made a database in ${directory.path}.`);

  for (let attempt = 1; attempt <= START_ATTEMPTS_MAX; attempt += 1) {
    options.signal?.throwIfAborted();
    const server = (await adopt(directory, options)) ?? (await start(directory, binaries, options));
    if (server !== undefined) return server;
    await sleep(START_RETRY_MS, undefined, { ...(options.signal && { signal: options.signal }) });
  }
  throw new AppError(
    "postgres_start_failed",
    `The embedded PostgreSQL does not start on ${directory.path}. The end of ${directory.logFile} says: ` +
      (await logTail(directory.logFile)),
    { directory: directory.path, log: directory.logFile },
  );
}

/** Takes over a running server; stops one that does not answer. */
async function adopt(
  directory: DataDirectory,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres | undefined> {
  const pid = await runningPostmaster(directory.pgdata);
  if (pid === undefined) return undefined;
  const exited = Promise.withResolvers<void>();
  void waitUntilGone(pid, { isBackground: true }).then(() => exited.resolve());
  const server: Server = {
    directory,
    pid,
    isAdopted: true,
    exited: exited.promise,
    onStopped: exited.resolve,
  };
  switch (await untilAnswering(server, options.signal)) {
    case "ready":
      options.onLog?.(`Found PostgreSQL running on ${directory.path} (pid ${pid}).`);
      return ready(server);
    case "gone":
      return undefined;
    case "silent":
      options.onLog?.(`PostgreSQL (pid ${pid}) does not answer; stopping it.`);
      await stopPostmaster(pid, directory.pgdata);
      return undefined;
  }
}

/** Starts a server; `undefined` when it ends at once. */
async function start(
  directory: DataDirectory,
  binaries: PostgresBinaries,
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres | undefined> {
  await prepare(directory);
  const child = await spawnPostgres(directory, binaries);
  const { pid } = child;
  if (pid === undefined) throw new Error("A process that was spawned has no pid.");
  const exited = Promise.withResolvers<void>();
  child.once("exit", () => exited.resolve());
  const server: Server = {
    directory,
    pid,
    isAdopted: false,
    exited: exited.promise,
    onStopped: exited.resolve,
  };
  try {
    if ((await untilAnswering(server, options.signal)) === "ready") return await ready(server);
  } catch (error) {
    await stopPostmaster(pid, directory.pgdata);
    throw error;
  }
  await stopPostmaster(pid, directory.pgdata);
  return undefined;
}

/** Writes the settings, and clears what a dead server left that could keep a new one from starting. */
async function prepare(directory: DataDirectory): Promise<void> {
  const settings = path.join(directory.pgdata, "baton.conf");
  await writeFile(settings, settingsFile());
  await chmod(settings, 0o644);
  await disownPidFile(directory.pgdata);
  // Like the pid file it names a process, whose number may belong to a stranger by now.
  await rm(path.join(directory.socketDirectory, ".s.PGSQL.5432.lock"), { force: true });
}

async function spawnPostgres(
  directory: DataDirectory,
  binaries: PostgresBinaries,
): Promise<ChildProcess> {
  const log = await open(directory.logFile, "a", 0o600);
  try {
    const child = spawn(binaries.postgres, ["-D", directory.pgdata, "-k", directory.socketDirectory], {
      ...directory.account,
      cwd: directory.pgdata,
      detached: true,
      env: { LC_ALL: "C", TZ: "UTC" },
      stdio: ["ignore", log.fd, log.fd],
    });
    await once(child, "spawn");
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}

interface Server {
  readonly directory: DataDirectory;
  readonly pid: number;
  readonly isAdopted: boolean;
  readonly exited: Promise<void>;
  /** Resolves `exited` at once, before the system tells. */
  readonly onStopped: () => void;
}

async function ready(server: Server): Promise<EmbeddedPostgres> {
  const { directory, pid, isAdopted, exited, onStopped } = server;
  await ensureDatabase(directory);
  return {
    connection: connectionOf(directory, POSTGRES_USER),
    pid,
    isAdopted,
    exited,
    stop: async () => {
      await stopPostmaster(pid, directory.pgdata);
      onStopped();
    },
  };
}

function connectionOf(directory: DataDirectory, database: string): pg.ClientConfig {
  return {
    host: directory.socketDirectory,
    // All named, because pg would take what is missing from PGPORT, PGSSLMODE and the like.
    port: 5432,
    ssl: false,
    user: POSTGRES_USER,
    password: directory.password,
    database,
  };
}

/** Connects until it works, the server is gone, or nothing has been heard from it for too long. */
async function untilAnswering(
  server: Server,
  signal: AbortSignal | undefined,
): Promise<"ready" | "gone" | "silent"> {
  let silentSince = Date.now();
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 200)) {
    const answer = await connectOnce(server.directory);
    if (answer === "ready") return "ready";
    if (answer === "busy") silentSince = Date.now();
    if (!(await isAlive(server.pid))) return "gone";
    if (Date.now() - silentSince > SILENCE_MS_MAX) return "silent";
    await sleep(waitMs, undefined, { ...(signal && { signal }) });
  }
}

async function connectOnce(directory: DataDirectory): Promise<"ready" | "busy" | "silent"> {
  const client = new pg.Client({
    ...connectionOf(directory, "postgres"),
    application_name: "baton start",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
    return "ready";
  } catch (error) {
    return classify(error, directory);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function classify(error: unknown, directory: DataDirectory): "busy" | "silent" {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  // Starting up, recovering, shutting down (57P…), or all connections taken (53300).
  if (code.startsWith("57P") || code === "53300") return "busy";
  if (code.startsWith("28")) {
    throw new AppError(
      "data_directory_unusable",
      `PostgreSQL on ${directory.path} does not accept the password in ${path.join(directory.path, "baton.json")}. ` +
        "Restore that file from a backup, or choose another data directory with BATON_DATA_DIRECTORY.",
      { directory: directory.path },
      { cause: error },
    );
  }
  return "silent";
}

async function ensureDatabase(directory: DataDirectory): Promise<void> {
  const client = new pg.Client({
    ...connectionOf(directory, "postgres"),
    application_name: "baton start",
  });
  await client.connect();
  try {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [
      POSTGRES_USER,
    ]);
    if (rowCount === 0) await client.query(`create database ${POSTGRES_USER}`);
  } catch (error) {
    // 42P04, 23505: another Baton that starts at the same time has just made it.
    if (!["42P04", "23505"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await client.end();
  }
}

async function logTail(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.slice(-LOG_TAIL_CHARACTERS).trim() || "(nothing)";
}
