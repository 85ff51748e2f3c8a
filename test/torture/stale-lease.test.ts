/**
 * A worker that is halted for longer than its lease, and then goes on as if nothing had happened. What it says of its
 * lost attempt counts no more; the attempt that took its place does.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import type { Client, Job, LogLine } from "@baton/sdk";

import { aSite } from "../a-site.ts";
import { aStage, type Stage } from "../stage.ts";
import { aSteeredWorker, type SteeredWorker } from "../steered-worker.ts";
import { until } from "../until.ts";
import { LEASE_MS, WireWorker } from "../wire-worker.ts";

test("a worker of the SDK that is halted past its lease loses its attempt to another worker", async (t) => {
  const stage = aStage(t);
  const { address, client, halted, first, second, jobId } = await aJobThatMoved(stage);
  second.order({ jobId, attempt: 2, kind: "log", message: "of the second attempt" });
  second.order({ jobId, attempt: 2, kind: "return", value: "second" });
  assert.equal(await client.job(jobId).result(), "second");

  await t.test("what it does after that changes nothing", async () => {
    halted.order({ ...first, kind: "progress", value: "late" });
    halted.order({ ...first, kind: "log", message: "late" });
    halted.order({ ...first, kind: "return", value: "late" });
    halted.signal("SIGCONT");
    await halted.logged(/^connected$/);

    const job = await client.getJob(jobId);
    assert.deepEqual(outcomesOf(job), ["1 lost halted", "2 succeeded second"]);
    assert.deepEqual([job.state, job.result, job.progress], ["succeeded", "second", undefined]);
    assert.deepEqual(await messagesOf(client, jobId), [
      "1 of the first attempt",
      "2 of the second attempt",
    ]);
  });

  await t.test("baton status shows both attempts with their outcomes", async () => {
    const text = await baton("status", jobId, "--address", address);
    assert.match(text, /^ *1 +lost +halted .*worker_lost/m);
    assert.match(text, /^ *2 +succeeded +second /m);

    const job = JSON.parse(await baton("status", jobId, "--address", address, "--json"));
    assert.deepEqual(outcomesOf(job), ["1 lost halted", "2 succeeded second"]);
  });

  await t.test("it goes on with other jobs", async () => {
    await second.end("SIGTERM");
    const other = await client.enqueue("steered");

    const started = await halted.next("started");
    halted.order({ ...started, kind: "return", value: "back" });
    assert.equal(started.jobId, other.id);
    assert.equal(await other.result(), "back");
  });
});

test("a halted worker of the SDK aborts the handlers that it lost, and is told stale_lease", async (t) => {
  const { halted, first } = await aJobThatMoved(aStage(t));

  halted.signal("SIGCONT");

  assert.deepEqual(await halted.next("aborted"), {
    ...first,
    kind: "aborted",
    reason: "LeaseLost",
  });
});

test("a worker that does not know when its lease is over is told stale_lease", async (t) => {
  const stage = aStage(t);
  const { address, client } = await aSite(stage);
  const silent = await WireWorker.connect(stage, address, { name: "silent" });
  const { id: jobId } = await client.enqueue("wire");
  const { attempt } = await silent.job();
  const fence = { jobId, attempt };
  const goodbye = await silent.next("goodbye");
  const other = await WireWorker.connect(stage, address, { name: "other" });
  other.keepAlive();
  const second = await other.job();

  const late = await WireWorker.connect(stage, address, { ...silent.hello, held: [fence] });
  late.keepAlive();

  assert.equal(goodbye.reason, "lease_expired");
  assert.deepEqual([second.jobId, second.attempt], [jobId, 2]);
  await t.test("when it presents the attempt", () => {
    assert.deepEqual(late.welcome.stale, [fence]);
  });
  await t.test("when it reports how the attempt ended", async () => {
    const { stale } = await late.report({ ...fence, result: Buffer.from('"late"') });
    assert.deepEqual(stale, [fence]);
  });
  await t.test("when it reports progress", async () => {
    const value = Buffer.from('"late"');
    late.send({ $case: "progress", value: { reports: [{ ...fence, value }] } });
    assert.deepEqual(await stopOf(late), { ...fence, reason: "stale_lease" });
  });
  await t.test("when it logs", async () => {
    const entry = { ...fence, at: new Date(), level: "info", message: "late", fields: EMPTY };
    late.send({ $case: "logs", value: { entries: [entry] } });
    assert.deepEqual(await stopOf(late), { ...fence, reason: "stale_lease" });
  });

  assert.deepEqual((await other.report({ jobId, attempt: 2 })).stale, []);
  const job = await client.getJob(jobId);
  assert.deepEqual(outcomesOf(job), ["1 lost silent", "2 succeeded other"]);
  assert.equal(job.progress, undefined);
  assert.deepEqual(await messagesOf(client, jobId), []);
});

interface MovedJob {
  readonly address: string;
  readonly client: Client;
  /** Still halted. */
  readonly halted: SteeredWorker;
  /** The fence that it holds no more. */
  readonly first: { readonly jobId: string; readonly attempt: number };
  readonly jobId: string;
  /** Runs the second attempt. */
  readonly second: SteeredWorker;
}

/** A job that started on a worker, which was then halted, and has started again on another one. */
async function aJobThatMoved(stage: Stage): Promise<MovedJob> {
  const { address, client } = await aSite(stage);
  const workers = { address, tasks: ["steered"], slots: 1, leaseMs: LEASE_MS };
  const halted = await aSteeredWorker(stage, { ...workers, name: "halted" });
  const { id: jobId } = await client.enqueue("steered");
  const { attempt } = await halted.next("started");
  const first = { jobId, attempt };
  halted.order({ ...first, kind: "log", message: "of the first attempt" });
  await untilLogged(client, jobId);

  halted.signal("SIGSTOP");
  const second = await aSteeredWorker(stage, { ...workers, name: "second" });
  assert.deepEqual(await second.next("started"), { kind: "started", jobId, attempt: 2 });
  return { address, client, halted, first, jobId, second };
}

async function untilLogged(client: Client, jobId: string): Promise<void> {
  await until("a log line", 10_000, async () =>
    (await messagesOf(client, jobId)).length > 0 ? true : undefined,
  );
}

async function messagesOf(client: Client, jobId: string): Promise<string[]> {
  const lines: LogLine[] = await Array.fromAsync(client.logs(jobId));
  return lines.map((line) => `${line.attempt} ${line.message}`);
}

function outcomesOf(job: Pick<Job, "attempts">): string[] {
  return job.attempts.map(({ attempt, outcome, worker }) => `${attempt} ${outcome} ${worker}`);
}

async function stopOf(worker: WireWorker): Promise<object> {
  const { attempts } = await worker.next("stop");
  const [stop] = attempts;
  assert.equal(attempts.length, 1);
  return { jobId: stop?.jobId, attempt: stop?.attempt, reason: stop?.reason };
}

const EMPTY = Buffer.alloc(0);
const BATON = path.resolve(import.meta.dirname, "../../packages/server/src/cli/baton.ts");

async function baton(...parameters: string[]): Promise<string> {
  const run = promisify(execFile);
  return (await run(process.execPath, ["--conditions=source", BATON, ...parameters])).stdout;
}
