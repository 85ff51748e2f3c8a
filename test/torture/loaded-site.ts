/** A server with an embedded PostgreSQL, workers, and a stream of submissions. */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { createClient, type Client } from "@baton/sdk";

import { anEmbeddedServer, type EmbeddedServerProcess } from "../server-process.ts";
import type { Stage } from "../stage.ts";
import { until } from "../until.ts";
import type { History, ListedJob } from "./history.ts";
import { JournalReader } from "./journal.ts";
import { Load } from "./load.ts";
import { RunningWork } from "./resume.ts";
import { readTables } from "./tables.ts";
import { aWorker, type WorkerProcess } from "./worker-process.ts";

export interface LoadedSiteOptions {
  readonly seed: number;
  readonly ratePerSecond: number;
  readonly workerCount: number;
  /** Of each worker. Absent: the SDK's default. */
  readonly leaseMs?: number;
}

export interface LoadedSite {
  readonly server: EmbeddedServerProcess;
  readonly workers: readonly WorkerProcess[];
  readonly load: Load;
  readonly journals: JournalReader;
  readonly work: RunningWork;
  /** To be filled in by whoever kills workers. */
  readonly killedPids: Set<number>;
  /** Ends the load, waits until every job has ended, and tells everything. */
  settle(): Promise<History>;
}

/** Enough for the longest handlers of the load and what is queued behind them. */
const SLOTS = 200;
/** The SDK's default. */
const LEASE_MS_DEFAULT = 7_000;
const QUIET_DEADLINE_MS = 60_000;

/** Starts everything but the load. After the test nothing of it is left. */
export async function aLoadedSite(stage: Stage, options: LoadedSiteOptions): Promise<LoadedSite> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-journals-"));
  const journals = new JournalReader(directory);
  stage.after(async () => {
    journals.close();
    await rm(directory, { recursive: true, force: true });
  });
  const server = await anEmbeddedServer(stage);
  const { address } = server;
  const names = Array.from({ length: options.workerCount }, (_, index) => `worker-${index + 1}`);
  const leaseMs = options.leaseMs ?? LEASE_MS_DEFAULT;
  const workers = await Promise.all(
    names.map((name) =>
      aWorker(stage, { address, name, slots: SLOTS, leaseMs, journals: directory }),
    ),
  );
  const client = createClient({ address });
  const { seed, ratePerSecond } = options;
  const load = new Load({ client, seed, ratePerSecond, inFlightMax: ratePerSecond });
  stage.after(async () => {
    client.close();
    await load.stop();
  });
  await Promise.all(workers.map((worker) => worker.connected()));

  const work = new RunningWork();
  const killedPids = new Set<number>();
  return {
    server,
    workers,
    load,
    journals,
    work,
    killedPids,
    settle: async () => {
      await load.stop();
      await untilQuiet(client);
      work.add(journals.read());
      return {
        acknowledged: load.acknowledged,
        listed: await listAll(client),
        ...(await readTables(server.connection)),
        journal: work.entries,
        killedPids,
        leaseMs,
      };
    },
  };
}

async function untilQuiet(client: Client): Promise<void> {
  await until("every job to end", QUIET_DEADLINE_MS, async () => {
    const page = await client.listJobs(
      { states: ["waiting", "scheduled", "queued", "running"] },
      { limit: 1 },
    );
    return page.jobs.length === 0 ? true : undefined;
  });
}

async function listAll(client: Client): Promise<ListedJob[]> {
  const all: ListedJob[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listJobs({}, { limit: 1_000, cursor, includePayloads: true });
    for (const { id, state, attempt, input } of page.jobs) {
      all.push({ id, state, attempt, number: numberOf(input) });
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

function numberOf(input: unknown): number {
  return (input as { readonly number: number }).number;
}
