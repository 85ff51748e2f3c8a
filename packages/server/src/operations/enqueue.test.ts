import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { aLane, aNewJob, aRunningJob, aWorker } from "../../test/a-job.ts";
import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import type { Database } from "../store/db.ts";
import { jobSucceed } from "../store/job-finish.ts";
import { jobGet } from "../store/job-read.ts";
import { sql } from "../store/sql.ts";
import {
  enqueueAgain,
  enqueueKeyed,
  enqueuePlain,
  type EnqueueItem,
  type EnqueueResult,
} from "./enqueue.ts";

describe("jobs with keys", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  let laneId: number;
  before(async () => {
    db = await aDatabase(cleanup);
    laneId = await aLane(db);
  });
  const item = (keys: {
    readonly idempotency?: string;
    readonly fingerprint?: string;
    readonly unique?: string;
    readonly onConflict?: "reject";
  }): EnqueueItem => ({
    job: aNewJob(laneId, keys.unique === undefined ? {} : { extra: { uniqueKey: keys.unique } }),
    idempotency:
      keys.idempotency === undefined
        ? undefined
        : { key: keys.idempotency, fingerprint: keys.fingerprint ?? "same" },
    onConflict: keys.onConflict ?? "return_existing",
  });
  const enqueue = (
    items: readonly EnqueueItem[],
    options: {
      readonly isAllOrNone?: boolean;
      readonly isRepeat?: boolean;
      readonly keepMs?: number;
    } = {},
  ): Promise<readonly EnqueueResult[]> =>
    enqueueKeyed(db, 1, items, { keepMs: 60_000, isAllOrNone: false, isRepeat: false, ...options });

  it("accepts the first job of an idempotency key", async () => {
    assert.deepEqual(await enqueue([item({ idempotency: "first" })]), [
      { kind: "accepted", state: "queued" },
    ]);
  });

  it("answers the same job under the same key with the first one", async () => {
    const first = item({ idempotency: "again" });
    await enqueue([first]);

    const [result] = await enqueue([item({ idempotency: "again" })]);

    assert.deepEqual(result, { kind: "duplicate", jobId: first.job.id, state: "queued" });
  });

  it("refuses another job under the same key", async () => {
    const first = item({ idempotency: "other", fingerprint: "one" });
    await enqueue([first]);

    const [result] = await enqueue([item({ idempotency: "other", fingerprint: "two" })]);

    assert.deepEqual(result, { kind: "idempotency_conflict", jobId: first.job.id });
  });

  it("takes a key that expired for new", async () => {
    await enqueue([item({ idempotency: "old", fingerprint: "one" })], { keepMs: 0 });

    const [result] = await enqueue([item({ idempotency: "old", fingerprint: "two" })]);

    assert.equal(result?.kind, "accepted");
  });

  it("accepts one of two transactions that claim a key at the same time", async () => {
    const results = await Promise.all(
      Array.from({ length: 8 }, () => enqueue([item({ idempotency: "race" })])),
    );

    const kinds = results.flat().map((result) => result.kind);
    assert.equal(kinds.filter((kind) => kind === "accepted").length, 1);
    assert.equal(kinds.filter((kind) => kind === "duplicate").length, 7);
  });

  it("leaves nothing of a bulk of which one is refused", async () => {
    await enqueue([item({ idempotency: "taken", fingerprint: "one" })]);
    const fine = item({ idempotency: "fine" });

    const results = await enqueue([fine, item({ idempotency: "taken", fingerprint: "two" })], {
      isAllOrNone: true,
    });

    const [keys] = await db.query<{ count: number }>(
      sql`select count(*) as count from baton.idempotency where key = 'fine'`,
    );
    assert.equal(results[1]?.kind, "idempotency_conflict");
    assert.equal(await jobGet(db, fine.job.id), undefined);
    assert.deepEqual(keys, { count: 0 });
  });

  it("gives a unique key to one live job at a time", async () => {
    const worker = await aWorker(db);
    const holder = await aRunningJob(db, laneId, worker, { extra: { uniqueKey: "report" } });

    const [held] = await enqueue([item({ unique: "report" })]);
    const [rejected] = await enqueue([item({ unique: "report", onConflict: "reject" })]);
    await jobSucceed(db, [{ jobId: holder.id, attempt: 1, result: undefined, durationMs: 0 }]);
    const [free] = await enqueue([item({ unique: "report" })]);

    assert.deepEqual(held, { kind: "duplicate", jobId: holder.id, state: "running" });
    assert.deepEqual(rejected, { kind: "unique_conflict", jobId: holder.id });
    assert.equal(free?.kind, "accepted");
  });

  it("keeps no idempotency key of a job that a unique key kept out", async () => {
    const worker = await aWorker(db);
    const holder = await aRunningJob(db, laneId, worker, { extra: { uniqueKey: "both" } });
    const [refused] = await enqueue([
      item({ idempotency: "both", unique: "both", onConflict: "reject" }),
    ]);
    await jobSucceed(db, [
      { jobId: holder.id, attempt: holder.attempt, result: undefined, durationMs: 0 },
    ]);

    const [repeated] = await enqueue([
      item({ idempotency: "both", unique: "both", onConflict: "reject" }),
    ]);

    assert.deepEqual([refused?.kind, repeated?.kind], ["unique_conflict", "accepted"]);
  });

  it("takes its own rows for accepted when the answer to a first try was lost", async () => {
    const items = [item({ idempotency: "lost", unique: "lost" })];
    await enqueue(items);

    const results = await enqueue(items, { isRepeat: true });

    assert.deepEqual(results, [{ kind: "accepted", state: "queued" }]);
  });
});

describe("plain jobs whose answer was lost", () => {
  it("are inserted once, even when some ran meanwhile", async (t) => {
    const db = await aDatabase(t);
    const laneId = await aLane(db);
    const worker = await aWorker(db);
    const done = await aRunningJob(db, laneId, worker);
    await jobSucceed(db, [{ jobId: done.id, attempt: 1, result: undefined, durationMs: 0 }]);
    const [waiting, missing] = [aNewJob(laneId), aNewJob(laneId)];
    await enqueuePlain(db, [waiting]);

    const states = await enqueueAgain(db, [aNewJob(laneId, { id: done.id }), waiting, missing]);

    const [rows] = await db.query<{ count: number }>(sql`select count(*) as count from baton.job`);
    assert.deepEqual(states, ["succeeded", "queued", "queued"]);
    assert.deepEqual(rows, { count: 2 });
  });
});
