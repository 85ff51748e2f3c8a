import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { z } from "zod";

import { FakeServer, fault, nextTurn, status, submitStreamOf } from "../test/fake-server.ts";
import { createClient } from "./create-client.ts";
import type { JobServiceServer, SubmitStreamResponse } from "./contract.ts";
import type { JobRequest } from "./job-spec.ts";
import { task } from "./task.ts";

describe("client.submitStream", () => {
  it("sends batches of at most 1,000 jobs and answers what became of them", async (t) => {
    const sizes: number[] = [];
    const client = await aClient(
      t,
      submitStreamOf(
        (batch) => sizes.push(batch.jobs.length),
        (_, jobCount) => accepted(jobCount),
      ),
    );
    const progress: number[] = [];

    const result = await client.submitStream(requests(2_300), {
      onProgress: ({ sentCount }) => progress.push(sentCount),
    });

    assert.deepEqual(sizes, [1_000, 1_000, 300]);
    assert.deepEqual(progress, [1_000, 2_000, 2_300]);
    assert.deepEqual(result, {
      acceptedCount: 2_300,
      duplicateCount: 0,
      refused: [],
      refusedBatchCount: 0,
    });
  });

  it("sends batches of at most 4 MiB", async (t) => {
    const sizes: number[] = [];
    const client = await aClient(
      t,
      submitStreamOf(
        (batch) => sizes.push(batch.jobs.length),
        (_, jobCount) => accepted(jobCount),
      ),
    );
    const input = "x".repeat(1_500_000);

    await client.submitStream(Array.from({ length: 5 }, () => ({ task: "t", input })));

    assert.deepEqual(sizes, [2, 2, 1]);
  });

  it("sends nothing for nothing", async (t) => {
    const client = await aClient(
      t,
      submitStreamOf(
        () => assert.fail(),
        (_, jobCount) => accepted(jobCount),
      ),
    );

    assert.equal((await client.submitStream([])).acceptedCount, 0);
  });

  it("says where refused batches lie and why", async (t) => {
    const details = { items: [{ index: 3, code: "invalid_argument", message: "priority" }] };
    const client = await aClient(
      t,
      submitStreamOf(
        () => undefined,
        () => ({
          acceptedCount: 20,
          duplicateCount: 2,
          refused: [
            {
              index: 1,
              code: "bulk_rejected",
              message: "1 of 10",
              details: Buffer.from(JSON.stringify(details)),
            },
          ],
          refusedBatchCount: 1,
        }),
      ),
    );

    const result = await client.submitStream(requests(25), { batchJobs: 10 });

    const [refused] = result.refused;
    assert.deepEqual([refused?.firstJobIndex, refused?.jobCount], [10, 10]);
    assert.deepEqual([refused?.error.code, refused?.error.details], ["bulk_rejected", details]);
  });

  it("asks for more only as fast as the server takes it", async (t) => {
    const opened = Promise.withResolvers<() => void>();
    const client = await aClient(t, (call, callback) => {
      const answer = submitStreamOf(
        () => undefined,
        (_, jobCount) => accepted(jobCount),
      );
      opened.resolve(() => answer(call, callback));
    });
    let asked = 0;
    const input = "x".repeat(10_000);
    const submitted = client.submitStream(
      (function* () {
        for (; asked < 5_000; asked += 1) yield { task: "t", input };
      })(),
    );

    const read = await opened.promise;
    for (let turn = 0; turn < 100; turn += 1) await nextTurn();
    assert.ok(asked < 2_000, `asked for ${asked} of 5000 while nothing was read`);
    read();

    assert.equal((await submitted).acceptedCount, 5_000);
  });

  it("names a request that does not fit, and what was accepted before it", async (t) => {
    const client = await aClient(
      t,
      submitStreamOf(
        () => undefined,
        (_, jobCount) => accepted(jobCount),
      ),
    );
    const strict = task({ name: "strict", input: z.number(), run: () => undefined });
    const inputs = [1, 2, 3, "four", 5];

    await assert.rejects(
      client.submitStream(
        inputs.map((input) => ({ task: strict, input })),
        { batchJobs: 2 },
      ),
      (error: unknown) => {
        const { code, details } = Object(error);
        assert.deepEqual([code, details.index, details.acceptedCount], ["invalid_input", 3, 2]);
        return true;
      },
    );
  });

  it("throws what the iterable throws", async (t) => {
    const client = await aClient(
      t,
      submitStreamOf(
        () => undefined,
        (_, jobCount) => accepted(jobCount),
      ),
    );
    const broken = new Error("file is gone");

    await assert.rejects(
      client.submitStream(
        (async function* () {
          yield { task: "t", input: 1 };
          await Promise.reject(broken);
        })(),
      ),
      broken,
    );
  });

  it("throws what the server says when it ends the stream", async (t) => {
    const client = await aClient(t, (_call, callback) => {
      callback(fault(status.RESOURCE_EXHAUSTED, { code: "resource_exhausted", message: "full" }));
    });

    await assert.rejects(client.submitStream(requests(50_000)), {
      code: "resource_exhausted",
      message: "full",
      // Batches before it were complete.
      details: { mayHaveHappened: true },
    });
  });

  it("says nothing of what may have happened when no server was reached", async (t) => {
    const client = createClient({ address: "127.0.0.1:1" });
    t.after(() => client.close());

    await assert.rejects(client.submitStream(requests(5)), {
      code: "connection_failed",
      details: { address: "127.0.0.1:1" },
    });
  });

  it("stops with the signal's reason", async (t) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const client = await aClient(t, () => controller.abort(reason));

    await assert.rejects(
      client.submitStream(requests(Number.POSITIVE_INFINITY), { signal: controller.signal }),
      reason,
    );
  });

  it("refuses a batch size that the server would refuse", async (t) => {
    const client = await aClient(t, () => assert.fail());

    await assert.rejects(client.submitStream([], { batchJobs: 1_001 }), {
      code: "invalid_argument",
      message: /batchJobs must be an integer of 1 to 1000, got 1001/,
    });
  });
});

async function aClient(t: TestContext, submitStream: JobServiceServer["submitStream"]) {
  const server = await FakeServer.start(t, { jobs: { submitStream } });
  const client = createClient({ address: server.address });
  t.after(() => client.close());
  return client;
}

function accepted(acceptedCount: number): SubmitStreamResponse {
  return { acceptedCount, duplicateCount: 0, refused: [], refusedBatchCount: 0 };
}

function* requests(count: number): Generator<JobRequest> {
  for (let input = 0; input < count; input += 1) yield { task: "t", input };
}
