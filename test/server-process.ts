/** `baton server` in a process of its own, on loopback, that a test kills and starts again. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import type pg from "pg";

import {
  openDataDirectory,
  POSTGRES_USER,
} from "../packages/server/src/postgres/data-directory.ts";
import { runningPostmaster, stopPostmaster } from "../packages/server/src/postgres/postmaster.ts";
import { startProgram, type RunningProgram } from "./child-process.ts";
import { logFile, tellLogOnFailure } from "./log-tail.ts";
import type { Stage } from "./stage.ts";

/** What it says to who started it by fork(), when it serves. */
interface Ports {
  readonly httpPort: number;
  readonly grpcPort: number;
}

export interface ServerProcess {
  /** `host:port` of gRPC; the same after each start. */
  readonly address: string;
  /** `http://host:port`; the same after each start. */
  readonly origin: string;
  readonly pid: number;
  readonly isRunning: boolean;
  /** Sends a signal: SIGSTOP and SIGCONT too. */
  signal(signal: NodeJS.Signals): void;
  /** Kills it and waits for its end. What it has started (PostgreSQL) stays. */
  kill(): Promise<void>;
  /** Asks it to stop and waits for its end. */
  stop(): Promise<void>;
  /** Starts it again on the same ports and data. Resolves when it serves. */
  start(): Promise<void>;
}

/** A server with the PostgreSQL that it has started for itself. */
export interface EmbeddedServerProcess extends ServerProcess {
  /** For statements of the test's own. */
  readonly connection: pg.ClientConfig;
  /** Pid of the PostgreSQL that runs at present. */
  postmaster(): Promise<number | undefined>;
}

/**
 * Starts a server on a PostgreSQL that is there already. After the test it is killed.
 *
 * @param options `name`: for people and logs; `environment`: settings beside the database and the ports
 */
export async function aServer(
  stage: Stage,
  databaseUrl: string,
  options: { readonly name?: string; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<ServerProcess> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-server-"));
  const log = await logFile(directory, `server-${options.name ?? "only"}.log`);
  const server = await startServerProcess(log, {
    DATABASE_URL: databaseUrl,
    ...(options.name !== undefined && { BATON_SERVER_NAME: options.name }),
    ...options.environment,
  });
  stage.after(async () => {
    await server.kill();
    await tellLogOnFailure(stage, log);
    await rm(directory, { recursive: true, force: true });
  });
  return server;
}

/** Starts a server with an embedded PostgreSQL. After the test both are stopped and the data are removed. */
export async function anEmbeddedServer(stage: Stage): Promise<EmbeddedServerProcess> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-torture-"));
  // As root, PostgreSQL's account must be able to pass.
  await chmod(directory, 0o711);
  const dataDirectory = path.join(directory, "data");
  const log = await logFile(directory, "server.log");
  const server = await startServerProcess(log, { BATON_DATA_DIRECTORY: dataDirectory });
  const data = await openDataDirectory(dataDirectory);
  stage.after(async () => {
    await server.kill();
    const pid = await runningPostmaster(data.pgdata);
    if (pid !== undefined) await stopPostmaster(pid, data.pgdata);
    await tellLogOnFailure(stage, log);
    await rm(data.socketDirectory, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  });
  return Object.assign(server, {
    connection: {
      host: data.socketDirectory,
      port: 5432,
      user: POSTGRES_USER,
      password: data.password,
      database: POSTGRES_USER,
    },
    postmaster: () => runningPostmaster(data.pgdata),
  });
}

async function startServerProcess(
  log: string,
  settings: Readonly<Record<string, string>>,
): Promise<ServerProcess> {
  const run = (ports: Ports): RunningProgram =>
    startProgram({
      program: BATON,
      arguments: ["server"],
      logFile: log,
      environment: {
        ...settings,
        BATON_HTTP_PORT: String(ports.httpPort),
        BATON_GRPC_PORT: String(ports.grpcPort),
      },
    });
  let program = run({ httpPort: 0, grpcPort: 0 });
  const ports = portsOf(await program.message());
  return {
    address: `127.0.0.1:${ports.grpcPort}`,
    origin: `http://127.0.0.1:${ports.httpPort}`,
    get pid() {
      return program.pid;
    },
    get isRunning() {
      return program.isRunning;
    },
    signal: (signal) => program.signal(signal),
    kill: () => program.end("SIGKILL"),
    stop: () => program.end("SIGTERM"),
    start: async () => {
      program = run(ports);
      await program.message();
    },
  };
}

const BATON = path.resolve(import.meta.dirname, "../packages/server/src/cli/baton.ts");

function portsOf(message: unknown): Ports {
  return message as Ports;
}
