import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";

import { aLeasedJob, jobId } from "../../test/fake-server.ts";
import { aWorker, ManualTask } from "../../test/worker-fixture.ts";
import { Cancelled, LeaseLost, TimedOut, WorkerStopped } from "../control-errors.ts";
import { task } from "../task.ts";

const echo = task({ name: "echo", run: (input: unknown) => input });

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

  it("keeps the first reason", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task] });
    void worker.start();
    const connection = await server.connection();
    await connection.welcome();
    connection.jobs(aLeasedJob({ task: "manual" }));
    const { ctx, reject } = await manual.runs.take();

    connection.stop(aStop("cancelled"));
    await once(ctx.signal, "abort");
    connection.stop(aStop("timed_out"));
    void worker.stop();
    reject(ctx.signal.reason);

    const { outcomes } = await connection.next("outcomes");
    assert.ok(ctx.signal.reason instanceof Cancelled);
    assert.equal(outcomes[0]?.kind, "cancelled");
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

describe("a worker that drains", () => {
  it("gives back what waits, finishes what runs, and closes after the last acknowledgement", async (t) => {
    const manual = new ManualTask();
    const { server, worker } = await aWorker(t, { tasks: [manual.task], slots: 1, prefetch: 1 });
    void worker.start();
    const connection = await server.connection();
    connection.answerHeartbeats();
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

  it("closes only when it has given back what was on its way before the server knew", async (t) => {
    const { server, worker } = await aWorker(t, { tasks: [echo] });
    const started = worker.start();
    const connection = await server.connection();
    await connection.welcome();
    await started;

    const drained = worker.drain();
    await connection.next("drain");
    const { sequence } = await connection.next("heartbeat");
    connection.jobs(aLeasedJob());
    connection.answerHeartbeat(sequence);

    const given = await connection.next("outcomes");
    assert.deepEqual(
      given.outcomes.map(({ jobId: id, kind, delayMs }) => [id, kind, delayMs]),
      [[jobId(1), "snoozed", 0]],
    );
    connection.ack(given.sequence);
    await drained;
  });

  it("closes all the same when the server does not answer in time", async (t) => {
    const { server, worker, clock } = await aWorker(t, { tasks: [echo] });
    const started = worker.start();
    const connection = await server.connection();
    await connection.welcome({ leaseMs: 600_000, heartbeatIntervalMs: 150_000 });
    await started;

    const drained = worker.drain();
    await connection.next("drain");
    clock.advance(4_999);
    assert.equal(worker.state, "draining");
    clock.advance(1);

    await drained;
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
    second.answerHeartbeats();
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
    connection.answerHeartbeats();
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
