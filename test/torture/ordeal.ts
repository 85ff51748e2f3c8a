/** The ordeal: a server, workers and a load; rounds of kills; and in the end everything that is known of it. */
import { setTimeout as sleep } from "node:timers/promises";

import type { Stage } from "../stage.ts";
import { until } from "../until.ts";
import { wasBackInTime } from "./contact.ts";
import type { History } from "./history.ts";
import type { JournalEntry } from "./journal.ts";
import { aLoadedSite, type LoadedSite, type LoadedSiteOptions } from "./loaded-site.ts";
import { planRounds, type Round } from "./rounds.ts";
import { restartsOf } from "./resume.ts";

export interface OrdealOptions extends LoadedSiteOptions {
  readonly roundCount: number;
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
  /** Jobs that the load tried to submit. */
  readonly triedCount: number;
  /** Submissions that failed, by error code. */
  readonly failures: ReadonlyMap<string, number>;
}

/** More than a round's resumption may take, so that a failure shows how long it took. */
const RESUME_DEADLINE_MS = 30_000;
/** The longest handler takes 5 s. */
const HEALTHY_DEADLINE_MS = 15_000;

/** Plays it. Afterwards nothing of it is left. */
export async function playOrdeal(stage: Stage, options: OrdealOptions): Promise<OrdealReport> {
  const site = await aLoadedSite(stage, options);
  site.load.start();
  const rounds: PlayedRound[] = [];
  for (const round of planRounds(options.seed, options.roundCount, options.workerCount)) {
    rounds.push(await playRound(site, round));
  }
  const history = await site.settle();
  return {
    rounds: rounds.map((round) => judged(round, history)),
    history,
    triedCount: site.load.triedCount,
    failures: site.load.failures,
  };
}

/** A round before it is known which attempts were lost. */
interface PlayedRound extends Omit<RoundReport, "healthyCount" | "healthyButLost"> {
  readonly ranMeanwhile: readonly JournalEntry[];
}

async function playRound(site: LoadedSite, round: Round): Promise<PlayedRound> {
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
  };
}

/** The instant at which everything that was lost had started again; at least one job, when nothing was lost. */
async function resumed(
  { work, journals }: LoadedSite,
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

async function ended(
  { work, journals }: LoadedSite,
  running: readonly JournalEntry[],
): Promise<void> {
  await until("handlers to end", HEALTHY_DEADLINE_MS, () => {
    work.add(journals.read());
    return running.some((entry) => work.isRunning(entry)) ? undefined : true;
  });
}

function judged({ ranMeanwhile, ...round }: PlayedRound, history: History): RoundReport {
  const { attempts, journal, leaseMs } = history;
  const lost = new Set(
    attempts
      .filter((attempt) => attempt.outcome === "lost")
      .map((attempt) => `${attempt.jobId}/${attempt.attempt}`),
  );
  const healthy = ranMeanwhile.filter(({ pid }) =>
    wasBackInTime(journal, pid, round.killedAtMs, leaseMs),
  );
  return {
    ...round,
    healthyCount: healthy.length,
    healthyButLost: healthy.filter((entry) => lost.has(`${entry.jobId}/${entry.attempt}`)),
  };
}
