import { createHash } from "node:crypto";
import { lchown, lstat, mkdir, mkdtemp, readlink, rm, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { errorCode } from "../store/error-code.ts";
import type { Account } from "./account.ts";

// The address of a unix socket holds 108 bytes on Linux and 104 on macOS, one of them a zero.
const SOCKET_PATH_BYTES_MAX = process.platform === "darwin" ? 103 : 107;
const SOCKET_FILE = ".s.PGSQL.5432";

/**
 * Finds or makes the directory of the socket: `socket` in the data directory, or, where that path is too long for a
 * socket, a directory below /tmp that `socket` links to. Private, because whoever may enter may try passwords.
 *
 * @param directory the data directory, absolute
 * @param account who must be able to make the socket in it; `undefined`: this process's own user
 */
export async function socketDirectoryOf(
  directory: string,
  account: Account | undefined,
): Promise<string> {
  const inside = path.join(directory, "socket");
  if (!isShortEnough(inside)) return linkedDirectory(inside, account);
  await mkdir(inside, { recursive: true, mode: 0o700 });
  await giveTo(inside, account);
  return inside;
}

async function linkedDirectory(link: string, account: Account | undefined): Promise<string> {
  const parent = isShortEnough(path.join(os.tmpdir(), "baton-01234567-abcdef"))
    ? os.tmpdir()
    : "/tmp";
  // Names the place, so that a copy of the data directory does not share the socket of the original.
  const place = createHash("sha256").update(link).digest("hex").slice(0, 8);
  const prefix = path.join(parent, `baton-${place}-`);

  if (await exists(link)) {
    const present = await readlink(link).catch(() => "");
    if (present.startsWith(prefix) && (await isPrivate(present, account))) return present;
    await rm(link, { recursive: true, force: true });
  }
  // A random name, so that nobody can have made it first.
  const made = await mkdtemp(prefix);
  await giveTo(made, account);
  await symlink(made, link).catch(async (error: unknown) => {
    await rm(made, { recursive: true });
    // Another Baton that starts at the same time was faster.
    if (errorCode(error) !== "EEXIST") throw error;
  });
  return readlink(link);
}

function isShortEnough(directory: string): boolean {
  return Buffer.byteLength(path.join(directory, SOCKET_FILE)) <= SOCKET_PATH_BYTES_MAX;
}

async function isPrivate(directory: string, account: Account | undefined): Promise<boolean> {
  const entry = await lstat(directory).catch(() => undefined);
  const owner = account?.uid ?? process.getuid?.();
  return (
    entry !== undefined && entry.isDirectory() && entry.uid === owner && (entry.mode & 0o077) === 0
  );
}

/** Gives a directory to the account. A link in its place is left alone: it could lead anywhere. */
async function giveTo(directory: string, account: Account | undefined): Promise<void> {
  if (account === undefined || !(await lstat(directory)).isDirectory()) return;
  await lchown(directory, account.uid, account.gid);
}

async function exists(name: string): Promise<boolean> {
  return lstat(name).then(
    () => true,
    () => false,
  );
}
