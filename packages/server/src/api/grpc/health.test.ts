import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { status as Rpc } from "@grpc/grpc-js";
import { asBuffer, bareMethod, type GrpcBench, startGrpc } from "../../../test/grpc.ts";

const CHECK = bareMethod("/grpc.health.v1.Health/Check");
// HealthCheckResponse: field 1, varint.
const SERVING = Buffer.from([0x08, 0x01]);
const NOT_SERVING = Buffer.from([0x08, 0x02]);
const SERVICE_UNKNOWN = Buffer.from([0x08, 0x03]);

/** HealthCheckRequest: field 1, the name. */
function asking(service: string): Buffer {
  return Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
}

/** A bench whose health was looked at once and whose own loop will not look again soon. */
async function startWith(isReady: () => Promise<boolean>): Promise<GrpcBench> {
  const bench = await startGrpc({ isReady }, { healthIntervalMs: 3_600_000 });
  await bench.grpc.refreshHealth();
  return bench;
}

describe("the health service", () => {
  const names = [
    "",
    "baton.v1.JobService",
    "baton.v1.QueueService",
    "baton.v1.TaskService",
    "baton.v1.WorkerService",
    "baton.v1.ServerService",
    "proto.MasterService",
  ];
  for (const name of names) {
    it(`says SERVING for ${JSON.stringify(name)} while the server is ready`, async () => {
      await using bench = await startWith(async () => true);

      assert.deepEqual(await bench.answer(CHECK, asking(name)), SERVING);
    });
  }

  it("says NOT_SERVING while the server is not ready", async () => {
    await using bench = await startWith(async () => false);

    assert.deepEqual(await bench.answer(CHECK, asking("")), NOT_SERVING);
  });

  it("says NOT_SERVING when readiness cannot be told", async () => {
    await using bench = await startWith(() => Promise.reject(new Error("no database")));

    assert.deepEqual(await bench.answer(CHECK, asking("")), NOT_SERVING);
  });

  it("follows readiness by itself", async () => {
    let isReady = false;
    let lookCount = 0;
    await using bench = await startGrpc(
      {
        isReady: async () => {
          lookCount += 1;
          return isReady;
        },
      },
      { healthIntervalMs: 1 },
    );
    const statuses = watchHealth(bench, "");

    await statuses.next(NOT_SERVING);
    isReady = true;
    await statuses.next(SERVING);

    assert.ok(lookCount >= 2);
  });

  it("answers NOT_FOUND for a service that is not served", async () => {
    await using bench = await startWith(async () => true);

    const refusal = await bench.refusal(CHECK, asking("x"));

    assert.equal(refusal.status, Rpc.NOT_FOUND);
    assert.match(refusal.message, /received "x"/);
  });

  it("tells a watcher each change, and once", async () => {
    let isReady = true;
    await using bench = await startWith(async () => isReady);
    const statuses = watchHealth(bench, "baton.v1.JobService");

    await statuses.next(SERVING);
    await bench.grpc.refreshHealth();
    isReady = false;
    await bench.grpc.refreshHealth();
    await statuses.next(NOT_SERVING);
    isReady = true;
    await bench.grpc.refreshHealth();
    await statuses.next(SERVING);

    assert.deepEqual(statuses.received, [SERVING, NOT_SERVING, SERVING]);
  });

  it("tells a watcher of an unknown service just that", async () => {
    await using bench = await startWith(async () => true);

    await watchHealth(bench, "unknown").next(SERVICE_UNKNOWN);
  });

  it("lists all services", async () => {
    await using bench = await startWith(async () => true);

    const bytes = await bench.answer(bareMethod("/grpc.health.v1.Health/List"), Buffer.alloc(0));

    for (const name of names) assert.ok(bytes.includes(name));
  });

  it("says NOT_SERVING and ends watchers when the server shuts down", async () => {
    await using bench = await startWith(async () => true);
    const statuses = watchHealth(bench, "");
    await statuses.next(SERVING);
    const ended = once(statuses.call, "end");

    await bench.grpc.shutdown(10_000);
    await ended;

    assert.deepEqual(statuses.received, [SERVING, NOT_SERVING]);
    assert.deepEqual(bench.logs, []);
  });
});

function watchHealth(bench: GrpcBench, service: string) {
  const call = bench.client.makeServerStreamRequest(
    "/grpc.health.v1.Health/Watch",
    asBuffer,
    asBuffer,
    asking(service),
  );
  const received: Buffer[] = [];
  let seenCount = 0;
  call.on("data", (bytes: Buffer) => received.push(bytes));
  call.on("error", () => undefined);
  return {
    call,
    received,
    /** Waits for the next status, which must be the expected one. */
    async next(expected: Buffer): Promise<void> {
      while (received.length === seenCount) await once(call, "data");
      assert.deepEqual(received[seenCount], expected);
      seenCount += 1;
    },
  };
}
