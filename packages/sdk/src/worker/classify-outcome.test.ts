import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BatonError } from "../errors.ts";
import { Cancelled, Fatal, RetryAfter, Snooze } from "../control-errors.ts";
import { classifyOutcome, endingOfStop } from "./classify-outcome.ts";
import type { EndingFacts } from "./classify-outcome.ts";

const facts: EndingFacts = {
  task: "t",
  knownTasks: ["a", "b"],
  stopReason: undefined,
  resultBytesMax: 20,
};
const stopReasons = [
  { stopReason: "cancelled", kind: "cancelled" },
  { stopReason: "timed_out", kind: "timed_out" },
  { stopReason: "heartbeat_timed_out", kind: "timed_out" },
  { stopReason: "deadline_exceeded", kind: "timed_out" },
  { stopReason: "worker_stopped", kind: "lost" },
  { stopReason: "lease_lost", kind: "lost" },
] as const;
const thrown = [new Error("x"), new Fatal("x"), new RetryAfter(5), new Snooze(5), new Cancelled()];

describe("classifyOutcome", () => {
  for (const { stopReason, kind } of stopReasons) {
    for (const error of thrown) {
      it(`is ${kind} when ${error.name} is thrown after ${stopReason}`, () => {
        const ending = classifyOutcome({ kind: "threw", error }, { ...facts, stopReason });

        assert.equal(ending.kind, kind);
      });
    }

    it(`is succeeded when the handler returns after ${stopReason}`, () => {
      const ending = classifyOutcome({ kind: "returned", value: 1 }, { ...facts, stopReason });

      assert.equal(ending.kind, "succeeded");
    });
  }

  it("keeps a Fatal's own code and the stack with its causes", () => {
    const error = new Fatal("bad card", {
      code: "card_declined",
      cause: new Error("from the bank"),
    });

    const ending = classifyOutcome({ kind: "threw", error }, facts);

    assert.ok(ending.kind === "failed");
    assert.equal(ending.error.code, "card_declined");
    assert.match(ending.error.stack, /bad card[\s\S]*caused by: Error: from the bank/);
  });

  it("keeps the code of a BatonError that a handler met, and tries again", () => {
    const error = new BatonError("connection_failed", "away");

    const ending = classifyOutcome({ kind: "threw", error }, facts);

    assert.ok(ending.kind === "retry");
    assert.equal(ending.error.code, "connection_failed");
  });

  it("knows control errors of another copy of the package", () => {
    class Foreign extends Error {}
    Object.defineProperty(Foreign.prototype, Symbol.for("@baton/sdk control error"), {
      value: { kind: "snooze", delayMs: 7 },
    });

    const ending = classifyOutcome({ kind: "threw", error: new Foreign() }, facts);

    assert.deepEqual(ending, { kind: "snoozed", delayMs: 7 });
  });

  it("fails what is no JSON, because another attempt would return the same", () => {
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;

    for (const value of [1n, circular]) {
      const ending = classifyOutcome({ kind: "returned", value }, facts);
      assert.ok(ending.kind === "failed");
      assert.equal(ending.error.code, "invalid_result");
    }
  });

  it("fails what is nested too deep for any reader of JSON, and says so", () => {
    let value: unknown = null;
    for (let level = 0; level < 100_000; level += 1) value = [value];

    const ending = classifyOutcome({ kind: "returned", value }, facts);

    assert.ok(ending.kind === "failed");
    assert.equal(ending.error.code, "invalid_result");
    assert.match(ending.error.message, /^result is not JSON: it is nested .* 200 levels/);
  });

  it("takes a result up to the server's limit", () => {
    const fits = classifyOutcome({ kind: "returned", value: "x".repeat(18) }, facts);
    const tooLarge = classifyOutcome({ kind: "returned", value: "x".repeat(19) }, facts);

    assert.equal(fits.kind, "succeeded");
    assert.ok(tooLarge.kind === "failed");
    assert.equal(tooLarge.error.code, "payload_too_large");
  });

  it("cuts what is too long of an error", () => {
    const error = new Error("m".repeat(10_000));
    error.name = "N".repeat(200);
    error.stack = "s".repeat(20_000);

    const ending = classifyOutcome({ kind: "threw", error }, facts);

    assert.ok(ending.kind === "retry");
    const { code, message, stack } = ending.error;
    assert.deepEqual([code.length, message.length, stack.length], [128, 8_192, 16_384]);
  });

  it("survives an error that cannot be read", () => {
    const hostile = new Error("x");
    for (const field of ["message", "stack", "name"]) {
      Object.defineProperty(hostile, field, {
        get() {
          throw new Error("no");
        },
      });
    }

    const ending = classifyOutcome({ kind: "threw", error: hostile }, facts);

    assert.ok(ending.kind === "retry");
    assert.equal(ending.error.message, "an error that cannot be read");
  });
});

describe("endingOfStop", () => {
  it("says why", () => {
    assert.deepEqual(endingOfStop("deadline_exceeded", "too late"), {
      kind: "timed_out",
      error: { code: "deadline_exceeded", message: "too late", stack: "" },
    });
  });
});
