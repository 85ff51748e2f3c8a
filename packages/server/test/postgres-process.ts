import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import pg from "pg";

import { startEmbeddedPostgres } from "../src/postgres/embedded.ts";
import { runningPostmaster, stopPostmaster } from "../src/postgres/postmaster.ts";

/** What postgres-program.ts is told. */
export interface PostgresProgramInput {
  readonly dataDirectory: string;
  readonly silenceMsMax?: number;
  readonly umask?: number;
}

/** What postgres-program.ts says, one per line. */
export type PostgresProgramLine =
  | { readonly kind: "log"; readonly message: string }
  | {
      readonly kind: "ready";
      readonly pid: number;
      readonly isAdopted: boolean;
      readonly connection: pg.ClientConfig;
    }
  | { readonly kind: "failed"; readonly code: string; readonly message: string }
  | { readonly kind: "stopped" };

type Kind = PostgresProgramLine["kind"];
type LineOf<K extends Kind> = Extract<PostgresProgramLine, { readonly kind: K }>;

/** A running postgres-program.ts. */
export interface PostgresProcess {
  readonly pid: number;
  /** The next line of one of these kinds; others before it are passed over. Fails when the process ends first. */
  next<K extends Kind>(...kinds: readonly K[]): Promise<LineOf<K>>;
  /** Sends a signal and waits for the end of the process. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** A place for one embedded PostgreSQL and the processes that use it. */
export interface PostgresSite {
  readonly dataDirectory: string;
  /** PostgreSQL's own data in it. */
  readonly pgdata: string;
  /** Starts postgres-program.ts on it, by default as the user of the site. */
  start(options?: StartOptions): PostgresProcess;
  /** The pid of the server that runs here. */
  postmaster(): Promise<number | undefined>;
}

interface StartOptions {
  readonly uid?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly silenceMsMax?: number;
  readonly umask?: number;
}

/**
 * Makes a place. After the test its processes are killed, its server is stopped and its files are removed.
 *
 * @param options `uid`: the ordinary user that it belongs to (needs root); `below`: a path inside that makes the data
 *   directory's own path longer; `isEmpty`: without data, which take a second to make
 */
export async function aPostgresSite(
  t: TestContext,
  options: { readonly uid?: number; readonly below?: string; readonly isEmpty?: boolean } = {},
): Promise<PostgresSite> {
  const root = await aDirectory();
  const dataDirectory = path.join(root, options.below ?? "", "data");
  const pgdata = path.join(dataDirectory, "postgres");
  const processes: PostgresProcess[] = [];
  if (options.isEmpty !== true) {
    await mkdir(path.dirname(dataDirectory), { recursive: true });
    await run("cp", ["-a", await pristine(), dataDirectory]);
  }
  if (options.uid !== undefined) await run("chown", ["-R", `${options.uid}`, root]);

  t.after(async () => {
    await Promise.all(processes.map((process) => process.end("SIGKILL")));
    const pid = await runningPostmaster(pgdata);
    if (pid !== undefined) await stopPostmaster(pid, pgdata);
    await rm(root, { recursive: true, force: true });
  });

  return {
    dataDirectory,
    pgdata,
    postmaster: () => runningPostmaster(pgdata),
    start: ({ uid = options.uid, environment, ...input } = {}) => {
      const started = startProgram({ dataDirectory, ...input }, uid, environment);
      processes.push(started);
      return started;
    },
  };
}

const run = promisify(execFile);
let pristineDirectory: Promise<string> | undefined;

// Here rather than where it is made, because hooks cannot be added once tests run.
after(async () => {
  if (pristineDirectory === undefined) return;
  await rm(path.dirname(await pristineDirectory), { recursive: true, force: true });
});

/** A data directory that was made and never used again: copying it is faster than making one for each test. */
async function pristine(): Promise<string> {
  pristineDirectory ??= makePristine();
  return pristineDirectory;
}

async function makePristine(): Promise<string> {
  const dataDirectory = path.join(await aDirectory(), "data");
  const server = await startEmbeddedPostgres({ dataDirectory });
  await server.stop();
  // Tests read in it what their own server has said.
  await rm(server.logFile);
  return dataDirectory;
}

/** As root, PostgreSQL's account must be able to pass. */
async function aDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-site-"));
  await chmod(directory, 0o711);
  return directory;
}

function startProgram(
  input: PostgresProgramInput,
  uid: number | undefined,
  environment: Readonly<Record<string, string>> | undefined,
): PostgresProcess {
  const program = fileURLToPath(import.meta.resolve("./postgres-program.ts"));
  const child = spawn(process.execPath, ["--conditions=source", program, JSON.stringify(input)], {
    // A group of its own, like a shell gives to each command.
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...environment },
    ...(uid !== undefined && { uid, gid: uid, cwd: "/" }),
  });
  const { pid } = child;
  assert(pid !== undefined, "the program must start");
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid,
    end: async (signal) => {
      child.kill(signal);
      await exited;
    },
    next: async (...kinds) => {
      const seen: string[] = [];
      for (;;) {
        const { value, done } = await lines.next();
        assert(
          done !== true,
          `the program ended without ${kinds.join()}, after: ${seen.join(" ")}`,
        );
        const line: PostgresProgramLine = JSON.parse(value);
        if (isOneOf(line, kinds)) return line;
        seen.push(value);
      }
    },
  };
}

function isOneOf<K extends Kind>(
  line: PostgresProgramLine,
  kinds: readonly K[],
): line is LineOf<K> {
  return kinds.some((kind) => kind === line.kind);
}

/** Runs one statement on a connection of its own and returns its rows. */
export async function queryOnce(connection: pg.ClientConfig, text: string): Promise<unknown[]> {
  const client = new pg.Client(connection);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
