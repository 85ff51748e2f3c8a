import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";

/** How a tool ended and what it said. */
export interface ToolResult {
  readonly isOk: boolean;
  /** Standard output and error. */
  readonly output: string;
}

export interface ToolOptions {
  /** Where it runs. @default the clone */
  readonly directory?: string;
  /** After so long it is killed, and has failed. @default never */
  readonly timeoutMs?: number;
}

/**
 * Runs a program of node_modules/.bin, or `node`, and gathers what it prints.
 *
 * @param root the clone
 */
export async function runTool(
  root: string,
  [program, ...args]: readonly [string, ...string[]],
  options: ToolOptions = {},
): Promise<ToolResult> {
  const child = spawn(program, args, {
    cwd: options.directory ?? root,
    env: { ...process.env, PATH: toolPath(root), NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.timeoutMs,
    killSignal: "SIGKILL",
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const reason = typeof code === "number" ? "" : `${program} was ended by ${code}\n`;
  return { isOk: code === 0, output: `${out}${errors}${reason}` };
}

/** The tools of the clone, on the Node that runs this. */
function toolPath(root: string): string {
  const own = [dirname(process.execPath), join(root, "node_modules/.bin")];
  return [...own, process.env["PATH"] ?? ""].join(delimiter);
}
