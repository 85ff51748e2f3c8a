// @ts-check
/**
 * Runs the command as a child and ends as it ends.
 *
 * - Ctrl-C: the terminal sends SIGINT to the whole process group, so the child has it already; here it is ignored.
 * - SIGTERM and SIGHUP are passed on.
 * - When this process is killed with -9, the child sees its IPC channel close; `onParentExit` of
 *   packages/server/src/cli/parent.ts tells it.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";

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
      // Saves each process a quarter of its start, and tests start hundreds. Node leaves it be where it cannot write.
      NODE_COMPILE_CACHE: join(command.root, "node_modules/.cache/node"),
      ...process.env,
      // Tools that start with "#!/usr/bin/env node" run on the same Node.
      PATH: [dirname(node), bin, process.env["PATH"] ?? ""].join(delimiter),
    },
  });
  process.on("SIGINT", () => undefined);
  for (const signal of /** @type {const} */ (["SIGTERM", "SIGHUP"])) {
    process.on(signal, () => child.kill(signal));
  }
  /** @type {{ code: number | null, signal: NodeJS.Signals | null }} */
  const end = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  if (end.signal === null) {
    process.exitCode = end.code ?? 1;
  } else {
    process.removeAllListeners(end.signal);
    // For a signal whose default action is not to end the process, and until it is delivered.
    process.exitCode = 128 + constants.signals[end.signal];
    process.kill(process.pid, end.signal);
  }
}
