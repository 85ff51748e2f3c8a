/** A worker that holds nothing: how often it beats, and what it owes before it starts what reaches it then. */
import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";

import { aLeasedJob, type FakeConnection } from "../../test/fake-server.ts";
import { aWorker, ManualTask } from "../../test/worker-fixture.ts";

const LEASE_MS = 8_000;
const RHYTHM = {
  leaseMs: LEASE_MS,
  heartbeatIntervalMs: 2_000,
  idleHeartbeatIntervalMs: 16_000,
};

/** Connected, with a lease from now on, and nothing to do. */
async function anIdleWorker(t: TestContext, different: Partial<typeof RHYTHM> = {}) {
  const manual = new ManualTask();
  const fixture = await aWorker(t, { tasks: [manual.task] });
  const started = fixture.worker.start();
  const connection = await fixture.server.connection();
  await connection.welcome({ ...RHYTHM, ...different });
  await started;
  /** Waits until the worker has read all that was sent: what it says of an outcome that nobody reported comes after it. */
  const hasRead = async () => {
    connection.ack(99, [FENCE]);
    while (!(await fixture.log.take()).startsWith("stale_lease"));
  };
  return { ...fixture, manual, connection, hasRead };
}

/** Holds a job that came after its lease had passed, and has come to another server. */
async function aWaitingJobAtAnotherServer(t: TestContext) {
  const { connection, clock, manual, reconnect, server } = await anIdleWorker(t);
  clock.advance(LEASE_MS);
  connection.jobs(JOB);
  await connection.next("heartbeat");
  connection.close();
  await reconnect();
  return { manual, second: await server.connection() };
}

/** The next heartbeat, answered. @returns its sequence */
async function answered(connection: FakeConnection): Promise<number> {
  const { sequence } = await connection.next("heartbeat");
  connection.send({ $case: "heartbeatAck", value: { sequence, leaseMs: LEASE_MS } });
  return sequence;
}

const JOB = aLeasedJob({ task: "manual" });
const FENCE = { jobId: JOB.jobId, attempt: JOB.attempt };

describe("a worker that holds nothing", () => {
  it("beats as seldom as its server allows, counted from its hello", async (t) => {
    const { connection, clock } = await anIdleWorker(t);

    clock.advance(15_999);
    const before = clock.pendingMs;
    clock.advance(1);
    const { sequence } = await connection.next("heartbeat");

    assert.deepEqual([before, sequence, connection.waiting("heartbeat")], [[1], 1, 0]);
  });

  it("rests anew when its heartbeat is answered", async (t) => {
    const { connection, clock, hasRead } = await anIdleWorker(t);
    clock.advance(16_000);

    await answered(connection);
    await hasRead();

    assert.deepEqual(clock.pendingMs, [16_000]);
  });

  it("beats as often as ever at a server that allows no rest", async (t) => {
    const { connection, clock } = await anIdleWorker(t, { idleHeartbeatIntervalMs: 0 });

    clock.advance(2_000);

    assert.equal(await answered(connection), 1);
  });

  it("gives up a server that answers no more, two normal intervals after it should have", async (t) => {
    const { connection, clock, reconnect, server } = await anIdleWorker(t);

    clock.advance(16_000);
    await connection.next("heartbeat");
    clock.advance(2_000);
    await connection.next("heartbeat");
    clock.advance(2_000);
    await reconnect();

    await (await server.connection()).next("hello");
  });

  it("starts a job at once while its lease lasts, and beats when it would have", async (t) => {
    const { connection, clock, manual } = await anIdleWorker(t);
    clock.advance(1_500);

    connection.jobs(JOB);
    await manual.runs.take();
    clock.advance(499);
    const before = connection.waiting("heartbeat");
    clock.advance(1);

    assert.equal(await answered(connection), 1);
    assert.equal(before, 0);
  });

  it("beats at once when a job comes after it has rested", async (t) => {
    const { connection, clock, manual } = await anIdleWorker(t);
    clock.advance(3_000);

    connection.jobs(JOB);
    await manual.runs.take();

    assert.equal(await answered(connection), 1);
  });

  it("starts no job without a lease: only when the heartbeat that it sends at once is answered", async (t) => {
    const { connection, clock, manual } = await anIdleWorker(t);
    clock.advance(LEASE_MS);

    connection.jobs(JOB);
    const { sequence } = await connection.next("heartbeat");
    const startedBefore = manual.startedCount;
    connection.send({ $case: "heartbeatAck", value: { sequence, leaseMs: LEASE_MS } });
    await manual.runs.take();

    assert.deepEqual([sequence, startedBefore], [1, 0]);
  });

  it("is aborted a lease after it sent that heartbeat, however late the answer", async (t) => {
    const { connection, clock, manual } = await anIdleWorker(t);
    clock.advance(10_000);
    connection.jobs(JOB);
    const { sequence } = await connection.next("heartbeat");
    clock.advance(1_999);
    connection.send({ $case: "heartbeatAck", value: { sequence, leaseMs: LEASE_MS } });
    const run = await manual.runs.take();

    clock.jump(LEASE_MS - 2_000);
    clock.advance(0);
    const before = run.ctx.signal.aborted;
    clock.advance(1);

    assert.deepEqual([before, run.ctx.signal.aborted], [false, true]);
  });

  it("starts nothing when the answer grants no lease", async (t) => {
    const { connection, clock, manual } = await anIdleWorker(t);
    clock.advance(LEASE_MS);
    connection.jobs(JOB);
    const { sequence } = await connection.next("heartbeat");

    connection.send({ $case: "heartbeatAck", value: { sequence, leaseMs: 0 } });
    connection.stop({ ...FENCE, reason: "cancelled", graceMs: 0, message: "told after it" });
    const { outcomes } = await connection.next("outcomes");

    assert.deepEqual([outcomes[0]?.kind, manual.startedCount], ["cancelled", 0]);
  });

  it("presents a job that waits for the lease to the next server, and starts it when it is its own", async (t) => {
    const { manual, second } = await aWaitingJobAtAnotherServer(t);

    const { held } = await second.welcome(RHYTHM);
    await manual.runs.take();

    assert.deepEqual(held, [FENCE]);
  });

  it("forgets a job that waits for the lease when the next server says that it is stale", async (t) => {
    const { manual, second } = await aWaitingJobAtAnotherServer(t);

    await second.welcome({ ...RHYTHM, stale: [FENCE] });
    second.jobs(aLeasedJob({ task: "manual", attempt: 2, json: "anew" }));
    const run = await manual.runs.take();

    assert.deepEqual([run.input, manual.startedCount], ["anew", 1]);
  });

  it("does not rest before the outcome of its last job is acknowledged", async (t) => {
    const { connection, clock, manual, hasRead } = await anIdleWorker(t);
    connection.jobs(JOB);
    (await manual.runs.take()).resolve("done");
    const { sequence } = await connection.next("outcomes");

    clock.advance(2_000);
    await answered(connection);
    await hasRead();
    const before = clock.pendingMs;
    connection.ack(sequence);
    clock.advance(2_000);
    await answered(connection);
    await hasRead();

    assert.deepEqual([before.includes(2_000), before.includes(16_000)], [true, false]);
    assert.ok(clock.pendingMs.includes(16_000), String(clock.pendingMs));
  });
});
