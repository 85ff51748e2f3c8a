/**
 * The two views of a worker's lease never overlap: what its server takes back, the worker does not run any more, however
 * long messages take either way. The session is the server's own; the worker is one that does what docs/protocol.md
 * says, and no more.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { aDelivery, aLoneLane, aSession } from "../../test/a-session.ts";
import { heartbeatIntervalMs, idleHeartbeatIntervalMs } from "../domain/heartbeat.ts";
import type { HeldAttempt, WorkerSession } from "./worker-session.ts";

const LEASE_MS = 2_000;
const STEP_MS = 100;
/** The server looks for silent workers so often. */
const PASS_MS = 1_000;

type Up =
  | { readonly kind: "heartbeat"; readonly sentAtMs: number }
  | { readonly kind: "outcome"; readonly jobId: string };
type Down =
  | { readonly kind: "job"; readonly jobId: string }
  | { readonly kind: "heartbeatAck"; readonly sentAtMs: number; readonly leaseMs: number }
  | { readonly kind: "outcomeAck"; readonly jobId: string };

/** One direction of a connection: in order, each message after the delay that holds when it is sent. */
class Wire<Message> {
  delayMs = 0;
  readonly #sent: { readonly atMs: number; readonly message: Message }[] = [];

  send(nowMs: number, message: Message): void {
    this.#sent.push({ atMs: nowMs + this.delayMs, message });
  }

  /** What has come by now. */
  *receive(nowMs: number): Generator<Message> {
    for (;;) {
      const [first] = this.#sent;
      if (first === undefined || first.atMs > nowMs) return;
      this.#sent.shift();
      yield first.message;
    }
  }
}

/** A worker by the rules of docs/protocol.md. */
class ModelWorker {
  readonly running = new Set<string>();
  readonly #waiting = new Set<string>();
  readonly #reported = new Set<string>();
  readonly #up: Wire<Up>;
  #leaseEndsAtMs = LEASE_MS;
  #beatAtMs = 0;
  #beatDueAtMs = idleHeartbeatIntervalMs(LEASE_MS);

  constructor(up: Wire<Up>) {
    this.#up = up;
  }

  step(nowMs: number, received: Iterable<Down>): void {
    if (nowMs >= this.#leaseEndsAtMs) this.running.clear();
    for (const message of received) this.#receive(nowMs, message);
    if (nowMs >= this.#beatDueAtMs) this.#beat(nowMs);
  }

  finishOne(nowMs: number): void {
    const [jobId] = this.running;
    if (jobId === undefined) return;
    this.running.delete(jobId);
    this.#reported.add(jobId);
    this.#up.send(nowMs, { kind: "outcome", jobId });
  }

  #receive(nowMs: number, message: Down): void {
    switch (message.kind) {
      case "job":
        this.#waiting.add(message.jobId);
        this.#beatDueAtMs = Math.min(
          this.#beatDueAtMs,
          this.#beatAtMs + heartbeatIntervalMs(LEASE_MS),
        );
        break;
      case "heartbeatAck":
        this.#leaseEndsAtMs = Math.max(this.#leaseEndsAtMs, message.sentAtMs + message.leaseMs);
        if (this.running.size + this.#waiting.size + this.#reported.size === 0)
          this.#beatDueAtMs = this.#beatAtMs + idleHeartbeatIntervalMs(LEASE_MS);
        break;
      case "outcomeAck":
        this.#reported.delete(message.jobId);
    }
    if (nowMs >= this.#leaseEndsAtMs) return;
    for (const jobId of this.#waiting) this.running.add(jobId);
    this.#waiting.clear();
  }

  #beat(nowMs: number): void {
    this.#up.send(nowMs, { kind: "heartbeat", sentAtMs: nowMs });
    this.#beatAtMs = nowMs;
    this.#beatDueAtMs = nowMs + heartbeatIntervalMs(LEASE_MS);
  }
}

/** What a server does with a session, in so far as it concerns its silence. */
class ModelServer {
  isDropped = false;
  readonly #session: WorkerSession = aSession({ leaseMs: LEASE_MS, slots: 100 }).session;
  readonly #held = new Map<string, HeldAttempt>();
  readonly #down: Wire<Down>;

  constructor(down: Wire<Down>) {
    this.#down = down;
  }

  step(nowMs: number, received: Iterable<Up>): void {
    for (const message of received) {
      this.#session.heard(nowMs);
      if (message.kind === "outcome") this.#end(nowMs, message.jobId);
      if (this.isDropped) continue;
      this.#down.send(
        nowMs,
        message.kind === "heartbeat"
          ? { kind: "heartbeatAck", sentAtMs: message.sentAtMs, leaseMs: LEASE_MS }
          : { kind: "outcomeAck", jobId: message.jobId },
      );
    }
    if (nowMs % PASS_MS === 0 && this.#session.isSilent(nowMs)) this.isDropped = true;
  }

  give(nowMs: number): void {
    if (this.isDropped) return;
    const job = aDelivery(lane);
    this.#held.set(job.id, this.#session.hold(job, nowMs));
    this.#down.send(nowMs, { kind: "job", jobId: job.id });
  }

  /** As when an attempt is too slow: the server ends it itself. The worker has not heard of that yet. */
  endOne(nowMs: number): void {
    const [jobId] = this.#held.keys();
    if (jobId !== undefined) this.#end(nowMs, jobId);
  }

  #end(nowMs: number, jobId: string): void {
    const held = this.#held.get(jobId);
    if (held !== undefined) this.#session.letGo(held, nowMs);
    this.#held.delete(jobId);
  }
}

const lane = aLoneLane();

const delayMs = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 5 * LEASE_MS }).map((ms) => ms - (ms % STEP_MS)),
);
const action = fc.record({
  kind: fc.constantFrom("give", "finish", "slowUp", "slowDown", "endOne", "wait"),
  delayMs,
  steps: fc.integer({ min: 1, max: 60 }),
});

describe("a worker and its server", () => {
  it("never both have a job at their disposal", () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 25 }), (actions) => {
        const [up, down] = [new Wire<Up>(), new Wire<Down>()];
        const [worker, server] = [new ModelWorker(up), new ModelServer(down)];
        let nowMs = 0;
        for (const { kind, delayMs: ms, steps } of actions) {
          if (kind === "give") server.give(nowMs);
          if (kind === "finish") worker.finishOne(nowMs);
          if (kind === "slowUp") up.delayMs = ms;
          if (kind === "slowDown") down.delayMs = ms;
          if (kind === "endOne") server.endOne(nowMs);
          for (let step = 0; step < steps; step += 1) {
            nowMs += STEP_MS;
            server.step(nowMs, up.receive(nowMs));
            worker.step(nowMs, down.receive(nowMs));
            assert.ok(!server.isDropped || worker.running.size === 0, `both at ${nowMs} ms`);
          }
        }
      }),
    );
  });
});
