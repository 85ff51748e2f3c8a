import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import {
  JobServiceService,
  JobSpec,
  SubmitManyRequest,
  type SubmitStreamResponse,
} from "@baton/sdk/contract";
import {
  frame,
  type GrpcBench,
  openCall,
  refusalFrom,
  roundTrip,
  startGrpc,
} from "../../../test/grpc.ts";
import type { JobSpec as DomainJobSpec } from "../../domain/job-spec.ts";
import { AppError, refuseBadJobs } from "../../errors.ts";

const { path, requestSerialize, responseDeserialize } = JobServiceService.submitStream;

function aBatch(...inputs: readonly unknown[]): SubmitManyRequest {
  return {
    jobs: inputs.map((input) =>
      JobSpec.fromPartial({ task: "echo", input: Buffer.from(JSON.stringify(input)) }),
    ),
  };
}

function encoded(batch: SubmitManyRequest): Buffer {
  return frame(SubmitManyRequest.encode(batch).finish());
}

/** Opens the stream; `answer` resolves or rejects with the end of the call. */
function openStream<Request>(bench: GrpcBench, serialize: (request: Request) => Buffer) {
  const { promise: answer, resolve, reject } = Promise.withResolvers<SubmitStreamResponse>();
  const call = bench.client.makeClientStreamRequest(
    path,
    serialize,
    responseDeserialize,
    (error, response) => {
      if (response === undefined) reject(error ?? new Error("neither error nor answer"));
      else resolve(response);
    },
  );
  return { call, answer };
}

/** A `submit` whose commits the test lets happen one by one. */
function heldSubmit() {
  const events = new EventEmitter();
  const started: string[] = [];
  const commits: (() => void)[] = [];
  return {
    started,
    commits,
    /** Resolves when so many batches have been submitted. */
    whenStarted: async (count: number): Promise<void> => {
      while (started.length < count) await once(events, "started");
    },
    submit: (specs: readonly DomainJobSpec[]) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      started.push(specs.map(({ input }) => input).join());
      commits.push(resolve);
      events.emit("started");
      return promise.then(() =>
        specs.map((_, index) => ({ jobId: `${index}`, isDuplicate: false, state: "queued" })),
      );
    },
  };
}

describe("JobService.SubmitStream", () => {
  it("submits each batch and counts accepted jobs and the duplicates among them", async () => {
    const inputs: string[] = [];
    await using bench = await startGrpc({
      submit: async (specs) => {
        inputs.push(specs.map(({ input }) => input).join());
        return specs.map(({ input }) => ({
          jobId: "id",
          isDuplicate: input === "2",
          state: "queued",
        }));
      },
    });
    const { call, answer } = openStream(bench, requestSerialize);

    call.write(aBatch(1, 2));
    call.write(aBatch(3));
    call.end();

    assert.deepEqual(await answer, {
      acceptedCount: 3,
      duplicateCount: 1,
      refused: [],
      refusedBatchCount: 0,
    });
    assert.deepEqual(inputs, ["1,2", "3"]);
  });

  it("answers an empty stream with zeros", async () => {
    await using bench = await startGrpc();
    const { call, answer } = openStream(bench, requestSerialize);

    call.end();

    assert.deepEqual(await answer, {
      acceptedCount: 0,
      duplicateCount: 0,
      refused: [],
      refusedBatchCount: 0,
    });
  });

  it("goes on after refused batches and reports them with index, code and details", async () => {
    await using bench = await startGrpc({
      submit: async (specs, unread = []) => {
        refuseBadJobs(unread, specs.length + unread.length);
        if (specs[0]?.input === '"full"') throw new AppError("resource_exhausted", "full");
        if (specs[0]?.input === '"bug"') throw new TypeError("secret");
        return specs.map(() => ({ jobId: "id", isDuplicate: false, state: "queued" }));
      },
    });
    const { call, answer } = openStream(bench, requestSerialize);

    call.write(aBatch("full"));
    call.write(aBatch());
    call.write({ jobs: [...aBatch(1, 2).jobs, JobSpec.fromPartial({ input: Buffer.from("{") })] });
    call.write(aBatch("bug"));
    call.write(aBatch(4));
    call.end();

    const { refused, ...counts } = await answer;
    assert.deepEqual(counts, { acceptedCount: 1, duplicateCount: 0, refusedBatchCount: 4 });
    assert.deepEqual(
      refused.map(({ index, code }) => [index, code]),
      [
        [0, "resource_exhausted"],
        [1, "invalid_argument"],
        [2, "bulk_rejected"],
        [3, "internal"],
      ],
    );
    assert.match(String(refused[2]?.details), /^{"items":\[{"index":2,"code":"malformed_json"/);
    assert.doesNotMatch(String(refused[3]?.message), /secret/);
    assert.equal(bench.logs.length, 1);
  });

  it("refuses a batch of bytes that are no message and takes the next one", async () => {
    await using bench = await startGrpc({
      submit: async (specs) =>
        specs.map(() => ({ jobId: "id", isDuplicate: false, state: "queued" })),
    });
    const { call, answer } = openStream(bench, (bytes: Buffer) => bytes);

    call.write(Buffer.from([0x0a, 0x05, 0x01]));
    call.write(requestSerialize(aBatch(1)));
    call.end();

    const { acceptedCount, refused } = await answer;
    assert.equal(acceptedCount, 1);
    assert.deepEqual(
      refused.map(({ index, code }) => [index, code]),
      [[0, "invalid_argument"]],
    );
    assert.match(String(refused[0]?.message), /bytes that are none: premature EOF/);
  });

  it("counts all refused batches and reports the first 100, in less than 4 MiB", async () => {
    await using bench = await startGrpc({
      submit: async (specs, unread = []) => {
        refuseBadJobs(unread, specs.length + unread.length);
        return [];
      },
    });
    const bad = JobSpec.fromPartial({ task: "", input: Buffer.from('{"ü') });
    const { call, answer } = openStream(bench, requestSerialize);

    for (let index = 0; index < 150; index += 1) {
      call.write({ jobs: Array.from({ length: 200 }, () => bad) });
    }
    call.end();

    const { refused, refusedBatchCount } = await answer;
    assert.equal(refusedBatchCount, 150);
    assert.deepEqual(
      refused.map(({ index }) => index),
      Array.from({ length: 100 }, (_, index) => index),
    );
    assert.match(String(refused[99]?.details), /"itemCount":200,"indexes":"0-199"/);
  });

  it("submits at most four batches at a time, in the order of the stream", async () => {
    const { submit, started, commits, whenStarted } = heldSubmit();
    await using bench = await startGrpc({ submit });
    const session = await bench.session();
    const call = openCall(session, path);
    const ended = once(call, "end");
    call.resume();

    for (let index = 0; index < 6; index += 1) call.write(encoded(aBatch(index)));
    call.end();
    await roundTrip(session);
    await roundTrip(session);
    const startedBeforeCommits = [...started];
    for (let index = 0; index < 6; index += 1) {
      await whenStarted(index + 1);
      commits[index]?.();
    }
    await ended;

    assert.deepEqual(startedBeforeCommits, ["0", "1", "2", "3"]);
    assert.deepEqual(started, ["0", "1", "2", "3", "4", "5"]);
  });

  it("takes no more from the network while batches wait for their commit", async () => {
    const { submit, started } = heldSubmit();
    await using bench = await startGrpc({ submit });
    const session = await bench.session();
    const call = openCall(session, path);
    const batch = encoded(aBatch("x".repeat(100_000)));

    for (let index = 0; index < 200; index += 1) call.write(batch);
    // Until nothing has moved for a while.
    let sentBytes = -1;
    for (let quietCount = 0; quietCount < 20; quietCount += 1) {
      await roundTrip(session);
      // A round trip itself takes some bytes.
      if (session.socket.bytesWritten - sentBytes > 1_000) quietCount = 0;
      sentBytes = session.socket.bytesWritten;
    }

    // Of 20 MB: four batches in flight, 16 in the stream's buffer, and what the transport holds.
    assert.equal(started.length, 4);
    assert.ok(sentBytes < 4_000_000, `${sentBytes} bytes were taken`);
  });

  it("accepts what had arrived whole when the stream is cut in the middle of a message", async () => {
    const { submit, started, commits, whenStarted } = heldSubmit();
    await using bench = await startGrpc({ submit });
    const session = await bench.session();
    const call = openCall(session, path);
    const whole = Array.from({ length: 10 }, (_, index) => encoded(aBatch(index)));
    const half = encoded(aBatch("never whole")).subarray(0, 12);

    call.write(Buffer.concat([...whole, half]));
    await roundTrip(session);
    await roundTrip(session);
    session.destroy();
    // By the time that another connection has its answers, the server has seen this one break.
    const other = await bench.session();
    for (let index = 0; index < 5; index += 1) await roundTrip(other);
    for (let index = 0; index < 10; index += 1) {
      await whenStarted(index + 1);
      commits[index]?.();
    }
    const { call: next, answer } = openStream(bench, requestSerialize);
    next.end();
    await answer;

    assert.deepEqual(started, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert.deepEqual(bench.logs, []);
  });

  it("submits what had arrived when the caller cancels, and the server lives on", async () => {
    const { submit, started, commits, whenStarted } = heldSubmit();
    await using bench = await startGrpc({ submit });
    const { call, answer } = openStream(bench, requestSerialize);

    call.write(aBatch(1));
    await whenStarted(1);
    call.cancel();
    const error: unknown = await answer.catch((reason: unknown) => reason);
    commits[0]?.();
    const { call: next, answer: nextAnswer } = openStream(bench, requestSerialize);
    next.end();

    assert.ok(error instanceof Error && "code" in error);
    assert.equal((await nextAnswer).acceptedCount, 0);
    assert.deepEqual(started, ["1"]);
  });

  it("ends with DEADLINE_EXCEEDED while a commit takes too long", async () => {
    const { submit } = heldSubmit();
    await using bench = await startGrpc({ submit });
    const { promise, resolve } = Promise.withResolvers<number>();
    const call = bench.client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { deadline: Date.now() + 100 },
      (error) => resolve(error === null ? 0 : refusalFrom(error).status),
    );

    call.write(aBatch(1));

    assert.equal(await promise, 4);
  });
});
