/** Baton as a user runs it: `baton server` in a process of its own, workers and clients over gRPC by its SDK. */
import { createClient, createWorker, task } from "@baton/sdk";

import { startServer } from "./baton-server.ts";
import type { Client, JobInput, System } from "./system.ts";

const NOOP = "noop";
/** Up to here an attempt is worth repeating at once. */
const RETRY_AT_ONCE = { strategy: "fixed", baseMs: 0, jitter: "none" } as const;

export const BATON_SYSTEM: System = {
  name: "baton",
  title: "Baton",
  packageName: "@baton/sdk",
  durability: "PostgreSQL, commit on disk",
  // docs/sdk.md: bulks of 1,000, and a worker that can hold all that is under way.
  bulk: { jobsPerCall: 1_000, callsAtOnce: 4 },
  jobsShare: 1,

  async start(house) {
    const database = "bench_baton";
    const databaseUrl = await house.createDatabase(database);
    const server = await startServer({ DATABASE_URL: databaseUrl });
    const client = createClient({ address: server.address });
    await client.tasks.put({ name: NOOP, retry: RETRY_AT_ONCE });
    return {
      target: server.address,
      baton: { origin: server.origin, databaseUrl },
      pids: { server: server.pid, database: house.postgresPid },
      unfinished: async () => {
        const queues = await client.queues.list();
        return queues.reduce(
          (sum, queue) => sum + queue.queuedCount + queue.runningCount + queue.scheduledCount,
          0,
        );
      },
      [Symbol.asyncDispose]: async () => {
        client.close();
        await server[Symbol.asyncDispose]();
        await house.dropDatabase(database);
      },
    };
  },

  openClient: (address) => Promise.resolve(batonClient(address)),

  async openWorker(address, handler, { queues = 1, tasks = 1 }) {
    const worker = createWorker({
      address,
      tasks: Array.from({ length: tasks }, (_, index) =>
        task<JobInput, void>({
          name: taskName(index, tasks),
          retry: RETRY_AT_ONCE,
          run: (input, { job }) => handler(input, job.attempt),
        }),
      ),
      queues: Array.from({ length: queues }, (_, index) => queueName(index, queues)),
      // docs/sdk.md: for jobs of a few milliseconds.
      slots: 200,
      prefetch: 4_000,
      // A failure on purpose is no news.
      onError: () => undefined,
    });
    await worker.start();
    return { stop: () => worker.drain() };
  },
};

/** Lanes that `many-lanes` submits to: queues by the lane's number, tasks by what is left. */
export const LANE_QUEUES = 100;
export const LANE_TASKS = 50;

function batonClient(address: string): Client {
  const client = createClient({ address });
  return {
    submit: async (input) => {
      await client.enqueue(NOOP, input);
    },
    submitMany: async (inputs) => {
      if (inputs[0]?.lane === undefined) {
        await client.enqueueMany(NOOP, inputs);
        return;
      }
      await client.enqueueMany(
        inputs.map(({ lane = 0 }) => ({
          task: taskName(Math.floor(lane / LANE_QUEUES), LANE_TASKS),
          input: {},
          options: { queue: queueName(lane % LANE_QUEUES, LANE_QUEUES) },
        })),
      );
    },
    close: () => Promise.resolve(client.close()),
  };
}

function taskName(index: number, count: number): string {
  return count === 1 ? NOOP : `${NOOP}-${index}`;
}

function queueName(index: number, count: number): string {
  return count === 1 ? "default" : `queue-${index}`;
}
