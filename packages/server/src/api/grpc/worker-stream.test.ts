/** What goes over a worker's stream, with the engine behind it. Worse lies are told in test/torture/streams.test.ts. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { before, describe, it, type TestContext } from "node:test";
import {
  Hello,
  LogEntry,
  Outcome,
  ProgressReport,
  type ServerMessage,
  TaskDefinition,
  WorkerMessage,
  WorkerServiceService,
} from "@baton/sdk/contract";
import { status as Rpc } from "@grpc/grpc-js";

import { present } from "../../../test/a-job.ts";
import { anEngine } from "../../../test/an-engine.ts";
import { aDatabase } from "../../../test/database.ts";
import { startGrpc, type GrpcBench } from "../../../test/grpc.ts";
import { suiteCleanup } from "../../../test/suite.ts";
import { until } from "../../../test/until.ts";
import { newJobId } from "../../domain/job-id.ts";
import type { JobState } from "../../domain/job.ts";
import { ENTRIES_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import type { Engine } from "../../engine.ts";
import { workerStream } from "./worker-stream.ts";

type Up = NonNullable<WorkerMessage["message"]>;
type DownCase = NonNullable<ServerMessage["message"]>["$case"];
type Down<Case extends DownCase> = Extract<NonNullable<ServerMessage["message"]>, { $case: Case }>;

const PAYLOAD_BYTES_MAX = 1_000;

describe("WorkerService.Connect", () => {
  const cleanup = suiteCleanup();
  const errors: string[] = [];
  let engine: Engine;
  let bench: GrpcBench;
  let tests = 0;
  before(async () => {
    engine = await anEngine(await aDatabase(cleanup), cleanup);
    const logger = {
      error: (_fields: object, message: string) => void errors.push(message),
      warn: () => undefined,
    };
    bench = await startGrpc(engine.operations, {
      workerConnect: workerStream({
        workerDoor: engine.workerDoor,
        serverName: "the server",
        payloadBytesMax: PAYLOAD_BYTES_MAX,
        logger,
      }),
    });
    cleanup.after(() => bench[Symbol.asyncDispose]());
  });

  /** A stream that says nothing by itself. */
  const aStream = (t: TestContext) => {
    const { path, responseDeserialize } = WorkerServiceService.connect;
    const call = bench.client.makeBidiStreamRequest(path, asBuffer, responseDeserialize);
    const messages: ServerMessage[] = [];
    let ended: { readonly code: number; readonly details: string } | undefined;
    call.on("data", (message: ServerMessage) => messages.push(message));
    call.on("status", (status) => {
      ended = status;
    });
    // The status says the same.
    call.on("error", () => undefined);
    t.after(() => call.cancel());
    return {
      send: (message: Up) =>
        void call.write(Buffer.from(WorkerMessage.encode({ message }).finish())),
      sendBytes: (bytes: Buffer) => void call.write(bytes),
      close: () => void call.end(),
      /** The next message, which is of this kind. */
      next: async <Case extends DownCase>(kind: Case): Promise<Down<Case>> => {
        await until(() => messages.length > 0 || ended !== undefined);
        const message = messages.shift()?.message;
        assert.equal(message?.$case, kind, ended?.details);
        return present(isOfKind(message, kind) ? message : undefined);
      },
      /** How the call ended. */
      end: async () => {
        await until(() => ended !== undefined);
        return present(ended);
      },
    };
  };
  const aHello = (different: Partial<Hello> = {}): Hello => {
    tests += 1;
    return {
      ...Hello.fromPartial({
        workerId: randomUUID(),
        name: "wire",
        tasks: [TaskDefinition.fromPartial({ name: `task-${tests}` })],
        slots: 1,
        host: "localhost",
        sdk: "test/0",
      }),
      ...different,
    };
  };
  /** A worker that was welcomed, and that holds a job when it shall. */
  const aWorker = async (t: TestContext, different: Partial<Hello> = {}) => {
    const stream = aStream(t);
    const hello = aHello(different);
    stream.send({ $case: "hello", value: hello });
    const welcome = (await stream.next("welcome")).value;
    return { ...stream, hello, welcome };
  };
  const aWorkerWithAJob = async (t: TestContext, different: Partial<Hello> = {}) => {
    const worker = await aWorker(t, different);
    const task = present(worker.hello.tasks[0]).name;
    const [submitted] = await engine.operations.submit([{ task, input: '{"a":1}' }]);
    const { jobs } = (await worker.next("jobs")).value;
    const job = present(jobs[0]);
    assert.equal(job.jobId, submitted?.jobId);
    return { ...worker, job, fence: { jobId: job.jobId, attempt: job.attempt } };
  };
  const untilState = async (jobId: string, state: JobState): Promise<void> => {
    for await (const job of engine.operations.watchJob(jobId, AbortSignal.timeout(20_000)))
      if (job.state === state) return;
    assert.fail(`never ${state}`);
  };
  const workerOf = async ({ workerId }: Hello) =>
    (await engine.operations.workerList()).find((worker) => worker.id === workerId);

  it("welcomes a worker with its lease, its rhythm and the bounds of what it may send", async (t) => {
    const presented = { jobId: newJobId(Date.now()), attempt: 1 };

    const { welcome } = await aWorker(t, { leaseMs: 4_000, held: [presented] });

    const { leaseMs, ...rest } = welcome;
    assert.ok(leaseMs > 0 && leaseMs <= 4_000, `${leaseMs}`);
    assert.deepEqual(rest, {
      server: "the server",
      heartbeatIntervalMs: 1_000,
      idleHeartbeatIntervalMs: 8_000,
      stale: [presented],
      messageBytesMax: MESSAGE_BYTES_MAX,
      payloadBytesMax: PAYLOAD_BYTES_MAX,
    });
  });

  it("gives jobs down, takes outcomes up and acknowledges them by their number", async (t) => {
    const { job, fence, send, next } = await aWorkerWithAJob(t);

    const outcome = Outcome.fromPartial({ ...fence, kind: "succeeded", result: Buffer.from("2") });
    send({ $case: "outcomes", value: { sequence: 41, outcomes: [outcome] } });
    const first = (await next("outcomesAck")).value;
    send({ $case: "outcomes", value: { sequence: 7, outcomes: [{ ...outcome, attempt: 2 }] } });
    const second = (await next("outcomesAck")).value;
    send({ $case: "outcomes", value: { sequence: 8, outcomes: [] } });

    assert.deepEqual([String(job.input), job.attempt], ['{"a":1}', 1]);
    assert.deepEqual(first, { sequence: 41, stale: [] });
    assert.deepEqual(second, { sequence: 7, stale: [{ jobId: job.jobId, attempt: 2 }] });
    assert.deepEqual((await next("outcomesAck")).value, { sequence: 8, stale: [] });
    assert.equal((await engine.operations.jobGet(job.jobId)).result, "2");
  });

  it("answers each heartbeat by its number with what is left of the lease", async (t) => {
    const { send, next } = await aWorker(t, { leaseMs: 4_000 });

    send({ $case: "heartbeat", value: { sequence: 12 } });
    const { sequence, leaseMs } = (await next("heartbeatAck")).value;

    assert.equal(sequence, 12);
    assert.ok(leaseMs > 0 && leaseMs <= 4_000, `${leaseMs}`);
  });

  it("orders a worker to stop what it reports progress or logs of and does not hold", async (t) => {
    const { send, next } = await aWorker(t);
    const fence = { jobId: newJobId(Date.now()), attempt: 3 };

    send({ $case: "progress", value: { reports: [ProgressReport.fromPartial(fence)] } });
    const first = (await next("stop")).value;
    send({ $case: "logs", value: { entries: [LogEntry.fromPartial(fence)] } });
    const second = (await next("stop")).value;

    for (const { attempts } of [first, second])
      assert.deepEqual(
        attempts.map(({ jobId, attempt, reason, graceMs }) => [jobId, attempt, reason, graceMs]),
        [[fence.jobId, 3, "stale_lease", 0]],
      );
  });

  it("keeps the order of logs and outcomes: who sees a job's end sees all it said", async (t) => {
    const { fence, send, next } = await aWorkerWithAJob(t);
    const lines = Array.from({ length: 200 }, (_, index) => `${index}`);

    send({
      $case: "logs",
      value: { entries: lines.map((message) => LogEntry.fromPartial({ ...fence, message })) },
    });
    const outcome = Outcome.fromPartial({ ...fence, kind: "succeeded" });
    send({ $case: "outcomes", value: { sequence: 1, outcomes: [outcome] } });
    await next("outcomesAck");

    const { items: kept } = await engine.operations.logList({ jobId: fence.jobId });
    assert.deepEqual(
      kept.map((line) => line.message),
      lines,
    );
  });

  describe("a worker that leaves", () => {
    it("in good order after a drain is gone, and its stream ends without an error", async (t) => {
      const { hello, fence, send, next, close, end } = await aWorkerWithAJob(t);

      send({ $case: "drain", value: {} });
      const outcome = Outcome.fromPartial({ ...fence, kind: "succeeded" });
      send({ $case: "outcomes", value: { sequence: 1, outcomes: [outcome] } });
      await next("outcomesAck");
      close();

      assert.equal((await end()).code, Rpc.OK);
      assert.equal((await workerOf(hello))?.state, "gone");
    });

    it("without a drain keeps its jobs for as long as its lease lasts", async (t) => {
      const { hello, fence, close, end } = await aWorkerWithAJob(t, { leaseMs: 600_000 });

      close();

      assert.equal((await end()).code, Rpc.OK);
      assert.equal((await workerOf(hello))?.state, "detached");
      await untilState(fence.jobId, "running");
    });

    it("in good order with a job that it was given before it drained keeps that job", async (t) => {
      const { hello, fence, send, close, end } = await aWorkerWithAJob(t, { leaseMs: 600_000 });

      send({ $case: "drain", value: {} });
      close();

      assert.equal((await end()).code, Rpc.OK);
      assert.equal((await workerOf(hello))?.state, "detached");
      await untilState(fence.jobId, "running");
    });

    it("before it said anything is nobody's loss", async (t) => {
      const { close, end } = aStream(t);

      close();

      assert.equal((await end()).code, Rpc.OK);
    });
  });

  it("refuses a multitude of made-up outcomes one by one", async (t) => {
    const { send, next } = await aWorker(t);
    const outcomes = manyOutcomes(ENTRIES_PER_MESSAGE_MAX);

    send({ $case: "outcomes", value: { sequence: 1, outcomes } });

    assert.equal((await next("outcomesAck")).value.stale.length, ENTRIES_PER_MESSAGE_MAX);
  });

  it("ends the stream with an error and logs it when outcomes cannot be booked", async (t) => {
    const connect = engine.workerDoor.connect.bind(engine.workerDoor);
    t.mock.method(engine.workerDoor, "connect", async (...args: Parameters<typeof connect>) => {
      const connection = await connect(...args);
      t.mock.method(connection, "outcomes", () => Promise.reject(new Error("a bug")));
      return connection;
    });
    const { hello, fence, send, end } = await aWorkerWithAJob(t, { leaseMs: 600_000 });
    const outcome = Outcome.fromPartial({ ...fence, kind: "succeeded" });
    send({ $case: "outcomes", value: { sequence: 1, outcomes: [outcome] } });

    assert.equal((await end()).code, Rpc.INTERNAL);
    assert.deepEqual(errors.splice(0), ["gRPC call failed unexpectedly"]);
    await until(async () => (await workerOf(hello))?.state === "detached");
  });

  it("takes no worker in while the server has lost its lease, nor one that was on its way in", async (t) => {
    const late = aStream(t);
    const lateHello = aHello();
    late.send({ $case: "hello", value: lateHello });
    await until(async () => (await workerOf(lateHello)) !== undefined);

    engine.workerDoor.suspend("server_lease_lost");
    const refused = aStream(t);
    refused.send({ $case: "hello", value: aHello() });
    const code = (await refused.end()).code;
    engine.workerDoor.resume();

    assert.equal(code, Rpc.UNAVAILABLE);
    await late.end();
    await aWorker(t);
  });

  describe("a worker that breaks the rules", () => {
    it("is sent away when its first message is no hello", async (t) => {
      const { send, end } = aStream(t);

      send({ $case: "heartbeat", value: { sequence: 1 } });

      assert.deepEqual(pick(await end()), [
        Rpc.FAILED_PRECONDITION,
        "Worker protocol: expected hello as the first message; received heartbeat. See docs/protocol.md.",
      ]);
    });

    it("is sent away when its first message is empty", async (t) => {
      const { sendBytes, end } = aStream(t);

      sendBytes(Buffer.alloc(0));

      assert.deepEqual(pick(await end()), [
        Rpc.FAILED_PRECONDITION,
        "Worker protocol: expected hello as the first message; received an unknown one. See docs/protocol.md.",
      ]);
    });

    it("is sent away when its hello is refused, before anything is booked", async (t) => {
      const { send, end } = aStream(t);
      const hello = aHello({ slots: 0 });

      send({ $case: "hello", value: hello });

      assert.deepEqual(pick(await end()), [
        Rpc.INVALID_ARGUMENT,
        "slots must be from 1 to 10000; received 0",
      ]);
      assert.equal(await workerOf(hello), undefined);
    });

    for (const [what, lie, code, says] of [
      [
        "a second hello",
        { $case: "hello", value: Hello.fromPartial({}) },
        Rpc.FAILED_PRECONDITION,
        /second hello/,
      ],
      [
        "a fence that is none",
        anOutcome({ jobId: "x" }),
        Rpc.INVALID_ARGUMENT,
        /A fence is .* received "x", 1/,
      ],
      [
        "too many outcomes at once",
        {
          $case: "outcomes",
          value: { sequence: 1, outcomes: manyOutcomes(ENTRIES_PER_MESSAGE_MAX + 1) },
        },
        Rpc.FAILED_PRECONDITION,
        /one message carries at most 20000 outcomes; received 20001/,
      ],
      [
        "an outcome that is none",
        anOutcome({ kind: "won" }),
        Rpc.INVALID_ARGUMENT,
        /outcome\.kind .* received "won"/,
      ],
      [
        "progress of nothing",
        { $case: "progress", value: { reports: [ProgressReport.fromPartial({})] } },
        Rpc.INVALID_ARGUMENT,
        /A fence is .* received "", 0/,
      ],
      [
        "a log line of nothing",
        { $case: "logs", value: { entries: [LogEntry.fromPartial({})] } },
        Rpc.INVALID_ARGUMENT,
        /A fence is .* received "", 0/,
      ],
      [
        "a message without a kind",
        Buffer.alloc(0),
        Rpc.FAILED_PRECONDITION,
        /message of an unknown kind/,
      ],
      [
        "a kind that does not exist",
        Buffer.from([0x7a, 0x00]),
        Rpc.FAILED_PRECONDITION,
        /message of an unknown kind/,
      ],
      ["bytes that are no message", Buffer.from([0x0a, 0x7f, 0x01]), Rpc.INVALID_ARGUMENT, /./],
    ] as const satisfies readonly (readonly [string, Up | Buffer, number, RegExp])[]) {
      it(`by ${what} is sent away, and keeps what it holds until it is back or its lease is over`, async (t) => {
        const { hello, fence, send, sendBytes, end } = await aWorkerWithAJob(t, {
          leaseMs: 600_000,
        });

        if (Buffer.isBuffer(lie)) sendBytes(lie);
        else send(lie);
        const { code: received, details } = await end();
        const again = aStream(t);
        again.send({ $case: "hello", value: { ...hello, held: [fence] } });
        const { stale } = (await again.next("welcome")).value;

        assert.equal(received, code, details);
        assert.match(details, says);
        assert.deepEqual(stale, []);
        assert.deepEqual(errors, [], "it is not the server's fault");
        assert.equal((await engine.operations.jobGet(fence.jobId)).state, "running");
      });
    }

    it("loses no outcome that it reported before", async (t) => {
      const { fence, send, end } = await aWorkerWithAJob(t);

      const outcome = Outcome.fromPartial({ ...fence, kind: "succeeded" });
      send({ $case: "outcomes", value: { sequence: 1, outcomes: [outcome] } });
      send({ $case: "hello", value: aHello() });

      assert.equal((await end()).code, Rpc.FAILED_PRECONDITION);
      await untilState(fence.jobId, "succeeded");
    });
  });

  it("says goodbye to its workers when the server shuts down, and refuses new ones", async (t) => {
    const { next, end } = await aWorker(t);

    engine.drain();
    const { reason } = (await next("goodbye")).value;
    const late = aStream(t);
    late.send({ $case: "hello", value: aHello() });

    assert.equal(reason, "server_shutdown");
    assert.equal((await end()).code, Rpc.OK);
    assert.equal((await late.end()).code, Rpc.UNAVAILABLE);
  });
});

function anOutcome(lie: { readonly jobId?: string; readonly kind?: string }): Up {
  const outcome = Outcome.fromPartial({
    jobId: newJobId(Date.now()),
    attempt: 1,
    kind: "succeeded",
    ...lie,
  });
  return { $case: "outcomes", value: { sequence: 1, outcomes: [outcome] } };
}

function pick({ code, details }: { readonly code: number; readonly details: string }) {
  return [code, details];
}

function asBuffer(bytes: Buffer): Buffer {
  return bytes;
}

function isOfKind<Case extends DownCase>(
  message: ServerMessage["message"],
  kind: Case,
): message is Down<Case> {
  return message?.$case === kind;
}

/** Outcomes of attempts that never were. */
function manyOutcomes(count: number): Outcome[] {
  return Array.from({ length: count }, () =>
    Outcome.fromPartial({ jobId: newJobId(Date.now()), attempt: 1, kind: "succeeded" }),
  );
}
