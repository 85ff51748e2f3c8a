import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { z } from "zod";

import { aLeasedJob, jobId, nextTurn, status } from "../../test/fake-server.ts";
import { aWorker, ManualTask } from "../../test/worker-fixture.ts";
import { Cancelled, Fatal, LeaseLost, RetryAfter, Snooze } from "../control-errors.ts";
import { task } from "../task.ts";

const echo = task({ name: "echo", run: (input: unknown) => input });

describe("a worker that connects", () => {
  it("introduces itself with what it can run and how much", async (t) => {
    const resize = task({
      name: "resize",
      description: "Makes images smaller",
      maxAttempts: 5,
      retry: { strategy: "fixed", baseMs: 100 },
      input: z.object({ width: z.number() }),
      run: () => undefined,
    });
    const { server, worker } = await aWorker(t, {
      tasks: [echo, resize],
      queues: ["default", "images"],
      slots: 4,
      prefetch: 2,
      name: "w1",
      labels: { zone: "a" },
      leaseMs: 9_000,
    });

    void worker.start();
    const hello = await (await server.connection()).next("hello");

    assert.equal(hello.name, "w1");
    assert.match(hello.workerId, /^[0-9a-f-]{36}$/);
    assert.match(hello.sdk, /^baton-sdk-js\/\d/);
    assert.equal(hello.pid, process.pid);
    assert.deepEqual(hello.queues, ["default", "images"]);
    assert.deepEqual([hello.slots, hello.prefetch, hello.leaseMs], [4, 2, 9_000]);
    assert.deepEqual(hello.labels, { zone: "a" });
    assert.deepEqual(hello.held, []);
    assert.deepEqual(
      hello.tasks.map(({ name, description, maxAttempts }) => [name, description, maxAttempts]),
      [
        ["echo", "", undefined],
        ["resize", "Makes images smaller", 5],
      ],
    );
    assert.equal(hello.tasks[1]?.retry?.strategy, "fixed");
    const schema: unknown = JSON.parse(hello.tasks[1]?.inputSchema.toString() ?? "");
    assert.deepEqual(Object(schema).required, ["width"]);
  });

  it("is active after the server's welcome", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo] });
    assert.equal(worker.state, "idle");
    const started = worker.start();
    assert.equal(worker.state, "connecting");

    await (await server.connection()).welcome();
    await started;

    assert.equal(worker.state, "active");
  });

  it("rejects start with the server's own error when it is refused", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo] });
    const started = worker.start();
    const connection = await server.connection();
    await connection.next("hello");

    connection.refuse(status.INVALID_ARGUMENT, {
      code: "invalid_argument",
      message: "labels must be at most 32; received 40",
    });

    await assert.rejects(started, {
      name: "BatonError",
      code: "invalid_argument",
      message: /labels/,
    });
    await worker.closed;
    assert.equal(worker.state, "stopped");
  });

  it("goes on trying while nobody listens", async (t) => {
    const { server, worker, log, reconnect } = await aWorker(t, { tasks: [echo] });
    server.kill();
    void worker.start().catch(() => undefined);

    await reconnect();
    await reconnect();

    assert.equal(worker.state, "connecting");
    assert.match(await log.take(), /cannot reach Baton at 127\.0\.0\.1:\d+.*; reconnecting$/);
  });

  it("gives a server up that does not welcome it within 10 seconds", async (t) => {
    const { server, worker, clock, reconnect } = await aWorker(t, { tasks: [echo] });
    void worker.start();
    await (await server.connection()).next("hello");

    clock.advance(10_000);
    await reconnect();

    await (await server.connection()).welcome();
    assert.equal(worker.state === "stopped", false);
  });

  it("refuses to start twice", async (t) => {
    const { worker } = await aWorker(t, { tasks: [echo] });
    void worker.start().catch(() => undefined);

    await assert.rejects(worker.start(), { code: "invalid_argument", message: /starts once/ });
  });
});

describe("a worker that runs jobs", () => {
  it("reports what the handler returned", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(aLeasedJob({ json: { a: [1, "ü"] }, attempt: 3 }));

    const { sequence, outcomes } = await connection.next("outcomes");
    assert.equal(sequence, 1);
    assert.deepEqual(outcomes.length, 1);
    const [outcome] = outcomes;
    assert.equal(outcome?.kind, "succeeded");
    assert.deepEqual([outcome.jobId, outcome.attempt], [aLeasedJob().jobId, 3]);
    assert.equal(outcome.result?.toString(), '{"a":[1,"ü"]}');
    assert.equal(outcome.durationMs, 0);
  });

  it("leaves the result out when the handler returned nothing", async (t) => {
    const nothing = task({ name: "nothing", run: () => undefined });
    const { server, worker } = await aWorker(t, { tasks: [nothing] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(aLeasedJob({ task: "nothing" }));

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "succeeded");
    assert.equal(outcomes[0]?.result, undefined);
  });

  it("reports jobs that end together in one message", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo], slots: 100 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(
      ...Array.from({ length: 100 }, (_, n) => aLeasedJob({ jobId: jobId(n), json: n })),
    );

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes.length, 100);
  });

  it("gives the handler the job, its fence and its input", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(
      aLeasedJob({
        task: "manual",
        json: 7,
        attempt: 2,
        tags: ["x"],
        priority: 5,
        failureCount: 1,
      }),
    );

    const { input, ctx } = await manual.runs.take();
    assert.equal(input, 7);
    assert.deepEqual(ctx.fence, { jobId: aLeasedJob().jobId, attempt: 2 });
    assert.deepEqual(ctx.job, {
      id: aLeasedJob().jobId,
      attempt: 2,
      task: "manual",
      queue: "default",
      tags: ["x"],
      createdAt: new Date("2026-01-01T00:00:00Z"),
      maxAttempts: 3,
      failureCount: 1,
      priority: 5,
    });
  });

  it("gives the handler a Buffer when the input is not JSON", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(
      aLeasedJob({ task: "manual", input: Buffer.from([1, 2]), inputContentType: "image/png" }),
    );

    assert.deepEqual((await manual.runs.take()).input, Buffer.from([1, 2]));
  });

  it("gives the handler what the validator made of the input", async (t) => {
    const defaulted = task({
      name: "defaulted",
      input: z.object({ width: z.number().default(100) }),
      run: ({ width }) => width,
    });
    const { server, worker } = await aWorker(t, { tasks: [defaulted] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(aLeasedJob({ task: "defaulted", json: {} }));

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.result?.toString(), "100");
  });

  it("waits for an asynchronous validator", async (t) => {
    const checked = task({
      name: "checked",
      input: z.number().refine((n) => Promise.resolve(n > 1), "too small"),
      run: (n) => n,
    });
    const { server, worker } = await aWorker(t, { tasks: [checked] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "checked", json: 1 }),
      aLeasedJob({ jobId: jobId(2), task: "checked", json: 2 }),
    );

    const { all } = await connection.outcomes(2);
    const kinds = new Map(all.map((outcome) => [outcome.jobId, outcome.kind]));
    assert.deepEqual([kinds.get(jobId(1)), kinds.get(jobId(2))], ["failed", "succeeded"]);
  });

  it("fails a job whose input does not fit, without calling the handler", async (t) => {
    let callCount = 0;
    const strict = task({
      name: "strict",
      input: z.object({ width: z.number() }),
      run: () => {
        callCount += 1;
      },
    });
    const { server, worker } = await aWorker(t, { tasks: [strict] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(aLeasedJob({ task: "strict", json: { width: "wide" } }));

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "failed");
    assert.equal(outcomes[0]?.error?.code, "invalid_input");
    assert.match(outcomes[0]?.error?.message ?? "", /width: .*number/);
    assert.equal(callCount, 0);
  });

  it("fails a job of a task that it does not have", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(aLeasedJob({ task: "other" }));

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "failed");
    assert.equal(outcomes[0]?.error?.code, "task_not_found");
  });

  const errors = [
    { thrown: new TypeError("no"), kind: "retry", code: "TypeError", delayMs: undefined },
    { thrown: new Fatal("never"), kind: "failed", code: "Fatal", delayMs: undefined },
    { thrown: new RetryAfter(250), kind: "retry", code: "RetryAfter", delayMs: 250 },
    { thrown: new Snooze(9_000), kind: "snoozed", code: undefined, delayMs: 9_000 },
    { thrown: new Cancelled("enough"), kind: "cancelled", code: "cancelled", delayMs: undefined },
    { thrown: "a string", kind: "retry", code: "Error", delayMs: undefined },
  ];
  for (const { thrown, kind, code, delayMs } of errors) {
    it(`reports ${kind} when the handler throws ${code ?? "Snooze"}`, async (t) => {
      const manual = new ManualTask();
      const { server, worker } = await aWorker(t, { tasks: [manual.task] });
      void worker.start();
      const connection = await server.connection();
      await connection.welcome();
      connection.jobs(aLeasedJob({ task: "manual" }));

      (await manual.runs.take()).reject(thrown);

      const { outcomes } = await connection.next("outcomes");
      assert.equal(outcomes[0]?.kind, kind);
      assert.equal(outcomes[0]?.error?.code, code);
      assert.equal(outcomes[0]?.delayMs, delayMs);
    });
  }

  it("tells onError what handlers throw, but not control errors", async (t) => {
    const manual = new ManualTask();
    const told: unknown[] = [];
    const { server, worker } = await aWorker(t, {
      tasks: [manual.task],
      onError: (error, job) => told.push([error, job?.id]),
    });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual" }),
    );

    (await manual.runs.take()).reject(new Snooze(1));
    const error = new Error("boom");
    (await manual.runs.take()).reject(error);

    await connection.outcomes(2);
    assert.deepEqual(told, [[error, jobId(2)]]);
  });

  it("fails a job whose result is larger than the server takes", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome({ payloadBytesMax: 100 });

    connection.jobs(aLeasedJob({ json: "x".repeat(99) }));

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "failed");
    assert.equal(outcomes[0]?.error?.code, "payload_too_large");
    assert.match(outcomes[0]?.error?.message ?? "", /101 bytes.*100/);
  });

  it("runs as many handlers as it has slots, and the rest in order", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task], slots: 2, prefetch: 2 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(
      ...[1, 2, 3, 4].map((n) => aLeasedJob({ jobId: jobId(n), task: "manual", json: n })),
    );
    const first = await manual.runs.take();
    const second = await manual.runs.take();
    await nextTurn();
    assert.equal(manual.startedCount, 2);

    second.resolve("done");

    assert.equal((await manual.runs.take()).input, 3);
    assert.deepEqual([first.input, second.input], [1, 2]);
    assert.equal(manual.startedCount, 3);
  });

  it("gives a job back that comes when everything is full", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task], slots: 1, prefetch: 1 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(...[1, 2, 3].map((n) => aLeasedJob({ jobId: jobId(n), task: "manual" })));

    const { outcomes } = await connection.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ jobId: id, kind, delayMs }) => [id, kind, delayMs]),
      [[jobId(3), "snoozed", 0]],
    );
  });

  it("ignores a job that it holds already", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual", attempt: 2 }));
    await manual.runs.take();

    connection.jobs(
      aLeasedJob({ task: "manual", attempt: 2 }),
      aLeasedJob({ task: "manual", attempt: 1 }),
    );
    connection.jobs(aLeasedJob({ jobId: jobId(9), task: "manual", json: "after" }));

    assert.equal((await manual.runs.take()).input, "after");
    assert.equal(manual.startedCount, 2);
  });

  it("drops an attempt whose successor arrives, and runs the successor", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual", attempt: 1 }));
    const first = await manual.runs.take();

    connection.jobs(aLeasedJob({ task: "manual", attempt: 2 }));

    const second = await manual.runs.take();
    assert.ok(first.ctx.signal.reason instanceof LeaseLost);
    first.resolve("of the first");
    second.resolve("of the second");
    const { outcomes } = await connection.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ attempt, result }) => [attempt, result?.toString()]),
      [[2, '"of the second"']],
    );
  });

  it("starts nothing while 10,000 outcomes wait for their acknowledgement", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo], slots: 1, prefetch: 10_000 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(...Array.from({ length: 10_001 }, (_, n) => aLeasedJob({ jobId: jobId(n) })));
    const { all, messages } = await connection.outcomes(10_000);
    await nextTurn();
    await nextTurn();
    assert.equal(all.length, 10_000);
    assert.equal(connection.waiting("outcomes"), 0);

    for (const message of messages) connection.ack(message.sequence);

    const late = await connection.next("outcomes");
    assert.equal(late.outcomes.length, 1);
    assert.ok(messages.every((message) => message.outcomes.length <= 1_000));
  });
});

describe("a worker's reports", () => {
  it("go up before the outcome, progress with its latest value only", async (t) => {
    const chatty = task({
      name: "chatty",
      run: (_input: unknown, { progress, log, heartbeat }) => {
        progress({ done: 1 });
        progress({ done: 2 });
        heartbeat();
        log.info("first", { n: 1 });
        log.warn("second");
        return "end";
      },
    });
    const { server, worker } = await aWorker(t, { tasks: [chatty] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();

    connection.jobs(aLeasedJob({ task: "chatty" }));

    await connection.next("outcomes");
    assert.deepEqual(connection.received, ["hello", "logs", "progress", "outcomes"]);
    const { reports } = await connection.next("progress");
    assert.deepEqual(
      reports.map((report) => report.value?.toString()),
      ['{"done":2}'],
    );
    const { entries } = await connection.next("logs");
    assert.deepEqual(
      entries.map(({ level, message, fields }) => [level, message, fields.toString()]),
      [
        ["info", "first", '{"n":1}'],
        ["warn", "second", ""],
      ],
    );
  });

  it("sends progress at most every 100 ms", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const { ctx } = await manual.runs.take();
    ctx.progress(1);
    assert.equal((await connection.next("progress")).reports.length, 1);

    ctx.progress(2);
    await nextTurn();
    ctx.progress(3);
    await nextTurn();
    clock.advance(100);

    const { reports } = await connection.next("progress");
    assert.equal(reports[0]?.value?.toString(), "3");
    assert.equal(connection.waiting("progress"), 0);
  });

  it("sends a heartbeat of the handler without a value", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));

    (await manual.runs.take()).ctx.heartbeat();

    const { reports } = await connection.next("progress");
    assert.deepEqual([reports.length, reports[0]?.value], [1, undefined]);
  });

  it("refuses progress over 16 KiB with an error that says so", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const { ctx } = await manual.runs.take();

    assert.throws(() => ctx.progress("x".repeat(17_000)), {
      code: "payload_too_large",
      message: /17002 bytes.*16384/,
    });
    assert.throws(() => ctx.progress(1n), { code: "invalid_argument", message: /BigInt/ });
  });

  it("wait for room when the server does not read, and lose no outcome", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo], slots: 1_000 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.pauseReading();
    const json = "x".repeat(20_000);
    connection.jobs(
      ...Array.from({ length: 500 }, (_, n) => aLeasedJob({ jobId: jobId(n), json })),
    );
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();

    connection.resumeReading();

    const { all } = await connection.outcomes(500);
    assert.equal(new Set(all.map((outcome) => outcome.jobId)).size, 500);
  });

  it("count log lines instead of piling them up when the server does not read", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const { ctx, resolve } = await manual.runs.take();
    connection.pauseReading();
    const text = "x".repeat(2_000);
    for (let batch = 0; batch < 25; batch += 1) {
      for (let line = 0; line < 1_000; line += 1) ctx.log.info(text);
      await nextTurn();
    }

    resolve("done");
    connection.resumeReading();

    await connection.next("outcomes");
    let received = 0;
    let missing = 0;
    while (connection.waiting("logs") > 0) {
      const { entries } = await connection.next("logs");
      received += entries.filter((entry) => entry.level === "info").length;
      const note = entries.find((entry) => entry.level === "warn")?.message ?? "0";
      missing += Number.parseInt(note, 10);
    }
    assert.ok(missing > 0);
    assert.equal(received + missing, 25_000);
  });
});
