import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BatonError } from "../errors.ts";
import { runUntilSignal } from "./run-until-signal.ts";

describe("runUntilSignal", () => {
  it("drains at the first signal and stops at the second", async () => {
    const worker = aWorker();
    const finished = runUntilSignal(worker);

    process.emit("SIGTERM");
    assert.deepEqual(worker.calls, ["start", "drain"]);
    process.emit("SIGINT");
    assert.deepEqual(worker.calls, ["start", "drain", "stop"]);
    worker.close();

    await finished;
    assert.equal(process.listenerCount("SIGTERM") + process.listenerCount("SIGINT"), 0);
  });

  it("fails when the server refuses the worker", async () => {
    const refusal = new BatonError("invalid_argument", "no");
    const worker = aWorker(Promise.reject(refusal));

    await assert.rejects(runUntilSignal(worker), refusal);
  });

  it("ends in order when the signal comes before the first connection", async () => {
    const start = Promise.withResolvers<void>();
    const worker = aWorker(start.promise);
    const finished = runUntilSignal(worker);

    process.emit("SIGINT");
    start.reject(new BatonError("connection_failed", "stopped"));
    worker.close();

    await finished;
    assert.deepEqual(worker.calls, ["start", "drain"]);
  });
});

function aWorker(started: Promise<void> = Promise.resolve()) {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  const calls: string[] = [];
  const called = (name: string, result: Promise<void>) => () => {
    calls.push(name);
    return result;
  };
  return {
    closed,
    close,
    calls,
    start: called("start", started),
    drain: called("drain", closed),
    stop: called("stop", closed),
  };
}
