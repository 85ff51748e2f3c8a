// @ts-check
/**
 * Runs the command as a child and ends as it ends.
 *
 * - Ctrl-C: the terminal sends SIGINT to the whole process group, so the child has it already; here it is ignored.
 * - SIGTERM and SIGHUP are passed on.
 * - When npm is gone (killed, or stopped by a signal, which it passes only to its shell), the child gets SIGTERM.
 * - When this process is killed with -9, the child sees its IPC channel close; `onParentExit` of
 *   packages/server/src/cli/parent.ts tells it.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";

const LOOK_MS = 500;
/** A child that nobody waits for any more gets this long to stop by itself: longer than the longest drain. */
const ORPHAN_STOP_MS_MAX = 60_000;

/**
 * @param {string} node
 * @param {{ root: string, file: string, arguments: string[], directory: string }} command
 */
export async function supervise(node, command) {
  const bin = join(command.root, "node_modules/.bin");
  const child = spawn(node, ["--conditions=source", command.file, ...command.arguments], {
    cwd: command.directory,
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: {
      ...process.env,
      // Tools that start with "#!/usr/bin/env node" run on the same Node.
      PATH: [dirname(node), bin, process.env["PATH"] ?? ""].join(delimiter),
    },
  });
  process.on("SIGINT", () => undefined);
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) {
    process.on(signal, () => child.kill(signal));
  }
  const watch = watchNpm(() => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), ORPHAN_STOP_MS_MAX).unref();
  });
  /** @type {{ code: number | null, signal: NodeJS.Signals | null }} */
  const end = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  clearInterval(watch);
  if (end.signal === null) {
    process.exitCode = end.code ?? 1;
  } else {
    process.removeAllListeners(end.signal);
    // For a signal whose default action is not to end the process, and until it is delivered.
    process.exitCode = 128 + constants.signals[end.signal];
    process.kill(process.pid, end.signal);
  }
}

/**
 * Calls `onGone` once when the npm that started this is gone. Without npm nobody is watched: a start by
 * `node scripts/launch.mjs … &` outlives its shell.
 *
 * @param {() => void} onGone
 */
function watchNpm(onGone) {
  if (process.env["npm_lifecycle_event"] === undefined) return undefined;
  // Some shells replace themselves by their last command, then the parent is npm itself.
  const hasShellBetween = !/^(npm|node)/.test(procFile(process.ppid, "comm"));
  const ancestors = () => `${process.ppid} ${hasShellBetween ? parentOf(process.ppid) : ""}`;
  const before = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === before) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  return timer;
}

/** @param {number} pid */
function parentOf(pid) {
  const stat = procFile(pid, "stat");
  // "pid (name) state ppid …": the name may contain spaces and brackets.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? "";
}

/** @param {number} pid @param {string} name @returns {string} empty where the system does not tell */
function procFile(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}
