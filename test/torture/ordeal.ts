/** The ordeal: a server, workers and a load; rounds of kills; and in the end everything that is known of it. */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { createClient, type Client } from "@baton/sdk";

import { anEmbeddedServer, type EmbeddedServerProcess } from "../server-process.ts";
import type { Stage } from "../stage.ts";
import { until } from "../until.ts";
import { wasBackInTime } from "./contact.ts";
import type { History, ListedJob } from "./history.ts";
import { JournalReader, type JournalEntry } from "./journal.ts";
import { Load } from "./load.ts";
import { planRounds, type Round } from "./rounds.ts";
import { restartsOf, RunningWork } from "./resume.ts";
import { readTables } from "./tables.ts";
import { aWorker, type WorkerProcess } from "./worker-process.ts";

export interface OrdealOptions {
  readonly seed: number;
  readonly roundCount: number;
  readonly ratePerSecond: number;
  readonly workerCount: number;
}

export interface RoundReport extends Round {
  /** Attempts that ran on killed workers. */
  readonly lostCount: number;
  /**
   * From the restart until all of them had started again; when there were none, until any job started. Absent when that
   * did not happen in time.
   */
  readonly resumeMs: number | undefined;
  /** From the restart until the server served; absent when it was not killed. */
  readonly serverStartMs: number | undefined;
  /** By the clock of the machine. */
  readonly killedAtMs: number;
  /** Of a round that killed the server only: what ran meanwhile on workers that were back within their lease. */
  readonly healthyCount: number;
  /** Those of them that were given up all the same. */
  readonly healthyButLost: readonly JournalEntry[];
}

export interface OrdealReport {
  readonly rounds: readonly RoundReport[];
  readonly history: History;
  /** Submissions that failed, by error code. */
  readonly failures: ReadonlyMap<string, number>;
}

/** Enough for the longest handlers of the load and what is queued behind them. */
const SLOTS = 200;
/** The SDK's default. */
const LEASE_MS = 8_000;
/** More than a round's resumption may take, so that a failure shows how long it took. */
const RESUME_DEADLINE_MS = 30_000;
const QUIET_DEADLINE_MS = 60_000;
/** The longest handler takes 5 s. */
const HEALTHY_DEADLINE_MS = 15_000;

interface Site {
  readonly server: EmbeddedServerProcess;
  readonly workers: readonly WorkerProcess[];
  readonly journals: JournalReader;
  readonly work: RunningWork;
  readonly killedPids: Set<number>;
}

/** Plays it. Afterwards nothing of it is left. */
export async function playOrdeal(stage: Stage, options: OrdealOptions): Promise<OrdealReport> {
  const { seed, roundCount, ratePerSecond, workerCount } = options;
  const site = await aSite(stage, workerCount);
  const client = createClient({ address: site.server.address });
  const load = new Load({ client, seed, ratePerSecond, inFlightMax: ratePerSecond });
  stage.after(async () => {
    client.close();
    await load.stop();
  });

  load.start();
  const rounds: (RoundReport & { readonly ranMeanwhile: readonly JournalEntry[] })[] = [];
  for (const round of planRounds(seed, roundCount, workerCount)) {
    rounds.push(await playRound(site, round));
  }
  await load.stop();
  await untilQuiet(client);

  site.work.add(site.journals.read());
  const history: History = {
    acknowledged: load.acknowledged,
    listed: await listAll(client),
    ...(await readTables(site.server.connection)),
    journal: site.work.entries,
    killedPids: site.killedPids,
    leaseMs: LEASE_MS,
  };
  return { rounds: withHealthyButLost(rounds, history), history, failures: load.failures };
}

async function aSite(stage: Stage, workerCount: number): Promise<Site> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "baton-journals-"));
  const server = await anEmbeddedServer(stage);
  const workers = await Promise.all(
    Array.from({ length: workerCount }, (_, index) =>
      aWorker(stage, {
        address: server.address,
        name: `worker-${index + 1}`,
        slots: SLOTS,
        journals: directory,
      }),
    ),
  );
  const journals = new JournalReader(directory);
  stage.after(async () => {
    journals.close();
    await rm(directory, { recursive: true, force: true });
  });
  await Promise.all(workers.map((worker) => worker.connected()));
  return { server, workers, journals, work: new RunningWork(), killedPids: new Set() };
}

async function playRound(
  site: Site,
  round: Round,
): Promise<RoundReport & { readonly ranMeanwhile: readonly JournalEntry[] }> {
  const { server, workers, work, journals, killedPids } = site;
  await sleep(round.killAfterMs);
  const victims = workers.filter((_, index) => round.killedWorkers.includes(index));
  const postmaster = round.isPostgresKilled ? await server.postmaster() : undefined;
  const pids = victims.map((worker) => worker.pid);
  for (const pid of pids) killedPids.add(pid);
  const killedAtMs = Date.now();

  // Signals first, all in one go; then the wait for their effect.
  if (postmaster !== undefined) process.kill(postmaster, "SIGKILL");
  await Promise.all([
    round.isServerKilled ? server.kill() : undefined,
    ...victims.map((worker) => worker.end("SIGKILL")),
  ]);
  work.add(journals.read());
  const lost = pids.flatMap((pid) => work.bury(pid));
  const ranMeanwhile = workers
    .filter((worker) => !pids.includes(worker.pid))
    .flatMap((worker) => work.on(worker.pid));
  const since = work.entries.length;

  await sleep(round.restartAfterMs);
  const restartedAtMs = Date.now();
  const starting = round.isServerKilled ? server.start() : undefined;
  for (const worker of victims) worker.start();
  await starting;
  const serverStartMs = starting === undefined ? undefined : Date.now() - restartedAtMs;

  const resumedAtMs = await resumed(site, lost, since, restartedAtMs);
  if (round.kind === "server") await ended(site, ranMeanwhile);
  return {
    ...round,
    lostCount: lost.length,
    serverStartMs,
    resumeMs: resumedAtMs === undefined ? undefined : resumedAtMs - restartedAtMs,
    killedAtMs,
    ranMeanwhile: round.kind === "server" ? ranMeanwhile : [],
    healthyCount: 0,
    healthyButLost: [],
  };
}

/** The instant at which everything that was lost had started again; at least one job, when nothing was lost. */
async function resumed(
  { work, journals }: Site,
  lost: readonly JournalEntry[],
  since: number,
  restartedAtMs: number,
): Promise<number | undefined> {
  const look = (): number | undefined => {
    work.add(journals.read());
    if (lost.length > 0) {
      const restarts = restartsOf(lost, work.entries, since);
      return restarts.size === lost.length ? Math.max(...restarts.values()) : undefined;
    }
    return work.entries
      .slice(since)
      .find((entry) => entry.kind === "started" && entry.atMs >= restartedAtMs)?.atMs;
  };
  return until("work to resume", RESUME_DEADLINE_MS, look).catch(() => undefined);
}

async function ended({ work, journals }: Site, running: readonly JournalEntry[]): Promise<void> {
  await until("handlers to end", HEALTHY_DEADLINE_MS, () => {
    work.add(journals.read());
    return running.some((entry) => work.isRunning(entry)) ? undefined : true;
  });
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

function withHealthyButLost(
  rounds: readonly (RoundReport & { readonly ranMeanwhile: readonly JournalEntry[] })[],
  { attempts, journal, leaseMs }: History,
): RoundReport[] {
  const lost = new Set(
    attempts
      .filter((attempt) => attempt.outcome === "lost")
      .map((attempt) => `${attempt.jobId}/${attempt.attempt}`),
  );
  return rounds.map(({ ranMeanwhile, ...round }) => {
    const healthy = ranMeanwhile.filter(({ pid }) =>
      wasBackInTime(journal, pid, round.killedAtMs, leaseMs),
    );
    return {
      ...round,
      healthyCount: healthy.length,
      healthyButLost: healthy.filter((entry) => lost.has(`${entry.jobId}/${entry.attempt}`)),
    };
  });
}

/** A table for people. */
export function describeOrdeal({ rounds, history, failures }: OrdealReport): string {
  const kinds = new Map<string, number>();
  for (const { kind } of rounds) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const resumes = rounds.map((round) => round.resumeMs ?? Infinity).sort((a, b) => a - b);
  const lost = history.attempts.filter((attempt) => attempt.outcome === "lost").length;
  const rows: [string, string][] = [
    [
      "rounds",
      `${rounds.length}: ${[...kinds].map(([kind, count]) => `${count} × ${kind}`).join(", ")}`,
    ],
    ["accepted", String(new Set(history.acknowledged.map((ack) => ack.jobId)).size)],
    [
      "refused or unanswered",
      [...failures].map(([code, count]) => `${count} × ${code}`).join(", ") || "none",
    ],
    ["ended", String(history.finishedIds.length)],
    ["attempts", String(history.attempts.length)],
    ["lost and run again", String(lost)],
    ["resumed after ms", `p50 ${resumes[Math.floor(resumes.length / 2)]}, most ${resumes.at(-1)}`],
  ];
  const lines = rows.map(([name, value]) => `  ${name.padEnd(24)}${value}`);
  const each = rounds.map(
    (round, index) =>
      `  ${String(index + 1).padStart(2)}. ${round.kind.padEnd(20)} workers killed ${round.killedWorkers.length}, ` +
      `ran ${round.lostCount}, healthy ${round.healthyCount}, server back after ${round.serverStartMs ?? "-"} ms, resumed after ${round.resumeMs ?? "never"} ms`,
  );
  return [...lines, ...each].join("\n");
}
