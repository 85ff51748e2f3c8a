/** A server in this process, from its start to its end. */
import path from "node:path";

import type { Logger } from "pino";

import type { Config } from "../config.ts";
import { startServer, type RunningServer } from "../main.ts";
import { runningPostmaster } from "../postgres/postmaster.ts";
import { boundHeap } from "./bound-heap.ts";
import { explainingDatabaseErrors } from "./database-error.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { endsWithin, openLifetime } from "./lifetime.ts";

/** Above all deadlines inside of the server; what is still running then hangs. */
export const SERVER_STOP_MS_MAX = 60_000;

/**
 * Starts a server, runs it until it is told to stop, and stops it. The second request ends the process at once.
 *
 * @returns the exit code
 * @throws AppError when it cannot start
 */
export async function runServer(config: Config, logger: Logger): Promise<ExitCode> {
  boundHeap();
  const running: { server?: RunningServer } = {};
  const lifetime = openLifetime(() => {
    logger.warn("stopping hard");
    void endHard(running.server?.dataDirectory);
  });
  const server = await explainingDatabaseErrors(() =>
    startServer({ config, logger, onStep: (step) => logger.debug(step) }),
  );
  running.server = server;
  const { httpPort, grpcPort } = server;
  // Who started this process by fork() learns the ports, which may have been chosen by the system.
  process.send?.({ kind: "ready", httpPort, grpcPort });
  const failure = await Promise.race([
    server.failed,
    lifetime.stopRequested.then((reason) => {
      logger.info({ reason }, "stopping");
    }),
  ]);
  if (failure !== undefined) logger.fatal({ err: failure }, "the server cannot go on");
  const hasStopped = await stopServer(server, (step) => logger.debug(step));
  if (!hasStopped.inTime) {
    logger.error({ step: hasStopped.step }, "did not stop in time");
    await endHard(server.dataDirectory);
  }
  logger.info("stopped");
  lifetime.release();
  return failure === undefined ? EXIT.ok : EXIT.failed;
}

/** Stops a server and names what it was at when the time was over. */
export async function stopServer(
  server: RunningServer,
  onStep: (step: string) => void,
): Promise<{ readonly inTime: boolean; readonly step: string }> {
  let current = "";
  const stopped = server.stop((step) => {
    current = step;
    onStep(step);
  });
  return { inTime: await endsWithin(SERVER_STOP_MS_MAX, stopped), step: current };
}

/**
 * Ends the process at once. PostgreSQL is told to shut down without waiting for anybody, which costs it a recovery at
 * the next start and nothing else.
 */
export async function endHard(dataDirectory: string | undefined): Promise<never> {
  const pid =
    dataDirectory === undefined
      ? undefined
      : await runningPostmaster(path.join(dataDirectory, "postgres")).catch(() => undefined);
  if (pid !== undefined) process.kill(pid, "SIGQUIT");
  process.exit(EXIT.interrupted);
}
