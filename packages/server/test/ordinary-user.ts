import { readFile } from "node:fs/promises";

import { unreachablePart } from "../src/postgres/account.ts";

export const IS_ROOT = process.getuid?.() === 0;

/** No account has it. */
export const NAMELESS_UID = 54_321;

/**
 * Finds a named user other than root and nobody who can read this repository, when this process may become one.
 *
 * @returns `undefined` for an ordinary user, who can become nobody else
 */
export async function anOrdinaryUid(): Promise<number | undefined> {
  if (!IS_ROOT) return undefined;
  const passwd = await readFile("/etc/passwd", "utf8");
  const uid = Number(/^(?:node|daemon|bin):[^:]*:(\d+):/m.exec(passwd)?.[1]);
  if (!Number.isSafeInteger(uid)) return undefined;
  const unreachable = await Promise.all(
    [import.meta.dirname, process.execPath].map((name) =>
      unreachablePart(name, { uid, gid: NAMELESS_UID }),
    ),
  );
  return unreachable.every((part) => part === undefined) ? uid : undefined;
}
