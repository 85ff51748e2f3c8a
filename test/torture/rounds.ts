/** Which processes are killed, in which round, and when: from a seed alone. */
import { randomOf, shuffled } from "./random.ts";

export const KILL_KINDS = [
  "server",
  "worker",
  "postgres",
  "server and worker",
  "server and postgres",
  "all",
] as const;
export type KillKind = (typeof KILL_KINDS)[number];

export interface Round {
  readonly kind: KillKind;
  readonly isServerKilled: boolean;
  readonly isPostgresKilled: boolean;
  /** Of the workers, by their index. */
  readonly killedWorkers: readonly number[];
  /** Load until the kill. */
  readonly killAfterMs: number;
  /** Between the kill and the restart of what the harness restarts. */
  readonly restartAfterMs: number;
}

/** Plans rounds: each kind once before any comes again. */
export function planRounds(seed: number, count: number, workerCount: number): Round[] {
  const random = randomOf(seed);
  const kinds: KillKind[] = [];
  while (kinds.length < count) kinds.push(...shuffled(KILL_KINDS, random));
  return kinds.slice(0, count).map((kind) => planRound(kind, workerCount, random));
}

function planRound(kind: KillKind, workerCount: number, random: () => number): Round {
  const workers = shuffled([...Array(workerCount).keys()], random);
  const isWorkerKilled = kind === "worker" || kind === "server and worker";
  // One, or all of them.
  const one = random() < 0.7 ? workers.slice(0, 1) : workers;
  return {
    kind,
    isServerKilled: kind.startsWith("server") || kind === "all",
    isPostgresKilled: kind.includes("postgres") || kind === "all",
    killedWorkers: kind === "all" ? workers : isWorkerKilled ? one : [],
    killAfterMs: 500 + Math.floor(random() * 1_500),
    restartAfterMs: Math.floor(random() * 500),
  };
}
