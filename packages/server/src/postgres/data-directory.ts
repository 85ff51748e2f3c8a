/**
 * The data directory of the embedded PostgreSQL.
 *
 * ```
 * <directory>/
 *   baton.json      the superuser's password; readable by its owner only
 *   baton.conf      Baton's settings for PostgreSQL, written at each start
 *   postgres/       PostgreSQL's own data, owned by the account that runs it
 *   socket/         its unix socket; a link, where the path is too long for one
 *   postgres.log    what it says
 * ```
 */
import { createHash } from "node:crypto";
import { chmod, lstat, mkdir } from "node:fs/promises";
import path from "node:path";

import { AppError } from "../errors.ts";
import { postgresAccount, unreachablePart, type Account } from "./account.ts";
import { readPassword } from "./password.ts";
import { socketDirectoryOf } from "./socket-directory.ts";

/** Where data directories go whose natural place PostgreSQL's account cannot reach; /var/lib is for such things. */
const SYSTEM_DIRECTORY = "/var/lib/baton";

/**
 * The data directory when none is chosen: `.baton` in `base`. For root it is in /var/lib/baton when the account that
 * runs PostgreSQL cannot reach `base`, under a name that is always the same for the same `base`.
 *
 * @param base absolute; exists
 */
export async function defaultDataDirectory(base: string = process.cwd()): Promise<string> {
  const natural = path.join(base, ".baton");
  const account = await accountFor(path.join(natural, "postgres"));
  const target = (await exists(natural)) ? natural : base;
  if ((await unreachablePart(target, account)) === undefined) return natural;
  const hash = createHash("sha256").update(base).digest("hex").slice(0, 8);
  return path.join(SYSTEM_DIRECTORY, `${path.basename(base) || "root"}-${hash}`);
}

/** The name of PostgreSQL's superuser and of Baton's database in it. */
export const POSTGRES_USER = "baton";

/** A data directory that exists and can be used. */
export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  /** PostgreSQL's own directory; may not exist yet. */
  readonly pgdata: string;
  readonly socketDirectory: string;
  readonly settingsFile: string;
  readonly logFile: string;
  readonly password: string;
  /** Who must run PostgreSQL on it; `undefined`: this process's own user. */
  readonly account: Account | undefined;
}

/**
 * Makes a data directory, or checks an existing one.
 *
 * @throws AppError data_directory_unusable when it cannot be made, read, or reached by the account that must run
 *   PostgreSQL
 */
export async function openDataDirectory(directory: string): Promise<DataDirectory> {
  const absolute = path.resolve(directory);
  try {
    return await open(absolute);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError(
      "data_directory_unusable",
      `The data directory ${absolute} cannot be used: ${error instanceof Error ? error.message : String(error)}. ` +
        "Run as the user that it belongs to, or choose another one with BATON_DATA_DIRECTORY.",
      { directory: absolute },
      { cause: error },
    );
  }
}

async function open(directory: string): Promise<DataDirectory> {
  const isRoot = process.getuid?.() === 0;
  // Below a root directory PostgreSQL's account must be able to pass; what it must not read is protected by itself.
  await makeDirectory(directory, isRoot ? 0o711 : 0o700);

  const pgdata = path.join(directory, "postgres");
  const account = await accountFor(pgdata);
  const unreachable = await unreachablePart(directory, account);
  if (unreachable !== undefined && account !== undefined) {
    throw new AppError(
      "data_directory_unusable",
      `PostgreSQL does not run as root, so Baton runs it as uid ${account.uid}, and that user cannot pass ` +
        `${unreachable} on the way to the data directory ${directory}. Choose a data directory elsewhere with ` +
        `BATON_DATA_DIRECTORY, for example /var/lib/baton/data, or allow passing with chmod o+x ${unreachable}.`,
      { directory, unreachable, uid: account.uid },
    );
  }

  const password = await readPassword(directory, pgdata);
  return {
    path: directory,
    pgdata,
    socketDirectory: await socketDirectoryOf(directory, account),
    settingsFile: path.join(directory, "baton.conf"),
    logFile: path.join(directory, "postgres.log"),
    password,
    account,
  };
}

/** Existing data are run by their owner: by root too, when an ordinary user made them. */
async function accountFor(pgdata: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await lstat(pgdata).catch(() => undefined);
  return owner !== undefined && owner.uid !== 0
    ? { uid: owner.uid, gid: owner.gid }
    : postgresAccount();
}

/** Makes a directory, and those above it that are missing, with exactly this mode; leaves existing ones as they are. */
async function makeDirectory(directory: string, mode: number): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode });
  if (first === undefined) return;
  // The umask may have taken bits away.
  for (let made = directory; made.startsWith(first); made = path.dirname(made)) {
    await chmod(made, mode);
  }
}

async function exists(name: string): Promise<boolean> {
  return lstat(name).then(
    () => true,
    () => false,
  );
}
