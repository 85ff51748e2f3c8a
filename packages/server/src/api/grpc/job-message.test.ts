import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Job } from "@baton/sdk/contract";
import { aJobView } from "../../../test/grpc.ts";
import type { JobView } from "../../domain/views.ts";
import { jobEventMessage, jobMessage } from "./job-message.ts";

const AT = new Date("2026-11-22T10:00:00.123Z");

/** What a caller decodes of a message. */
function onTheWire(message: Job): Job {
  return Job.decode(Job.encode(message).finish());
}

const aFullView: Required<JobView> = {
  ...aJobView(),
  id: "id",
  state: "dead",
  priority: -7,
  attempt: 4,
  maxAttempts: 5,
  failureCount: 3,
  input: "AAH/",
  inputContentType: "image/png",
  result: '{"b":2}',
  error: { code: "TypeError", message: "größer", stack: "at x" },
  tags: ["a", "b"],
  createdAt: AT,
  runAt: AT,
  startedAt: AT,
  finishedAt: AT,
  progress: "0.5",
  cancelRequestedAt: AT,
  cancelReason: "because",
  uniqueKey: "u",
  worker: "w",
  attemptTimeoutMs: 1_000,
};

describe("jobMessage", () => {
  it("carries everything that a caller may see", () => {
    const { attemptTimeoutMs: _, ...shown } = aFullView;

    assert.deepEqual(onTheWire(jobMessage(aFullView)), {
      ...shown,
      input: Buffer.from([0, 1, 255]),
      result: Buffer.from('{"b":2}'),
      progress: Buffer.from("0.5"),
      attempts: [],
    });
  });

  it("leaves out what a young job does not have", () => {
    const message = onTheWire(jobMessage(aJobView()));

    assert.equal(message.result, undefined);
    assert.equal(message.progress, undefined);
    assert.equal(message.error, undefined);
    assert.equal(message.runAt, undefined);
    assert.equal(message.worker, "");
  });

  it("tells an empty result from none", () => {
    const message = onTheWire(jobMessage(aJobView({ result: "" })));

    assert.deepEqual(message.result, Buffer.alloc(0));
  });

  it("carries attempts in their order", () => {
    const attempts = [
      {
        attempt: 1,
        outcome: "lost",
        worker: "w",
        leasedAt: AT,
        startedAt: AT,
        finishedAt: AT,
        error: { code: "c", message: "m" },
      },
      { attempt: 2 },
    ] as const;

    assert.deepEqual(onTheWire(jobMessage(aJobView(), attempts)).attempts, [
      { ...attempts[0], error: { code: "c", message: "m", stack: "" } },
      {
        attempt: 2,
        outcome: "",
        worker: "",
        leasedAt: undefined,
        startedAt: undefined,
        finishedAt: undefined,
        error: undefined,
      },
    ]);
  });
});

describe("jobEventMessage", () => {
  it("carries id, task, queue, state and attempt and nothing else", () => {
    const event = {
      sequence: 9,
      at: AT,
      jobId: "id",
      task: "t",
      queue: "q",
      state: "running",
      attempt: 2,
    } as const;

    assert.deepEqual(
      onTheWire(jobEventMessage(event)),
      Job.fromPartial({ id: "id", task: "t", queue: "q", state: "running", attempt: 2 }),
    );
  });
});
