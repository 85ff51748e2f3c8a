import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { answers, FakeServer, jobId } from "../test/fake-server.ts";
import type { Client } from "./client.ts";
import type { JobSpec, SubmitResponse } from "./contract.ts";
import { createClient } from "./create-client.ts";
import { task } from "./task.ts";
import { createWorker } from "./worker/create-worker.ts";

const LONE = "a\ud800b";

/** A call, the field that its error names, and what of the value is shown. */
type Case = readonly [string, (client: Client) => Promise<unknown>, string];

const lone: readonly Case[] = [
  ["an idempotency key", (c) => c.enqueue("t", 1, { idempotencyKey: LONE }), "idempotencyKey"],
  ["a unique key", (c) => c.enqueue("t", 1, { uniqueKey: LONE }), "uniqueKey"],
  ["a tag", (c) => c.enqueue("t", 1, { tags: ["a", LONE] }), "tags[1]"],
  ["a queue", (c) => c.enqueue("t", 1, { queue: LONE }), "queue"],
  ["a task's name", (c) => c.enqueue(LONE), "task"],
  ["a text as input", (c) => c.enqueue("t", LONE, { inputContentType: "text/plain" }), "input"],
  ["a job of a bulk", (c) => c.enqueueMany("t", [1], { uniqueKey: LONE }), "uniqueKey"],
  ["a job of a stream", (c) => c.submitStream([{ task: "t", options: { queue: LONE } }]), "queue"],
  ["a reason", (c) => c.job(jobId(1)).cancel(LONE), "reason"],
  ["the reason of a pause", (c) => c.queues.pause("q", LONE), "reason"],
  ["a filter", (c) => c.listJobs({ tag: LONE }), "filter.tag"],
  ["a watched filter", (c) => Array.fromAsync(c.watch({ queue: LONE })), "filter.queue"],
  ["a watched job", (c) => c.job(LONE).result(), "jobId"],
  ["a definition", (c) => c.tasks.put(aTask({ description: LONE })), "description"],
];

const numbers: readonly Case[] = [
  ["a priority", (c) => c.enqueue("t", 1, { priority: 2 ** 33 }), "priority"],
  ["attempts", (c) => c.enqueue("t", 1, { maxAttempts: 2 ** 33 }), "maxAttempts"],
  ["a job of a bulk", (c) => c.enqueueMany("t", [1], { priority: 2 ** 33 }), "priority"],
  ["a limit", (c) => c.listJobs({}, { limit: 2 ** 33 }), "limit"],
  ["a limit of a cancel", (c) => c.cancelMany({}, { limit: 2 ** 33 }), "limit"],
  ["a limit of a redrive", (c) => c.redriveMany({}, { limit: 2 ** 33 }), "limit"],
  ["an attempt", (c) => Array.fromAsync(c.logs(jobId(1), { attempt: 2 ** 33 })), "attempt"],
  ["attempts of a definition", (c) => c.tasks.put(aTask({ maxAttempts: 2 ** 33 })), "maxAttempts"],
];

/** What plain JavaScript can pass, and what the error says of it. */
const wrongKinds: readonly (readonly [string, (client: Client) => Promise<unknown>, RegExp])[] = [
  [
    "a reason",
    (c) => c.job(jobId(1)).cancel(loose({ why: "no" })),
    /^reason must be a string, got \{ why: 'no' \}$/,
  ],
  ["a tag", (c) => c.listJobs({ tag: loose(["a"]) }), /^filter\.tag must be .*, got \[ 'a' \]$/],
  ["tags", (c) => c.enqueue("t", 1, { tags: loose("a") }), /^option tags must be .*, got "a"$/],
  ["one of tags", (c) => c.enqueue("t", 1, { tags: loose([1]) }), /tags must be .*, got \[ 1 \]$/],
  [
    "states",
    (c) => c.listJobs({ states: loose("dead") }),
    /^filter\.states must be an array of strings, got "dead"$/,
  ],
  [
    "an instant",
    (c) => c.listJobs({ createdAfter: loose("2026-01-01") }),
    /^filter\.createdAfter must be a valid Date, got "2026-01-01"$/,
  ],
  ["an id", (c) => c.getJob(loose(7)), /^jobId must be a string, got 7$/],
  ["a limit", (c) => c.listJobs({}, { limit: loose("5") }), /^limit must be an .*, got "5"$/],
  ["a filter", (c) => c.cancelMany(loose(null)), /^a filter must be an object, got null$/],
  ["options", (c) => c.enqueue("t", 1, loose("high")), /^options must be an object, got "high"$/],
  [
    "a retry policy",
    (c) => c.enqueue("t", 1, { retry: loose({ strategy: 3 }) }),
    /^retry\.strategy must be a string, got 3$/,
  ],
];

/** A value of the wrong kind, as JavaScript without types passes it. */
function loose(value: unknown) {
  return JSON.parse(JSON.stringify(value));
}

describe("what the wire cannot carry", () => {
  for (const [what, call, message] of wrongKinds) {
    it(`is told with what came: ${what}`, async (t) => {
      const client = await aClient(t);

      await assert.rejects(call(client), { code: "invalid_argument", message });
    });
  }

  it("lets a worker's labels have any name", () => {
    const labels = { priority: "high", reason: "test", limit: "none" };

    assert.equal(createWorker({ tasks: [aTask({})], labels }).state, "idle");
  });

  for (const [what, call, field] of lone) {
    it(`refuses a lone surrogate in ${what}`, async (t) => {
      const client = await aClient(t);

      await assert.rejects(call(client), {
        name: "BatonError",
        code: "invalid_argument",
        message: new RegExp(`^${field.replaceAll(/[[\]]/g, "\\$&")} .*surrogate.*"a\\\\ud800b"`),
      });
    });
  }

  for (const [what, call, field] of numbers) {
    it(`refuses a number beyond 32 bits as ${what}`, async (t) => {
      const client = await aClient(t);

      await assert.rejects(call(client), {
        name: "BatonError",
        code: "invalid_argument",
        message: new RegExp(`^${field} must be an integer .*, got 8589934592$`),
      });
    });
  }

  it("names the job of a bulk", async (t) => {
    const client = await aClient(t);
    const priority = (_input: unknown, index: number) => ({ priority: index * 2 ** 31 });

    await assert.rejects(client.enqueueMany("t", [1, 2], priority), {
      details: { index: 1, field: "priority" },
    });
  });

  it("refuses a duration that is no integer", async (t) => {
    const client = await aClient(t);

    await assert.rejects(client.tasks.put(aTask({ attemptTimeoutMs: 0.5 })), {
      code: "invalid_argument",
      message: /^attemptTimeoutMs must be an integer, got 0\.5$/,
    });
  });

  it("refuses a filter with an instant that is none", async (t) => {
    const client = await aClient(t);

    await assert.rejects(client.listJobs({ createdAfter: new Date("soon") }), {
      code: "invalid_argument",
      message: /^filter\.createdAfter must be a valid Date, got an invalid Date$/,
    });
  });

  it("refuses a worker whose tasks or names it cannot tell, before it connects", () => {
    const tasks = [aTask({})];

    assert.throws(() => createWorker({ tasks: [aTask({ maxAttempts: 2 ** 33 })] }), {
      message: /^tasks\[0\]\.maxAttempts must be an integer/,
    });
    assert.throws(() => createWorker({ tasks, queues: [LONE] }), { message: /^queues\[0\] / });
    assert.throws(() => createWorker({ tasks, labels: { [LONE]: "x" } }), { message: /^labels / });
    assert.throws(() => createWorker({ tasks, name: LONE }), { message: /^name / });
  });

  it("keeps lone surrogates in JSON, which escapes them", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, submit);

    await client.enqueue("t", { [LONE]: LONE });

    assert.equal(submit.requests[0]?.input.toString(), '{"a\\ud800b":"a\\ud800b"}');
  });

  it("lets surrogate pairs pass", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, submit);

    await client.enqueue("t", 1, { uniqueKey: "🎼" });

    assert.equal(submit.requests[0]?.uniqueKey, "🎼");
  });
});

const accepted: SubmitResponse = { jobId: jobId(1), isDuplicate: false, state: "queued" };

function aTask(settings: object) {
  return task({ name: "t", run: () => null, ...settings });
}

async function aClient(
  t: TestContext,
  submit = answers<JobSpec, SubmitResponse>(accepted),
): Promise<Client> {
  const server = await FakeServer.start(t, { jobs: { submit } });
  const client = createClient({ address: server.address });
  t.after(() => client.close());
  return client;
}
