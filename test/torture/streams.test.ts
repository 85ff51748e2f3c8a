/** Streams that break in the middle of a message, and workers that lie. The server stays up and loses nothing. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import {
  type Hello,
  JobSpec,
  JobServiceService,
  Outcome,
  SubmitManyRequest,
  WorkerMessage,
  WorkerServiceService,
} from "@baton/sdk/contract";
import type { Client } from "@baton/sdk";

import { frame } from "../../packages/server/test/grpc.ts";
import { aSite } from "../a-site.ts";
import { aStage } from "../stage.ts";
import { until } from "../until.ts";
import { aWireStream } from "../wire-stream.ts";
import { aHello, aTask, WireWorker } from "../wire-worker.ts";
import { randomOf } from "./random.ts";

const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;

test("a server that is lied to", async (t) => {
  const stage = aStage(t);
  const { address, client, server } = await aSite(stage);
  const { pid } = server;
  const mute = new WireWorker(stage, address);
  await client.tasks.put({ name: "kept" });
  const kept = await client.enqueueMany("kept", Array.from({ length: 100 }).fill(0));

  await t.test("takes the whole batches of a submit stream that is cut in a message", async () => {
    await client.tasks.put({ name: "cut" });
    const stream = await aWireStream(stage, address, JobServiceService.submitStream.path);
    const jobs = many(10, () => JobSpec.fromPartial({ task: "cut", input: Buffer.from("1") }));
    const batch = SubmitManyRequest.encode({ jobs }).finish();
    await stream.message(batch);
    const second = frame(batch);

    await stream.send(second.subarray(0, second.length / 2));
    await stream.cut();

    const counted = await until("the whole batch", 10_000, async () => {
      const count = await countOf(client, "cut");
      return count > 0 ? count : undefined;
    });
    assert.equal(counted, 10);
  });

  await t.test("gives a job to another worker when its stream is cut in an outcome", async () => {
    const hello = aHello({ tasks: [aTask("torn")] });
    const stream = await aWireStream(stage, address, WorkerServiceService.connect.path);
    const welcomed = stream.received();
    await stream.message(up({ $case: "hello", value: hello }));
    await welcomed;
    const delivered = stream.received();
    const { id } = await client.enqueue("torn");
    await delivered;
    const result = Buffer.from(JSON.stringify("x".repeat(1_000)));
    const outcome = Outcome.fromPartial({ jobId: id, attempt: 1, kind: "succeeded", result });
    const torn = frame(up({ $case: "outcomes", value: { sequence: 1, outcomes: [outcome] } }));

    await stream.send(torn.subarray(0, torn.length - 1));
    await stream.cut();

    const other = await WireWorker.connect(stage, address, { tasks: [aTask("torn")] });
    other.keepAlive();
    const again = await other.job();
    assert.deepEqual([again.jobId, again.attempt], [id, 2]);
    assert.deepEqual((await other.report(again)).stale, []);
  });

  await t.test("refuses outcomes of attempts that are another worker's, or nobody's", async () => {
    const honest = await WireWorker.connect(stage, address, { tasks: [aTask("fought-for")] });
    honest.keepAlive();
    const { id } = await client.enqueue("fought-for");
    await honest.job();
    const [queued] = kept;
    const refs = [
      { jobId: id, attempt: 1 },
      { jobId: id, attempt: 2 },
      { jobId: queued?.id ?? "", attempt: 0 },
      { jobId: queued?.id ?? "", attempt: 1 },
      { jobId: randomUUID(), attempt: 1 },
    ];
    const liar = await WireWorker.connect(stage, address, { tasks: [aTask("lies")] });

    for (const kind of ["succeeded", "failed", "retry", "lost", "cancelled"]) {
      const { stale } = await liar.report(...refs.map((ref) => ({ ...ref, kind })));
      assert.deepEqual(stale, refs, kind);
    }

    assert.equal((await client.getJob(id)).state, "running");
    assert.deepEqual((await honest.report({ jobId: id, attempt: 1 })).stale, []);
    assert.equal((await client.getJob(id)).state, "succeeded");
  });

  const badHellos: readonly {
    readonly what: string;
    readonly hello: Partial<Hello>;
    readonly says: RegExp;
  }[] = [
    { what: "no slots", hello: { slots: 0 }, says: /slots must be from 1 to 10000; received 0/ },
    { what: "10^9 slots", hello: { slots: 1e9 }, says: /slots .* received 1000000000/ },
    { what: "slots below zero", hello: { slots: -1 }, says: /slots .* received -1/ },
    { what: "10^9 jobs ahead", hello: { prefetch: 1e9 }, says: /prefetch .* received 1000000000/ },
    { what: "a lease of a year", hello: { leaseMs: 31_536_000_000 }, says: /lease_ms .* 600000/ },
    { what: "a worker id that is none", hello: { workerId: "me" }, says: /worker_id .*"me"/ },
    { what: "no tasks", hello: { tasks: [] }, says: /tasks .* received 0/ },
    { what: "501 tasks", hello: { tasks: many(501, (n) => aTask(`t${n}`)) }, says: /tasks .* 501/ },
    { what: "a task without a name", hello: { tasks: [aTask("")] }, says: /task/ },
    { what: "a task with a bad name", hello: { tasks: [aTask("a\nb")] }, says: /task .*"a\\nb"/ },
    { what: "101 queues", hello: { queues: many(101, (n) => `q${n}`) }, says: /queues .* 101/ },
    {
      what: "33 labels",
      hello: { labels: Object.fromEntries(many(33, (n) => [`l${n}`, ""])) },
      says: /labels .* received 33/,
    },
    { what: "a name without an end", hello: { name: "n".repeat(1e6) }, says: /name, .* 128/ },
    {
      what: "1,000,000 attempts that it holds",
      hello: { held: many(1e6, () => ({ jobId: randomUUID(), attempt: 1 })) },
      says: /held must be .* received 1000000/,
    },
    {
      what: "an attempt of nothing",
      hello: { held: [{ jobId: "x", attempt: 1 }] },
      says: /held .*"x"/,
    },
  ];
  for (const { what, hello, says } of badHellos) {
    await t.test(`refuses a worker that says hello with ${what}`, async () => {
      const worker = new WireWorker(stage, address);

      worker.send({ $case: "hello", value: aHello(hello) });

      const end = await worker.ended;
      assert.equal(end.status, INVALID_ARGUMENT);
      assert.match(end.message, says);
    });
  }

  await t.test("takes a worker in that presents 10,000 attempts it does not hold", async () => {
    const held = many(10_000, (n) => ({ jobId: randomUUID(), attempt: n + 1 }));

    const { welcome } = await WireWorker.connect(stage, address, { held });

    assert.deepEqual(welcome.stale, held);
  });

  await t.test("ends a stream with a second hello", async () => {
    const worker = await WireWorker.connect(stage, address);

    worker.send({ $case: "hello", value: worker.hello });

    assert.deepEqual(await worker.ended, {
      status: FAILED_PRECONDITION,
      message: "Worker protocol: received a second hello on one stream. See docs/protocol.md.",
    });
  });

  await t.test("ends a stream that does not begin with hello", async () => {
    const worker = new WireWorker(stage, address);

    worker.heartbeat();

    assert.deepEqual(await worker.ended, {
      status: FAILED_PRECONDITION,
      message:
        "Worker protocol: expected hello as the first message; received heartbeat. See docs/protocol.md.",
    });
  });

  await t.test("ends a stream with an outcome that has no fence", async () => {
    const worker = await WireWorker.connect(stage, address);

    void worker.report({ jobId: "nonsense", attempt: 1 }).catch(() => undefined);

    const end = await worker.ended;
    assert.equal(end.status, INVALID_ARGUMENT);
    assert.match(end.message, /fence .*"nonsense"/);
  });

  await t.test("ends a stream with an outcome of an unknown kind", async () => {
    const worker = await WireWorker.connect(stage, address);
    const ref = { jobId: randomUUID(), attempt: 1 };

    void worker.report({ ...ref, kind: "sort_of" }).catch(() => undefined);

    const end = await worker.ended;
    assert.equal(end.status, INVALID_ARGUMENT);
    assert.match(end.message, /outcome.kind must be one of .*"sort_of"/);
  });

  await t.test("ends a stream of garbage with a word about it", async () => {
    const random = randomOf(1);
    for (let length = 1; length <= 4_096; length *= 4) {
      const stream = await aWireStream(stage, address, WorkerServiceService.connect.path);
      // A tag of a field of length beyond the end, then noise.
      const noise = Buffer.from(many(length, () => Math.floor(random() * 256)));

      await stream.message(Buffer.concat([Buffer.from([0x0a, 0xff, 0xff, 0x03]), noise]));

      const { status, message } = await stream.ended;
      assert.equal(status, String(INVALID_ARGUMENT));
      assert.match(message ?? "", /received bytes that are none/);
    }
  });

  await t.test("refuses a message that says it is longer than any may be", async () => {
    const stream = await aWireStream(stage, address, WorkerServiceService.connect.path);

    await stream.send(Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]));

    assert.equal((await stream.ended).status, String(RESOURCE_EXHAUSTED));
  });

  await t.test("refuses jobs of tasks that nobody has", async () => {
    await assert.rejects(client.enqueue("nobody-has-it"), { code: "task_not_found" });
  });

  await t.test("ends a stream that never says hello", async () => {
    assert.deepEqual(await mute.ended, {
      status: FAILED_PRECONDITION,
      message: "Worker protocol: expected hello within 10000 ms. See docs/protocol.md.",
    });
  });

  await t.test("is still the same process, and has everything that it accepted", async () => {
    assert.equal(server.isRunning, true);
    assert.equal(server.pid, pid);
    assert.equal(await countOf(client, "kept"), kept.length);
    const worker = await WireWorker.connect(stage, address, { tasks: [aTask("kept")], slots: 100 });
    const { jobs } = await worker.next("jobs");
    assert.deepEqual((await worker.report(...jobs)).stale, []);
  });
});

function many<Item>(count: number, make: (n: number) => Item): Item[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

function up(message: NonNullable<WorkerMessage["message"]>): Uint8Array {
  return WorkerMessage.encode({ message }).finish();
}

async function countOf(client: Client, task: string): Promise<number> {
  const jobs = await Array.fromAsync(client.jobs({ task }));
  return jobs.length;
}
