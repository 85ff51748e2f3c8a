// @ts-check
/**
 * One install at a time in a clone.
 *
 * The lock is a file that names its owner and the owner's npm. It is made by `link`, so it appears with its content or
 * not at all. A start that was killed leaves it behind; the next one takes it over when neither process lives any more.
 * Of an owner on another machine (a shared folder, a container) only the file can be seen: that lock is abandoned when
 * nobody has touched it for a long time. Taking over is a rename, which only one of several can win.
 */
import { randomUUID } from "node:crypto";
import {
  existsSync,
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
/** An owner touches its lock every second, though a busy disk can hold it up for minutes. */
const UNTOUCHED_MS_MAX = 5 * 60 * 1_000;

/** @typedef {{ pid: number, startedAt: string }} Process `startedAt` tells it from a later one with the same id */
/** @typedef {{ token: string, host: string, launcher: Process, npm?: Process }} Owner */

/**
 * Waits for the lock and takes it.
 *
 * @param {string} root the clone
 * @param {(owner: Owner, path: string) => void} onWait called on every look at a lock that somebody else holds
 */
export async function takeInstallLock(root, onWait) {
  const path = join(root, ".baton-install.lock");
  /** @type {Owner} */
  const mine = { token: randomUUID(), host: hostname(), launcher: processOf(process.pid) };
  let seen = { mark: "", atMs: performance.now() };
  while (!create(path, mine)) {
    const state = read(path);
    if (state === undefined) continue;
    if (seen.mark !== state.mark) seen = { mark: state.mark, atMs: performance.now() };
    if (isAbandoned(state.owner, performance.now() - seen.atMs)) {
      takeOver(path, state.owner);
    } else {
      onWait(state.owner, path);
      await sleep(POLL_MS);
    }
  }
  return {
    touch: () => {
      if (existsSync(path)) utimesSync(path, new Date(), new Date());
    },
    /** @param {number} npmPid */
    setNpm: (npmPid) => replace(path, { ...mine, npm: processOf(npmPid) }),
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

/** @param {Owner} owner @param {number} untouchedMs */
function isAbandoned(owner, untouchedMs) {
  if (owner.host !== hostname()) return untouchedMs > UNTOUCHED_MS_MAX;
  return ![owner.launcher, owner.npm].some(isAlive);
}

/** @param {Process | undefined} known */
function isAlive(known) {
  if (known === undefined) return false;
  try {
    process.kill(known.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if (errorCode(error) !== "EPERM") return false;
  }
  return startOf(known.pid) === known.startedAt;
}

/** @param {number} pid @returns {Process} */
export function processOf(pid) {
  return { pid, startedAt: startOf(pid) };
}

/**
 * When a process started, in ticks since boot.
 *
 * @param {number} pid
 * @returns {string} empty where the system does not tell
 */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // "pid (name) state …": the name may contain spaces and brackets; the start is field 22.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
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
