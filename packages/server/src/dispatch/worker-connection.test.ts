import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHello, type WorkerHello } from "./worker-connection.ts";

const ID = "01968d34-5a3e-7000-8a2b-3c4d5e6f7a8b";
const HELLO: WorkerHello = {
  instance: ID,
  name: "worker",
  tasks: [{ name: "a" }, { name: "b" }],
  queues: ["default"],
  slots: 1,
  prefetch: 0,
  labels: {},
  host: "",
  pid: 1,
  sdk: "",
  leaseMs: 0,
  held: [{ jobId: ID, attempt: 1 }],
};

describe("checkHello", () => {
  it("accepts a proper one", () => assert.doesNotThrow(() => checkHello(HELLO)));

  for (const [what, different, message] of [
    [
      "a task twice",
      { tasks: [{ name: "a" }, { name: "b" }, { name: "a" }] },
      'tasks must differ; received "a" twice',
    ],
    [
      "attempt -1 as held",
      { held: [{ jobId: ID, attempt: -1 }] },
      `held must name attempts from 1 on; received ${ID}, attempt -1`,
    ],
    [
      "attempt 0 as held",
      { held: [{ jobId: ID, attempt: 0 }] },
      `held must name attempts from 1 on; received ${ID}, attempt 0`,
    ],
    [
      "a job that is no UUID as held",
      { held: [{ jobId: "x", attempt: 1 }] },
      'held must name jobs by UUID; received "x"',
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => checkHello({ ...HELLO, ...different }), {
        code: "invalid_argument",
        message,
      });
    });
  }
});
