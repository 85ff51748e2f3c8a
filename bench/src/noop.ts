/**
 * No-op jobs through gRPC and a worker process, all on this machine.
 *
 * end to end: submit and run together; from the first submit until the last outcome is durable.
 * burn-down: all jobs are queued before the worker starts; from its start until the last outcome is durable.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, type Client } from "@baton/sdk";

import { cpuSeconds, postgresCpuSeconds } from "./cpu.ts";
import { startNoopWorker, startServer, type BatonServer, type NoopWorker } from "./processes.ts";

const JOBS_PER_CALL = 500;
const CALLS_AT_ONCE = 8;

export interface NoopOptions {
  readonly jobs: number;
  readonly rounds: number;
}

export interface NoopRound {
  readonly scenario: "end_to_end" | "burn_down";
  readonly jobsPerSecond: number;
  /** CPU of each process per job, in microseconds; 0 where the system does not tell. */
  readonly cpuUsPerJob: {
    readonly server: number;
    readonly worker: number;
    readonly postgres: number;
  };
}

/** Runs both scenarios `rounds` times, in turn, on one server. */
export async function runNoop(
  options: NoopOptions,
  onRound: (round: NoopRound) => void,
): Promise<readonly NoopRound[]> {
  await using server = await startServer();
  const client = createClient({ address: server.address });
  const rounds: NoopRound[] = [];
  try {
    await client.tasks.put({ name: "noop" });
    for (let round = 0; round < options.rounds; round += 1) {
      for (const scenario of [endToEnd, burnDown]) {
        const result = await scenario(server, client, options.jobs);
        rounds.push(result);
        onRound(result);
      }
    }
    return rounds;
  } finally {
    client.close();
  }
}

async function endToEnd(server: BatonServer, client: Client, jobs: number): Promise<NoopRound> {
  await using worker = await startNoopWorker(server.address);
  return await measure("end_to_end", server, worker, jobs, async () => {
    await submit(client, jobs);
    await worker.ran(jobs);
    await untilDurable(client);
  });
}

async function burnDown(server: BatonServer, client: Client, jobs: number): Promise<NoopRound> {
  await client.queues.pause("default");
  await submit(client, jobs);
  await using worker = await startNoopWorker(server.address);
  return await measure("burn_down", server, worker, jobs, async () => {
    await client.queues.resume("default");
    await worker.ran(jobs);
    await untilDurable(client);
  });
}

async function measure(
  scenario: NoopRound["scenario"],
  server: BatonServer,
  worker: NoopWorker,
  jobs: number,
  work: () => Promise<void>,
): Promise<NoopRound> {
  const before = await cpuOf(server, worker);
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1_000;
  const after = await cpuOf(server, worker);
  const perJob = (name: keyof typeof before): number =>
    Math.round(((after[name] - before[name]) * 1e6) / jobs);
  return {
    scenario,
    jobsPerSecond: Math.round(jobs / seconds),
    cpuUsPerJob: {
      server: perJob("server"),
      worker: perJob("worker"),
      postgres: perJob("postgres"),
    },
  };
}

async function submit(client: Client, jobs: number): Promise<void> {
  const calls = Math.ceil(jobs / JOBS_PER_CALL);
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < calls) {
      const count = Math.min(JOBS_PER_CALL, jobs - next * JOBS_PER_CALL);
      next += 1;
      await client.enqueueMany(
        "noop",
        Array.from({ length: count }, () => null),
      );
    }
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, caller));
}

async function untilDurable(client: Client): Promise<void> {
  for (;;) {
    const queues = await client.queues.list();
    if (queues.every((queue) => queue.queuedCount + queue.runningCount === 0)) return;
    await sleep(5);
  }
}

async function cpuOf(
  server: BatonServer,
  worker: NoopWorker,
): Promise<{ readonly server: number; readonly worker: number; readonly postgres: number }> {
  return {
    server: await cpuSeconds(server.pid),
    worker: await cpuSeconds(worker.pid),
    postgres: await postgresCpuSeconds(server.pid),
  };
}
