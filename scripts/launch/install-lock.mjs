// @ts-check
/**
 * One install at a time in a clone.
 *
 * The lock is a file that names its owner and the owner's npm. It is made by `link`, so it appears with its content or
 * not at all. A start that was killed leaves it behind: when neither process lives any more, or when nobody touched it
 * for a long time (its process id may have passed to another program, or it came from another machine), the next start
 * takes it over. Taking over is a rename, which only one of several can win.
 */
import { randomUUID } from "node:crypto";
import {
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 250;
/** An owner touches its lock every second; a lock that stands still for so long has no living owner. */
const UNTOUCHED_MS_MAX = 5 * 60 * 1_000;

/** @typedef {{ token: string, host: string, pid: number, npmPid?: number }} Owner */

/**
 * Waits for the lock and takes it.
 *
 * @param {string} root the clone
 * @param {(owner: Owner, path: string) => void} onWait called on every look at a lock that somebody else holds
 */
export async function takeInstallLock(root, onWait) {
  const path = join(root, ".baton-install.lock");
  /** @type {Owner} */
  const mine = { token: randomUUID(), host: hostname(), pid: process.pid };
  let seen = { mark: "", atMs: performance.now() };
  while (!create(path, mine)) {
    const state = read(path);
    if (state === undefined) continue;
    if (seen.mark !== state.mark) seen = { mark: state.mark, atMs: performance.now() };
    if (isAbandoned(state.owner) || performance.now() - seen.atMs > UNTOUCHED_MS_MAX) {
      takeOver(path, state.owner);
    } else {
      onWait(state.owner, path);
      await sleep(POLL_MS);
    }
  }
  return {
    touch: () => utimesSync(path, new Date(), new Date()),
    /** @param {number | undefined} npmPid */
    setNpm: (npmPid) => replace(path, { ...mine, npmPid }),
    release: () => rmSync(path, { force: true }),
  };
}

/** @param {string} path @param {Owner} owner @returns {boolean} false when it exists */
function create(path, owner) {
  const draft = `${path}.${owner.token}`;
  writeFileSync(draft, JSON.stringify(owner));
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** @param {string} path @param {object} owner */
function replace(path, owner) {
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, JSON.stringify(owner));
  renameSync(draft, path);
}

/** @param {string} path @returns {{ owner: Owner, mark: string } | undefined} undefined when it is gone */
function read(path) {
  try {
    const text = readFileSync(path, "utf8");
    return { owner: JSON.parse(text), mark: `${text} ${statSync(path).mtimeMs}` };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** @param {Owner} owner */
function isAbandoned(owner) {
  return owner.host === hostname() && ![owner.pid, owner.npmPid].some(isAlive);
}

/** @param {number | undefined} pid */
function isAlive(pid) {
  if (pid === undefined) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    return errorCode(error) === "EPERM";
  }
}

/**
 * Removes an abandoned lock. When another start was quicker and the lock is already its, that one gets it back.
 *
 * @param {string} path @param {Owner} abandoned
 */
function takeOver(path, abandoned) {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (read(aside)?.owner.token !== abandoned.token) linkSync(aside, path);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** @param {unknown} error */
export function errorCode(error) {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
