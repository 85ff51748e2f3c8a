import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { checkName, checkSpec, jobOptions } from "./check-spec.ts";
import type { JobSpec } from "./job-spec.ts";

const GOOD: JobSpec = { task: "echo", input: "null" };

describe("checkSpec", () => {
  it("accepts a job with every option", () => {
    const spec: JobSpec = {
      ...GOOD,
      queue: "mail.eu/west-1",
      priority: -100,
      delayMs: 0,
      maxAttempts: 1_000,
      retry: { strategy: "linear", baseMs: 10, maxMs: 10, jitter: "none" },
      attemptTimeoutMs: 0,
      queueTimeoutMs: 1,
      deadlineMs: 1,
      heartbeatTimeoutMs: 1,
      cancelGraceMs: 0,
      tags: ["äöü", "a b"],
      idempotencyKey: "k",
      uniqueKey: "u",
      onConflict: "reject",
    };

    assert.equal(checkSpec(spec), undefined);
  });

  for (const [what, bad, field, received] of [
    ["an empty task", { task: "" }, "task", '""'],
    ["a task that begins with a dash", { task: "-x" }, "task", '"-x"'],
    ["a task of 129 characters", { task: "a".repeat(129) }, "task", "129 characters"],
    ["a queue with a space", { queue: "my queue" }, "queue", '"my queue"'],
    ["a priority of 101", { priority: 101 }, "priority", "101"],
    ["a priority of -101", { priority: -101 }, "priority", "-101"],
    ["half a priority", { priority: 0.5 }, "priority", "0.5"],
    ["a priority that is no number", { priority: Number.NaN }, "priority", "NaN"],
    ["a negative delay", { delayMs: -1 }, "delayMs", "-1"],
    ["a delay of 11 years", { delayMs: 11 * 365 * 86_400_000 }, "delayMs", "346896000000"],
    ["an instant that is none", { runAt: new Date(Number.NaN) }, "runAt", "none"],
    [
      "an instant in the year 3000",
      { runAt: new Date("3000-01-01T00:00:00Z") },
      "runAt",
      "3000-01-01T00:00:00.000Z",
    ],
    ["a delay and an instant", { runAt: new Date(), delayMs: 1 }, "runAt", "both"],
    ["no attempts", { maxAttempts: 0 }, "maxAttempts", "0"],
    ["a negative timeout", { attemptTimeoutMs: -1 }, "attemptTimeoutMs", "-1"],
    ["a grace of two hours", { cancelGraceMs: 7_200_000 }, "cancelGraceMs", "7200000"],
    ["a cap below its base", { retry: { baseMs: 100, maxMs: 99 } }, "retry.maxMs", "99"],
    ["17 tags", { tags: Array.from({ length: 17 }, (_, index) => `t${index}`) }, "tags", "17"],
    ["an empty tag", { tags: [""] }, "tags", '""'],
    ["a tag with NUL", { tags: ["a\0b"] }, "tags", '"a\\u0000b"'],
    [
      "an idempotency key of 256 characters",
      { idempotencyKey: "k".repeat(256) },
      "idempotencyKey",
      "256 characters",
    ],
    ["half a surrogate pair in a key", { uniqueKey: "\ud800" }, "uniqueKey", "\\ud800"],
    ["an unknown conflict rule", { onConflict: "replace" }, "onConflict", '"replace"'],
  ] as const) {
    it(`refuses ${what}, naming the field and what came`, () => {
      const problem = checkSpec({ ...GOOD, ...bad });

      assert.equal(problem?.field, field);
      assert.ok(problem.message.includes(received), problem.message);
    });
  }
});

describe("checkName", () => {
  for (const name of ["a", "image_processing", "mail:send", "a/b.c-d_e", "0", "x".repeat(128)]) {
    it(`accepts ${name.slice(0, 20)}`, () => assert.equal(checkName("task", name), undefined));
  }
});

describe("jobOptions", () => {
  it("is nothing for a job that asks for nothing", () => {
    assert.equal(jobOptions({ ...GOOD, tags: ["a"], priority: 1 }), undefined);
  });

  it("keeps what goes beyond the task's definition", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(jobOptions({ ...GOOD, attemptTimeoutMs: 5 }))), {
      attemptTimeoutMs: 5,
    });
  });
});
