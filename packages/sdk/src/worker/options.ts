import { hostname } from "node:os";

import { checkMessage, checkText } from "../check-message.ts";
import { resolveConnection } from "../connection.ts";
import type { Connection, ConnectionOptions } from "../connection.ts";
import type { JobInfo } from "../context.ts";
import { BatonError } from "../errors.ts";
import { toWireTaskDefinition } from "../job-spec.ts";
import {
  WORKER_LEASE_MS_DEFAULT,
  WORKER_LEASE_MS_MAX,
  WORKER_LEASE_MS_MIN,
  WORKER_PREFETCH_MAX,
  WORKER_SLOTS_DEFAULT,
  WORKER_SLOTS_MAX,
} from "../limits.ts";
import { shown } from "../shown.ts";
import { isTask } from "../task.ts";
import type { Task } from "../task.ts";
import { stderrLogger } from "./logger.ts";
import type { WorkerLogger } from "./logger.ts";

export interface WorkerOptions extends ConnectionOptions {
  /** 1 to 500, with different names. */
  readonly tasks: readonly Task[];
  /** 1 to 100 queues to take jobs from. @default ["default"] */
  readonly queues?: readonly string[] | undefined;
  /** Handlers that run at the same time, 1 to 10,000. @default 10 */
  readonly slots?: number | undefined;
  /**
   * Jobs to hold ready beyond the slots, 0 to 10,000. They start without a round trip to the server, but wait behind
   * this worker's running ones even when another worker is idle. Worth it for jobs of a few milliseconds: set it to
   * `slots`, or more.
   *
   * @default 0
   */
  readonly prefetch?: number | undefined;
  /** For people, at most 128 characters. @default host name and process id */
  readonly name?: string | undefined;
  /** At most 32 pairs of at most 128 characters. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /**
   * How long the worker keeps its jobs without contact to a server, 2,000 to 600,000. Longer than any handler blocks the
   * process. A dead worker's jobs start elsewhere after so long. @default 7,000
   */
  readonly leaseMs?: number | undefined;
  /**
   * Called with what handlers throw, except control errors and what follows a stop, and with faults of the connection
   * (then without a job). Must not throw.
   */
  readonly onError?: ((error: unknown, job: JobInfo | undefined) => void) | undefined;
  /** @default warnings and errors to stderr */
  readonly logger?: WorkerLogger | undefined;
}

/** Options checked and with their defaults. */
export interface WorkerSettings {
  readonly connection: Connection;
  readonly tasks: ReadonlyMap<string, Task>;
  readonly queues: readonly string[];
  readonly slots: number;
  readonly prefetch: number;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly leaseMs: number;
  readonly onError: (error: unknown, job: JobInfo | undefined) => void;
  readonly logger: WorkerLogger;
}

/** @throws BatonError invalid_argument that names the option and what it was */
export function resolveWorkerOptions(options: WorkerOptions): WorkerSettings {
  const slots = options.slots ?? WORKER_SLOTS_DEFAULT;
  const prefetch = options.prefetch ?? 0;
  const leaseMs = options.leaseMs ?? WORKER_LEASE_MS_DEFAULT;
  checkInteger("slots", slots, 1, WORKER_SLOTS_MAX);
  checkInteger("prefetch", prefetch, 0, WORKER_PREFETCH_MAX);
  checkInteger("leaseMs", leaseMs, WORKER_LEASE_MS_MIN, WORKER_LEASE_MS_MAX);
  const {
    queues = ["default"],
    name = `${hostname()}-${process.pid}`.slice(-128),
    labels = {},
  } = options;
  checkMessage({ queues, name });
  checkLabels(labels);
  return {
    connection: resolveConnection(options),
    tasks: tasksByName(options.tasks),
    queues,
    slots,
    prefetch,
    name,
    labels,
    leaseMs,
    onError: options.onError ?? (() => undefined),
    logger: options.logger ?? stderrLogger,
  };
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new BatonError(
    "invalid_argument",
    `${name} must be an integer of ${min} to ${max}, got ${shown(value)}`,
    { option: name },
  );
}

/** Their names are the caller's, and a text, too. */
function checkLabels(labels: Readonly<Record<string, string>>): void {
  if (typeof labels !== "object" || labels === null) {
    throw new BatonError("invalid_argument", `labels must be an object, got ${shown(labels)}`);
  }
  for (const [key, value] of Object.entries(labels)) {
    checkText("labels", key);
    checkText(`labels.${key}`, value);
  }
}

function tasksByName(tasks: readonly Task[]): ReadonlyMap<string, Task> {
  if (!Array.isArray(tasks) || tasks.length === 0) {
    throw new BatonError(
      "invalid_argument",
      `tasks must be an array with at least one task, got ${shown(tasks)}`,
    );
  }
  const byName = new Map<string, Task>();
  for (const [index, task] of tasks.entries()) {
    if (!isTask(task)) {
      throw new BatonError(
        "invalid_argument",
        `tasks[${index}] must be made by task(), got ${shown(task)}`,
      );
    }
    if (byName.has(task.name)) {
      const first = tasks.findIndex(({ name }) => name === task.name);
      throw new BatonError(
        "invalid_argument",
        `tasks[${first}] and tasks[${index}] both have the name "${task.name}"; ` +
          "a worker runs one task of each name",
        { task: task.name },
      );
    }
    checkMessage(toWireTaskDefinition(task), `tasks[${index}].`);
    byName.set(task.name, task);
  }
  return byName;
}
