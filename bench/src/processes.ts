/** Baton as a user runs it: its own server process, a separate worker process, this one as the load generator. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface BatonServer extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
}

const CLI = fileURLToPath(new URL("../../packages/server/src/cli/baton.ts", import.meta.url));
const WORKER = fileURLToPath(new URL("noop-worker.ts", import.meta.url));

/** Starts `baton server` with the embedded PostgreSQL on a throw-away data directory. */
export async function startServer(): Promise<BatonServer> {
  // Made by the server itself, so that the account that PostgreSQL runs as can reach it.
  const directory = join(tmpdir(), `baton-bench-${process.pid}`);
  const child = spawn(process.execPath, ["--conditions=source", CLI, "server"], {
    env: {
      ...process.env,
      BATON_DATA_DIRECTORY: directory,
      BATON_HTTP_PORT: "0",
      BATON_GRPC_PORT: "0",
      BATON_LOG_LEVEL: "info",
      DATABASE_URL: "",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await readyPort(child);
  return {
    address: `localhost:${port}`,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      await stop(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface NoopWorker extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when the worker has run so many jobs in all. */
  ran(count: number): Promise<void>;
}

/** Starts a worker process whose one task does nothing. */
export async function startNoopWorker(address: string): Promise<NoopWorker> {
  const child = fork(WORKER, [address], { execArgv: ["--conditions=source"] });
  let ranCount = 0;
  let check = (): void => undefined;
  child.on("message", (count) => {
    ranCount = Number(count);
    check();
  });
  await once(child, "message");
  return {
    pid: child.pid ?? 0,
    ran: (count) =>
      new Promise((resolve) => {
        check = () => {
          if (ranCount >= count) resolve();
        };
        check();
      }),
    [Symbol.asyncDispose]: () => stop(child),
  };
}

async function readyPort(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error("the server's output is not piped");
  for await (const line of createInterface(child.stdout)) {
    const port = /"grpcPort":(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    child.stdout.resume();
    return Number(port);
  }
  throw new Error("the server ended before it was ready");
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}
