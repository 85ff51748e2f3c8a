/** Two servers on one PostgreSQL: what is asked of one happens at the other, and either may be lost. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { JobFailedError, type Client } from "@baton/sdk";

import { aClient, aSite, type Site } from "../a-site.ts";
import { aServer, type ServerProcess } from "../server-process.ts";
import { aStage, type Stage } from "../stage.ts";
import { aSteeredWorker } from "../steered-worker.ts";
import { aTcpProxy } from "../tcp-proxy.ts";
import { until } from "../until.ts";
import { aTask, WireWorker } from "../wire-worker.ts";

/** How long a server believes that a lane is empty, unless it is told otherwise: SLOW_POLL_MS of limits.ts. */
const POLL_MS = 2_000;

test("two servers", async (t) => {
  const stage = aStage(t);
  const { first, second, atFirst, atSecond } = await twoServers(stage);

  await t.test("tell each other of jobs, and do not wait for their polls", async () => {
    const worker = await WireWorker.connect(stage, second.address, { tasks: [aTask("told")] });
    worker.keepAlive();
    const count = 20;
    // By polls alone each of them would cost one, because each is submitted after the one before has ended.
    const marker = await atFirst.enqueue("told", null, { delayMs: (count - 1) * POLL_MS });

    for (let number = 0; number < count; number += 1) {
      const { id } = await atFirst.enqueue("told", number);
      const job = await worker.job();
      assert.equal(job.jobId, id);
      await worker.report(job);
    }

    assert.equal((await marker.get()).state, "scheduled");
    worker.cut();
  });

  await t.test("stop a job at one that was cancelled at the other", async () => {
    const { address } = second;
    const worker = await aSteeredWorker(stage, { address, name: "stopped", tasks: ["stopped"] });
    const { id: jobId } = await atSecond.enqueue("stopped");
    await worker.next("started");

    assert.equal(await atFirst.job(jobId).cancel("enough"), "running");

    assert.deepEqual(await worker.next("aborted"), {
      kind: "aborted",
      jobId,
      attempt: 1,
      reason: "Cancelled",
    });
    await assert.rejects(atFirst.job(jobId).result(), JobFailedError);
    const job = await atFirst.getJob(jobId);
    assert.deepEqual([job.state, job.cancelReason], ["cancelled", "enough"]);
    await worker.end("SIGKILL");
  });

  await t.test("hold at one what was paused at the other, until it is resumed there", async () => {
    const worker = await WireWorker.connect(stage, second.address, {
      tasks: [aTask("paused")],
      queues: ["held", "free"],
      slots: 2,
    });
    worker.keepAlive();

    await atFirst.queues.pause("held", "for the test");
    const held = await atSecond.enqueue("paused", null, { queue: "held" });
    const free = await atSecond.enqueue("paused", null, { queue: "free" });

    assert.equal(held.state, "queued");
    assert.equal((await worker.job()).jobId, free.id);
    assert.equal((await held.get()).state, "queued");
    await atFirst.queues.resume("held");
    assert.equal((await worker.job()).jobId, held.id);
    worker.cut();
  });

  await t.test("take over from one that is killed: its worker keeps what it runs", async () => {
    const proxy = await aTcpProxy(stage, first.address);
    const worker = await aSteeredWorker(stage, {
      address: proxy.address,
      name: "moved",
      tasks: ["moved"],
      slots: 2,
    });
    const { id: jobId } = await atFirst.enqueue("moved");
    assert.deepEqual(await worker.next("started"), { kind: "started", jobId, attempt: 1 });

    await first.kill();
    proxy.moveTo(second.address);

    const next = await atSecond.enqueue("moved");
    const started = await worker.next("started");
    assert.equal(started.jobId, next.id);
    worker.order({ jobId, attempt: 1, kind: "return", value: "kept" });
    assert.equal(await atSecond.job(jobId).result(), "kept");
    const { attempts } = await atSecond.getJob(jobId);
    assert.deepEqual(
      attempts.map(({ attempt, outcome }) => `${attempt} ${outcome}`),
      ["1 succeeded"],
    );
    await worker.end("SIGKILL");
    await first.start();
  });
});

test("a server that was halted for so long that it was declared dead", async (t) => {
  const stage = aStage(t);
  const { first, second, atFirst, atSecond } = await twoServers(stage);
  const proxy = await aTcpProxy(stage, first.address);
  const worker = await aSteeredWorker(stage, {
    address: proxy.address,
    name: "moved",
    tasks: ["moved"],
    slots: 2,
  });
  const { id: jobId } = await atFirst.enqueue("moved");
  await worker.next("started");

  first.signal("SIGSTOP");
  proxy.moveTo(second.address);
  await worker.logged(/^connected$/);
  await untilServer(atSecond, "first", false);
  first.signal("SIGCONT");
  await untilServer(atSecond, "first", true);

  await t.test("has not taken its worker's job with it", async () => {
    worker.order({ jobId, attempt: 1, kind: "return", value: "kept" });
    assert.equal(await atSecond.job(jobId).result(), "kept");
    assert.equal((await atSecond.getJob(jobId)).attempts.length, 1);
  });

  await t.test("serves again, and runs what it accepts on the worker of the other", async () => {
    const { id } = await atFirst.enqueue("moved");
    assert.deepEqual(await worker.next("started"), { kind: "started", jobId: id, attempt: 1 });
  });
});

interface TwoServers {
  readonly first: ServerProcess;
  readonly second: ServerProcess;
  readonly atFirst: Client;
  readonly atSecond: Client;
}

/** Two servers that know of each other. */
async function twoServers(stage: Stage): Promise<TwoServers> {
  const site: Site = await aSite(stage);
  const second = await aServer(stage, site.url, { name: "second" });
  const atSecond = aClient(stage, second.address);
  await until("both servers to know of each other", 10_000, async () => {
    const servers = await atSecond.servers();
    const lastStartMs = Math.max(...servers.map((server) => server.startedAt?.getTime() ?? 0));
    const isKnown = servers.every((server) => (server.renewedAt?.getTime() ?? 0) > lastStartMs);
    return servers.length === 2 && isKnown ? true : undefined;
  });
  return { first: site.server, second, atFirst: site.client, atSecond };
}

async function untilServer(client: Client, name: string, isAlive: boolean): Promise<void> {
  await until(`server ${name} to be ${isAlive ? "alive" : "dead"}`, 20_000, async () => {
    const servers = await client.servers();
    const isSo = servers.some((server) => server.name === name && server.isAlive) === isAlive;
    return isSo ? true : undefined;
  });
}
