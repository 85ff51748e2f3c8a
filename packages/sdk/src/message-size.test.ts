import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { Metadata } from "@grpc/grpc-js";

import { answers, FakeServer, jobId, status, submitStreamOf } from "../test/fake-server.ts";
import type { Scripts } from "../test/fake-server.ts";
import type { Client } from "./client.ts";
import { JobSpec, type SubmitManyRequest, type SubmitManyResponse } from "./contract.ts";
import { createClient } from "./create-client.ts";
import { toJobSpec } from "./job-spec.ts";
import { MESSAGE_BYTES_MAX } from "./limits.ts";
import { jobBytesMost } from "./message-size.ts";

const OCTETS = { inputContentType: "application/octet-stream" };

describe("jobBytesMost", () => {
  it("is never less than what is sent", async () => {
    const spec = await toJobSpec({
      task: "t".repeat(128),
      input: "x".repeat(1_000),
      options: {
        queue: "q".repeat(128),
        priority: -100,
        delayMs: 10 ** 11,
        runAt: new Date(),
        maxAttempts: 1_000,
        retry: { strategy: "exponential", baseMs: 10 ** 8, maxMs: 10 ** 9, jitter: "none" },
        attemptTimeoutMs: 10 ** 10,
        queueTimeoutMs: 10 ** 10,
        deadlineMs: 10 ** 10,
        heartbeatTimeoutMs: 10 ** 10,
        cancelGraceMs: 10 ** 10,
        tags: Array.from({ length: 1_000 }, () => ""),
        idempotencyKey: "€".repeat(255),
        uniqueKey: "€".repeat(255),
        onConflict: "return_existing",
      },
    });

    const bytes = JobSpec.encode(spec).finish().length;

    assert.ok(bytes <= jobBytesMost(spec), `${bytes} > ${jobBytesMost(spec)}`);
  });
});

describe("a message beyond 64 MiB", () => {
  it("is refused as a single job before it is sent", async (t) => {
    const client = await aClient(t, {});

    await assert.rejects(client.enqueue("t", Buffer.alloc(MESSAGE_BYTES_MAX + 1), OCTETS), {
      code: "payload_too_large",
      message: /^the job is 6710\d{4} bytes as a message, at most 67108864 fit; /,
    });
  });

  it("is refused as a job whose keys make it so large", async (t) => {
    const client = await aClient(t, {});

    await assert.rejects(client.enqueue("t", 1, { uniqueKey: "x".repeat(MESSAGE_BYTES_MAX) }), {
      code: "payload_too_large",
    });
  });

  it("is refused as a bulk with its size and what to do", async (t) => {
    const client = await aClient(t, {});
    const inputs = Array.from({ length: 64 }, () => Buffer.alloc(1024 * 1024));

    await assert.rejects(client.enqueueMany("t", inputs, OCTETS), {
      code: "payload_too_large",
      message: /^one bulk of 64 jobs is 67111232 bytes .* use several bulks, or submitStream/,
      details: { bytes: 67_111_232, bytesMax: MESSAGE_BYTES_MAX },
    });
  });

  it("is let pass as a bulk that fits just so", async (t) => {
    const submitMany = answers<SubmitManyRequest, SubmitManyResponse>({ jobs: [] });
    const client = await aClient(t, { jobs: { submitMany } });

    await client.enqueueMany("t", [Buffer.alloc(MESSAGE_BYTES_MAX - 100)], OCTETS);

    assert.equal(submitMany.requests.length, 1);
  });

  it("is refused as a job of a stream, with its index", async (t) => {
    const client = await aClient(t, {
      jobs: { submitStream: submitStreamOf(() => undefined, acceptedAll) },
    });
    const large = { task: "t", input: Buffer.alloc(MESSAGE_BYTES_MAX + 1), options: OCTETS };

    await assert.rejects(client.submitStream([{ task: "t" }, large]), {
      code: "payload_too_large",
      details: { index: 1, bytes: 67_108_904, bytesMax: MESSAGE_BYTES_MAX, acceptedCount: 0 },
    });
  });

  it("is not made of a stream's jobs with large keys: batches are cut by all bytes", async (t) => {
    const sizes: number[] = [];
    const client = await aClient(t, {
      jobs: { submitStream: submitStreamOf(({ jobs }) => sizes.push(jobs.length), acceptedAll) },
    });
    const uniqueKey = "x".repeat(1024 * 1024);

    await client.submitStream(
      Array.from({ length: 6 }, () => ({ task: "t", options: { uniqueKey } })),
    );

    assert.ok(
      sizes.every((size) => size <= 4),
      sizes.join(", "),
    );
  });

  it("is payload_too_large with its sizes when the other side finds it", async (t) => {
    const details = "Received message larger than max (70000000 vs 67108864)";
    const refusal = Object.assign(new Error(details), {
      code: status.RESOURCE_EXHAUSTED,
      details,
      metadata: new Metadata(),
    });
    const client = await aClient(t, { jobs: { submit: answers<JobSpec, never>(refusal) } });

    await assert.rejects(client.enqueue("t"), {
      code: "payload_too_large",
      message: /a message of 70000000 bytes .* at most 67108864/,
    });
  });
});

function acceptedAll(_batchCount: number, acceptedCount: number) {
  return { acceptedCount, duplicateCount: 0, refused: [], refusedBatchCount: 0 };
}

async function aClient(t: TestContext, scripts: Scripts): Promise<Client> {
  const submit = answers({ jobId: jobId(1), isDuplicate: false, state: "queued" });
  const server = await FakeServer.start(t, { ...scripts, jobs: { submit, ...scripts.jobs } });
  const client = createClient({ address: server.address });
  t.after(() => client.close());
  return client;
}
