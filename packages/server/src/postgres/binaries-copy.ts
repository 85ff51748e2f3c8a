import { createHash } from "node:crypto";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { unreachablePart, type Account } from "./account.ts";
import { linkLibraries } from "./library-links.ts";

/** Where copies may go, best first: systems clean up /var/tmp and /tmp under a server that runs for weeks. */
export function copyParents(): readonly string[] {
  const uid = process.getuid?.() ?? 0;
  const own =
    uid === 0
      ? "/var/lib/baton"
      : path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "baton");
  return [own, `/var/tmp/baton-${uid}`, path.join(os.tmpdir(), `baton-${uid}`)];
}

/**
 * Copies the programs once to a place below `parent` that the account can reach, and finds the copy there the next
 * time.
 *
 * The copy is named by what it holds, so an upgrade makes a new one, and one that a cleaner of temporary files has
 * gnawed at is seen and replaced.
 *
 * @throws Error when `parent` cannot be made, trusted or passed
 */
export async function copyBelow(
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
    await rename(native, copy).catch(async () => {
      // Another Baton made the same copy meanwhile, or a damaged one is in the way.
      if (await isIntact(copy, fingerprint)) return;
      await rename(copy, path.join(draft, "damaged"));
      await rename(native, copy);
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
  const made = await mkdir(directory, { recursive: true });
  // The umask may have taken bits away.
  if (made !== undefined) await chmod(directory, 0o755);
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
