import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { z } from "zod";

import {
  answers,
  aWireJob,
  FakeServer,
  fault,
  jobId,
  Mailbox,
  status,
} from "../test/fake-server.ts";
import type { Scripts } from "../test/fake-server.ts";
import { createClient } from "./create-client.ts";
import type { Client, ClientOptions } from "./client.ts";
import type {
  JobSpec,
  SubmitManyRequest,
  SubmitManyResponse,
  SubmitResponse,
  TaskDefinition,
} from "./contract.ts";
import { task } from "./task.ts";

const accepted: SubmitResponse = { jobId: jobId(1), isDuplicate: false, state: "queued" };
const unavailable = fault(status.UNAVAILABLE, { code: "unavailable", message: "restarting" });
const taskNotFound = fault(status.NOT_FOUND, { code: "task_not_found", message: "no task resize" });
const resize = task({
  name: "resize",
  maxAttempts: 5,
  input: z.object({ url: z.url(), width: z.number().default(100) }),
  run: ({ width }) => ({ width }),
});

describe("client.enqueue", () => {
  it("sends a task's input and answers with a handle", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, { jobs: { submit } });

    const job = await client.enqueue(resize, { url: "http://x.example/a.png" });

    assert.deepEqual([job.id, job.isDuplicate, job.state], [jobId(1), false, "queued"]);
    assert.equal(submit.requests[0]?.task, "resize");
    // What the producer said, not what the validator makes of it: the worker validates again.
    assert.equal(submit.requests[0]?.input.toString(), '{"url":"http://x.example/a.png"}');
  });

  it("sends null for a task by name without input", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, { jobs: { submit } });

    await client.enqueue("sweep");

    assert.equal(submit.requests[0]?.input.toString(), "null");
  });

  it("sends every option", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, { jobs: { submit } });
    const runAt = new Date("2027-01-01T00:00:00Z");

    await client.enqueue("t", 1, {
      queue: "q",
      priority: -5,
      runAt,
      maxAttempts: 7,
      retry: { strategy: "linear", baseMs: 10, maxMs: 20, jitter: "none" },
      attemptTimeoutMs: 1,
      queueTimeoutMs: 2,
      deadlineMs: 3,
      heartbeatTimeoutMs: 4,
      cancelGraceMs: 5,
      tags: ["a", "b"],
      idempotencyKey: "i",
      uniqueKey: "u",
      onConflict: "reject",
    });

    assert.deepEqual(submit.requests[0], {
      task: "t",
      input: Buffer.from("1"),
      inputContentType: "",
      queue: "q",
      priority: -5,
      delayMs: undefined,
      runAt,
      maxAttempts: 7,
      retry: { strategy: "linear", baseMs: 10, maxMs: 20, jitter: "none" },
      attemptTimeoutMs: 1,
      queueTimeoutMs: 2,
      deadlineMs: 3,
      heartbeatTimeoutMs: 4,
      cancelGraceMs: 5,
      tags: ["a", "b"],
      idempotencyKey: "i",
      uniqueKey: "u",
      onConflict: "reject",
    });
  });

  it("sends bytes as they are with their content type", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, { jobs: { submit } });

    await client.enqueue("t", new Uint8Array([1, 2]), { inputContentType: "image/png" });

    assert.deepEqual(submit.requests[0]?.input, Buffer.from([1, 2]));
    assert.equal(submit.requests[0]?.inputContentType, "image/png");
  });

  it("refuses input that does not fit the schema before anything is sent", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(accepted);
    const client = await aClient(t, { jobs: { submit } });

    await assert.rejects(client.enqueue(resize, { url: "nowhere", width: 1 }), {
      name: "BatonError",
      code: "invalid_input",
      message: /input of task "resize" does not fit its schema: url: /,
    });
    assert.equal(submit.requests.length, 0);
  });

  it("checks what will arrive: a Date is a string by then", async (t) => {
    const client = await aClient(t, {});
    const dated = task({ name: "dated", input: z.object({ at: z.date() }), run: () => undefined });

    await assert.rejects(client.enqueue(dated, { at: new Date() }), {
      code: "invalid_input",
      details: {
        task: "dated",
        issues: [{ path: ["at"], message: "Invalid input: expected date, received string" }],
      },
    });
  });

  it("gives the error of the server with its code and details", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(
      fault(status.ALREADY_EXISTS, {
        code: "idempotency_conflict",
        message: "the key k belongs to another job",
        details: { jobId: jobId(7) },
      }),
    );
    const client = await aClient(t, { jobs: { submit } });

    await assert.rejects(client.enqueue("t", 1), {
      name: "BatonError",
      code: "idempotency_conflict",
      message: "the key k belongs to another job",
      details: { jobId: jobId(7) },
    });
  });

  const badOptions: readonly [string, object, RegExp][] = [
    [
      "an option that does not exist",
      { delay: 5 },
      /there is no option "delay"; options are queue/,
    ],
    [
      "an option of the wrong kind",
      { priority: "high" },
      /option priority must be an integer, got "high"/,
    ],
    ["half a millisecond", { delayMs: 0.5 }, /option delayMs must be an integer, got 0\.5/],
    ["an instant that is none", { runAt: new Date("soon") }, /option runAt must be a valid Date/],
    [
      "a cron string where a time belongs",
      { runAt: "* * * * *" },
      /runAt must be a valid Date, got "\* \*/,
    ],
    ["tags that are no strings", { tags: [1] }, /option tags must be an array of strings/],
    [
      "a retry delay that is no integer",
      { retry: { baseMs: "1s" } },
      /retry\.baseMs must be an integer/,
    ],
  ];
  for (const [what, options, message] of badOptions) {
    it(`refuses ${what}`, async (t) => {
      const client = await aClient(t, {});

      await assert.rejects(client.enqueue("t", 1, options), { code: "invalid_argument", message });
    });
  }

  for (const [what, input] of [
    ["a BigInt", 1n],
    ["a function", () => undefined],
  ] as const) {
    it(`refuses ${what} as input`, async (t) => {
      const client = await aClient(t, {});

      await assert.rejects(client.enqueue("t", input), {
        code: "invalid_argument",
        message: /input of task "t" is not JSON/,
      });
    });
  }

  it("says of input that is nested too deep what servers take", async (t) => {
    const client = await aClient(t, {});
    let input: unknown = null;
    for (let level = 0; level < 100_000; level += 1) input = { input };

    await assert.rejects(client.enqueue("t", input), {
      code: "invalid_argument",
      message: /^input of task "t" is not JSON: it is nested .* 200 levels/,
    });
  });

  it("tells a server of a task that it does not know, once", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(taskNotFound, accepted);
    const put = answers<TaskDefinition, TaskDefinition>(aDefinition("resize"));
    const client = await aClient(t, { jobs: { submit }, tasks: { put } });

    const job = await client.enqueue(resize, { url: "http://x.example/" });

    assert.equal(job.id, jobId(1));
    assert.equal(submit.requests.length, 2);
    assert.deepEqual([put.requests[0]?.name, put.requests[0]?.maxAttempts], ["resize", 5]);
    assert.match(put.requests[0]?.inputSchema.toString() ?? "", /"url"/);
  });

  it("does not invent a definition for a task's name", async (t) => {
    const client = await aClient(t, {
      jobs: { submit: answers<JobSpec, SubmitResponse>(taskNotFound) },
    });

    await assert.rejects(client.enqueue("resize", {}), { code: "task_not_found" });
  });

  it("gives up when the server still does not know the task", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(taskNotFound);
    const put = answers<TaskDefinition, TaskDefinition>(aDefinition("resize"));
    const client = await aClient(t, { jobs: { submit }, tasks: { put } });

    await assert.rejects(client.enqueue(resize, { url: "http://x.example/" }), {
      code: "task_not_found",
    });
    assert.equal(submit.requests.length, 2);
  });
});

describe("client.enqueueMany", () => {
  const three: SubmitManyResponse = {
    jobs: [1, 2, 3].map((n) => ({ jobId: jobId(n), isDuplicate: n === 2, state: "queued" })),
  };

  it("sends one bulk and answers in its order", async (t) => {
    const submitMany = answers<SubmitManyRequest, SubmitManyResponse>(three);
    const client = await aClient(t, { jobs: { submitMany } });

    const jobs = await client.enqueueMany("t", [10, 20, 30], { queue: "q" });

    assert.deepEqual(
      jobs.map((job) => [job.id, job.isDuplicate]),
      [
        [jobId(1), false],
        [jobId(2), true],
        [jobId(3), false],
      ],
    );
    assert.deepEqual(
      submitMany.requests[0]?.jobs.map(({ input, queue }) => [input.toString(), queue]),
      [
        ["10", "q"],
        ["20", "q"],
        ["30", "q"],
      ],
    );
  });

  it("makes options for each input by a function", async (t) => {
    const submitMany = answers<SubmitManyRequest, SubmitManyResponse>(three);
    const client = await aClient(t, { jobs: { submitMany } });

    await client.enqueueMany("t", ["a", "b"], (input, index) => ({
      idempotencyKey: `${String(input)}-${index}`,
    }));

    assert.deepEqual(
      submitMany.requests[0]?.jobs.map((spec) => spec.idempotencyKey),
      ["a-0", "b-1"],
    );
  });

  it("takes jobs of different tasks, and never mistakes an input for options", async (t) => {
    const submitMany = answers<SubmitManyRequest, SubmitManyResponse>(three);
    const client = await aClient(t, { jobs: { submitMany } });

    await client.enqueueMany([
      { task: "a", input: { input: 1, options: { priority: 1 } } },
      { task: resize, input: { url: "http://x.example/" }, options: { priority: 2 } },
    ]);

    assert.deepEqual(
      submitMany.requests[0]?.jobs.map(({ task: name, input, priority }) => [
        name,
        input.toString(),
        priority,
      ]),
      [
        ["a", '{"input":1,"options":{"priority":1}}', undefined],
        ["resize", '{"url":"http://x.example/"}', 2],
      ],
    );
  });

  it("names the index of an input that does not fit", async (t) => {
    const client = await aClient(t, {});

    await assert.rejects(
      client.enqueueMany(resize, [{ url: "http://x.example/" }, { url: "bad" }]),
      (error: unknown) => {
        assert.deepEqual([Object(error).code, Object(error).details.index], ["invalid_input", 1]);
        return true;
      },
    );
  });

  it("passes on which items the server refused", async (t) => {
    const items = [{ index: 1, code: "invalid_argument", message: "priority must be -100 to 100" }];
    const submitMany = answers<SubmitManyRequest, SubmitManyResponse>(
      fault(status.INVALID_ARGUMENT, {
        code: "bulk_rejected",
        message: "1 of 2",
        details: { items },
      }),
    );
    const client = await aClient(t, { jobs: { submitMany } });

    await assert.rejects(client.enqueueMany("t", [1, 2]), {
      code: "bulk_rejected",
      details: { items },
    });
  });

  it("tells the server of tasks that items name", async (t) => {
    const submitMany = answers<SubmitManyRequest, SubmitManyResponse>(
      fault(status.INVALID_ARGUMENT, {
        code: "bulk_rejected",
        message: "1 of 1",
        details: { items: [{ index: 0, code: "task_not_found", message: "no task resize" }] },
      }),
      three,
    );
    const put = answers<TaskDefinition, TaskDefinition>(aDefinition("resize"));
    const client = await aClient(t, { jobs: { submitMany }, tasks: { put } });

    await client.enqueueMany(resize, [{ url: "http://x.example/" }]);

    assert.deepEqual([submitMany.requests.length, put.requests.length], [2, 1]);
  });

  it("refuses a bulk that no message can carry", async (t) => {
    const client = await aClient(t, {});
    const megabyte = "x".repeat(1024 * 1024);

    await assert.rejects(
      client.enqueueMany(
        "t",
        Array.from({ length: 65 }, () => megabyte),
      ),
      {
        code: "payload_too_large",
        message: /at most 67108864 fit; use several bulks, or submitStream/,
      },
    );
  });
});

describe("a call of a client", () => {
  it("is repeated while the server is unavailable when it only looks", async (t) => {
    const get = answers(unavailable, unavailable, aWireJob({ state: "running" }));
    const client = await aClient(t, { jobs: { get } });

    const job = await client.getJob(jobId(1));

    assert.equal(job.state, "running");
    assert.equal(get.requests.length, 3);
  });

  it("is not repeated when it submits without a key, and says what may have happened", async (t) => {
    const lost = Object.assign(new Error("Connection dropped"), { code: status.UNAVAILABLE });
    const submit = answers<JobSpec, SubmitResponse>(lost);
    const client = await aClient(t, { jobs: { submit } });

    await assert.rejects(client.enqueue("t", 1), (error: unknown) => {
      assert.equal(Object(error).code, "connection_failed");
      assert.equal(Object(error).details.mayHaveHappened, true);
      return true;
    });
    assert.equal(submit.requests.length, 1);
  });

  it("is repeated when it submits with an idempotency key", async (t) => {
    const submit = answers<JobSpec, SubmitResponse>(unavailable, {
      ...accepted,
      isDuplicate: true,
    });
    const client = await aClient(t, { jobs: { submit } });

    const job = await client.enqueue("t", 1, { idempotencyKey: "k" });

    assert.equal(job.isDuplicate, true);
  });

  it("is repeated without a key when it never left this process", async (t) => {
    const before = await FakeServer.start(t);
    before.kill();
    const client = createClient({ address: before.address });
    t.after(() => client.close());
    const submitted = client.enqueue("t", 1);
    // A call to the dead port has failed by now, and the client is trying again.
    await assert.rejects(createClient({ address: before.address, connectTimeoutMs: 1 }).workers());

    const submit = answers<JobSpec, SubmitResponse>(accepted);
    await FakeServer.start(t, { jobs: { submit } }, before.port);

    assert.equal((await submitted).id, jobId(1));
    assert.equal(submit.requests.length, 1);
  });

  it("fails as connection_failed when nobody listens for connectTimeoutMs", async (t) => {
    const server = await FakeServer.start(t);
    server.kill();
    const client = createClient({ address: server.address, connectTimeoutMs: 50 });
    t.after(() => client.close());

    await assert.rejects(client.workers(), {
      code: "connection_failed",
      message: /cannot reach Baton at 127\.0\.0\.1:\d+: No connection established.*ECONNREFUSED/,
    });
  });

  it("has a deadline", async (t) => {
    const client = await aClient(t, { jobs: { get: () => undefined } }, { timeoutMs: 50 });

    await assert.rejects(client.getJob(jobId(1)), {
      code: "deadline_exceeded",
      message: /no answer from Baton at/,
    });
  });

  it("says that a port without the service is not Baton's", async (t) => {
    const client = await aClient(t, {});

    await assert.rejects(client.workers(), {
      code: "route_not_found",
      message: /is it Baton's gRPC port/,
    });
  });

  it("carries the token", async (t) => {
    const tokens: unknown[] = [];
    const client = await aClient(
      t,
      {
        servers: {
          list: (call, callback) => {
            tokens.push(...call.metadata.get("authorization"));
            callback(null, { servers: [] });
          },
        },
      },
      { token: "secret" },
    );

    await client.servers();

    assert.deepEqual(tokens, ["Bearer secret"]);
  });

  it("ends when the client is closed, as does everything else that is open", async (t) => {
    const began = new Mailbox<string>();
    const client = await aClient(t, {
      jobs: {
        get: () => began.put("get"),
        watch: () => began.put("watch"),
        submitStream: () => began.put("submitStream"),
      },
    });
    const open = [
      client.getJob(jobId(1)),
      client.job(jobId(1)).result(),
      Array.fromAsync(client.watch()),
      client.submitStream([]),
    ];
    for (const call of open) {
      call.catch(() => undefined);
      await began.take();
    }

    client.close();

    for (const call of [...open, client.getJob(jobId(1))]) {
      await assert.rejects(call, { code: "connection_failed", message: "the client was closed" });
    }
  });

  it("refuses a token that no header can carry, without showing it", () => {
    assert.throws(() => createClient({ token: "secret\n" }), {
      code: "invalid_argument",
      message: /^token must be printable ASCII, got "\\n" at index 6 of 7 characters$/,
    });
  });

  for (const address of ["localhost", "http://localhost:9000", "a b:1", ""]) {
    it(`refuses the address "${address}"`, () => {
      assert.throws(() => createClient({ address }), {
        code: "invalid_argument",
        message: /address must be host:port/,
      });
    });
  }
});

describe("client", () => {
  it("shows a job with its attempts", async (t) => {
    const at = new Date("2026-01-01T00:00:01Z");
    const get = answers(
      aWireJob({
        state: "succeeded",
        attempt: 2,
        input: Buffer.from('{"a":1}'),
        result: Buffer.from("[1]"),
        progress: Buffer.from("0.5"),
        finishedAt: at,
        worker: "w",
        attempts: [
          {
            attempt: 1,
            outcome: "retry",
            worker: "w",
            leasedAt: at,
            startedAt: at,
            finishedAt: at,
            error: { code: "TypeError", message: "m", stack: "" },
          },
        ],
      }),
    );
    const client = await aClient(t, { jobs: { get } });

    const job = await client.getJob(jobId(1));

    assert.deepEqual(
      [job.input, job.result, job.progress, job.finishedAt, job.worker, job.cancelReason],
      [{ a: 1 }, [1], 0.5, at, "w", undefined],
    );
    assert.deepEqual(job.attempts, [
      {
        attempt: 1,
        outcome: "retry",
        worker: "w",
        leasedAt: at,
        startedAt: at,
        finishedAt: at,
        error: { code: "TypeError", message: "m", stack: undefined },
      },
    ]);
  });

  it("goes through all pages of a list", async (t) => {
    const list = answers(
      { jobs: [aWireJob({ id: jobId(1) }), aWireJob({ id: jobId(2) })], nextCursor: "c" },
      { jobs: [aWireJob({ id: jobId(3) })], nextCursor: "" },
    );
    const client = await aClient(t, { jobs: { list } });

    const ids = [];
    for await (const job of client.jobs({ states: ["dead"], queue: "q" })) ids.push(job.id);

    assert.deepEqual(ids, [jobId(1), jobId(2), jobId(3)]);
    assert.deepEqual(
      list.requests.map((request) => Object(request).cursor),
      ["", "c"],
    );
  });

  it("does not take an absent result for null where payloads were not asked for", async (t) => {
    const list = answers({ jobs: [aWireJob({ state: "succeeded" })], nextCursor: "" });
    const client = await aClient(t, { jobs: { list } });

    const { jobs, nextCursor } = await client.listJobs();

    assert.deepEqual(
      [jobs[0]?.result, jobs[0]?.input, nextCursor],
      [undefined, undefined, undefined],
    );
  });

  it("refuses a filter with a field that does not exist", async (t) => {
    const client = await aClient(t, {});
    const filter: object = { queues: "q" };

    await assert.rejects(client.cancelMany(filter), {
      code: "invalid_argument",
      message: /a filter has no field "queues"/,
    });
  });

  it("cancels one job and many", async (t) => {
    const cancel = answers(
      { cancelledCount: 1, requestedCount: 0, hasMore: false },
      { cancelledCount: 0, requestedCount: 1, hasMore: false },
      { cancelledCount: 3, requestedCount: 4, hasMore: true },
    );
    const client = await aClient(t, { jobs: { cancel } });

    assert.equal(await client.job(jobId(1)).cancel("why"), "cancelled");
    assert.equal(await client.job(jobId(1)).cancel(), "running");
    assert.deepEqual(await client.cancelMany({ tag: "x" }, { limit: 7, reason: "all" }), {
      cancelledCount: 3,
      requestedCount: 4,
      hasMore: true,
    });
    assert.deepEqual(
      cancel.requests.map((request) => [Object(request).jobId, Object(request).reason]),
      [
        [jobId(1), "why"],
        [jobId(1), ""],
        ["", "all"],
      ],
    );
  });

  it("redrives one job and many", async (t) => {
    const redrive = answers(
      { redrivenCount: 1, hasMore: false },
      { redrivenCount: 9, hasMore: true },
    );
    const client = await aClient(t, { jobs: { redrive } });

    await client.redrive(jobId(1));
    assert.deepEqual(await client.redriveMany({ task: "t" }, { limit: 9 }), {
      redrivenCount: 9,
      hasMore: true,
    });
  });

  it("lists, pauses and resumes queues", async (t) => {
    const queue = {
      name: "q",
      isPaused: true,
      pausedAt: new Date(0),
      pauseReason: "night",
      queuedCount: 1,
      scheduledCount: 2,
      runningCount: 3,
      oldestQueuedAt: undefined,
    };
    const client = await aClient(t, {
      queues: {
        list: answers({ queues: [queue] }),
        pause: answers(queue),
        resume: answers({ ...queue, isPaused: false, pausedAt: undefined, pauseReason: "" }),
      },
    });

    assert.deepEqual(await client.queues.list(), [queue]);
    assert.equal((await client.queues.pause("q", "night")).pauseReason, "night");
    assert.equal((await client.queues.resume("q")).pauseReason, undefined);
  });

  it("lists, gets and puts tasks", async (t) => {
    const wire: TaskDefinition = {
      ...aDefinition("resize"),
      retry: { strategy: "fixed", baseMs: 5, maxMs: undefined, jitter: "" },
      inputSchema: Buffer.from('{"type":"object"}'),
    };
    const put = answers<TaskDefinition, TaskDefinition>(wire);
    const client = await aClient(t, {
      tasks: { list: answers({ tasks: [wire] }), get: answers(wire), put },
    });

    const definition = await client.tasks.put({
      name: "resize",
      retry: { strategy: "fixed", baseMs: 5 },
      inputSchema: { type: "object" },
    });

    assert.deepEqual(definition.retry, {
      strategy: "fixed",
      baseMs: 5,
      maxMs: undefined,
      jitter: undefined,
    });
    assert.deepEqual(definition.inputSchema, { type: "object" });
    assert.equal(put.requests[0]?.inputSchema.toString(), '{"type":"object"}');
    assert.deepEqual(await client.tasks.list(), [await client.tasks.get("resize")]);
  });

  it("lists workers and servers", async (t) => {
    const worker = {
      id: jobId(1),
      name: "w",
      state: "detached",
      server: "s",
      host: "h",
      pid: 1,
      sdk: "x/1",
      slots: 2,
      runningCount: 1,
      tasks: ["t"],
      queues: ["q"],
      labels: { a: "b" },
      connectedAt: new Date(0),
      seenAt: new Date(1),
    };
    const server = {
      id: "1",
      name: "s",
      version: "0.1.0",
      startedAt: new Date(0),
      renewedAt: new Date(1),
      workerCount: 1,
      isAlive: true,
    };
    const client = await aClient(t, {
      workers: { list: answers({ workers: [worker] }) },
      servers: { list: answers({ servers: [server] }) },
    });

    assert.deepEqual(await client.workers(), [worker]);
    assert.deepEqual(await client.servers(), [server]);
  });

  it("goes through all log lines of a job", async (t) => {
    const line = (message: string, fields = "") => ({
      attempt: 1,
      at: new Date(0),
      level: "info",
      message,
      fields: Buffer.from(fields),
    });
    const listLogs = answers(
      { lines: [line("one", '{"n":1}')], nextCursor: "c" },
      { lines: [line("two")], nextCursor: "" },
    );
    const client = await aClient(t, { jobs: { listLogs } });

    const lines = await Array.fromAsync(client.job(jobId(1)).logs());

    assert.deepEqual(
      lines.map(({ message, fields }) => [message, fields]),
      [
        ["one", { n: 1 }],
        ["two", undefined],
      ],
    );
  });
});

async function aClient(
  t: TestContext,
  scripts: Scripts,
  options: ClientOptions = {},
): Promise<Client> {
  const server = await FakeServer.start(t, scripts);
  const client = createClient({ address: server.address, ...options });
  t.after(() => client.close());
  return client;
}

function aDefinition(name: string): TaskDefinition {
  return {
    name,
    description: "",
    maxAttempts: undefined,
    retry: undefined,
    attemptTimeoutMs: undefined,
    queueTimeoutMs: undefined,
    deadlineMs: undefined,
    heartbeatTimeoutMs: undefined,
    cancelGraceMs: undefined,
    inputSchema: Buffer.alloc(0),
    updatedAt: undefined,
  };
}
