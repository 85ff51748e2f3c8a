/** The engine as a whole, on a real database, with workers that the test plays. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { JobServiceService, JobSpec as JobSpecMessage } from "@baton/sdk/contract";
import { createHttpApp } from "../src/api/http.ts";
import type { Operations } from "../src/api/operations.ts";
import type { JobState } from "../src/domain/job.ts";
import type { JobSpec } from "../src/domain/job-spec.ts";
import type { JobView } from "../src/domain/views.ts";
import type { Engine } from "../src/engine.ts";
import type { Database } from "../src/store/db.ts";
import { sql } from "../src/store/sql.ts";
import { present } from "./a-job.ts";
import { anEngine, aPlayedWorker, refOf, type PlayedWorker } from "./an-engine.ts";
import { aDatabase } from "./database.ts";
import { startGrpc } from "./grpc.ts";
import { suiteCleanup } from "./suite.ts";

describe("the engine", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let engine: Engine;
  before(async () => {
    db = await aDatabase(cleanup);
    engine = await anEngine(db, cleanup);
  });

  /** A worker for a queue of the test's own, so that tests do not take each other's jobs. */
  const workerFor = (
    queue: string,
    options: Parameters<typeof aPlayedWorker>[1] = {},
  ): Promise<PlayedWorker> => aPlayedWorker(engine, { queues: [queue], ...options });
  const submit = async (spec: Partial<JobSpec>): Promise<string> => {
    const [result] = await engine.operations.submit([{ task: "noop", input: "null", ...spec }]);
    return present(result).jobId;
  };
  const untilState = async (jobId: string, state: JobState): Promise<JobView> => {
    for await (const job of engine.operations.watchJob(jobId, AbortSignal.timeout(60_000))) {
      if (job.state === state) return job;
    }
    throw new Error(`job ${jobId} ended without ever being ${state}`);
  };

  it("inserts a job as leased when a worker is free, and keeps its result", async () => {
    const worker = await workerFor("eager");
    const warmUp = await submit({ queue: "eager" });
    await worker.succeed(await worker.job());
    await untilState(warmUp, "succeeded");

    const [submitted] = await engine.operations.submit([
      { task: "noop", input: '{"n":1}', queue: "eager" },
    ]);
    const job = await worker.job();
    const stale = await worker.succeed(job, { n: 2 });

    const stored = await engine.operations.jobGet(job.id);
    assert.equal(submitted?.state, "running");
    assert.deepEqual([job.input, job.attempt], ['{"n":1}', 1]);
    assert.deepEqual(stale, []);
    assert.deepEqual([stored.state, stored.result], ["succeeded", '{"n":2}']);
  });

  it("never gives a worker more than its slots, and the next job when one is free", async () => {
    const worker = await workerFor("slots", { slots: 2 });
    for (let job = 0; job < 3; job += 1) await submit({ queue: "slots" });
    const [first, second] = [await worker.job(), await worker.job()];

    assert.deepEqual(worker.waiting, []);
    await worker.succeed(first);
    const third = await worker.job();

    assert.equal(new Set([first.id, second.id, third.id]).size, 3);
  });

  it("gives jobs that wait by priority, then in the order of their acceptance", async () => {
    const ids: string[] = [];
    for (const priority of [0, 5, 0, 9]) {
      await engine.operations.taskPut({ name: "noop" });
      ids.push(await submit({ queue: "order", priority }));
    }
    const worker = await workerFor("order", { slots: 1 });

    const order: string[] = [];
    while (order.length < ids.length) {
      const job = await worker.job();
      order.push(job.id);
      await worker.succeed(job);
    }

    assert.deepEqual(
      order.map((id) => ids.indexOf(id)),
      [3, 1, 0, 2],
    );
  });

  it("tries a job again after its back-off, and ends it dead after its last attempt", async () => {
    const worker = await workerFor("retry");
    const id = await submit({
      queue: "retry",
      maxAttempts: 2,
      retry: { strategy: "fixed", baseMs: 20, jitter: "none" },
    });
    const error = { code: "TypeError", message: "no" };

    await worker.connection.outcomes([{ ...refOf(await worker.job()), kind: "retry", error }]);
    const again = await worker.job();
    await worker.connection.outcomes([{ ...refOf(again), kind: "retry", error }]);

    const job = await untilState(id, "dead");
    assert.deepEqual(
      [again.attempt, again.failureCount, job.failureCount, job.error],
      [2, 1, 2, error],
    );
    const attempts = await engine.operations.attemptList(id);
    assert.deepEqual(
      attempts.map(({ attempt, outcome }) => [attempt, outcome]),
      [
        [1, "retry"],
        [2, "retry"],
      ],
    );
  });

  it("redrives a dead job to a worker that waits", async () => {
    const worker = await workerFor("dlq");
    const id = await submit({ queue: "dlq" });
    await worker.connection.outcomes([{ ...refOf(await worker.job()), kind: "failed" }]);
    await untilState(id, "dead");

    await engine.operations.redrive(id);
    const again = await worker.job();

    assert.deepEqual([again.id, again.attempt, again.failureCount], [id, 2, 0]);
    await worker.succeed(again);
  });

  it("starts a delayed job when it is due, not before", async () => {
    const worker = await workerFor("delay");
    const id = await submit({ queue: "delay", delayMs: 300 });

    const job = await worker.job();

    assert.equal(job.id, id);
    const stored = await engine.operations.jobGet(id);
    assert.ok(Date.now() - stored.createdAt.getTime() >= 299);
    await worker.succeed(job);
  });

  it("tells the worker to stop a running job that is cancelled, and ends it as the worker says", async () => {
    const worker = await workerFor("cancel");
    const id = await submit({ queue: "cancel", cancelGraceMs: 5_000 });
    const job = await worker.job();

    const result = await engine.operations.cancel(id, "enough");
    const stop = await worker.stop();
    await worker.connection.outcomes([{ ...refOf(job), kind: "cancelled" }]);

    assert.deepEqual(result, { state: "running" });
    assert.deepEqual(stop, { ...refOf(job), reason: "cancelled", graceMs: 5_000 });
    const stored = await untilState(id, "cancelled");
    assert.equal(stored.cancelReason, "enough");
  });

  it("ends a timed-out attempt itself when its worker does not, and refuses the late outcome", async () => {
    const worker = await workerFor("timeout");
    const id = await submit({
      queue: "timeout",
      attemptTimeoutMs: 50,
      cancelGraceMs: 0,
      maxAttempts: 1,
    });
    const job = await worker.job();

    const stop = await worker.stop();
    const dead = await untilState(id, "dead");
    const stale = await worker.succeed(job);

    assert.equal(stop.reason, "timed_out");
    assert.equal(dead.error?.code, "timed_out");
    assert.deepEqual(stale, [refOf(job)]);
    assert.equal((await engine.operations.jobGet(id)).state, "dead");
  });

  it("stops a handler that reports neither progress nor a heartbeat in time", async () => {
    const worker = await workerFor("heartbeat");
    await submit({ queue: "heartbeat", heartbeatTimeoutMs: 50 });
    const job = await worker.job();

    const stop = await worker.stop();

    assert.equal(stop.reason, "heartbeat_timed_out");
    await worker.connection.outcomes([{ ...refOf(job), kind: "failed" }]);
  });

  it("holds the jobs of a paused queue until it is resumed", async () => {
    const worker = await workerFor("pause");
    await engine.operations.queuePause("pause", "maintenance");
    const id = await submit({ queue: "pause" });
    const [paused] = (await engine.operations.queueList()).filter(
      (queue) => queue.name === "pause",
    );

    assert.deepEqual(
      [paused?.isPaused, paused?.pauseReason, paused?.queuedCount],
      [true, "maintenance", 1],
    );
    assert.deepEqual(worker.waiting, []);
    await engine.operations.queueResume("pause");
    const job = await worker.job();

    assert.equal(job.id, id);
    await worker.succeed(job);
  });

  it("leaves a worker that reconnects what it holds, and sends again what it never got", async () => {
    const first = await workerFor("adopt");
    const [kept, lost] = [await submit({ queue: "adopt" }), await submit({ queue: "adopt" })];
    const jobs = [await first.job(), await first.job()];
    const keptJob = present(jobs.find((job) => job.id === kept));
    const unknown = { jobId: "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b", attempt: 1 };
    await first.connection.closed(false);

    const second = await workerFor("adopt", {
      instance: first.instance,
      held: [refOf(keptJob), unknown],
    });
    const again = await second.job();

    assert.deepEqual(second.welcome.stale, [unknown]);
    assert.deepEqual([again.id, again.attempt], [lost, 1]);
    assert.deepEqual(await second.succeed(keptJob), []);
    assert.deepEqual(await second.succeed(again), []);
    assert.deepEqual(
      (await engine.operations.attemptList(kept)).map((attempt) => attempt.attempt),
      [1],
    );
  });

  it("refuses the outcome of a job that another worker holds", async () => {
    const [owner, liar] = [await workerFor("lie"), await workerFor("elsewhere")];
    await submit({ queue: "lie" });
    const job = await owner.job();

    const stale = await liar.succeed(job, "stolen");

    assert.deepEqual(stale, [refOf(job)]);
    assert.equal((await engine.operations.jobGet(job.id)).state, "running");
    await owner.succeed(job);
  });

  it("takes an outcome that is told twice for told", async () => {
    const worker = await workerFor("twice");
    await submit({ queue: "twice" });
    const job = await worker.job();

    const stale = [await worker.succeed(job, 1), await worker.succeed(job, 2)];

    assert.deepEqual(stale, [[], []]);
    assert.equal((await engine.operations.jobGet(job.id)).result, "1");
  });

  it("keeps the latest progress and all log lines in order", async () => {
    const worker = await workerFor("notes");
    await submit({ queue: "notes" });
    const job = await worker.job();
    const line = (message: string) => ({
      ...refOf(job),
      at: new Date(),
      level: "info",
      message,
      fields: '{"a":"\\u0000"}',
    });

    worker.connection.progress([
      { ...refOf(job), value: "1" },
      { ...refOf(job), value: '{"done":2}' },
    ]);
    await worker.connection.logs([line("one"), line("two"), line("three")]);
    let shown: JobView | undefined;
    for await (const view of engine.operations.watchJob(job.id, AbortSignal.timeout(60_000))) {
      shown = view;
      if (view.progress !== undefined) break;
    }
    await worker.succeed(job);

    assert.equal(shown?.progress, '{"done":2}');
    const first = await engine.operations.logList({ jobId: job.id, limit: 2 });
    const rest = await engine.operations.logList({
      jobId: job.id,
      limit: 2,
      cursor: first.nextCursor,
    });
    assert.deepEqual(
      [...first.items, ...rest.items].map((log) => log.message),
      ["one", "two", "three"],
    );
    assert.equal(rest.nextCursor, undefined);
  });

  it("does not pass over events that are not kept any more", async () => {
    await db.query(sql`update baton.event_floor set sequence = 100`);
    const { signal } = new AbortController();

    const events = engine.operations.watchEvents({}, 99, signal)[Symbol.asyncIterator]();

    await assert.rejects(events.next(), { code: "sequence_expired" });
  });

  it("answers notes about an attempt that is not the worker's with an order to stop", async () => {
    const worker = await workerFor("stale-notes");
    const ref = { jobId: "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b", attempt: 3 };

    worker.connection.progress([{ ...ref, value: "1" }]);

    assert.deepEqual(await worker.stop(), { ...ref, reason: "stale_lease", graceMs: 0 });
  });

  it("reports every bad job of a bulk with its index, and accepts none", async () => {
    const bulk = engine.operations.submit([
      { task: "noop", input: "1", queue: "bulk" },
      { task: "nobody-has-this", input: "2" },
      { task: "noop", input: "3", priority: 1_000 },
      { task: "noop", input: "4", idempotencyKey: "twin" },
      { task: "noop", input: "5", idempotencyKey: "twin" },
    ]);

    await assert.rejects(
      bulk,
      (error: { code?: string; details?: { items?: { index: number; code: string }[] } }) => {
        assert.equal(error.code, "bulk_rejected");
        assert.deepEqual(
          error.details?.items?.map(({ index, code }) => [index, code]),
          [
            [1, "task_not_found"],
            [2, "invalid_argument"],
            [4, "invalid_argument"],
          ],
        );
        return true;
      },
    );
    assert.deepEqual((await engine.operations.jobList({ filter: { queue: "bulk" } })).items, []);
  });

  for (const [door, send] of [
    ["REST", bulkByRest],
    ["gRPC", bulkByGrpc],
  ] as const) {
    it(`reports what ${door} cannot read together with every other bad job of a bulk`, async () => {
      await workerFor(`bulk-by-${door}`);

      const codes = await send(engine.operations, [
        { task: "noop", input: '"good"', queue: "bulk" },
        { task: "nobody-has-this" },
        { task: "noop", retry: { strategy: "sometimes" } },
        { task: "noop", priority: 1_000, uniqueKey: `twin-${door}` },
        { task: "noop", uniqueKey: `twin-${door}` },
      ]);

      assert.deepEqual(codes, [
        [1, "task_not_found"],
        [2, "invalid_argument"],
        [3, "invalid_argument"],
        [4, "invalid_argument"],
      ]);
      assert.deepEqual((await engine.operations.jobList({ filter: { queue: "bulk" } })).items, []);
    });
  }

  it("refuses two jobs of one call with the same key, also when nothing else is wrong", async () => {
    const twin = { task: "noop", input: "1", queue: "twins", uniqueKey: "twin" };
    await submit({ queue: "twins" });

    await assert.rejects(
      engine.operations.submit([twin, { ...twin, input: "2" }]),
      /index 1: uniqueKey "twin" stands at index 0 already/,
    );
  });

  it("names the field that is out of range", async () => {
    await assert.rejects(submit({ priority: 1_000 }), { details: { field: "priority" } });
  });

  it("refuses 0 and 10,001 jobs in one call", async () => {
    const spec = { task: "noop", input: "null" };

    await assert.rejects(engine.operations.submit([]), /1 to 10000 jobs; received 0/);
    await assert.rejects(
      engine.operations.submit(Array.from({ length: 10_001 }, () => spec)),
      /1 to 10000 jobs; received 10001/,
    );
  });

  it("returns the first job for the same idempotency key and job, and refuses another job", async () => {
    const spec = { task: "noop", input: '{"order":1}', queue: "keyed", idempotencyKey: "order-1" };

    const [first] = await engine.operations.submit([spec]);
    const [second] = await engine.operations.submit([spec]);

    assert.deepEqual([second?.jobId, second?.isDuplicate], [first?.jobId, true]);
    await assert.rejects(engine.operations.submit([{ ...spec, input: '{"order":2}' }]), {
      code: "idempotency_conflict",
    });
  });

  it("shows the changes of matching jobs to those who watch a filter", async () => {
    const worker = await workerFor("watched");
    // After a sequence: "from now on" would begin whenever its first read happens to be.
    const watching = engine.operations.watchEvents(
      { queue: "watched" },
      0,
      AbortSignal.timeout(60_000),
    );
    const events = watching[Symbol.asyncIterator]();
    await submit({ queue: "not-watched" });
    const id = await submit({ queue: "watched", delayMs: 10 });
    await worker.succeed(await worker.job());

    const states: (string | undefined)[] = [];
    for (let next = await events.next(); states.length < 4; next = await events.next()) {
      assert.equal(next.value?.jobId, id);
      states.push(next.value?.state);
      if (states.length === 4) break;
    }
    await events.return?.(undefined);

    assert.deepEqual(states, ["scheduled", "queued", "running", "succeeded"]);
  });

  it("shows a batch again to those who were cut off in its middle", async () => {
    await engine.operations.submit(
      Array.from({ length: 3 }, () => ({
        task: "noop",
        input: "null",
        queue: "cut",
        delayMs: 60_000,
      })),
    );
    const take = async (after: number, count: number): Promise<number[]> => {
      const sequences: number[] = [];
      for await (const event of engine.operations.watchEvents(
        { queue: "cut" },
        after,
        AbortSignal.timeout(60_000),
      )) {
        sequences.push(event.sequence);
        if (sequences.length === count) break;
      }
      return sequences;
    };

    const [first] = await take(0, 1);
    const again = await take(present(first), 3);

    assert.deepEqual(again, [present(first), present(first), present(first) + 1]);
  });

  it("pages through jobs without a gap or a double while they finish, and refuses a changed cursor", async () => {
    const ids: string[] = [];
    for (let job = 0; job < 7; job += 1) ids.push(await submit({ queue: "pages" }));
    const worker = await workerFor("pages", { slots: 1 });

    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await engine.operations.jobList({
        filter: { queue: "pages" },
        limit: 2,
        cursor,
      });
      seen.push(...page.items.map((job) => job.id));
      cursor = page.nextCursor;
      await worker.succeed(await worker.job());
    } while (cursor !== undefined);

    assert.deepEqual(seen, [...ids].sort().reverse());
    await assert.rejects(engine.operations.jobList({ cursor: "x" }), { code: "invalid_cursor" });
  });
});

/** A job of a bulk call, in words that both doors know. */
interface BulkJob {
  readonly task: string;
  readonly input?: string;
  readonly queue?: string;
  readonly priority?: number;
  readonly uniqueKey?: string;
  readonly retry?: { readonly strategy: string };
}
type RefusedItems = readonly { readonly index: number; readonly code: string }[];

/** @returns index and code of every job that the answer names as bad */
async function bulkByRest(operations: Operations, jobs: readonly BulkJob[]): Promise<unknown> {
  const app = createHttpApp({ operations, version: "0.0.0" });
  const response = await app.inject({
    method: "POST",
    url: "/api/v1/jobs/bulk",
    payload: { jobs },
  });
  const { details } = response.json<{ details: { items: RefusedItems } }>();
  return details.items.map(({ index, code }) => [index, code]);
}

/** @returns index and code of every job that the answer names as bad */
async function bulkByGrpc(operations: Operations, jobs: readonly BulkJob[]): Promise<unknown> {
  await using bench = await startGrpc(operations);
  const messages = jobs.map(({ input = "", retry, ...rest }) =>
    JobSpecMessage.fromPartial({
      ...rest,
      input: Buffer.from(input),
      ...(retry !== undefined && { retry }),
    }),
  );
  const { told } = await bench.refusal(JobServiceService.submitMany, { jobs: messages });
  const { details }: { details: { items: RefusedItems } } = JSON.parse(JSON.stringify(told));
  return details.items.map(({ index, code }) => [index, code]);
}
