/**
 * The PostgreSQL server process of a data directory, as far as it can be told from outside: by its pid file and by
 * the operating system. Used when it is not, or no longer, a child of this process.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chown, lstat, readFile, realpath, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { errorCode } from "../store/error-code.ts";

const POLL_MS = 20;
const BACKGROUND_POLL_MS = 250;

/**
 * Reads the pid of the server that runs on a PostgreSQL data directory.
 *
 * A pid file is not believed alone: after a crash or in a new container its number may belong to anybody.
 *
 * @returns `undefined` when there is no pid file, or no such server is alive
 */
export async function runningPostmaster(pgdata: string): Promise<number | undefined> {
  const pid = await pidOfFile(pgdata);
  return pid !== undefined && (await isPostmasterOf(pid, pgdata)) ? pid : undefined;
}

/**
 * Makes PostgreSQL ignore a pid file whose number belongs to a stranger.
 *
 * PostgreSQL refuses to start when that process is alive and has the same user, which is the rule in containers,
 * where the same few numbers come again. The file is kept, with the number replaced by that of PostgreSQL's parent,
 * which it never takes for a server: its other lines let PostgreSQL notice backends that outlived a killed server.
 */
export async function disownPidFile(pgdata: string): Promise<void> {
  const pid = await pidOfFile(pgdata);
  if (pid === undefined || (await isPostmasterOf(pid, pgdata))) return;
  const file = path.join(pgdata, "postmaster.pid");
  const [text, { uid, gid }] = await Promise.all([readFile(file, "utf8"), lstat(file)]);
  // A new file instead of writing into the old: as root, that could be a link to somewhere else.
  const draft = `${file}.${randomBytes(4).toString("hex")}`;
  await writeFile(draft, text.replace(/^-?\d+/, String(process.pid)), { flag: "wx", mode: 0o600 });
  await chown(draft, uid, gid);
  await rename(draft, file);
}

/** Whether a process exists and is not a zombie that waits for its parent. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return errorCode(error) === "EPERM";
  }
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name in parentheses may contain anything; the state follows the last one.
  return !/^ [ZX]/.test(status.slice(status.lastIndexOf(")") + 1));
}

/**
 * Waits until a process that is not a child of this one is gone.
 *
 * @param options `deadlineMs` unlimited by default; `isBackground` looks less often, and does not keep this process
 *   alive
 * @returns false when it was still there after `deadlineMs`
 */
export async function waitUntilGone(
  pid: number,
  options: { readonly deadlineMs?: number; readonly isBackground?: boolean } = {},
): Promise<boolean> {
  const isBackground = options.isBackground ?? false;
  const deadline = Date.now() + (options.deadlineMs ?? Infinity);
  while (await isAlive(pid)) {
    if (Date.now() >= deadline) return false;
    await sleep(isBackground ? BACKGROUND_POLL_MS : POLL_MS, undefined, { ref: !isBackground });
  }
  return true;
}

/** Time for each of PostgreSQL's ways to stop before the next, rougher one. Milliseconds. */
export interface StopDeadlines {
  /** For SIGINT: ends sessions and writes a checkpoint. */
  readonly fastMs: number;
  /** For SIGQUIT: ends at once and recovers from its log at the next start. */
  readonly immediateMs: number;
}

/** PostgreSQL itself kills backends that do not follow an immediate shutdown within 5 s; it must have that time. */
const STOP_DEADLINES: StopDeadlines = { fastMs: 20_000, immediateMs: 10_000 };

/**
 * Stops the server of a data directory: fast shutdown, then immediate shutdown, then SIGKILL. Nothing committed is
 * lost by any of them. Does nothing when `pid` is not the server of `pgdata`.
 */
export async function stopPostmaster(
  pid: number,
  pgdata: string,
  deadlines: StopDeadlines = STOP_DEADLINES,
): Promise<void> {
  const steps = [
    { signal: "SIGINT", deadlineMs: deadlines.fastMs },
    { signal: "SIGQUIT", deadlineMs: deadlines.immediateMs },
    { signal: "SIGKILL", deadlineMs: deadlines.immediateMs },
  ] as const;
  for (const { signal, deadlineMs } of steps) {
    if (!(await isPostmasterOf(pid, pgdata))) return;
    process.kill(pid, signal);
    // A server that somebody halted acts on a signal only when it continues.
    process.kill(pid, "SIGCONT");
    if (await waitUntilGone(pid, { deadlineMs })) return;
  }
}

async function pidOfFile(pgdata: string): Promise<number | undefined> {
  const text = await readFile(path.join(pgdata, "postmaster.pid"), "utf8").catch(() => "");
  // Single-user mode writes its pid negative.
  const pid = Math.abs(Number.parseInt(text, 10));
  return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
}

/**
 * Whether a process is the PostgreSQL server of this data directory, told by its command line. Its executable and
 * working directory would say the same, but root in a container may not look at those of another account.
 */
async function isPostmasterOf(pid: number, pgdata: string): Promise<boolean> {
  if (!(await isAlive(pid))) return false;
  const [program = "", ...words] = await commandLine(pid);
  if (path.basename(program) !== "postgres") return false;
  const directory = words[words.indexOf("-D") + 1] ?? "";
  const [theirs, ours] = await Promise.all(
    [directory, pgdata].map((name) => realpath(name).catch(() => name)),
  );
  return words.includes("-D") && theirs === ours;
}

async function commandLine(pid: number): Promise<readonly string[]> {
  if (process.platform === "linux") {
    return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  }
  const { stdout } = await promisify(execFile)("ps", [
    "-ww",
    "-o",
    "command=",
    "-p",
    `${pid}`,
  ]).catch(() => ({ stdout: "" }));
  // ps does not quote: a path with spaces is put together again up to the next option.
  const [program = "", directory = ""] = stdout.trim().split(/ -D | -k /);
  return [program, "-D", directory];
}
