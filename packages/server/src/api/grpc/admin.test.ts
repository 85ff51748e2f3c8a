import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { status as Rpc } from "@grpc/grpc-js";
import {
  QueueServiceService,
  ServerServiceService,
  TaskDefinition,
  TaskServiceService,
  WorkerServiceService,
} from "@baton/sdk/contract";
import { startGrpc } from "../../../test/grpc.ts";
import type { QueueView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";

const AT = new Date("2026-11-22T10:00:00.000Z");

const aQueue: QueueView = {
  name: "mail",
  isPaused: true,
  pausedAt: AT,
  pauseReason: "relay down",
  queuedCount: 10_000,
  scheduledCount: 2,
  runningCount: 3,
  oldestQueuedAt: AT,
};

describe("QueueService", () => {
  it("lists queues", async () => {
    const idle = {
      name: "idle",
      isPaused: false,
      queuedCount: 0,
      scheduledCount: 0,
      runningCount: 0,
    };
    await using bench = await startGrpc({ queueList: async () => [aQueue, idle] });

    const { queues } = await bench.answer(QueueServiceService.list, {});

    assert.deepEqual(queues, [
      aQueue,
      { ...idle, pausedAt: undefined, pauseReason: "", oldestQueuedAt: undefined },
    ]);
  });

  for (const [reason, expected] of [
    ["relay down", "relay down"],
    ["", undefined],
  ] as const) {
    it(`pauses a queue for the reason ${JSON.stringify(reason)}`, async () => {
      const asked: unknown[] = [];
      await using bench = await startGrpc({
        queuePause: async (...args) => {
          asked.push(args);
          return aQueue;
        },
      });

      const queue = await bench.answer(QueueServiceService.pause, { name: "mail", reason });

      assert.equal(queue.isPaused, true);
      assert.deepEqual(asked, [["mail", expected]]);
    });
  }

  it("answers NOT_FOUND when an unknown queue is to be resumed", async () => {
    await using bench = await startGrpc({
      queueResume: (name) => Promise.reject(new AppError("queue_not_found", `no queue ${name}`)),
    });

    const refusal = await bench.refusal(QueueServiceService.resume, { name: "x" });

    assert.equal(refusal.status, Rpc.NOT_FOUND);
    assert.equal(refusal.message, "no queue x");
  });

  it("resumes a queue", async () => {
    await using bench = await startGrpc({
      queueResume: async (name) => ({ ...aQueue, name, isPaused: false }),
    });

    const queue = await bench.answer(QueueServiceService.resume, { name: "mail" });

    assert.equal(queue.isPaused, false);
  });
});

describe("TaskService", () => {
  const definition = {
    name: "resize",
    description: "Resizes an image.",
    maxAttempts: 5,
    retry: { strategy: "linear", baseMs: 10, maxMs: 1_000, jitter: "none" },
    attemptTimeoutMs: 1,
    queueTimeoutMs: 2,
    deadlineMs: 3,
    heartbeatTimeoutMs: 0,
    cancelGraceMs: 5,
    inputSchema: '{"type":"object"}',
  } as const;
  const message: TaskDefinition = {
    ...definition,
    inputSchema: Buffer.from(definition.inputSchema),
    updatedAt: AT,
  };

  it("puts a definition and answers with what is kept", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      taskPut: async (given) => {
        asked.push(given);
        return { ...given, updatedAt: AT };
      },
    });

    const answer = await bench.answer(TaskServiceService.put, message);

    assert.deepEqual(asked, [definition]);
    assert.deepEqual(answer, message);
  });

  it("puts a definition that leaves everything to the defaults", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      taskPut: async (given) => {
        asked.push(JSON.parse(JSON.stringify(given)));
        return given;
      },
    });

    const answer = await bench.answer(
      TaskServiceService.put,
      TaskDefinition.fromPartial({ name: "bare" }),
    );

    assert.deepEqual(asked, [{ name: "bare" }]);
    assert.deepEqual(answer, TaskDefinition.fromPartial({ name: "bare" }));
  });

  const bad = [
    ["a schema that is not JSON", { inputSchema: Buffer.from("{") }, /^inputSchema must be JSON/],
    [
      "an unknown strategy",
      { retry: { strategy: "random" } },
      /fixed, linear, exponential; received "random"/,
    ],
    ["an unknown jitter", { retry: { jitter: "some" } }, /^retry.jitter .* full, none; .*"some"/],
  ] as const;
  for (const [what, different, expected] of bad) {
    it(`refuses ${what}`, async () => {
      await using bench = await startGrpc();

      const refusal = await bench.refusal(
        TaskServiceService.put,
        TaskDefinition.fromPartial({ name: "t", ...different }),
      );

      assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
      assert.match(refusal.message, expected);
    });
  }

  it("gets one definition", async () => {
    await using bench = await startGrpc({ taskGet: async (name) => ({ ...definition, name }) });

    const answer = await bench.answer(TaskServiceService.get, { name: "other" });

    assert.equal(answer.name, "other");
  });

  it("answers NOT_FOUND for an unknown task", async () => {
    await using bench = await startGrpc({
      taskGet: () => Promise.reject(new AppError("task_not_found", "no such task")),
    });

    const refusal = await bench.refusal(TaskServiceService.get, { name: "x" });

    assert.equal(refusal.status, Rpc.NOT_FOUND);
  });

  it("lists definitions", async () => {
    await using bench = await startGrpc({
      taskList: async () => [{ ...definition, updatedAt: AT }, { name: "bare" }],
    });

    const { tasks } = await bench.answer(TaskServiceService.list, {});

    assert.deepEqual(tasks, [message, TaskDefinition.fromPartial({ name: "bare" })]);
  });
});

describe("WorkerService", () => {
  it("lists workers", async () => {
    const worker = {
      id: "w",
      name: "worker",
      state: "detached",
      server: "s",
      host: "h",
      pid: 1,
      sdk: "sdk/1",
      slots: 10,
      runningCount: 2,
      tasks: ["a"],
      queues: ["q"],
      labels: { zone: "x" },
      connectedAt: AT,
      seenAt: AT,
    } as const;
    await using bench = await startGrpc({ workerList: async () => [worker] });

    const { workers } = await bench.answer(WorkerServiceService.list, {});

    assert.deepEqual(workers, [worker]);
  });

  it("hands worker streams to their handler", async () => {
    await using bench = await startGrpc(
      {},
      {
        workerConnect: (call) => {
          call.on("data", (decoded) => {
            const message = { message: { $case: "heartbeat", value: { sequence: 7 } } };
            assert.deepEqual(decoded, { kind: "ok", message });
            call.write({ message: { $case: "goodbye", value: { reason: "seen" } } });
            call.end();
          });
        },
      },
    );
    const { path, requestSerialize, responseDeserialize } = WorkerServiceService.connect;
    const call = bench.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);

    call.write({ message: { $case: "heartbeat", value: { sequence: 7 } } });
    const answers: unknown = await call.toArray();

    assert.deepEqual(answers, [{ message: { $case: "goodbye", value: { reason: "seen" } } }]);
  });
});

describe("ServerService", () => {
  it("lists servers", async () => {
    const server = {
      id: "s",
      name: "host",
      version: "1",
      startedAt: AT,
      renewedAt: AT,
      workerCount: 1,
      isAlive: true,
    };
    await using bench = await startGrpc({ serverList: async () => [server] });

    const { servers } = await bench.answer(ServerServiceService.list, {});

    assert.deepEqual(servers, [server]);
  });
});
