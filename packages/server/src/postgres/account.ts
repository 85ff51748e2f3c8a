/**
 * Who runs PostgreSQL. It refuses to run as root, so a root Baton runs it as `nobody`, an account that exists on
 * every system; an ordinary user runs it as itself.
 */
import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";

/** The ids that a root Baton gives to PostgreSQL's processes and files. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

// What Linux calls nobody and nogroup wherever /etc/passwd does not say otherwise.
const NOBODY: Account = { uid: 65_534, gid: 65_534 };

/** Finds the account that PostgreSQL must run as; `undefined` when it can run as this process itself does. */
export async function postgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  // Minimal containers have no /etc/passwd; an id needs no entry to be used.
  const passwd = await readFile("/etc/passwd", "utf8").catch(() => "");
  return parseNobody(passwd) ?? NOBODY;
}

/**
 * Reads the ids of `nobody` from the text of /etc/passwd.
 *
 * @returns `undefined` when the text has no such line, or gives it root's id
 */
export function parseNobody(passwd: string): Account | undefined {
  const match = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(passwd);
  if (match === null) return undefined;
  // macOS writes -2, which is this number in 32 bits.
  const uid = Number(match[1]) >>> 0;
  const gid = Number(match[2]) >>> 0;
  return uid === 0 || gid === 0 ? undefined : { uid, gid };
}

/**
 * Finds the first directory on the way to `target` (itself included) that `account` may not pass.
 *
 * Reads the mode bits: an access list can make the answer wrong in both directions, and then PostgreSQL's own
 * refusal says so.
 *
 * @param target an existing file or directory
 * @returns `undefined` when `account` can reach `target`, or `account` is undefined
 */
export async function unreachablePart(
  target: string,
  account: Account | undefined,
): Promise<string | undefined> {
  if (account === undefined) return undefined;
  const resolved = await realpath(target);
  const { root } = path.parse(resolved);
  let current = root;
  for (const part of ["", ...resolved.slice(root.length).split(path.sep)]) {
    current = path.join(current, part);
    const entry = await stat(current);
    if (entry.isDirectory() && !mayPass(entry, account)) return current;
  }
  return undefined;
}

function mayPass(
  entry: { readonly uid: number; readonly gid: number; readonly mode: number },
  account: Account,
): boolean {
  if (entry.uid === account.uid) return (entry.mode & 0o100) !== 0;
  if (entry.gid === account.gid) return (entry.mode & 0o010) !== 0;
  return (entry.mode & 0o001) !== 0;
}
