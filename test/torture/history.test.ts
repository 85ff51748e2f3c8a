import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { checkHistory, type History, type RecordedAttempt } from "./history.ts";
import type { EntryKind, JournalEntry } from "./journal.ts";

const PID = 100;

describe("checkHistory", () => {
  it("finds nothing in a history in which each job ran once", () => {
    assert.deepEqual(checkHistory(aHistory()), []);
  });

  it("finds nothing wrong with a job that failed once and was run again", () => {
    const history = aHistory({
      listed: [aJob({ attempt: 2 })],
      attempts: [anAttempt({ outcome: "retry" }), anAttempt({ attempt: 2 })],
      journal: [...handled(1, "threw", 1_000), ...handled(2, "returned", 2_000)],
    });

    assert.deepEqual(checkHistory(history), []);
  });

  it("finds nothing wrong with an attempt that was lost with its worker", () => {
    assert.deepEqual(checkHistory({ ...lostOnce(), killedPids: new Set([PID]) }), []);
  });

  it("finds nothing wrong with an attempt that was lost with its lease", () => {
    const history = lostOnce();
    const journal = [...history.journal, anEntry("lease_lost", { atMs: 1_500, attempt: 0 })];

    assert.deepEqual(checkHistory({ ...history, journal }), []);
  });

  it("finds nothing wrong with an attempt that was lost while its worker was out of contact", () => {
    const history = lostOnce();
    const journal = [
      ...history.journal,
      anEntry("disconnected", { atMs: 1_100, attempt: 0 }),
      anEntry("disconnected", { atMs: 5_000, attempt: 0 }),
      anEntry("connected", { atMs: 10_000, attempt: 0 }),
    ];

    assert.deepEqual(checkHistory({ ...history, journal }), []);
  });

  const breaches: readonly {
    readonly name: string;
    readonly history: History;
    readonly found: string;
  }[] = [
    {
      name: "an accepted job that is nowhere",
      history: aHistory({ listed: [], finishedIds: [], attempts: [], journal: [] }),
      found: "an accepted job is listed once, and has succeeded: accepted, but not listed",
    },
    {
      name: "a job that has not ended",
      history: aHistory({ listed: [aJob({ state: "queued", attempt: 1 })] }),
      found: "an accepted job is listed once, and has succeeded: listed as queued",
    },
    {
      name: "a job that is listed twice",
      history: aHistory({ listed: [aJob(), aJob()] }),
      found: "an accepted job is listed once, and has succeeded: listed as succeeded and succeeded",
    },
    {
      name: "a job that is live and finished",
      history: aHistory({ liveIds: ["a"] }),
      found: "a job stands in one table, once: 2 rows",
    },
    {
      name: "a submission that made two jobs",
      history: withTwin({ number: 1 }),
      found: "a submission makes one job: job 1 of the load exists as a, b",
    },
    {
      name: "a key that led to two jobs",
      history: {
        ...withTwin({ number: 2 }),
        acknowledged: [
          { jobId: "a", number: 1, idempotencyKey: "k" },
          { jobId: "b", number: 2, idempotencyKey: "k" },
        ],
      },
      found: "all submissions with one key lead to one job: k: a,b",
    },
    {
      name: "a fence that two handlers got",
      history: aHistory({
        journal: [...handled(1, "returned", 1_000), anEntry("started", { atMs: 900, pid: 101 })],
      }),
      found: "a fence is given to one handler: a/1 was started by 100 at 1000 and 101 at 900",
    },
    {
      name: "a second attempt that began before the first had ended",
      history: aHistory({
        listed: [aJob({ attempt: 2 })],
        attempts: [anAttempt({ outcome: "retry" }), anAttempt({ attempt: 2 })],
        journal: [...handled(1, "threw", 1_000), ...handled(2, "returned", 1_005)],
      }),
      found:
        "attempts of a job start in order, one after another: 2 started 5 ms before the end of 1",
    },
    {
      name: "an attempt that began after a later one",
      history: aHistory({
        listed: [aJob({ attempt: 2 })],
        attempts: [anAttempt({ outcome: "retry" }), anAttempt({ attempt: 2 })],
        journal: [...handled(2, "returned", 1_000), ...handled(1, "threw", 2_000)],
      }),
      found: "attempts of a job start in order, one after another: 1 started after 2",
    },
    {
      name: "an attempt that is not recorded",
      history: aHistory({
        listed: [aJob({ attempt: 2 })],
        attempts: [anAttempt({ attempt: 2 })],
        journal: handled(2, "returned", 1_000),
      }),
      found:
        "every attempt up to the last is recorded with its outcome: expected attempts 1,2; recorded are 2 succeeded",
    },
    {
      name: "a job that succeeded twice",
      history: aHistory({
        listed: [aJob({ attempt: 2 })],
        attempts: [anAttempt(), anAttempt({ attempt: 2 })],
        journal: [...handled(1, "returned", 1_000), ...handled(2, "returned", 2_000)],
      }),
      found: "a job succeeds once, with its last attempt: of 2 attempts 1,2 succeeded",
    },
    {
      name: "a success that no handler had",
      history: aHistory({ journal: [anEntry("started")] }),
      found:
        "a recorded outcome is what the handler did: attempt 1 is succeeded, but its handler never ended",
    },
    {
      name: "a handler that ran without a record",
      history: aHistory({
        journal: [...handled(1, "returned", 1_000), anEntry("started", { jobId: "ghost" })],
      }),
      found:
        "a recorded outcome is what the handler did: attempt 1 was started, but is not recorded",
    },
    {
      name: "an attempt that was lost though its worker lived",
      history: lostOnce(),
      found:
        "an attempt is lost only with its worker or its lease: attempt 1 is lost, though worker 100 lived and kept its lease",
    },
    {
      name: "an attempt that was lost though its worker was out of contact only before",
      history: {
        ...lostOnce(),
        journal: [
          anEntry("disconnected", { atMs: 0, attempt: 0 }),
          anEntry("connected", { atMs: 900, attempt: 0 }),
          ...lostOnce().journal,
        ],
      },
      found:
        "an attempt is lost only with its worker or its lease: attempt 1 is lost, though worker 100 lived and kept its lease",
    },
  ];
  for (const { name, history, found } of breaches) {
    it(`finds ${name}`, () => {
      const violations = checkHistory(history);

      assert.deepEqual(
        violations.map((violation) => `${violation.rule}: ${violation.what}`),
        [found],
      );
    });
  }
});

/** One job, "a", that ran once and succeeded; a test says what is different. */
function aHistory(different: Partial<History> = {}): History {
  return {
    acknowledged: [{ jobId: "a", number: 1, idempotencyKey: undefined }],
    listed: [aJob()],
    liveIds: [],
    finishedIds: ["a"],
    attempts: [anAttempt()],
    journal: handled(1, "returned", 1_000),
    killedPids: new Set(),
    leaseMs: 8_000,
    ...different,
  };
}

/** A job whose first attempt was lost while its handler was busy. */
function lostOnce(): History {
  return aHistory({
    listed: [aJob({ attempt: 2 })],
    attempts: [anAttempt({ outcome: "lost" }), anAttempt({ attempt: 2, pid: 101 })],
    journal: [
      anEntry("started"),
      ...handled(2, "returned", 12_000).map((entry) => ({ ...entry, pid: 101 })),
    ],
  });
}

/** A second job, "b", that ran like the first. */
function withTwin(twin: { readonly number: number }): History {
  const one = aHistory();
  return {
    ...one,
    acknowledged: [...one.acknowledged, { jobId: "b", idempotencyKey: undefined, ...twin }],
    listed: [...one.listed, aJob({ id: "b", ...twin })],
    finishedIds: ["a", "b"],
    attempts: [...one.attempts, anAttempt({ jobId: "b" })],
    journal: [...one.journal, ...one.journal.map((entry) => ({ ...entry, jobId: "b" }))],
  };
}

function aJob(different: Partial<History["listed"][number]> = {}): History["listed"][number] {
  return { id: "a", state: "succeeded", attempt: 1, number: 1, ...different };
}

function anAttempt(different: Partial<RecordedAttempt> = {}): RecordedAttempt {
  return { jobId: "a", attempt: 1, outcome: "succeeded", pid: PID, ...different };
}

function anEntry(kind: EntryKind, different: Partial<JournalEntry> = {}): JournalEntry {
  return { atMs: 1_000, kind, pid: PID, jobId: "a", attempt: 1, ...different };
}

/** A handler that took 10 ms. */
function handled(attempt: number, end: EntryKind, atMs: number): JournalEntry[] {
  return [anEntry("started", { attempt, atMs }), anEntry(end, { attempt, atMs: atMs + 10 })];
}
