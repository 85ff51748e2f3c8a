/** The `baton` command as a child process, as a shell would run it. */
import { spawn, type ChildProcess } from "node:child_process";
import assert from "node:assert/strict";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";

import { pino } from "pino";

import { readConfig } from "../src/config.ts";
import { startServer } from "../src/main.ts";
import { aDatabaseConnection, databaseUrl } from "./database.ts";

type Cleanup = Pick<TestContext, "after">;

const BATON = path.resolve(import.meta.dirname, "../src/cli/baton.ts");

/** How a command ended. */
export interface CliResult {
  /** null: ended by a signal. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Besides the surroundings' own, of which BATON_… and DATABASE_URL are left out. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** For standard input; absent: it is empty. */
  readonly input?: string | Buffer;
}

/** A command that runs. */
export interface CliProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves with the first line, past or future, of either stream that matches. Rejects when the command ends without. */
  line(pattern: RegExp): Promise<string>;
}

/** Starts a command. It is killed after the test if it still runs. */
export function startCli(
  t: Cleanup,
  args: readonly string[],
  options: CliOptions = {},
): CliProcess {
  const child = spawn(process.execPath, ["--conditions=source", BATON, ...args], {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ["pipe", "pipe", "pipe", "ipc"],
  });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  const { stdin, stdout, stderr } = child;
  assert(stdin !== null && stdout !== null && stderr !== null);
  stdin.on("error", () => undefined);
  stdin.end(options.input ?? "");
  const output = { stdout: "", stderr: "" };
  stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const ended = once(child, "close").then(() => ({ exitCode: child.exitCode, ...output }));
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  for (const stream of [stdout, stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      for (const hear of waiting) hear(line);
    });
  }
  return {
    child,
    ended,
    line: async (pattern) => {
      const known = lines.find((line) => pattern.test(line));
      if (known !== undefined) return known;
      const found = Promise.withResolvers<string>();
      const hear = (line: string): void => {
        if (pattern.test(line)) found.resolve(line);
      };
      waiting.add(hear);
      void ended.then((end) =>
        found.reject(
          new Error(`ended with ${end.exitCode} before ${pattern}:\n${end.stdout}${end.stderr}`),
        ),
      );
      return found.promise.finally(() => waiting.delete(hear));
    },
  };
}

/** Runs a command to its end. */
export function runCli(
  t: Cleanup,
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  return startCli(t, args, options).ended;
}

export interface TestServer {
  readonly address: string;
  readonly httpPort: number;
  readonly databaseUrl: string;
}

/** A server in this process on a database of its own, stopped after the test or suite. */
export async function aServer(t: Cleanup): Promise<TestServer> {
  const url = databaseUrl(await aDatabaseConnection(t));
  const server = await startServer({
    config: readConfig({ DATABASE_URL: url, BATON_HTTP_PORT: "0", BATON_GRPC_PORT: "0" }),
    logger: pino({ level: "silent" }),
  });
  t.after(() => server.stop());
  return {
    address: `127.0.0.1:${server.grpcPort}`,
    httpPort: server.httpPort,
    databaseUrl: url,
  };
}

/** Without what would change how the command behaves. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(BATON_(?!TEST_)|DATABASE_URL$|npm_|NO_COLOR$|FORCE_COLOR$|NODE_TEST_CONTEXT$)/.test(
          name,
        ),
    ),
  );
}
