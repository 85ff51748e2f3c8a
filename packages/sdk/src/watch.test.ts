import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { aWireJob, FakeServer, fault, jobId, status, watches } from "../test/fake-server.ts";
import { createClient } from "./create-client.ts";
import type { Job as WireJob, JobServiceServer, WatchResponse } from "./contract.ts";
import { JobFailedError } from "./errors.ts";

const succeeded: Partial<WireJob> = {
  state: "succeeded",
  attempt: 1,
  result: Buffer.from('{"ok":1}'),
};
const away = fault(status.UNAVAILABLE, { code: "unavailable", message: "restarting" });

describe("job.result", () => {
  it("waits for the end and gives what the handler returned", async (t) => {
    const job = await aJob(
      t,
      watches((stream) => {
        stream.write(oneJob({ state: "queued" }));
        stream.write(oneJob({ state: "running" }));
        stream.write(oneJob(succeeded));
        stream.end();
      }),
    );

    assert.deepEqual(await job.result(), { ok: 1 });
  });

  it("is null when the handler returned nothing", async (t) => {
    const job = await aJob(
      t,
      watches((stream) => stream.write(oneJob({ state: "succeeded" }))),
    );

    assert.equal(await job.result(), null);
  });

  it("survives broken streams and streams that end too early", async (t) => {
    const watch = watches(
      (stream) => {
        stream.write(oneJob({ state: "running" }));
        stream.emit("error", away);
      },
      (stream) => stream.emit("error", Object.assign(new Error("cut"), { code: status.INTERNAL })),
      (stream) => stream.end(),
      (stream) => stream.write(oneJob(succeeded)),
    );
    const job = await aJob(t, watch);

    assert.deepEqual(await job.result(), { ok: 1 });
    assert.equal(watch.requests.length, 4);
  });

  it("survives a restart of the server", async (t) => {
    const first = await FakeServer.start(t, {
      jobs: { watch: watches((stream) => stream.write(oneJob({ state: "running" }))) },
    });
    const client = createClient({ address: first.address });
    t.after(() => client.close());

    const states: string[] = [];
    for await (const { state } of client.job(jobId(1)).watch()) {
      states.push(state);
      if (state !== "running") break;
      first.kill();
      const watch = watches((stream) => stream.write(oneJob(succeeded)));
      await FakeServer.start(t, { jobs: { watch } }, first.port);
    }

    assert.deepEqual(states, ["running", "succeeded"]);
  });

  it("throws JobFailedError with the job and its error when the job is dead", async (t) => {
    const error = { code: "TypeError", message: "x is not a function", stack: "at y" };
    const job = await aJob(
      t,
      watches((stream) => stream.write(oneJob({ state: "dead", attempt: 3, error }))),
    );

    await assert.rejects(job.result(), (thrown: unknown) => {
      assert.ok(thrown instanceof JobFailedError);
      assert.equal(thrown.code, "job_failed");
      assert.equal(thrown.job.state, "dead");
      assert.deepEqual(thrown.error, error);
      assert.equal(
        thrown.message,
        `job ${jobId(1)} (task echo) is dead after 3 attempts: TypeError: x is not a function`,
      );
      return true;
    });
  });

  it("throws JobFailedError when the job was cancelled", async (t) => {
    const job = await aJob(
      t,
      watches((stream) => stream.write(oneJob({ state: "cancelled", cancelReason: "no need" }))),
    );

    await assert.rejects(job.result(), {
      name: "JobFailedError",
      message: `job ${jobId(1)} (task echo) was cancelled: no need`,
    });
  });

  it("throws what the server says when it does not know the job", async (t) => {
    const missing = fault(status.NOT_FOUND, { code: "job_not_found", message: "no such job" });
    const job = await aJob(
      t,
      watches((stream) => stream.emit("error", missing)),
    );

    await assert.rejects(job.result(), { code: "job_not_found", message: "no such job" });
  });

  it("throws deadline_exceeded after timeoutMs", async (t) => {
    const job = await aJob(
      t,
      watches((stream) => stream.write(oneJob({ state: "running" }))),
    );

    await assert.rejects(job.result({ timeoutMs: 30 }), {
      code: "deadline_exceeded",
      message: `job ${jobId(1)} has not ended within 30 ms; it goes on`,
    });
  });

  it("throws the signal's reason when it aborts", async (t) => {
    const controller = new AbortController();
    const reason = new Error("user left");
    const job = await aJob(
      t,
      watches(() => controller.abort(reason)),
    );

    await assert.rejects(job.result({ signal: controller.signal }), reason);
    await assert.rejects(job.result({ signal: controller.signal }), reason);
  });
});

describe("job.watch", () => {
  it("shows each change and ends after the final state", async (t) => {
    const job = await aJob(
      t,
      watches((stream) => {
        stream.write(oneJob({ state: "running", progress: Buffer.from("0.5") }));
        stream.write(oneJob(succeeded));
      }),
    );

    const seen = await Array.fromAsync(job.watch());

    assert.deepEqual(
      seen.map(({ state, progress }) => [state, progress]),
      [
        ["running", 0.5],
        ["succeeded", undefined],
      ],
    );
  });

  it("cancels its stream when the caller stops looking", async (t) => {
    const cancelled = Promise.withResolvers<void>();
    const job = await aJob(
      t,
      watches((stream) => {
        stream.on("cancelled", () => cancelled.resolve());
        stream.write(oneJob({ state: "running" }));
      }),
    );

    for await (const { state } of job.watch()) {
      assert.equal(state, "running");
      break;
    }

    await cancelled.promise;
  });
});

describe("client.watch", () => {
  it("resumes behind the last event that it delivered", async (t) => {
    const watch = watches(
      (stream) => {
        stream.write(anEvent(7, "queued"));
        stream.write(anEvent(8, "running"));
        stream.emit("error", away);
      },
      (stream) =>
        stream.emit(
          "error",
          fault(status.RESOURCE_EXHAUSTED, { code: "resource_exhausted", message: "slow" }),
        ),
      (stream) => stream.write(anEvent(9, "succeeded")),
    );
    const client = await aClient(t, watch);

    const seen = [];
    for await (const event of client.watch({ tag: "x" }, { afterSequence: 6 })) {
      seen.push([event.sequence, event.job.state]);
      if (event.sequence === 9) break;
    }

    assert.deepEqual(seen, [
      [7, "queued"],
      [8, "running"],
      [9, "succeeded"],
    ]);
    assert.deepEqual(
      watch.requests.map((request) => [request.filter?.tag, request.afterSequence]),
      [
        ["x", 6],
        ["x", 8],
        ["x", 8],
      ],
    );
  });

  it("ends quietly when the signal aborts", async (t) => {
    const controller = new AbortController();
    const client = await aClient(
      t,
      watches((stream) => stream.write(anEvent(1, "queued"))),
    );

    const seen = [];
    for await (const event of client.watch({}, { signal: controller.signal })) {
      seen.push(event.sequence);
      controller.abort();
    }

    assert.deepEqual(seen, [1]);
  });

  it("throws what the server refuses", async (t) => {
    const client = await aClient(
      t,
      watches((stream) =>
        stream.emit(
          "error",
          fault(status.INVALID_ARGUMENT, { code: "invalid_argument", message: "states" }),
        ),
      ),
    );

    await assert.rejects(Array.fromAsync(client.watch({ states: ["dead"] })), {
      code: "invalid_argument",
    });
  });
});

async function aClient(t: TestContext, watch: JobServiceServer["watch"]) {
  const server = await FakeServer.start(t, { jobs: { watch } });
  const client = createClient({ address: server.address });
  t.after(() => client.close());
  return client;
}

async function aJob(t: TestContext, watch: JobServiceServer["watch"]) {
  return (await aClient(t, watch)).job(jobId(1));
}

function oneJob(values: Partial<WireJob>): WatchResponse {
  return { sequence: 0, at: new Date(0), job: aWireJob(values) };
}

function anEvent(sequence: number, state: string): WatchResponse {
  return { sequence, at: new Date(0), job: aWireJob({ state }) };
}
