/** Everything on one machine: a server in this process, and one worker as a child process. */
import { existsSync } from "node:fs";
import path from "node:path";

import type { Logger } from "pino";

import type { Config } from "../config.ts";
import { startServer, type RunningServer } from "../main.ts";
import { VERSION } from "../version.ts";
import { boundHeap } from "./bound-heap.ts";
import { explainingDatabaseErrors } from "./database-error.ts";
import { openSteps, welcomeText, type Steps } from "./dev-screen.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { openLifetime } from "./lifetime.ts";
import { createLogger } from "./log.ts";
import { note } from "./output.ts";
import { endHard, SERVER_STOP_MS_MAX, stopServer } from "./run-server.ts";
import { superviseWorker, type SupervisedWorker } from "./supervised-worker.ts";

export interface RunDevOptions {
  readonly config: Config;
  /** Settings given as options, by the names of their variables; the worker gets them, too. */
  readonly settings: Readonly<Record<string, string>>;
  readonly taskFiles: readonly string[];
  readonly slots: number | undefined;
}

const DRAIN_MS_MAX = 10_000;
/** In a clone, so that the examples of the README work; below the directory that dev was started in. */
const EXAMPLE_FILES = "examples/data";

/**
 * Runs server and worker until they are told to stop.
 *
 * @returns the exit code
 * @throws AppError when the server cannot start
 */
export async function runDev(options: RunDevOptions): Promise<ExitCode> {
  const { config } = options;
  boundHeap();
  const startedAtMs = performance.now();
  const logger = createLogger(config.logLevel);
  const steps = openSteps();
  const running: { server?: RunningServer; worker?: SupervisedWorker } = {};
  const lifetime = openLifetime(() => {
    note("Stopping hard.");
    running.worker?.kill();
    void endHard(running.server?.dataDirectory);
  });
  const server = await startQuietly(config, logger, steps);
  running.server = server;
  steps.begin("starting the worker");
  const { ready, worker } = startWorker(options, server, logger);
  running.worker = worker;
  const end = Promise.race([
    lifetime.stopRequested.then((reason) => ({ reason, exitCode: EXIT.ok })),
    server.failed.then((error) => ({
      reason: `${error.message} (${error.code})`,
      exitCode: EXIT.failed,
    })),
    worker.failed.then((how) => ({ reason: `the worker ended ${how}`, exitCode: EXIT.failed })),
  ]);
  await Promise.race([ready, end]);
  steps.end();
  if (!lifetime.stopping.aborted) {
    const startMs = performance.now() - startedAtMs;
    const filesDirectory = filesDirectoryOf();
    process.stderr.write(
      welcomeText({ ...config, ...server, version: VERSION, filesDirectory, startMs }),
    );
  }
  const { reason, exitCode } = await end;
  note(exitCode === EXIT.ok ? `\nStopping: ${reason}.` : `\nBaton cannot go on: ${reason}`);
  await stopAll(worker, server);
  lifetime.release();
  return exitCode;
}

/** On a terminal the steps say enough; troubles are told in any case. */
async function startQuietly(config: Config, logger: Logger, steps: Steps): Promise<RunningServer> {
  if (process.stdout.isTTY && config.logLevel === "info") logger.level = "warn";
  try {
    return await explainingDatabaseErrors(() =>
      startServer({ config, logger, onStep: (step) => steps.begin(step) }),
    );
  } finally {
    steps.end();
    logger.level = config.logLevel;
  }
}

function startWorker(
  options: RunDevOptions,
  server: RunningServer,
  logger: Logger,
): { readonly ready: Promise<void>; readonly worker: SupervisedWorker } {
  const { config, taskFiles, slots } = options;
  const host = config.host === "0.0.0.0" || config.host === "::" ? "localhost" : config.host;
  const address = `${host.includes(":") ? `[${host}]` : host}:${server.grpcPort}`;
  const filesDirectory = filesDirectoryOf();
  const ready = Promise.withResolvers<void>();
  let isReady = false;
  // Its own lines are of interest only when something is wrong.
  const logLevel = config.logLevel === "info" ? "warn" : config.logLevel;
  const program = process.argv[1];
  if (program === undefined) throw new Error("This process was not started from a file.");
  const worker = superviseWorker({
    program,
    arguments: [
      "worker",
      "--name=dev",
      `--address=${address}`,
      `--log-level=${logLevel}`,
      ...taskFiles.map((file) => `--tasks=${file}`),
      ...(slots === undefined ? [] : [`--slots=${slots}`]),
    ],
    environment: {
      ...process.env,
      ...options.settings,
      ...(filesDirectory !== undefined && { BATON_TASKS_FILES_DIRECTORY: filesDirectory }),
    },
    onReady: (pid) => {
      if (isReady) logger.info({ workerPid: pid }, "the worker is back");
      isReady = true;
      ready.resolve();
    },
    onDied: (how, restartMs) => {
      logger.warn(`The worker ended ${how}; starting it again in ${restartMs} ms.`);
    },
  });
  return { ready: ready.promise, worker };
}

/** What the environment says, else the examples, if they are here. */
function filesDirectoryOf(): string | undefined {
  const given = process.env["BATON_TASKS_FILES_DIRECTORY"];
  if (given !== undefined && given !== "") return given;
  const examples = path.resolve(EXAMPLE_FILES);
  return existsSync(examples) ? examples : undefined;
}

/** The worker first, while there is a server that takes its results. */
async function stopAll(worker: SupervisedWorker, server: RunningServer): Promise<void> {
  const steps = openSteps();
  steps.begin("stopping the worker");
  if (!(await worker.stop(DRAIN_MS_MAX))) {
    note(
      `\nThe worker did not finish its jobs within ${DRAIN_MS_MAX / 1_000} s: they start again next time.`,
    );
  }
  const stopped = await stopServer(server, (step) => steps.begin(step));
  steps.end();
  if (stopped.inTime) return note("Stopped.");
  note(`Still ${stopped.step} after ${SERVER_STOP_MS_MAX / 1_000} s; ending without it.`);
  await endHard(server.dataDirectory);
}
