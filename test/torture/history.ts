/**
 * Judges a history: what callers were told, what handlers wrote down, and what Baton says of it in the end. In the manner
 * of Jepsen's checkers: pure, after the fact, and knowing nothing of how Baton works but its promises.
 */
import type { Acknowledged } from "./load.ts";
import type { JournalEntry } from "./journal.ts";
import { unsafeInstants } from "./contact.ts";

/** Everything that is known when the system has become quiet. */
export interface History {
  /** What callers were told. */
  readonly acknowledged: readonly Acknowledged[];
  /** All jobs, through the public API. */
  readonly listed: readonly ListedJob[];
  /** Ids of the rows of both tables of jobs. */
  readonly liveIds: readonly string[];
  readonly finishedIds: readonly string[];
  /** All recorded attempts, the last of each job included. */
  readonly attempts: readonly RecordedAttempt[];
  /** What the workers wrote down, of each process in its order. */
  readonly journal: readonly JournalEntry[];
  /** Pids of workers that were killed. */
  readonly killedPids: ReadonlySet<number>;
  /** Of every worker, in milliseconds. */
  readonly leaseMs: number;
}

export interface ListedJob {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  /** Of the job in the load. */
  readonly number: number;
}

export interface RecordedAttempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly outcome: string | undefined;
  /** Of the worker that held it. */
  readonly pid: number;
}

export const RULES = [
  "an accepted job is listed once, and has succeeded",
  "a job stands in one table, once",
  "a submission makes one job",
  "all submissions with one key lead to one job",
  "a fence is given to one handler",
  "attempts of a job start in order, one after another",
  "every attempt up to the last is recorded with its outcome",
  "a job succeeds once, with its last attempt",
  "a recorded outcome is what the handler did",
  "an attempt is lost only with its worker or its lease",
] as const;
export type Rule = (typeof RULES)[number];

export interface Violation {
  readonly rule: Rule;
  readonly jobId: string;
  readonly what: string;
}

/** @returns every breach of a rule; none for a good history */
export function checkHistory(history: History): Violation[] {
  return [
    ...checkAccepted(history),
    ...checkTables(history),
    ...checkSubmissions(history),
    ...checkKeys(history),
    ...checkFences(history),
    ...checkOrder(history),
    ...checkRecords(history),
    ...checkOutcomes(history),
  ];
}

function checkAccepted({ acknowledged, listed }: History): Violation[] {
  const rule = "an accepted job is listed once, and has succeeded";
  const byId = grouped(listed, (job) => job.id);
  const accepted = new Set(acknowledged.map((ack) => ack.jobId));
  const lost = [...accepted].filter((jobId) => !byId.has(jobId));
  // Those that nobody was told of count, too: they exist, so they must end.
  const bad = [...byId].filter(([, jobs]) => jobs.length > 1 || jobs[0]?.state !== "succeeded");
  return [
    ...lost.map((jobId) => ({ rule, jobId, what: "accepted, but not listed" }) as const),
    ...bad.map(
      ([jobId, jobs]) =>
        ({ rule, jobId, what: `listed as ${jobs.map((job) => job.state).join(" and ")}` }) as const,
    ),
  ];
}

function checkTables({ liveIds, finishedIds }: History): Violation[] {
  const rule = "a job stands in one table, once";
  return [...grouped([...liveIds, ...finishedIds], (id) => id)]
    .filter(([, rows]) => rows.length > 1)
    .map(([jobId, rows]) => ({ rule, jobId, what: `${rows.length} rows` }));
}

function checkSubmissions({ listed }: History): Violation[] {
  const rule = "a submission makes one job";
  return [...grouped(listed, (job) => job.number)]
    .filter(([, jobs]) => new Set(jobs.map((job) => job.id)).size > 1)
    .map(([number, jobs]) => ({
      rule,
      jobId: jobs[0]?.id ?? "",
      what: `job ${number} of the load exists as ${jobs.map((job) => job.id).join(", ")}`,
    }));
}

function checkKeys({ acknowledged }: History): Violation[] {
  const rule = "all submissions with one key lead to one job";
  const keyed = acknowledged.filter((ack) => ack.idempotencyKey !== undefined);
  return [...grouped(keyed, (ack) => ack.idempotencyKey)].flatMap(([key, acks]) => {
    const ids = [...new Set(acks.map((ack) => ack.jobId))];
    return ids.length === 1 ? [] : [{ rule, jobId: ids[0] ?? "", what: `${key}: ${ids.join()}` }];
  });
}

function checkFences({ journal }: History): Violation[] {
  const rule = "a fence is given to one handler";
  const starts = journal.filter((entry) => entry.kind === "started");
  return [...grouped(starts, fenceOf)]
    .filter(([, entries]) => entries.length > 1)
    .map(([fence, entries]) => ({
      rule,
      jobId: entries[0]?.jobId ?? "",
      what: `${fence} was started by ${entries.map((e) => `${e.pid} at ${e.atMs}`).join(" and ")}`,
    }));
}

function checkOrder({ journal }: History): Violation[] {
  const rule = "attempts of a job start in order, one after another";
  const ends = new Map(
    journal.filter((entry) => END_KINDS.has(entry.kind)).map((entry) => [fenceOf(entry), entry]),
  );
  const starts = journal.filter((entry) => entry.kind === "started");
  return [...grouped(starts, (entry) => entry.jobId)].flatMap(([jobId, entries]) => {
    const inTime = entries.sort((a, b) => a.atMs - b.atMs || a.attempt - b.attempt);
    return inTime.flatMap((entry, index) => {
      const before = inTime[index - 1];
      if (before === undefined) return [];
      // The rule about fences says enough.
      if (entry.attempt === before.attempt) return [];
      if (entry.attempt < before.attempt) {
        return [{ rule, jobId, what: `${entry.attempt} started after ${before.attempt}` }];
      }
      // Without an end the process was killed, when is not written here.
      const end = ends.get(fenceOf(before));
      if (end === undefined || end.atMs <= entry.atMs) return [];
      const byMs = end.atMs - entry.atMs;
      const what = `${entry.attempt} started ${byMs} ms before the end of ${before.attempt}`;
      return [{ rule, jobId, what }];
    });
  });
}

function checkRecords({ attempts, listed }: History): Violation[] {
  const recorded = grouped(attempts, (attempt) => attempt.jobId);
  return listed.flatMap((job): Violation[] => {
    const own = (recorded.get(job.id) ?? []).sort((a, b) => a.attempt - b.attempt);
    const numbers = own.map((attempt) => attempt.attempt).join();
    const expected = Array.from({ length: job.attempt }, (_, index) => index + 1).join();
    const isComplete = own.every((attempt) => attempt.outcome !== undefined);
    const successes = own.filter((attempt) => attempt.outcome === "succeeded");
    const jobId = job.id;
    return [
      ...(numbers === expected && isComplete
        ? []
        : [
            {
              rule: "every attempt up to the last is recorded with its outcome",
              jobId,
              what: `expected attempts ${expected}; recorded are ${own.map((a) => `${a.attempt} ${a.outcome}`).join()}`,
            } as const,
          ]),
      ...(job.state !== "succeeded" ||
      (successes.length === 1 && successes[0]?.attempt === job.attempt)
        ? []
        : [
            {
              rule: "a job succeeds once, with its last attempt",
              jobId,
              what: `of ${job.attempt} attempts ${successes.map((a) => a.attempt).join()} succeeded`,
            } as const,
          ]),
    ];
  });
}

function checkOutcomes(history: History): Violation[] {
  const { attempts, journal } = history;
  const records = new Map(attempts.map((attempt) => [fenceOf(attempt), attempt]));
  const ends = new Map(
    journal.filter((entry) => END_KINDS.has(entry.kind)).map((entry) => [fenceOf(entry), entry]),
  );
  const starts = new Map(
    journal.filter((entry) => entry.kind === "started").map((entry) => [fenceOf(entry), entry]),
  );
  const unsafe = unsafeInstants(journal, history.leaseMs);
  const isExcused = (attempt: RecordedAttempt): boolean => {
    const startedAtMs = starts.get(fenceOf(attempt))?.atMs ?? 0;
    return (
      history.killedPids.has(attempt.pid) ||
      unsafe.some(({ pid, atMs }) => pid === attempt.pid && atMs >= startedAtMs)
    );
  };

  const wrong = attempts.flatMap((attempt): Violation[] => {
    const { jobId, outcome, pid } = attempt;
    const end = ends.get(fenceOf(attempt))?.kind;
    const needed = outcome === undefined ? undefined : NEEDED_ENDS[outcome];
    if (needed !== undefined && end !== needed) {
      const what = `attempt ${attempt.attempt} is ${outcome}, but its handler ${end ?? "never ended"}`;
      return [{ rule: "a recorded outcome is what the handler did", jobId, what }];
    }
    if (outcome === "lost" && !isExcused(attempt)) {
      const what = `attempt ${attempt.attempt} is lost, though worker ${pid} lived and kept its lease`;
      return [{ rule: "an attempt is lost only with its worker or its lease", jobId, what }];
    }
    return [];
  });
  const unrecorded = journal
    .filter((entry) => entry.kind === "started" && !records.has(fenceOf(entry)))
    .map(
      (entry) =>
        ({
          rule: "a recorded outcome is what the handler did",
          jobId: entry.jobId,
          what: `attempt ${entry.attempt} was started, but is not recorded`,
        }) as const,
    );
  return [...wrong, ...unrecorded];
}

const END_KINDS: ReadonlySet<string> = new Set(["returned", "threw", "aborted"]);
/** How the handler must have ended for an outcome to be true. A lost attempt's may have ended anyhow, or never. */
const NEEDED_ENDS: Readonly<Record<string, string>> = { succeeded: "returned", retry: "threw" };

function fenceOf(ref: { readonly jobId: string; readonly attempt: number }): string {
  return `${ref.jobId}/${ref.attempt}`;
}

function grouped<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
