import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { BatonError } from "@baton/sdk";

import { AppError, ERRORS } from "../errors.ts";
import { EXIT, EXIT_MEANINGS, exitCodeOf } from "./exit-codes.ts";
import { describeFailure, failureText, usageError } from "./failure.ts";

describe("describeFailure", () => {
  const ends: readonly (readonly [unknown, number])[] = [
    [usageError("x"), 2],
    [new BatonError("connection_failed", "x"), 3],
    [new BatonError("job_failed", "x", { state: "dead" }), 4],
    [new BatonError("job_failed", "x", { state: "cancelled" }), 5],
    [new BatonError("job_not_found", "x"), 6],
    [new BatonError("idempotency_conflict", "x"), 7],
    [new BatonError("deadline_exceeded", "x"), 8],
    [new BatonError("a_code_of_tomorrow", "x"), 1],
    [new AppError("data_directory_in_use", "x"), 1],
    [new AppError("invalid_config", "x"), 2],
    [new TypeError("x"), 1],
    ["thrown text", 1],
  ];
  for (const [error, exitCode] of ends) {
    it(`ends with ${exitCode} after ${String(error)}`, () => {
      assert.equal(describeFailure(error).exitCode, exitCode);
    });
  }

  it("shows the stack of a fault of this program, and of nothing else", () => {
    assert.match(describeFailure(new TypeError("x")).stack ?? "", /failure\.test\.ts/);
    assert.equal(describeFailure(new BatonError("internal", "x")).stack, undefined);
  });

  it("does not take a code of the operating system for one of Baton's", () => {
    const error = Object.assign(new Error("open failed"), { code: "EMFILE" });

    assert.equal(describeFailure(error).code, "internal");
  });
});

describe("failureText", () => {
  it("says what happened, the code, what is wrong where, and what to do", () => {
    const items = [{ line: 3, code: "task_not_found", message: 'there is no task "x"' }];
    const error = new BatonError("task_not_found", "refused", { items });

    const [first, second, hint] = failureText(describeFailure(error)).split("\n");

    assert.equal(first, "error: refused (task_not_found)");
    assert.equal(second, '  line 3: there is no task "x" (task_not_found)');
    assert.match(hint ?? "", /tasks" shows the tasks that are known/);
  });

  it("shows no more items than people read", () => {
    const items = Array.from({ length: 50 }, (_, index) => ({ index, code: "c", message: "m" }));

    const lines = failureText(
      describeFailure(new BatonError("bulk_rejected", "refused", { items })),
    ).split("\n");

    assert.equal(lines.at(-1), "  … and 30 more");
  });

  it("counts items that the error does not name", () => {
    const items = [{ line: 1, code: "c", message: "m" }];

    const text = failureText(
      describeFailure(new BatonError("invalid_argument", "wrong", { items, itemCount: 7 })),
    );

    assert.match(text, /\n {2}line 1: m \(c\)\n {2}… and 6 more$/);
  });
});

describe("exit codes", () => {
  it("have a meaning each", () => {
    assert.deepEqual(
      EXIT_MEANINGS.map(([code]) => code),
      Object.values(EXIT),
    );
  });

  it("are never success for an error of the server", () => {
    for (const code of Object.keys(ERRORS)) assert.notEqual(exitCodeOf(code), EXIT.ok);
  });
});
