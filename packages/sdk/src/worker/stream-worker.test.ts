import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";

import { z } from "zod";

import { aLeasedJob, jobId, nextTurn, status } from "../../test/fake-server.ts";
import { aWorker, ManualTask } from "../../test/worker-fixture.ts";
import { Cancelled, Fatal, LeaseLost, RetryAfter, Snooze, TimedOut } from "../control-errors.ts";
import { WorkerStopped } from "../control-errors.ts";
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

describe("a worker that loses its connection", () => {
  it("presents what it runs and goes on with it", async (t) => {
    const manual = new ManualTask();
    const { server, worker, reconnect } = await aWorker(t, {
      tasks: [manual.task],
      prefetch: 1,
      slots: 1,
    });
    void worker.start();
    const first = await server.connection();
    const { workerId } = await first.welcome();
    first.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual", attempt: 4 }),
    );
    const run = await manual.runs.take();

    first.close();
    await reconnect();

    const second = await server.connection();
    const hello = await second.welcome();
    assert.equal(hello.workerId, workerId);
    assert.deepEqual(hello.held, [
      { jobId: jobId(1), attempt: 1 },
      { jobId: jobId(2), attempt: 4 },
    ]);
    assert.equal(run.ctx.signal.aborted, false);
    run.resolve("survived");
    const { outcomes } = await second.next("outcomes");
    assert.equal(outcomes[0]?.result?.toString(), '"survived"');
  });

  it("sends outcomes again that were not acknowledged, and only those", async (t) => {
    const { server, worker, reconnect } = await aWorker(t, { tasks: [echo] });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(aLeasedJob({ jobId: jobId(1), json: 1 }));
    const acknowledged = await first.next("outcomes");
    first.ack(acknowledged.sequence);
    first.jobs(aLeasedJob({ jobId: jobId(2), json: 2 }));
    assert.equal((await first.next("outcomes")).sequence, 2);

    first.close();
    await reconnect();

    const second = await server.connection();
    const hello = await second.welcome();
    assert.deepEqual(hello.held, [{ jobId: jobId(2), attempt: 1 }]);
    const again = await second.next("outcomes");
    assert.equal(again.sequence, 1);
    assert.deepEqual(
      again.outcomes.map(({ jobId: id, result }) => [id, result?.toString()]),
      [[jobId(2), "2"]],
    );
  });

  it("keeps outcomes that come while there is no connection", async (t) => {
    const manual = new ManualTask();
    const { server, worker, reconnect } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(aLeasedJob({ task: "manual" }));
    const run = await manual.runs.take();

    first.close();
    await first.ended;
    run.resolve("in between");
    await reconnect();

    const second = await server.connection();
    await second.welcome();
    const { outcomes } = await second.next("outcomes");
    assert.equal(outcomes[0]?.result?.toString(), '"in between"');
  });

  it("abandons what the new server says is not its own", async (t) => {
    const manual = new ManualTask();
    const { server, worker, reconnect } = await aWorker(t, { tasks: [manual.task, echo] });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(aLeasedJob({ jobId: jobId(1), task: "manual" }), aLeasedJob({ jobId: jobId(2) }));
    const run = await manual.runs.take();
    await first.next("outcomes");

    first.close();
    await reconnect();
    const second = await server.connection();
    await second.welcome({
      stale: [
        { jobId: jobId(1), attempt: 1 },
        { jobId: jobId(2), attempt: 1 },
      ],
    });

    await once(run.ctx.signal, "abort");
    assert.ok(run.ctx.signal.reason instanceof LeaseLost);
    run.resolve("unheard");
    second.jobs(aLeasedJob({ jobId: jobId(3), json: "next" }));
    const { outcomes } = await second.next("outcomes");
    assert.deepEqual(
      outcomes.map((outcome) => outcome.jobId),
      [jobId(3)],
    );
  });

  it("is detached meanwhile and active afterwards", async (t) => {
    const { server, worker, reconnect } = await aWorker(t, { tasks: [echo] });
    const started = worker.start();
    const first = await server.connection();
    await first.welcome();
    await started;

    first.send({ $case: "goodbye", value: { reason: "restart" } });
    first.close();
    await reconnect();
    assert.equal(worker.state, "detached");

    const second = await server.connection();
    await second.welcome();
    second.jobs(aLeasedJob());
    await second.next("outcomes");
    assert.equal(worker.state, "active");
  });

  it("gives a connection up that has left two heartbeats unanswered, and keeps its jobs", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock, reconnect } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(aLeasedJob({ task: "manual" }));
    const run = await manual.runs.take();

    clock.advance(2_000);
    assert.equal((await first.next("heartbeat")).sequence, 1);
    clock.advance(2_000);
    await first.next("heartbeat");
    clock.advance(2_000);
    await reconnect();

    const hello = await (await server.connection()).next("hello");
    assert.deepEqual(hello.held, [{ jobId: aLeasedJob().jobId, attempt: 1 }]);
    assert.equal(run.ctx.signal.aborted, false);
  });

  it("cuts a stream whose first answer is not a welcome", async (t) => {
    const { server, worker, log } = await aWorker(t, { tasks: [echo] });
    void worker.start();
    const connection = await server.connection();

    connection.jobs(aLeasedJob());

    assert.match(await log.take(), /first message was jobs, expected welcome/);
  });
});

describe("a worker whose lease passes", () => {
  it("aborts its handlers, reconnects without them and reports them as lost", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock, reconnect } = await aWorker(t, {
      tasks: [manual.task],
      slots: 2,
    });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(aLeasedJob({ task: "manual", attempt: 5 }));
    const run = await manual.runs.take();
    first.pauseReading();

    clock.advance(8_000);
    assert.ok(run.ctx.signal.reason instanceof LeaseLost);
    await reconnect();

    const second = await server.connection();
    const hello = await second.welcome();
    assert.deepEqual(hello.held, []);
    // The server has not noticed yet and gives the same attempt once more.
    second.jobs(aLeasedJob({ task: "manual", attempt: 5 }));
    const { outcomes } = await second.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ attempt, kind, error }) => [attempt, kind, error?.code]),
      [[5, "lost", "lease_lost"]],
    );
    run.resolve("too late");
    second.jobs(aLeasedJob({ jobId: jobId(9), task: "manual", json: "other" }));
    assert.equal((await manual.runs.take()).input, "other");
    assert.equal(manual.startedCount, 2);
    assert.equal(second.waiting("outcomes"), 0);
  });

  it("counts the lease from when the answered heartbeat was sent", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome({ heartbeatIntervalMs: 7_000 });
    connection.jobs(aLeasedJob({ task: "manual" }));
    const run = await manual.runs.take();

    clock.advance(7_000);
    const { sequence } = await connection.next("heartbeat");
    clock.advance(900);
    connection.send({ $case: "heartbeatAck", value: { sequence, leaseMs: 8_000 } });
    connection.jobs(aLeasedJob({ jobId: jobId(2), task: "manual" }));
    await manual.runs.take();

    clock.advance(7_099);
    assert.equal(run.ctx.signal.aborted, false);
    clock.advance(1);
    assert.equal(run.ctx.signal.aborted, true);
  });

  it("keeps its jobs as long as heartbeats are answered", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const run = await manual.runs.take();

    for (let beat = 1; beat <= 20; beat += 1) {
      clock.advance(2_000);
      const { sequence } = await connection.next("heartbeat");
      connection.send({ $case: "heartbeatAck", value: { sequence, leaseMs: 8_000 } });
      connection.jobs(aLeasedJob({ jobId: jobId(1_000 + beat), task: "manual", json: beat }));
      (await manual.runs.take()).resolve(beat);
    }

    assert.equal(run.ctx.signal.aborted, false);
  });

  it("reports nothing of a handler that ended while the process stood still past the lease", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock, reconnect } = await aWorker(t, {
      tasks: [manual.task],
      slots: 2,
    });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual" }),
    );
    const run = await manual.runs.take();
    const other = await manual.runs.take();

    clock.jump(60_000);
    other.ctx.progress("still here");
    await reconnect();

    assert.ok(run.ctx.signal.reason instanceof LeaseLost);
    const second = await server.connection();
    await second.welcome();
    const { all } = await second.outcomes(2);
    assert.deepEqual(
      all.map((outcome) => outcome.kind),
      ["lost", "lost"],
    );
    assert.equal(first.waiting("progress"), 0);
  });

  it("forgets what waited for a slot, and runs it when it comes again", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock, reconnect } = await aWorker(t, {
      tasks: [manual.task],
      slots: 1,
      prefetch: 1,
    });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual", json: "waited" }),
    );
    await manual.runs.take();

    clock.advance(8_000);
    await reconnect();
    const second = await server.connection();
    assert.deepEqual((await second.welcome()).held, []);
    second.jobs(aLeasedJob({ jobId: jobId(2), task: "manual", json: "waited" }));

    assert.equal((await manual.runs.take()).input, "waited");
    const { outcomes } = await second.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ jobId: id, kind }) => [id, kind]),
      [[jobId(1), "lost"]],
    );
  });

  it("still presents outcomes of handlers that ended before", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock, reconnect } = await aWorker(t, { tasks: [manual.task, echo] });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(
      aLeasedJob({ jobId: jobId(1), json: "done" }),
      aLeasedJob({ jobId: jobId(2), task: "manual" }),
    );
    await manual.runs.take();
    await first.next("outcomes");

    clock.advance(8_000);
    await reconnect();

    const second = await server.connection();
    const hello = await second.welcome();
    assert.deepEqual(hello.held, [{ jobId: jobId(1), attempt: 1 }]);
    const { all } = await second.outcomes(2);
    assert.deepEqual(
      all.map(({ jobId: id, kind }) => [id, kind]),
      [
        [jobId(1), "succeeded"],
        [jobId(2), "lost"],
      ],
    );
  });
});

describe("a worker that is told to stop an attempt", () => {
  it("aborts the handler's signal and reports cancelled when it throws", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const { ctx, reject } = await manual.runs.take();

    connection.stop(aStop("cancelled", "not wanted any more"));
    await once(ctx.signal, "abort");
    assert.ok(ctx.signal.reason instanceof Cancelled);
    assert.equal(ctx.signal.reason.message, "not wanted any more");
    reject(new Error("interrupted"));

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "cancelled");
  });

  for (const reason of ["timed_out", "heartbeat_timed_out", "deadline_exceeded"] as const) {
    it(`reports timed_out with the code ${reason}`, async (t) => {
      const manual = new ManualTask();
      const { server, worker } = await aWorker(t, { tasks: [manual.task] });
      void worker.start();
      const connection = await server.connection();
      await connection.welcome();
      connection.jobs(aLeasedJob({ task: "manual" }));
      const { ctx, reject } = await manual.runs.take();

      connection.stop(aStop(reason));
      await once(ctx.signal, "abort");
      assert.ok(ctx.signal.reason instanceof TimedOut);
      assert.equal(ctx.signal.reason.reason, reason);
      reject(ctx.signal.reason);

      const { outcomes } = await connection.next("outcomes");
      assert.equal(outcomes[0]?.kind, "timed_out");
      assert.equal(outcomes[0]?.error?.code, reason);
    });
  }

  it("reports succeeded when the handler returns within the grace", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome({ leaseMs: 600_000 });
    connection.jobs(aLeasedJob({ task: "manual" }));
    const { ctx, resolve } = await manual.runs.take();

    connection.stop(aStop("cancelled"));
    await once(ctx.signal, "abort");
    clock.advance(999);
    resolve("just in time");

    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "succeeded");
  });

  it("abandons a handler that does not end within the grace, and frees its slot", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock } = await aWorker(t, {
      tasks: [manual.task],
      slots: 1,
      prefetch: 1,
    });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome({ leaseMs: 600_000 });
    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual", json: "next" }),
    );
    const stuck = await manual.runs.take();

    connection.stop({ ...aStop("timed_out"), jobId: jobId(1) });
    await once(stuck.ctx.signal, "abort");
    clock.advance(1_000);

    const next = await manual.runs.take();
    assert.equal(next.input, "next");
    const { outcomes } = await connection.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ jobId: id, kind }) => [id, kind]),
      [[jobId(1), "timed_out"]],
    );
    stuck.resolve("whatever");
    stuck.ctx.log.info("whatever");
    stuck.ctx.progress("whatever");
    next.resolve("fine");
    const { outcomes: later } = await connection.next("outcomes");
    assert.deepEqual(
      later.map((outcome) => outcome.jobId),
      [jobId(2)],
    );
    assert.deepEqual([connection.waiting("logs"), connection.waiting("progress")], [0, 0]);
  });

  it("abandons without an outcome when the lease is stale", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task], slots: 1, prefetch: 1 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual", json: "next" }),
    );
    const stale = await manual.runs.take();

    connection.stop({ ...aStop("stale_lease"), jobId: jobId(1) });

    const next = await manual.runs.take();
    assert.ok(stale.ctx.signal.reason instanceof LeaseLost);
    stale.reject(new Error("unheard"));
    next.resolve(1);
    const { outcomes } = await connection.next("outcomes");
    assert.deepEqual(
      outcomes.map((outcome) => outcome.jobId),
      [jobId(2)],
    );
  });

  it("reports at once what had not started", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task], slots: 1, prefetch: 1 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual" }),
    );
    await manual.runs.take();

    connection.stop({ ...aStop("cancelled"), jobId: jobId(2) });

    const { outcomes } = await connection.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ jobId: id, kind }) => [id, kind]),
      [[jobId(2), "cancelled"]],
    );
    assert.equal(manual.startedCount, 1);
  });

  it("ignores a stop for an attempt that it does not hold", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual", attempt: 2 }));
    const run = await manual.runs.take();

    connection.stop(aStop("cancelled"), { ...aStop("cancelled"), jobId: jobId(99) });
    connection.jobs(aLeasedJob({ jobId: jobId(3), task: "manual" }));
    await manual.runs.take();

    assert.equal(run.ctx.signal.aborted, false);
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
});

describe("a worker that drains", () => {
  it("gives back what waits, finishes what runs, and closes after the last acknowledgement", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task], slots: 1, prefetch: 1 });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual" }),
    );
    const run = await manual.runs.take();

    const drained = worker.drain();
    assert.equal(worker.state, "draining");
    await connection.next("drain");
    const given = await connection.next("outcomes");
    assert.deepEqual(
      given.outcomes.map(({ jobId: id, kind, delayMs }) => [id, kind, delayMs]),
      [[jobId(2), "snoozed", 0]],
    );
    connection.ack(given.sequence);
    assert.equal(run.ctx.signal.aborted, false);
    run.resolve("finished");
    const last = await connection.next("outcomes");
    assert.equal(worker.state, "draining");
    connection.ack(last.sequence);

    await drained;
    await connection.ended;
    assert.equal(worker.state, "stopped");
  });

  it("gives back what comes meanwhile", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ jobId: jobId(1), task: "manual" }));
    await manual.runs.take();
    void worker.drain();
    await connection.next("drain");

    connection.jobs(aLeasedJob({ jobId: jobId(2), task: "manual" }));

    const { outcomes } = await connection.next("outcomes");
    assert.deepEqual(
      outcomes.map(({ jobId: id, kind }) => [id, kind]),
      [[jobId(2), "snoozed"]],
    );
    assert.equal(manual.startedCount, 1);
  });

  it("reconnects to deliver what it has, and says again that it drains", async (t) => {
    const manual = new ManualTask();
    const { server, worker, reconnect } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const first = await server.connection();
    await first.welcome();
    first.jobs(aLeasedJob({ task: "manual" }));
    const run = await manual.runs.take();
    const drained = worker.drain();
    await first.next("drain");
    first.close();
    run.resolve("finished");

    await reconnect();
    const second = await server.connection();
    await second.welcome();

    await second.next("drain");
    second.ack((await second.next("outcomes")).sequence);
    await drained;
  });

  it("gives up when its lease is over and no server has come back", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock, reconnect } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const run = await manual.runs.take();
    const drained = worker.drain();
    await connection.next("drain");
    server.kill();
    await reconnect();

    clock.advance(8_000);

    await drained;
    assert.ok(run.ctx.signal.reason instanceof LeaseLost);
  });

  it("stops at once when it was never started or never welcomed", async (t) => {
    const idle = await aWorker(t, { tasks: [echo] });
    await idle.worker.drain();
    assert.equal(idle.worker.state, "stopped");

    const connecting = await aWorker(t, { tasks: [echo] });
    const started = connecting.worker.start();
    await connecting.worker.drain();
    await assert.rejects(started, {
      code: "connection_failed",
      message: /before it was connected/,
    });
  });
});

describe("a worker that is stopped", () => {
  it("aborts its handlers and reports what they still say", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(
      aLeasedJob({ jobId: jobId(1), task: "manual" }),
      aLeasedJob({ jobId: jobId(2), task: "manual" }),
    );
    const one = await manual.runs.take();
    const two = await manual.runs.take();

    const stopped = worker.stop();
    assert.ok(one.ctx.signal.reason instanceof WorkerStopped);
    one.resolve("just finished");
    two.reject(new Error("interrupted"));

    const { all, messages } = await connection.outcomes(2);
    assert.deepEqual(
      all.map(({ jobId: id, kind }) => [id, kind]),
      [
        [jobId(1), "succeeded"],
        [jobId(2), "lost"],
      ],
    );
    for (const message of messages) connection.ack(message.sequence);
    await stopped;
  });

  it("reports handlers that do not end as lost and waits no longer than a second", async (t) => {
    const manual = new ManualTask();
    const { server, worker, clock } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    await manual.runs.take();

    const stopped = worker.stop();
    clock.advance(500);
    const { outcomes } = await connection.next("outcomes");
    assert.equal(outcomes[0]?.kind, "lost");
    clock.advance(500);

    await stopped;
  });
});

function aStop(reason: string, message = "stop") {
  return { jobId: aLeasedJob().jobId, attempt: 1, reason, graceMs: 1_000, message };
}
