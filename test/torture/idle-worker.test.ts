/**
 * A worker that has rested: it was heard of long ago when it is given a job. That job is as safe as any other: a worker
 * that dies with it, or never reads it, loses it a lease after it was given.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { Client, Job } from "@baton/sdk";

import { aSite } from "../a-site.ts";
import { aStage, type Stage } from "../stage.ts";
import { aSteeredWorker, type SteeredWorker } from "../steered-worker.ts";
import { LEASE_MS } from "../wire-worker.ts";

/** Longer than the lease, which is then over on both sides, and shorter than a worker may rest without a heartbeat. */
const RESTED_MS = 1.5 * LEASE_MS;
/** A lease; the passes that find that it is over, at most 1.5 s apart; and what a busy machine takes for the rest. */
const MOVED_MS_MAX = LEASE_MS + 1_500 + 3_000;

for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
  test(`a job of a worker that rested and got ${signal} is with another one in time`, async (t) => {
    const { client, rested, other } = await aRestedWorker(aStage(t));
    const { id: jobId } = await client.enqueue("steered");
    await rested.next("started");
    const second = await other();

    rested.signal(signal);
    const signalledAtMs = performance.now();
    const started = await second.next("started");
    const movedMs = performance.now() - signalledAtMs;
    second.order({ ...started, kind: "return", value: "second" });

    assert.deepEqual(started, { kind: "started", jobId, attempt: 2 });
    assert.ok(movedMs < MOVED_MS_MAX, `${movedMs} ms`);
    assert.equal(await client.job(jobId).result(), "second");
  });
}

test("a job that was given to a worker that rests and does not read is with another one in time", async (t) => {
  const { client, rested, other } = await aRestedWorker(aStage(t));
  rested.signal("SIGSTOP");
  const { id: jobId } = await client.enqueue("steered");
  const givenAtMs = performance.now();
  const second = await other();

  const started = await second.next("started");
  const movedMs = performance.now() - givenAtMs;
  second.order({ ...started, kind: "return", value: "second" });
  assert.deepEqual(started, { kind: "started", jobId, attempt: 2 });
  assert.equal(await client.job(jobId).result(), "second");
  assert.ok(movedMs < MOVED_MS_MAX, `${movedMs} ms`);

  await t.test("and is not started by the first when it reads it after all", async () => {
    rested.signal("SIGCONT");
    await rested.logged(/^connected$/);
    await second.end("SIGTERM");
    const next = await client.enqueue("steered");
    const begun = await rested.next("started");
    rested.order({ ...begun, kind: "return", value: "next" });

    assert.equal(begun.jobId, next.id);
    assert.equal(await next.result(), "next");
    assert.deepEqual(outcomesOf(await client.getJob(jobId)), [
      "1 lost rested",
      "2 succeeded second",
    ]);
  });
});

interface Rested {
  readonly client: Client;
  readonly rested: SteeredWorker;
  /** Starts a second worker. */
  readonly other: () => Promise<SteeredWorker>;
}

/** A worker that was connected and had nothing to do for longer than its lease. */
async function aRestedWorker(stage: Stage): Promise<Rested> {
  const { address, client } = await aSite(stage);
  const workers = { address, tasks: ["steered"], slots: 1, leaseMs: LEASE_MS };
  const rested = await aSteeredWorker(stage, { ...workers, name: "rested" });
  await rested.logged(/^connected$/);
  // Time is what this is about.
  await sleep(RESTED_MS);
  return { client, rested, other: () => aSteeredWorker(stage, { ...workers, name: "second" }) };
}

function outcomesOf(job: Pick<Job, "attempts">): string[] {
  return job.attempts.map(({ attempt, outcome, worker }) => `${attempt} ${outcome} ${worker}`);
}
