/**
 * A PostgreSQL server of Baton's own on a data directory: finds it running, or starts it.
 *
 * It runs in a session of its own, so that Ctrl-C reaches Baton first, and it survives a Baton that is killed: the
 * next start takes it over. It writes to a log file rather than a pipe for the same reason.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";

import { AppError } from "../errors.ts";
import { connectionOf, SILENCE_MS_MAX_DEFAULT, untilAnswering } from "./answering.ts";
import { postgresBinaries, type PostgresBinaries } from "./binaries.ts";
import { openDataDirectory, POSTGRES_USER, type DataDirectory } from "./data-directory.ts";
import { initialiseData } from "./initialise.ts";
import { boundLogFile } from "./log-file.ts";
import { disownPidFile, runningPostmaster, stopPostmaster, waitUntilGone } from "./postmaster.ts";
import { settingsFile } from "./settings.ts";

/** What to start. */
export interface EmbeddedPostgresOptions {
  /** Made if missing. See data-directory.ts for what is in it. */
  readonly dataDirectory: string;
  /** Told what takes time: one sentence each. */
  readonly onLog?: (message: string) => void;
  /**
   * How long a server that is found running may say nothing before it is taken for hung and stopped. Recovery after a
   * crash and shutting down are answers, however long they take. @default 60 000
   */
  readonly silenceMsMax?: number;
  /** Ends the start; a server that it has begun to start is stopped. */
  readonly signal?: AbortSignal;
}

/** A server that answers. */
export interface EmbeddedPostgres {
  /** For the database `baton`, by unix socket. Stays the same over restarts of the server. */
  readonly connection: pg.ClientConfig;
  readonly pid: number;
  readonly logFile: string;
  /** It was running already, left behind by a Baton that was killed. */
  readonly isAdopted: boolean;
  /** Stops the server: fast shutdown, rougher when that takes too long. Safe to call twice. */
  stop(): Promise<void>;
  /** Resolves when the server is gone, for whatever reason. */
  readonly exited: Promise<void>;
}

const START_ATTEMPTS_MAX = 10;
const START_RETRY_MS = 300;
/** Enough of the log to see why it did not start, without filling a terminal. */
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
  if (await initialiseData(directory, binaries, options.signal))
    options.onLog?.(`Made a database in ${directory.path}.`);

  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    const adopted = await adopt(directory, options);
    if (adopted !== undefined) return adopted;
    const logStart = await sizeOf(directory.logFile);
    const started = await startServer(directory, binaries, options);
    if (started !== undefined) return started;
    const log = await logSince(directory.logFile, logStart);
    const isOthers = (await runningPostmaster(directory.pgdata)) !== undefined;
    if (attempt === START_ATTEMPTS_MAX || !(isOthers || isPassing(log))) {
      throw startFailed(directory, log);
    }
    await sleep(START_RETRY_MS, undefined, { ...(options.signal && { signal: options.signal }) });
  }
}

/**
 * Whether a start may succeed when it is repeated: another server was faster and has ended meanwhile, or backends of
 * one that was killed hold its memory for a moment.
 */
function isPassing(log: string): boolean {
  return /lock file .* already exists|pre-existing shared memory block/.test(log);
}

function startFailed(directory: DataDirectory, log: string): AppError {
  return new AppError(
    "postgres_start_failed",
    `The embedded PostgreSQL does not start on ${directory.path}. Its log (${directory.logFile}) ends with: ` +
      (log.slice(-LOG_TAIL_CHARACTERS).trim() || "(nothing)"),
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
  const { signal, silenceMsMax = SILENCE_MS_MAX_DEFAULT } = options;
  switch (await untilAnswering(server, { signal, silenceMsMax })) {
    case "ready":
      options.onLog?.(`Found PostgreSQL running on ${directory.path} (pid ${pid}).`);
      return running(server);
    case "gone":
      return undefined;
    case "silent":
      options.onLog?.(`PostgreSQL (pid ${pid}) does not answer; stopping it.`);
      await stopPostmaster(pid, directory.pgdata);
      return undefined;
  }
}

/** Starts a server; `undefined` when it ends at once, or is about to because another one was faster. */
async function startServer(
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
    const { signal } = options;
    switch (await untilAnswering(server, { signal, silenceMsMax: SILENCE_MS_MAX_DEFAULT })) {
      case "ready":
        // Another Baton's server may have been faster: then it is the one that answers, and this one ends.
        return (await runningPostmaster(directory.pgdata)) === pid ? running(server) : undefined;
      case "gone":
        return undefined;
      case "silent":
        throw startFailed(directory, "It runs, but does not answer.");
    }
  } catch (error) {
    await stopPostmaster(pid, directory.pgdata);
    throw error;
  }
}

/** Writes the settings, and clears what a dead server left that could keep a new one from starting. */
async function prepare(directory: DataDirectory): Promise<void> {
  await writeFile(directory.settingsFile, settingsFile());
  // Nothing secret, and PostgreSQL's account must read it whatever the umask is.
  await chmod(directory.settingsFile, 0o644);
  await disownPidFile(directory.pgdata);
  // Like the pid file it names a process, whose number may belong to a stranger by now.
  await rm(path.join(directory.socketDirectory, ".s.PGSQL.5432.lock"), { force: true });
}

async function spawnPostgres(
  directory: DataDirectory,
  binaries: PostgresBinaries,
): Promise<ChildProcess> {
  await boundLogFile(directory.logFile);
  const log = await open(directory.logFile, "a", 0o600);
  try {
    const child = spawn(
      binaries.postgres,
      ["-D", directory.pgdata, "-k", directory.socketDirectory],
      {
        ...directory.account,
        cwd: directory.pgdata,
        detached: true,
        env: { LC_ALL: "C", TZ: "UTC" },
        stdio: ["ignore", log.fd, log.fd],
      },
    );
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

function running(server: Server): EmbeddedPostgres {
  const { directory, pid, isAdopted, exited, onStopped } = server;
  return {
    connection: connectionOf(directory, POSTGRES_USER),
    pid,
    logFile: directory.logFile,
    isAdopted,
    exited,
    stop: async () => {
      await stopPostmaster(pid, directory.pgdata);
      onStopped();
    },
  };
}

async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}

async function logSince(file: string, offset: number): Promise<string> {
  const text = await readFile(file).catch(() => Buffer.alloc(0));
  // The file begins again when it has grown too large.
  return text.subarray(text.length >= offset ? offset : 0).toString();
}
