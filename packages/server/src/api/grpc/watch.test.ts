import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { type ServiceError, status as Rpc } from "@grpc/grpc-js";
import { JobServiceService, WatchRequest, type WatchResponse } from "@baton/sdk/contract";
import {
  aJobView,
  frame,
  type GrpcBench,
  isServiceError,
  JOB_ID,
  openCall,
  refusalFrom,
  roundTrip,
  startGrpc,
} from "../../../test/grpc.ts";
import type { JobEventView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { Operations } from "../operations.ts";

const { path, requestSerialize, responseDeserialize } = JobServiceService.watch;
/** Where a mistake would make a test wait for ever. */
const TIMEOUT_MS = 10_000;
/** Where a mistake would make a stream go on for ever: it never waits, so that no timeout could end it. */
const EVENTS_MAX = 1_000;

const AT = new Date("2026-11-22T10:00:00.000Z");
const aRequest = (different: Partial<WatchRequest> = {}) => WatchRequest.fromPartial(different);

function watch(bench: GrpcBench, request: WatchRequest) {
  const call = bench.client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
  );
  const received: WatchResponse[] = [];
  call.on("data", (response: WatchResponse) => {
    received.push(response);
    if (received.length > EVENTS_MAX) call.cancel();
  });
  const ended = Promise.withResolvers<ServiceError | undefined>();
  call.on("end", () => ended.resolve(undefined));
  call.on("error", (error) => {
    if (isServiceError(error)) ended.resolve(error);
    else ended.reject(error);
  });
  return { call, received, ended: ended.promise };
}

/** An event of a job whose task's name takes 16 KiB. */
function aLargeEvent(sequence: number): JobEventView {
  const task = "x".repeat(16 * 1024);
  return { sequence, at: AT, jobId: JOB_ID, task, queue: "q", state: "queued", attempt: 0 };
}

/** A source that says nothing until its signal aborts; `ended` resolves when the server let go of it. */
function silentSource() {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const watchJob: Operations["watchJob"] = async function* (_jobId, signal) {
    try {
      yield aJobView();
      started.resolve();
      if (!signal.aborted) await once(signal, "abort");
    } finally {
      ended.resolve();
    }
  };
  return { started: started.promise, ended: ended.promise, watchJob };
}

describe("JobService.Watch", { timeout: TIMEOUT_MS }, () => {
  it("sends each shape of a job and ends with the source", async () => {
    const asked: string[] = [];
    await using bench = await startGrpc({
      async *watchJob(jobId) {
        asked.push(jobId);
        yield aJobView({ state: "queued" });
        yield aJobView({ state: "succeeded", result: "1", progress: "0.5" });
      },
    });

    const { received, ended } = watch(bench, aRequest({ jobId: JOB_ID }));

    assert.equal(await ended, undefined);
    assert.deepEqual(asked, [JOB_ID]);
    assert.deepEqual(
      received.map(({ sequence, at, job }) => [sequence, at, job?.state, String(job?.result)]),
      [
        [0, undefined, "queued", "undefined"],
        [0, undefined, "succeeded", "1"],
      ],
    );
  });

  it("sends the changes that match a filter, from a sequence on", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      async *watchEvents(filter, afterSequence) {
        asked.push(filter.queue, afterSequence);
        yield {
          sequence: 8,
          at: AT,
          jobId: JOB_ID,
          task: "t",
          queue: "q",
          state: "dead",
          attempt: 3,
        };
      },
    });

    const { received, ended } = watch(
      bench,
      WatchRequest.fromPartial({ filter: { queue: "q" }, afterSequence: 7 }),
    );

    assert.equal(await ended, undefined);
    assert.deepEqual(asked, ["q", 7]);
    const [event] = received;
    assert.equal(event?.sequence, 8);
    assert.deepEqual(event.at, AT);
    assert.deepEqual(
      [event.job?.id, event.job?.task, event.job?.queue, event.job?.state, event.job?.attempt],
      [JOB_ID, "t", "q", "dead", 3],
    );
  });

  it("takes after_sequence 0 for the beginning, absence for now", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      async *watchEvents(_filter, afterSequence) {
        asked.push(afterSequence);
        yield* [];
      },
    });

    await watch(bench, WatchRequest.fromPartial({ filter: {}, afterSequence: 0 })).ended;
    await watch(bench, WatchRequest.fromPartial({ filter: {} })).ended;

    assert.deepEqual(asked, [0, undefined]);
  });

  const unclear = [
    ["neither job nor filter", aRequest()],
    ["both", WatchRequest.fromPartial({ jobId: JOB_ID, filter: {} })],
    ["a job and a sequence", aRequest({ jobId: JOB_ID, afterSequence: 1 })],
    ["an unknown state", WatchRequest.fromPartial({ filter: { states: ["done"] } })],
  ] as const;
  for (const [what, request] of unclear) {
    it(`refuses a request with ${what}`, async () => {
      await using bench = await startGrpc();

      const error = await watch(bench, request).ended;

      assert.equal(error?.code, Rpc.INVALID_ARGUMENT);
    });
  }

  it("ends with the error of the source, after what came before it", async () => {
    await using bench = await startGrpc({
      async *watchEvents() {
        yield aLargeEvent(1);
        throw new AppError("resource_exhausted", "too slow", { afterSequence: 1 });
      },
    });

    const { received, ended } = watch(bench, WatchRequest.fromPartial({ filter: {} }));

    const error = await ended;
    assert.equal(received.length, 1);
    assert.deepEqual(error && refusalFrom(error), {
      status: Rpc.RESOURCE_EXHAUSTED,
      message: "too slow",
      told: {
        code: "resource_exhausted",
        message: "too slow",
        details: { afterSequence: 1 },
        isRetryable: true,
      },
    });
  });

  it("lets go of the source when the caller cancels", async () => {
    const source = silentSource();
    await using bench = await startGrpc({ watchJob: source.watchJob });
    const { call, ended } = watch(bench, aRequest({ jobId: JOB_ID }));
    await source.started;

    call.cancel();
    await source.ended;
    await roundTrip(await bench.session());

    assert.equal((await ended)?.code, Rpc.CANCELLED);
    assert.deepEqual(bench.logs, []);
  });

  it("lets go of the source when the connection breaks", async () => {
    const source = silentSource();
    await using bench = await startGrpc({ watchJob: source.watchJob });
    const session = await bench.session();
    const call = openCall(session, path);
    call.end(frame(requestSerialize(aRequest({ jobId: JOB_ID }))));
    await source.started;

    session.destroy();
    await source.ended;
    await roundTrip(await bench.session());

    assert.deepEqual(bench.logs, []);
  });

  it("lets go of the source at the deadline", async () => {
    const source = silentSource();
    await using bench = await startGrpc({ watchJob: source.watchJob });
    const session = await bench.session();
    // The server counts from the headers, so the request is always there before the deadline.
    const call = openCall(session, path, { "grpc-timeout": "100m" });
    const trailers = once(call, "trailers");
    call.resume();

    call.end(frame(requestSerialize(aRequest({ jobId: JOB_ID }))));
    await source.ended;

    const [{ "grpc-status": status }] = await trailers;
    assert.equal(status, String(Rpc.DEADLINE_EXCEEDED));
  });

  it("takes nothing from the source while the caller does not read", async () => {
    let takenCount = 0;
    const ended = Promise.withResolvers<void>();
    await using bench = await startGrpc({
      async *watchEvents() {
        try {
          while (takenCount < EVENTS_MAX) yield aLargeEvent(++takenCount);
        } finally {
          ended.resolve();
        }
      },
    });
    const session = await bench.session();
    const call = openCall(session, path);

    call.end(frame(requestSerialize(WatchRequest.fromPartial({ filter: {} }))));
    for (let index = 0; index < 50; index += 1) await roundTrip(session);
    const takenBefore = takenCount;
    for (let index = 0; index < 50; index += 1) await roundTrip(session);
    session.destroy();
    await ended.promise;

    // 64 KiB of the stream's window are 4 events; the rest wait in buffers that are bounded as well.
    assert.equal(takenCount, takenBefore);
    assert.ok(takenCount < 40, `${takenCount} events were taken`);
  });

  it("delivers everything to a caller that reads slower than the source speaks", async () => {
    await using bench = await startGrpc({
      async *watchEvents() {
        for (let sequence = 1; sequence <= 300; sequence += 1) yield aLargeEvent(sequence);
      },
    });

    const { call, received, ended } = watch(bench, WatchRequest.fromPartial({ filter: {} }));
    call.on("data", () => {
      call.pause();
      setImmediate(() => call.resume());
    });
    await ended;

    assert.deepEqual(
      received.map(({ sequence }) => sequence),
      Array.from({ length: 300 }, (_, index) => index + 1),
    );
  });

  it("ends with UNAVAILABLE when the server shuts down", async () => {
    const source = silentSource();
    await using bench = await startGrpc({ watchJob: source.watchJob });
    const { ended } = watch(bench, aRequest({ jobId: JOB_ID }));
    await source.started;

    await bench.grpc.shutdown(10_000);

    const error = await ended;
    assert.equal(error?.code, Rpc.UNAVAILABLE);
    assert.match(error.details, /shutting down/);
    assert.deepEqual(bench.logs, []);
  });
});
