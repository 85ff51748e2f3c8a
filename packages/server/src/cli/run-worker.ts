/** A worker in this process, from its start to its end. */
import { createWorker, type Task, type Worker, type WorkerLogger } from "@baton/sdk";
import type { Logger } from "pino";

import { EXIT, type ExitCode } from "./exit-codes.ts";
import { CliError, usageError } from "./failure.ts";
import { endsWithin, openLifetime, PARENT_GONE } from "./lifetime.ts";
import { createLogger } from "./log.ts";
import { watchStrayErrors } from "./stray-errors.ts";

export interface RunWorkerOptions {
  readonly address: string;
  /** Modules that export tasks. */
  readonly taskFiles: readonly string[];
  readonly withBuiltIn: boolean;
  readonly queues: readonly string[] | undefined;
  readonly slots: number | undefined;
  readonly prefetch: number | undefined;
  readonly name: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly leaseMs: number | undefined;
  /** Absent: running jobs may take as long as they want. */
  readonly drainTimeoutMs: number | undefined;
  readonly logLevel: string;
}

/** Nobody waits any more for a worker whose parent is gone. */
const ORPHAN_DRAIN_MS_MAX = 10_000;
/** After an uncaught exception jobs run in a process whose state is unknown: no longer than most take. */
const STRAY_DRAIN_MS_MAX = 30_000;
const STRAY_EXCEPTION = "an exception that nobody caught";
/** Above what the worker needs to abort its handlers and to tell the server. */
const STOP_MS_MAX = 5_000;

/**
 * Runs a worker until it is told to stop: it takes no more jobs and finishes those that run. The second request, and
 * the end of `drainTimeoutMs`, abort them; they start elsewhere. An uncaught exception is a request to stop, too.
 *
 * @returns the exit code: failed when nobody had asked it to stop
 * @throws CliError invalid_usage; TasksNotLoaded; BatonError what the server says when it refuses the worker
 */
export async function runWorker(options: RunWorkerOptions): Promise<ExitCode> {
  const logger = createLogger(options.logLevel);
  const tasks = await tasksOf(options);
  const worker = createWorker({
    address: options.address,
    tasks,
    queues: options.queues,
    slots: options.slots,
    prefetch: options.prefetch,
    name: options.name,
    labels: options.labels,
    leaseMs: options.leaseMs,
    logger: workerLogger(logger),
    onError: (error, job) => {
      if (job === undefined) return;
      const { id, task, attempt } = job;
      logger.warn({ job: id, task, attempt, err: error }, "an attempt failed");
    },
  });
  const lifetime = openLifetime(() => void stopHard(worker, logger));
  let isBroken = false;
  const ignoreStrayErrors = watchStrayErrors(logger, () => {
    isBroken = true;
    void drain(worker, logger, options, STRAY_EXCEPTION);
  });
  void lifetime.stopRequested.then((reason) => drain(worker, logger, options, reason));
  logger.info({ tasks: tasks.map(({ name }) => name).join(",") }, "starting");
  await worker.start().catch((error: unknown) => {
    // A stop before the first contact is no failure.
    if (!lifetime.stopping.aborted && !isBroken) throw error;
  });
  if (!lifetime.stopping.aborted && !isBroken) process.send?.({ kind: "ready" });
  await worker.closed;
  lifetime.release();
  ignoreStrayErrors();
  logger.info("stopped");
  return lifetime.stopping.aborted && !isBroken ? EXIT.ok : EXIT.failed;
}

async function tasksOf(options: RunWorkerOptions): Promise<readonly Task[]> {
  if (!options.withBuiltIn && options.taskFiles.length === 0) {
    throw usageError("A worker needs tasks: --no-built-in goes with --tasks, which is missing.");
  }
  const { builtInTasks, loadTasks, optionsFromEnvironment } = await import("@baton/tasks");
  const tasks: Task[] = [];
  if (options.withBuiltIn) tasks.push(...builtInTasks(builtInOptions(optionsFromEnvironment)));
  for (const file of options.taskFiles) {
    for (const task of await loadTasks(file)) {
      if (tasks.some(({ name }) => name === task.name)) {
        throw usageError(
          `The task "${task.name}" of ${file} is there already. Rename it, or leave the built-in tasks out ` +
            "with --no-built-in.",
        );
      }
      tasks.push(task);
    }
  }
  return tasks;
}

/** A wrong variable is a wrong setting, not a fault of this program. */
function builtInOptions<Options>(
  read: (environment: Readonly<Record<string, string | undefined>>) => Options,
): Options {
  try {
    return read(process.env);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CliError("invalid_config", message, {}, { cause: error });
  }
}

/** Where nobody has said how long: for other reasons there is no limit. */
const DRAIN_MS_BY_REASON: ReadonlyMap<string, number> = new Map([
  [PARENT_GONE, ORPHAN_DRAIN_MS_MAX],
  [STRAY_EXCEPTION, STRAY_DRAIN_MS_MAX],
]);

async function drain(
  worker: Worker,
  logger: Logger,
  options: RunWorkerOptions,
  reason: string,
): Promise<void> {
  logger.info({ reason }, "finishing running jobs");
  const drained = worker.drain();
  const timeoutMs = options.drainTimeoutMs ?? DRAIN_MS_BY_REASON.get(reason);
  if (timeoutMs === undefined || (await endsWithin(timeoutMs, drained))) return;
  logger.warn({ timeoutMs }, "running jobs were not finished in time; they start elsewhere");
  await worker.stop();
}

/** A handler that blocks the process for good must not keep it. */
async function stopHard(worker: Worker, logger: Logger): Promise<void> {
  logger.warn("stopping hard: running jobs start elsewhere");
  await endsWithin(STOP_MS_MAX, worker.stop());
  process.exit(EXIT.interrupted);
}

function workerLogger(logger: Logger): WorkerLogger {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}
