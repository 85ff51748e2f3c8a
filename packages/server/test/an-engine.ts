/** An engine on a test database, and workers of it that the test plays itself. */
import { randomUUID } from "node:crypto";
import { pino } from "pino";

import type { WorkerConnection } from "../src/dispatch/worker-connection.ts";
import type { WorkerWelcome } from "../src/dispatch/worker-door.ts";
import type { JobDelivery, StopReason } from "../src/dispatch/worker-session.ts";
import type { AttemptRef } from "../src/domain/job.ts";
import type { TaskDefinition } from "../src/domain/views.ts";
import { startEngine, type Engine, type EngineOptions } from "../src/engine.ts";
import type { Database } from "../src/store/db.ts";

/** Starts an engine that is stopped after the suite. */
export async function anEngine(
  db: Database,
  cleanup: { readonly after: (stop: () => Promise<void>) => void },
  different: Partial<EngineOptions> = {},
): Promise<Engine> {
  const engine = await startEngine({
    db,
    reads: db,
    logger: pino({ level: "silent" }),
    name: "test-server",
    version: "0.0.0",
    payloadBytesMax: 1024 * 1024,
    idempotencyMs: 60_000,
    retention: { finishedDays: 7, deadDays: 30 },
    ...different,
  });
  cleanup.after(() => engine.stop());
  return engine;
}

export interface Stop extends AttemptRef {
  readonly reason: StopReason;
  readonly graceMs: number;
}

/** A worker that does what the test tells it. */
export interface PlayedWorker {
  readonly instance: string;
  readonly connection: WorkerConnection;
  readonly welcome: WorkerWelcome;
  /** The next job that comes down, in order. */
  job(): Promise<JobDelivery>;
  /** The next order to stop. */
  stop(): Promise<Stop>;
  /** Jobs that have come down and that the test has not taken yet. */
  readonly waiting: readonly JobDelivery[];
  succeed(job: AttemptRef | JobDelivery, result?: unknown): Promise<readonly AttemptRef[]>;
}

export interface PlayedWorkerOptions {
  readonly tasks?: readonly TaskDefinition[];
  readonly queues?: readonly string[];
  readonly slots?: number;
  readonly prefetch?: number;
  readonly instance?: string;
  readonly held?: readonly AttemptRef[];
}

/** Connects a worker. */
export async function aPlayedWorker(
  engine: Engine,
  options: PlayedWorkerOptions = {},
): Promise<PlayedWorker> {
  const jobs = new Inbox<JobDelivery>();
  const stops = new Inbox<Stop>();
  const instance = options.instance ?? randomUUID();
  let welcome: WorkerWelcome | undefined;
  const connection = await engine.workerDoor.connect(
    {
      instance,
      name: "played",
      tasks: options.tasks ?? [{ name: "noop" }],
      queues: options.queues ?? [],
      slots: options.slots ?? 10,
      prefetch: options.prefetch ?? 0,
      labels: {},
      host: "localhost",
      pid: 1,
      sdk: "test/0",
      leaseMs: 0,
      held: options.held ?? [],
    },
    {
      jobs: (delivered) => delivered.forEach((job) => jobs.put(job)),
      stop: (refs, reason, graceMs) => {
        for (const { jobId, attempt } of refs) stops.put({ jobId, attempt, reason, graceMs });
      },
      isFull: false,
      goodbye: () => undefined,
    },
    (said) => {
      welcome = said;
    },
  );
  if (welcome === undefined) throw new Error("connected without a welcome");
  return {
    instance,
    connection,
    welcome,
    job: () => jobs.take(),
    stop: () => stops.take(),
    get waiting() {
      return jobs.waiting;
    },
    succeed: (job, result) =>
      connection.outcomes([
        { ...refOf(job), kind: "succeeded", result: JSON.stringify(result), durationMs: 1 },
      ]),
  };
}

/** The fence of a job that came down. */
export function refOf(job: AttemptRef | JobDelivery): AttemptRef {
  return { jobId: "jobId" in job ? job.jobId : job.id, attempt: job.attempt };
}

/** Things that arrive, and somebody who waits for them. */
class Inbox<Thing> {
  readonly waiting: Thing[] = [];
  readonly #takers: ((thing: Thing) => void)[] = [];

  put(thing: Thing): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.waiting.push(thing);
    else taker(thing);
  }

  take(): Promise<Thing> {
    const thing = this.waiting.shift();
    return thing === undefined
      ? new Promise((resolve) => this.#takers.push(resolve))
      : Promise.resolve(thing);
  }
}
