import assert from "node:assert/strict";
import { once } from "node:events";
import type http2 from "node:http2";
import net from "node:net";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { Client, credentials, status as Rpc } from "@grpc/grpc-js";
import {
  JobServiceService,
  JobSpec,
  QueueServiceService,
  ServerServiceService,
  SubmitResponse,
  TaskServiceService,
  WorkerServiceService,
} from "@baton/sdk/contract";
import fc from "fast-check";
import {
  asBuffer,
  bareMethod,
  frame,
  type GrpcBench,
  openCall,
  roundTrip,
  startGrpc,
} from "../../../test/grpc.ts";
import { MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { AppError } from "../../errors.ts";
import { MasterServiceService } from "../../gen/conductor/master.ts";
import type { Operations } from "../operations.ts";

const SERVICES = [
  JobServiceService,
  QueueServiceService,
  TaskServiceService,
  WorkerServiceService,
  ServerServiceService,
  MasterServiceService,
];
const METHODS = SERVICES.flatMap((service) => Object.values(service)).map((method) => ({
  path: method.path,
  isUnary: !method.requestStream && !method.responseStream,
}));

const acceptAll: Operations["submit"] = async (specs) =>
  specs.map(() => ({ jobId: "id", isDuplicate: false, state: "queued" }));

/** Proves that the server still accepts jobs. */
async function assertAlive(bench: GrpcBench): Promise<void> {
  const spec = JobSpec.fromPartial({ task: "echo" });
  const answer = await bench.answer(JobServiceService.submit, spec);
  assert.deepEqual(answer, { jobId: "id", isDuplicate: false, state: "queued" });
}

/** Collects the end of a bare call: HTTP status and gRPC trailers. */
async function endOf(
  call: http2.ClientHttp2Stream,
): Promise<http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader> {
  let headers = {};
  call.on("response", (received) => (headers = { ...headers, ...received }));
  call.on("trailers", (received) => (headers = { ...headers, ...received }));
  call.resume();
  await once(call, "end");
  return headers;
}

describe("the gRPC server on wrong bytes", () => {
  for (const { path } of METHODS.filter(({ isUnary }) => isUnary)) {
    it(`answers INVALID_ARGUMENT to bytes that are no message of ${path}`, async () => {
      await using bench = await startGrpc({ submit: acceptAll });

      const refusal = await bench.refusal(bareMethod(path), Buffer.from([0x0a, 0x7f, 0x01]));

      assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
      assert.match(refusal.message, /received bytes that are none: premature EOF/);
      assert.match(JSON.stringify(refusal.told), /"invalid_argument"/);
      assert.deepEqual(bench.logs, []);
      await assertAlive(bench);
    });
  }

  it("answers INVALID_ARGUMENT to a text that is not UTF-8", async () => {
    await using bench = await startGrpc();

    const refusal = await bench.refusal(
      bareMethod(JobServiceService.submit.path),
      Buffer.from([0x0a, 0x02, 0xc3, 0x28]),
    );

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
    assert.match(refusal.message, /a text field is not UTF-8/);
  });

  it("answers some status to any bytes on any unary method, and lives", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const paths = METHODS.filter(({ isUnary }) => isUnary).map(({ path }) => path);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.uint8Array({ maxLength: 100 }),
        async (path, bytes) => {
          const end = await bench.answer(bareMethod(path), bytes).then(
            () => "answered",
            () => "refused",
          );

          assert.match(end, /answered|refused/);
        },
      ),
      { numRuns: 300 },
    );
    await assertAlive(bench);
  });

  it("hands bytes that are no message of a worker to the handler of its stream as such", async () => {
    await using bench = await startGrpc(
      { submit: acceptAll },
      {
        workerConnect: (call) => {
          call.on("data", ({ kind }) => {
            call.emit("error", { code: Rpc.INVALID_ARGUMENT, details: kind });
          });
        },
      },
    );
    const { path } = WorkerServiceService.connect;
    const call = bench.client.makeBidiStreamRequest(path, asBuffer, asBuffer);

    call.write(Buffer.from([0x0a, 0x7f, 0x01]));
    const [error] = await once(call, "error");

    assert.deepEqual([error.code, error.details], [Rpc.INVALID_ARGUMENT, "malformed"]);
    await assertAlive(bench);
  });

  it("takes gzip and refuses what decompresses to more than the limit", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const session = await bench.session();
    const bomb = gzipSync(Buffer.alloc(MESSAGE_BYTES_MAX + 1));
    const head = frame(bomb).subarray(0, 5);
    head.writeUInt8(1, 0);
    const call = session.request({
      ":method": "POST",
      ":path": JobServiceService.submit.path,
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
      te: "trailers",
    });

    call.end(Buffer.concat([head, bomb]));
    const end = await endOf(call);

    assert.equal(end["grpc-status"], String(Rpc.RESOURCE_EXHAUSTED));
    await assertAlive(bench);
  });

  it("refuses a message that announces more than the limit, before it comes", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const session = await bench.session();
    const call = openCall(session, JobServiceService.submit.path);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(MESSAGE_BYTES_MAX + 1, 1);

    call.write(head);
    const end = await endOf(call);

    assert.equal(end["grpc-status"], String(Rpc.RESOURCE_EXHAUSTED));
    assert.match(String(end["grpc-message"]), /67108865/);
    await assertAlive(bench);
  });

  it("takes a message just below the limit", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const input = Buffer.from(JSON.stringify("x".repeat(1_000_000)));
    const jobs = Array.from({ length: 67 }, () => JobSpec.fromPartial({ task: "echo", input }));

    const answer = await bench.answer(JobServiceService.submitMany, { jobs });

    assert.equal(answer.jobs.length, 67);
  });

  for (const { path } of METHODS) {
    it(`lives on when ${path} is cut in the middle of a message`, async () => {
      await using bench = await startGrpc(
        { submit: acceptAll },
        { workerConnect: (call) => call.resume() },
      );
      const session = await bench.session();
      const call = openCall(session, path);

      call.write(frame(Buffer.alloc(100)).subarray(0, 50));
      await roundTrip(session);
      session.destroy();

      await assertAlive(bench);
      assert.deepEqual(bench.logs, []);
    });
  }

  const oddPaths = [
    "/",
    "/baton.v1.JobService",
    "/baton.v1.JobService/Nothing",
    "/a%00b/c",
    "/ü/x",
  ];
  for (const path of oddPaths) {
    it(`answers UNIMPLEMENTED to the path ${path}`, async () => {
      await using bench = await startGrpc({ submit: acceptAll });
      const session = await bench.session();
      const call = openCall(session, path);

      call.end(frame(Buffer.alloc(0)));
      const end = await endOf(call);

      assert.equal(end["grpc-status"], String(Rpc.UNIMPLEMENTED));
      await assertAlive(bench);
    });
  }

  it("answers 415 to a request that is not gRPC", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const session = await bench.session();
    const call = session.request({ ":method": "GET", ":path": "/" });
    call.on("error", () => undefined);

    const end = await endOf(call);

    assert.equal(end[":status"], 415);
    await assertAlive(bench);
  });

  it("survives bytes that are not HTTP/2", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const socket = net.connect(Number(bench.address.split(":")[1]), "127.0.0.1");

    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.resume();
    await once(socket, "close");

    await assertAlive(bench);
  });

  it("answers a call without a message and lives", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const session = await bench.session();
    const call = openCall(session, JobServiceService.submit.path);

    call.end();
    const end = await endOf(call);

    assert.equal(end["grpc-status"], String(Rpc.UNIMPLEMENTED));
    await assertAlive(bench);
  });
});

describe("the trailers of an error", () => {
  it("fit into 8 KiB as they stand on the wire", async () => {
    await using bench = await startGrpc({
      submit: () =>
        Promise.reject(
          new AppError("bulk_rejected", "ü😀\u0000".repeat(5_000), {
            items: Array.from({ length: 10_000 }, (_, index) => ({
              index: index * 2,
              code: "invalid_argument",
              message: "ü".repeat(300),
            })),
          }),
        ),
    });
    const session = await bench.session();
    const call = openCall(session, JobServiceService.submit.path);

    call.end(frame(JobSpec.encode(JobSpec.fromPartial({ task: "echo" })).finish()));
    const end = await endOf(call);

    // RFC 9113 section 6.5.2 counts names, values and 32 bytes for each field.
    const size = Object.entries(end).reduce(
      (sum, [name, value]) => sum + name.length + String(value).length + 32,
      0,
    );
    assert.equal(end["grpc-status"], String(Rpc.INVALID_ARGUMENT));
    assert.ok(size > 4_000 && size < 8_192, `${size} bytes`);
  });
});

describe("createGrpcServer", () => {
  it("says which address is in use, once", async (t) => {
    const said = t.mock.method(console, "error", () => undefined);
    await using first = await startGrpc();
    await using second = await startGrpc();

    await assert.rejects(
      second.grpc.listen(first.address),
      (error) =>
        error instanceof AppError &&
        error.code === "address_in_use" &&
        error.message.includes(first.address),
    );
    assert.deepEqual([said.mock.callCount(), second.logs], [0, []]);
  });

  it("logs what grpc-js says of itself instead of printing it", async (t) => {
    const said = t.mock.method(console, "error", () => undefined);
    await using bench = await startGrpc();
    const odd = { "grpc.default_compression_algorithm": 77 };
    const client = new Client(bench.address, credentials.createInsecure(), odd);
    t.after(() => client.close());

    client.makeUnaryRequest("/a.B/C", asBuffer, asBuffer, Buffer.of(), () => undefined).cancel();

    assert.equal(said.mock.callCount(), 0);
    assert.match(bench.logs[0]?.message ?? "", /default_compression_algorithm option: 77/);
  });

  it("lets a call finish while it shuts down, and takes no new connection", async () => {
    const started = Promise.withResolvers<void>();
    const commit = Promise.withResolvers<void>();
    await using bench = await startGrpc({
      submit: async (specs) => {
        started.resolve();
        await commit.promise;
        return acceptAll(specs);
      },
    });
    const spec = JobSpec.fromPartial({ task: "echo" });
    const answer = bench.answer(JobServiceService.submit, spec);
    await started.promise;

    const stopped = bench.grpc.shutdown(60_000);
    const late = new Client(bench.address, credentials.createInsecure());
    const refused = await new Promise((resolve) => {
      late.makeUnaryRequest(
        JobServiceService.submit.path,
        JobServiceService.submit.requestSerialize,
        JobServiceService.submit.responseDeserialize,
        spec,
        (error) => resolve(error?.code),
      );
    });
    late.close();
    commit.resolve();
    await stopped;

    assert.equal((await answer).jobId, "id");
    assert.equal(refused, Rpc.UNAVAILABLE);
    assert.deepEqual(bench.logs, []);
  });

  it("cuts what is still open at the deadline and says so", async () => {
    const started = Promise.withResolvers<void>();
    await using bench = await startGrpc({
      submit: () => {
        started.resolve();
        return new Promise(() => undefined);
      },
    });
    const refusal = bench.refusal(JobServiceService.submit, JobSpec.fromPartial({ task: "echo" }));
    await started.promise;

    await bench.grpc.shutdown(10);

    assert.notEqual((await refusal).status, Rpc.OK);
    assert.deepEqual(
      bench.logs.map(({ level, fields }) => [level, fields]),
      [["warn", { deadlineMs: 10 }]],
    );
  });

  it("gives a connection room for all workers and watchers of a server", async () => {
    await using bench = await startGrpc();
    const session = await bench.session();

    await roundTrip(session);

    assert.equal(session.remoteSettings.maxConcurrentStreams, 20_000);
  });

  it("serves 1,000 calls at once on one connection", async () => {
    await using bench = await startGrpc({ submit: acceptAll });
    const spec = JobSpec.fromPartial({ task: "echo" });

    const answers = await Promise.all(
      Array.from({ length: 1_000 }, () => bench.answer(JobServiceService.submit, spec)),
    );

    assert.equal(answers.length, 1_000);
    assert.ok(answers.every((answer) => SubmitResponse.create(answer).jobId === "id"));
  });
});
