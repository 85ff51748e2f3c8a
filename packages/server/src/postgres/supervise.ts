/**
 * The embedded PostgreSQL for as long as Baton runs: one owner, and a server that comes back when it dies.
 *
 * The address stays the same, so pools connect again by themselves. A server that was adopted is watched like one
 * that was started.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";

import { AppError } from "../errors.ts";
import { isConnectionError } from "../store/db.ts";
import { lockDataDirectory, type DataDirectoryLock } from "./data-directory-lock.ts";
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
} from "./embedded.ts";
import { boundLogFile } from "./log-file.ts";

export interface SupervisedPostgres {
  /** For the database `baton`. Stays the same over restarts. */
  readonly connection: pg.ClientConfig;
  /** Of the server that runs at present. */
  readonly pid: number;
  /** The server was running already when Baton started. */
  readonly isAdopted: boolean;
  /** Resolves when supervision has ended because another Baton took the data directory: this one must end, too. */
  readonly failed: Promise<AppError>;
  /** Ends supervision and stops the server. Safe to call twice. */
  stop(): Promise<void>;
}

/** Pauses before the first, second … restart in a row; the last one repeats. */
const RESTART_PAUSES_MS = [0, 100, 500, 2_000, 5_000] as const;
/** A server that ran for so long had started well. */
const STABLE_MS = 30_000;
const LOG_CHECK_MS = 30_000;
/** A server that is being stopped by its former owner takes our connection with it. */
const LOCK_ATTEMPTS_MAX = 10;

/**
 * Starts or adopts the server, takes the data directory for this process, and keeps both until `stop`.
 *
 * `signal` ends the start only.
 *
 * @throws AppError data_directory_in_use, data_directory_unusable, postgres_version_mismatch, postgres_start_failed
 */
export async function superviseEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<SupervisedPostgres> {
  let owned = await own(options);
  const { connection, isAdopted } = owned.server;
  const stopping = new AbortController();
  const failed = Promise.withResolvers<AppError>();

  const supervision = keepRunning(owned, options, stopping.signal, (next) => {
    owned = next;
  }).catch((error: unknown) => {
    failed.resolve(asAppError(error));
  });
  const logs = keepLogSmall(owned.server.logFile, stopping.signal);

  return {
    connection,
    isAdopted,
    get pid() {
      return owned.server.pid;
    },
    failed: failed.promise,
    stop: async () => {
      stopping.abort();
      await supervision;
      await logs;
      // Stopped before it is released: a Baton that waits for the directory must not adopt what is about to end.
      await owned.server.stop();
      await owned.lock.release();
    },
  };
}

interface Owned {
  readonly server: EmbeddedPostgres;
  readonly lock: DataDirectoryLock;
}

async function own(options: EmbeddedPostgresOptions): Promise<Owned> {
  let isStartedHere = false;
  for (let attempt = 1; ; attempt += 1) {
    const server = await startEmbeddedPostgres(options);
    isStartedHere ||= !server.isAdopted;
    try {
      const lock = await lockDataDirectory(server.connection, {
        ...(options.signal && { signal: options.signal }),
      });
      return { server, lock };
    } catch (error) {
      if (isConnectionError(error) && attempt < LOCK_ATTEMPTS_MAX) continue;
      const isOthers = error instanceof AppError && error.code === "data_directory_in_use";
      if (!isOthers && isStartedHere) await server.stop();
      throw error;
    }
  }
}

/** @throws AppError data_directory_in_use when another Baton was faster after a crash of the server */
async function keepRunning(
  first: Owned,
  options: EmbeddedPostgresOptions,
  stopping: AbortSignal,
  onOwned: (owned: Owned) => void,
): Promise<void> {
  const stopRequested = aborted(stopping);
  let owned = first;
  let failures = 0;
  for (;;) {
    const since = Date.now();
    await Promise.race([owned.server.exited, owned.lock.lost, stopRequested]);
    if (stopping.aborted) return;
    await owned.lock.release().catch(() => undefined);
    failures = Date.now() - since > STABLE_MS ? 0 : failures;
    const again = await ownAgain(options, stopping, failures);
    if (again === undefined) return;
    owned = again.owned;
    failures = again.failures;
    onOwned(owned);
  }
}

/** Tries until it works; `undefined` when stopped meanwhile. */
async function ownAgain(
  options: EmbeddedPostgresOptions,
  stopping: AbortSignal,
  failures: number,
): Promise<{ readonly owned: Owned; readonly failures: number } | undefined> {
  for (let failureCount = failures; ; failureCount += 1) {
    const pauseMs = RESTART_PAUSES_MS[failureCount] ?? 5_000;
    options.onLog?.(
      `The embedded PostgreSQL went away; starting it again${pauseMs > 0 ? ` in ${pauseMs} ms` : ""}.`,
    );
    try {
      await sleep(pauseMs, undefined, { signal: stopping });
      const owned = await own({ ...options, signal: stopping });
      options.onLog?.(`The embedded PostgreSQL is back (pid ${owned.server.pid}).`);
      return { owned, failures: failureCount + 1 };
    } catch (error) {
      if (stopping.aborted) return undefined;
      if (error instanceof AppError && error.code === "data_directory_in_use") throw error;
      options.onLog?.(error instanceof Error ? error.message : String(error));
    }
  }
}

async function keepLogSmall(file: string, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    // A full disk is no reason to end anything.
    await boundLogFile(file).catch(() => undefined);
    await sleep(LOG_CHECK_MS, undefined, { signal: stopping, ref: false }).catch(() => undefined);
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
  });
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError
    ? error
    : new AppError("internal", "Supervision of PostgreSQL has ended.", {}, { cause: error });
}
