// @ts-check
/**
 * Stops with npm. npm that is killed with -9 tells nobody, and npm that gets SIGTERM passes it only to the shell in between,
 * which dies of it alone.
 */
import { readFileSync } from "node:fs";

const LOOK_MS = 500;

/**
 * From now on, this process gets SIGTERM when the npm that started it is gone. Without npm nothing is watched: a start
 * by `node scripts/launch.mjs … &` outlives its shell.
 */
export function stopWithNpm() {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  // Some shells replace themselves by their last command, then the parent is npm itself.
  const hasShellBetween = !/^(npm|node)/.test(procFile(process.ppid, "comm"));
  const ancestors = () => `${process.ppid} ${hasShellBetween ? parentOf(process.ppid) : ""}`;
  const before = ancestors();
  const timer = setInterval(() => {
    if (ancestors() === before) return;
    clearInterval(timer);
    process.kill(process.pid, "SIGTERM");
  }, LOOK_MS);
  timer.unref();
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
