/** The demo's own Baton: a server and a worker as processes of their own, on data that are thrown away. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, open, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { createClient, type Client } from "@baton/sdk";

import { endsWithin } from "../../packages/server/src/cli/lifetime.ts";
import {
  superviseWorker,
  type SupervisedWorker,
} from "../../packages/server/src/cli/supervised-worker.ts";
import type { Screen } from "./screen.ts";
import { startSite } from "./site.ts";

const BATON = path.resolve(import.meta.dirname, "../../packages/server/src/cli/baton.ts");
const EXAMPLES = path.resolve(import.meta.dirname, "../../examples/data");
const STOP_MS_MAX = 20_000;
const LOG_TAIL_CHARACTERS = 2_000;

export interface System {
  readonly client: Client;
  /** Origin of the demo's own web site. */
  readonly site: string;
  readonly outputDirectory: string;
  readonly killWorker: () => void;
  /** Stops everything and removes the data. */
  stop(): Promise<void>;
}

/** Starts everything, on free ports. What was started is stopped again when something fails. */
export async function startSystem(screen: Screen, signal: AbortSignal): Promise<System> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const stopOne of stops.splice(0).reverse()) await stopOne();
  };
  try {
    const directory = await mkdtemp(path.join(os.tmpdir(), "baton-demo-"));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    // As root, PostgreSQL's account must be able to pass.
    await chmod(directory, 0o711);
    const outputDirectory = path.join(directory, "output");
    await mkdir(outputDirectory);
    const log = await open(path.join(directory, "log"), "a+");
    stops.push(() => log.close());

    const site = await startSite();
    stops.push(() => site.stop());

    const server = startServer(path.join(directory, "data"), log.fd);
    stops.push(() => endChild(server));
    const { httpPort, grpcPort } = await screen.step("PostgreSQL and the server", () =>
      readyOf(server, path.join(directory, "log"), signal),
    );
    const address = `127.0.0.1:${grpcPort}`;
    const client = createClient({ address });
    stops.push(async () => client.close());

    const worker = await screen.step("the worker", () =>
      startWorker({ address, outputDirectory, output: log.fd, signal }),
    );
    stops.push(() => worker.supervised.stop(STOP_MS_MAX));
    screen.note(`REST on 127.0.0.1:${httpPort}, gRPC on ${address}, data in ${directory}`);
    return { client, site: site.origin, outputDirectory, killWorker: worker.kill, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** In a session of its own, so that Ctrl-C reaches the demo first, which then stops everything in order. */
function startServer(dataDirectory: string, output: number): ChildProcess {
  return fork(
    BATON,
    ["server", "--http-port=0", "--grpc-port=0", `--data-directory=${dataDirectory}`],
    { env: cleanEnvironment(), detached: true, stdio: ["ignore", output, output, "ipc"] },
  );
}

async function readyOf(
  server: ChildProcess,
  logFile: string,
  signal: AbortSignal,
): Promise<{ readonly httpPort: number; readonly grpcPort: number }> {
  const ports = Promise.withResolvers<{ httpPort: number; grpcPort: number }>();
  server.once("message", (message: { httpPort: number; grpcPort: number }) =>
    ports.resolve(message),
  );
  server.once("exit", () => ports.reject(new Error("the server ended before it was ready")));
  signal.addEventListener("abort", () => ports.reject(new Error("stopped")), { once: true });
  try {
    return await ports.promise;
  } catch (error) {
    const tail = (await readFile(logFile, "utf8")).slice(-LOG_TAIL_CHARACTERS);
    throw new Error(`The server did not start. It said:\n${tail}`, { cause: error });
  }
}

interface WorkerStart {
  readonly address: string;
  readonly outputDirectory: string;
  readonly output: number;
  readonly signal: AbortSignal;
}

async function startWorker(
  start: WorkerStart,
): Promise<{ readonly supervised: SupervisedWorker; readonly kill: () => void }> {
  const ready = Promise.withResolvers<void>();
  let pid = 0;
  const supervised = superviseWorker({
    program: BATON,
    arguments: [
      "worker",
      `--address=${start.address}`,
      "--queues=default,bulk",
      "--slots=50",
      "--prefetch=200",
      // Shorter than usual, so that nobody waits long for a worker that was killed, and longer than loading libraries
      // can block a slow machine.
      "--lease-ms=5s",
    ],
    environment: {
      ...cleanEnvironment(),
      BATON_TASKS_FILES_DIRECTORY: EXAMPLES,
      BATON_TASKS_OUTPUT_DIRECTORY: start.outputDirectory,
      // The demo's own site is on loopback, which tasks may not reach unless it is allowed.
      BATON_TASKS_ALLOWED_ADDRESSES: "127.0.0.1",
    },
    output: start.output,
    onReady: (workerPid) => {
      pid = workerPid;
      ready.resolve();
    },
    onDied: () => undefined,
  });
  void supervised.failed.then((how) => ready.reject(new Error(`the worker ended ${how}`)));
  start.signal.addEventListener("abort", () => ready.reject(new Error("stopped")), { once: true });
  try {
    await ready.promise;
  } catch (error) {
    await supervised.stop(STOP_MS_MAX);
    throw error;
  }
  return { supervised, kill: () => void process.kill(pid, "SIGKILL") };
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  if (await endsWithin(STOP_MS_MAX, gone)) return;
  child.kill("SIGKILL");
  await gone;
}

/** Without the settings of a Baton that somebody really uses. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(BATON_|DATABASE_URL$)/.test(name)),
  );
}
