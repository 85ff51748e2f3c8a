import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";

import { aLeasedJob, jobId } from "../../test/fake-server.ts";
import { aWorker, ManualTask } from "../../test/worker-fixture.ts";
import { LeaseLost } from "../control-errors.ts";
import { task } from "../task.ts";

const echo = task({ name: "echo", run: (input: unknown) => input });

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

  it("sends its first heartbeat at once when the welcome was slow", async (t) => {
    const { server, worker, clock } = await aWorker(t, { tasks: [echo] });
    const started = worker.start();
    const connection = await server.connection();

    clock.advance(5_000);
    await connection.welcome();
    await started;
    clock.advance(1);

    assert.equal((await connection.next("heartbeat")).sequence, 1);
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
