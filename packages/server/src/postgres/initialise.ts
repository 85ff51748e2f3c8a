import { execFile } from "node:child_process";
import {
  appendFile,
  chown,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

import { AppError } from "../errors.ts";
import { errorCode } from "../store/error-code.ts";
import type { PostgresBinaries } from "./binaries.ts";
import { POSTGRES_USER, type DataDirectory } from "./data-directory.ts";
import { isAlive } from "./postmaster.ts";

const DRAFT_PREFIX = "initialising-";

/**
 * Makes PostgreSQL's data if there are none, and checks that existing ones are of this major version.
 *
 * Works in a directory aside that is renamed when complete, so that a process killed half way leaves nothing that
 * looks like data. Of two processes at once, the first to finish wins.
 *
 * @returns whether new data were made
 * @throws AppError postgres_version_mismatch, data_directory_unusable
 */
export async function initialiseData(
  directory: DataDirectory,
  binaries: PostgresBinaries,
  signal?: AbortSignal,
): Promise<boolean> {
  await removeAbandonedDrafts(directory.path);
  const found = await versionOf(directory.pgdata);
  if (found !== undefined) {
    requireMajor(found, binaries.major, directory);
    return false;
  }
  const draft = await mkdtemp(path.join(directory.path, `${DRAFT_PREFIX}${process.pid}-`));
  try {
    await runInitdb(draft, directory, binaries);
    await rename(draft, directory.pgdata);
    return true;
  } catch (error) {
    // Ctrl-C reaches initdb, too, and its end is no fault of the directory.
    signal?.throwIfAborted();
    if ((await versionOf(directory.pgdata)) !== undefined) return false;
    if (/could not look up effective user ID/.test(reasonOf(error)))
      throw unknownUser(directory, error);
    throw new AppError(
      "data_directory_unusable",
      `PostgreSQL's data could not be made in ${directory.pgdata}: ${reasonOf(error)}. ` +
        "Check that the disk has room and that the directory is empty, or choose another one with BATON_DATA_DIRECTORY.",
      { directory: directory.path },
      { cause: error },
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function runInitdb(
  pgdata: string,
  directory: DataDirectory,
  binaries: PostgresBinaries,
): Promise<void> {
  const { account } = directory;
  // Beside the data, because initdb wants an empty directory.
  const passwordFile = `${pgdata}.password`;
  try {
    await writeFile(passwordFile, `${directory.password}\n`, { mode: 0o600, flag: "wx" });
    if (account !== undefined) {
      await chown(pgdata, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    await promisify(execFile)(
      binaries.initdb,
      [
        `--pgdata=${pgdata}`,
        `--username=${POSTGRES_USER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        // Sorts by code point everywhere alike, whatever the system's C library thinks, and still knows Unicode.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
      ],
      { ...account, cwd: pgdata, env: { LC_ALL: "C", TZ: "UTC" } },
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
  await appendFile(
    path.join(pgdata, "postgresql.conf"),
    "\n# Baton's settings. What stands below this line wins over them.\ninclude_if_exists = '../baton.conf'\n",
    { flush: true },
  );
}

/** Containers are often run as a number without a name. */
function unknownUser(directory: DataDirectory, cause: unknown): AppError {
  const uid = directory.account?.uid ?? process.getuid?.();
  return new AppError(
    "postgres_start_failed",
    `PostgreSQL's data can only be made by a user with a name, and user id ${uid} has no entry in /etc/passwd. ` +
      "Run Baton as a user that has one (in a container: root, or --user node), add an entry, " +
      "or set DATABASE_URL to a PostgreSQL of your own.",
    { uid },
    { cause },
  );
}

function requireMajor(found: number, expected: number, directory: DataDirectory): void {
  if (found === expected) return;
  throw new AppError(
    "postgres_version_mismatch",
    `The data in ${directory.pgdata} were made by PostgreSQL ${found}, and this Baton brings PostgreSQL ${expected}. ` +
      `Move the data with pg_dump of PostgreSQL ${found} (or pg_upgrade) into a new data directory, ` +
      `run the Baton version that made them, or serve them with a PostgreSQL ${found} of your own and DATABASE_URL.`,
    { directory: directory.path, found, expected },
  );
}

/** The major version of the data in a directory; `undefined` when there are none. */
async function versionOf(pgdata: string): Promise<number | undefined> {
  const text = await readFile(path.join(pgdata, "PG_VERSION"), "utf8").catch((error: unknown) => {
    if (errorCode(error) !== "ENOENT") throw error;
    return undefined;
  });
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

/** Removes what processes that are gone left half made. */
async function removeAbandonedDrafts(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = new RegExp(`^${DRAFT_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || (Number(pid) !== process.pid && (await isAlive(Number(pid)))))
      continue;
    // Its initdb may still be at work; then the next start removes the rest.
    await rm(path.join(directory, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error);
}
