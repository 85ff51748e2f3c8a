import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { AppError } from "../errors.ts";
import { errorCode } from "../store/error-code.ts";
import { POSTGRES_USER, type DataDirectory } from "./data-directory.ts";
import { isAlive } from "./postmaster.ts";

/** Long, because a machine that is busy swapping or reading its programs from a slow disk is not a hung server. */
export const SILENCE_MS_MAX_DEFAULT = 60_000;
const CONNECT_TIMEOUT_MS_MAX = 10_000;

/** How to connect to a server on this data directory. */
export function connectionOf(directory: DataDirectory, database: string): pg.ClientConfig {
  return {
    host: directory.socketDirectory,
    // All named, because pg would take what is missing from PGPORT, PGSSLMODE and the like.
    port: 5432,
    ssl: false,
    user: POSTGRES_USER,
    password: directory.password,
    // PostgreSQL's default path begins with the user's name, which here is that of our schema: statements that forget
    // the schema would work here, and fail on a database with another user.
    options: "-c search_path=public",
    database,
  };
}

/**
 * Connects until it works and Baton's database is there, the server is gone, or nothing has been heard from it for
 * too long.
 *
 * @param server the pid of the server, and the data directory that it runs on
 * @param options `silenceMsMax`: being busy with recovery or shutdown is no silence
 * @throws AppError data_directory_unusable, postgres_start_failed when the server refuses Baton
 */
export async function untilAnswering(
  server: { readonly directory: DataDirectory; readonly pid: number },
  options: {
    readonly silenceMsMax: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<"ready" | "gone" | "silent"> {
  const { silenceMsMax, signal } = options;
  const timeoutMs = Math.min(silenceMsMax, CONNECT_TIMEOUT_MS_MAX);
  let silentSince = Date.now();
  for (let waitMs = 10; ; waitMs = Math.min(waitMs * 2, 200)) {
    const answer = await connectOnce(server.directory, timeoutMs);
    if (answer === "ready") return "ready";
    if (answer === "busy") silentSince = Date.now();
    if (!(await isAlive(server.pid))) return "gone";
    if (Date.now() - silentSince > silenceMsMax) return "silent";
    await sleep(waitMs, undefined, { ...(signal && { signal }) });
  }
}

async function connectOnce(
  directory: DataDirectory,
  timeoutMs: number,
): Promise<"ready" | "busy" | "silent"> {
  const client = new pg.Client({
    ...connectionOf(directory, "postgres"),
    application_name: "baton start",
    connectionTimeoutMillis: timeoutMs,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await ensureDatabase(client);
    return "ready";
  } catch (error) {
    return classify(error, directory);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function classify(error: unknown, directory: DataDirectory): "busy" | "silent" {
  if (!(error instanceof pg.DatabaseError)) return "silent";
  const code = error.code ?? "";
  // Starting up, recovering or shutting down.
  if (code.startsWith("57P")) return "busy";
  if (code.startsWith("28")) {
    throw new AppError(
      "data_directory_unusable",
      `PostgreSQL on ${directory.path} does not accept the password in ${path.join(directory.path, "baton.json")}. ` +
        "Restore that file from a backup, or choose another data directory with BATON_DATA_DIRECTORY.",
      { directory: directory.path },
      { cause: error },
    );
  }
  throw new AppError(
    "postgres_start_failed",
    `The embedded PostgreSQL on ${directory.path} runs, but refuses its owner: ${error.message}.`,
    { directory: directory.path, sqlState: code },
    { cause: error },
  );
}

async function ensureDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query("select from pg_database where datname = $1", [
    POSTGRES_USER,
  ]);
  if (rowCount === 1) return;
  await client.query(`create database ${POSTGRES_USER}`).catch((error: unknown) => {
    // 42P04, 23505: another Baton that starts at the same time has just made it.
    if (!["42P04", "23505"].includes(errorCode(error))) throw error;
  });
}
