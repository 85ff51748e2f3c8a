import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { status as Rpc } from "@grpc/grpc-js";
import { BatonError, createClient } from "@baton/sdk";
import {
  CancelRequest,
  JobFilter,
  JobServiceService,
  JobSpec,
  ListJobsRequest,
  ListLogsRequest,
  RedriveRequest,
} from "@baton/sdk/contract";
import { aJobView, JOB_ID, startGrpc } from "../../../test/grpc.ts";
import type { JobSpec as DomainJobSpec } from "../../domain/job-spec.ts";
import { AppError, refuseBadJobs } from "../../errors.ts";
import type { Operations } from "../operations.ts";

const AT = new Date("2026-11-22T10:00:00.123Z");

function aSpec(different: Partial<JobSpec> = {}): JobSpec {
  return JobSpec.fromPartial({ task: "echo", input: Buffer.from("{}"), ...different });
}

function everySecondBad(count: number): JobSpec[] {
  return Array.from({ length: count }, (_, index) =>
    aSpec({ input: Buffer.from(index % 2 === 0 ? "{}" : "{") }),
  );
}

/** A `submit` that accepts everything and keeps what it was given. */
function acceptingSubmit(): {
  readonly calls: (readonly DomainJobSpec[])[];
  readonly submit: Operations["submit"];
} {
  const calls: (readonly DomainJobSpec[])[] = [];
  return {
    calls,
    submit: async (specs, unread = []) => {
      refuseBadJobs(unread, specs.length + unread.length);
      calls.push(specs);
      return specs.map((_, index) => ({
        jobId: `job-${index}`,
        isDuplicate: index === 1,
        state: "queued",
      }));
    },
  };
}

describe("JobService.Submit", () => {
  it("hands the job over and answers with what became of it", async () => {
    const { calls, submit } = acceptingSubmit();
    await using bench = await startGrpc({ submit });

    const answer = await bench.answer(
      JobServiceService.submit,
      aSpec({ input: Buffer.from('{ "a" : 1 }') }),
    );

    assert.deepEqual(answer, { jobId: "job-0", isDuplicate: false, state: "queued" });
    assert.equal(calls.length, 1);
    assert.equal(calls[0]?.[0]?.input, '{ "a" : 1 }');
  });

  it("refuses malformed JSON and calls no operation", async () => {
    await using bench = await startGrpc();

    const refusal = await bench.refusal(
      JobServiceService.submit,
      aSpec({ input: Buffer.from('{"a":}') }),
    );

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
    assert.match(refusal.message, /^input must be JSON: .*column 6/);
    assert.deepEqual(refusal.told, {
      code: "malformed_json",
      message: refusal.message,
      details: { field: "input" },
      isRetryable: false,
    });
  });

  it("refuses an input above the limit and names both sizes", async () => {
    await using bench = await startGrpc({}, { payloadBytesMax: 100 });

    const refusal = await bench.refusal(
      JobServiceService.submit,
      aSpec({ input: Buffer.from(`"${"x".repeat(99)}"`) }),
    );

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
    assert.match(refusal.message, /may have 100 bytes; received 101/);
    assert.match(JSON.stringify(refusal.told), /"payload_too_large".*"bytes":101,"bytesMax":100/);
  });

  const refusals = [
    ["task_not_found", Rpc.NOT_FOUND],
    ["idempotency_conflict", Rpc.ALREADY_EXISTS],
    ["unique_conflict", Rpc.ALREADY_EXISTS],
    ["resource_exhausted", Rpc.RESOURCE_EXHAUSTED],
    ["unavailable", Rpc.UNAVAILABLE],
  ] as const;
  for (const [code, status] of refusals) {
    it(`passes on that the operation refused with ${code}`, async () => {
      await using bench = await startGrpc({
        submit: () => Promise.reject(new AppError(code, "täsk 😀\n", { task: "echo" })),
      });

      const refusal = await bench.refusal(JobServiceService.submit, aSpec());

      assert.equal(refusal.status, status);
      assert.equal(refusal.message, "täsk 😀\n");
      assert.match(JSON.stringify(refusal.told), new RegExp(`"${code}".*{"task":"echo"}`));
    });
  }

  it("hides an unexpected error, logs it once, and goes on serving", async () => {
    const { submit } = acceptingSubmit();
    let callCount = 0;
    await using bench = await startGrpc({
      submit: (specs) => {
        callCount += 1;
        if (callCount === 1) throw new TypeError("secret");
        return submit(specs);
      },
    });

    const refusal = await bench.refusal(JobServiceService.submit, aSpec());
    const answer = await bench.answer(JobServiceService.submit, aSpec());

    assert.equal(refusal.status, Rpc.INTERNAL);
    assert.doesNotMatch(JSON.stringify(refusal), /secret/);
    assert.equal(bench.logs.length, 1);
    assert.equal(answer.jobId, "job-0");
  });
});

describe("JobService.SubmitMany", () => {
  it("answers in the order of the request", async () => {
    const { calls, submit } = acceptingSubmit();
    await using bench = await startGrpc({ submit });
    const jobs = Array.from({ length: 10_000 }, (_, index) =>
      aSpec({ input: Buffer.from(String(index)) }),
    );

    const answer = await bench.answer(JobServiceService.submitMany, { jobs });

    assert.equal(answer.jobs.length, 10_000);
    assert.deepEqual(answer.jobs[1], { jobId: "job-1", isDuplicate: true, state: "queued" });
    assert.deepEqual(
      calls.map((specs) => [specs.length, specs[9_999]?.input]),
      [[10_000, "9999"]],
    );
  });

  for (const count of [0, 10_001]) {
    it(`refuses ${count} jobs`, async () => {
      await using bench = await startGrpc();
      const jobs = Array.from({ length: count }, () => aSpec());

      const refusal = await bench.refusal(JobServiceService.submitMany, { jobs });

      assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
      assert.match(refusal.message, new RegExp(`1 to 10000 jobs; received ${count}`));
    });
  }

  it("reports every job that it can not read with its index", async () => {
    const { submit } = acceptingSubmit();
    await using bench = await startGrpc({ submit }, { payloadBytesMax: 100 });
    const jobs = [
      aSpec(),
      aSpec({ input: Buffer.from("{") }),
      aSpec({ task: "b" }),
      aSpec({ input: Buffer.alloc(200) }),
      aSpec({ retry: { strategy: "random", jitter: "" } }),
    ];

    const refusal = await bench.refusal(JobServiceService.submitMany, { jobs });

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
    assert.match(refusal.message, /^3 of 5 jobs .* at index 1: input must be JSON/);
    assert.match(
      JSON.stringify(refusal.told),
      new RegExp(
        [
          '"code":"bulk_rejected".*',
          '"index":1,"code":"malformed_json".*',
          '"index":3,"code":"payload_too_large".*',
          '"index":4,"code":"invalid_argument","message":"retry.strategy',
        ].join(""),
      ),
    );
  });

  it("fits the report of 10,000 bad jobs into the trailers", async () => {
    const { submit } = acceptingSubmit();
    await using bench = await startGrpc({ submit });
    const jobs = Array.from({ length: 10_000 }, () => aSpec({ input: Buffer.from("{") }));

    const refusal = await bench.refusal(JobServiceService.submitMany, { jobs });

    assert.match(
      JSON.stringify(refusal.told),
      /"items":\[\{"index":0,.*"itemCount":10000,"indexes":"0-9999"/,
    );
  });

  it("answers every bad job of 10,000 when the request asks for it", async () => {
    const { submit, calls } = acceptingSubmit();
    await using bench = await startGrpc({ submit });
    const jobs = everySecondBad(10_000);

    const answer = await bench.answer(JobServiceService.submitMany, { jobs, reportRefused: true });

    assert.deepEqual(answer.jobs, []);
    assert.match(answer.refused?.message ?? "", /^5000 of 10000 jobs/);
    assert.deepEqual(
      answer.refused?.jobs.map(({ index, code }) => [index, code]),
      Array.from({ length: 5_000 }, (_, index) => [2 * index + 1, "malformed_json"]),
    );
    assert.equal(calls.length, 0);
  });

  it("answers as always when the request asks for refused jobs and none is bad", async () => {
    const { submit } = acceptingSubmit();
    await using bench = await startGrpc({ submit });

    const answer = await bench.answer(JobServiceService.submitMany, {
      jobs: [aSpec(), aSpec()],
      reportRefused: true,
    });

    assert.deepEqual([answer.jobs.length, answer.refused], [2, undefined]);
  });

  it("leaves every other error an error when the request asks for refused jobs", async () => {
    await using bench = await startGrpc({
      submit: () => Promise.reject(new AppError("resource_exhausted", "full")),
    });

    const refusal = await bench.refusal(JobServiceService.submitMany, {
      jobs: [aSpec(), aSpec()],
      reportRefused: true,
    });

    assert.equal(refusal.status, Rpc.RESOURCE_EXHAUSTED);
  });

  it("lets enqueueMany of the SDK throw every bad job of 10,000", async () => {
    const { submit } = acceptingSubmit();
    await using bench = await startGrpc({ submit }, { payloadBytesMax: 10 });
    const client = createClient({ address: bench.address });
    const inputs = Array.from({ length: 10_000 }, (_, index) =>
      index % 2 === 0 ? index : "x".repeat(10),
    );

    const error: unknown = await client
      .enqueueMany("echo", inputs)
      .catch((thrown: unknown) => thrown);
    client.close();

    assert.ok(error instanceof BatonError);
    assert.equal(error.code, "bulk_rejected");
    assert.match(error.message, /^5000 of 10000 jobs .* at index 1: input may have 10 bytes/);
    assert.equal(error.details["itemCount"], 5_000);
    assert.deepEqual(
      error.details["items"],
      Array.from({ length: 5_000 }, (_, index) => ({
        index: 2 * index + 1,
        code: "payload_too_large",
        message:
          "input may have 10 bytes; received 12. Put large data elsewhere and pass a reference to it.",
      })),
    );
  });

  it("passes on a bulk that the operation refused", async () => {
    const items = [{ index: 1, code: "task_not_found", message: "no such task" }];
    await using bench = await startGrpc({
      submit: () => Promise.reject(new AppError("bulk_rejected", "1 of 2", { items })),
    });

    const refusal = await bench.refusal(JobServiceService.submitMany, {
      jobs: [aSpec(), aSpec({ task: "x" })],
    });

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
    assert.match(JSON.stringify(refusal.told), /"index":1,"code":"task_not_found"/);
  });
});

describe("JobService.Get", () => {
  it("answers with the job and its attempts", async () => {
    await using bench = await startGrpc({
      jobGet: async (id) =>
        aJobView({ id, state: "succeeded", attempt: 2, result: "[1]", finishedAt: AT }),
      attemptList: async () => [
        { attempt: 1, outcome: "retry", error: { code: "Error", message: "no" }, leasedAt: AT },
        { attempt: 2 },
      ],
    });

    const job = await bench.answer(JobServiceService.get, { jobId: JOB_ID });

    assert.equal(job.id, JOB_ID);
    assert.equal(job.state, "succeeded");
    assert.deepEqual(job.result, Buffer.from("[1]"));
    assert.deepEqual(job.finishedAt, AT);
    assert.deepEqual(job.input, Buffer.from('{"a":1}'));
    assert.deepEqual(
      job.attempts.map(({ attempt, outcome, error }) => [attempt, outcome, error?.message]),
      [
        [1, "retry", "no"],
        [2, "", undefined],
      ],
    );
  });

  it("answers NOT_FOUND for an unknown job", async () => {
    const missing = () => Promise.reject(new AppError("job_not_found", "no job", { jobId: "x" }));
    await using bench = await startGrpc({ jobGet: missing, attemptList: missing });

    const refusal = await bench.refusal(JobServiceService.get, { jobId: "x" });

    assert.equal(refusal.status, Rpc.NOT_FOUND);
    assert.match(JSON.stringify(refusal.told), /"job_not_found".*"jobId":"x"/);
  });
});

describe("JobService.List", () => {
  it("passes filter, limit and cursor on and answers with a page", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      jobList: async (options) => {
        asked.push(options);
        return { items: [aJobView({ input: undefined })], nextCursor: "next" };
      },
    });

    const answer = await bench.answer(
      JobServiceService.list,
      ListJobsRequest.fromPartial({
        filter: { states: ["queued", "dead"], tag: "t", createdAfter: AT },
        limit: 7,
        cursor: "here",
        includePayloads: true,
      }),
    );

    assert.equal(answer.nextCursor, "next");
    assert.equal(answer.jobs[0]?.input.length, 0);
    assert.deepEqual(asked, [
      {
        filter: {
          states: ["queued", "dead"],
          queue: undefined,
          task: undefined,
          tag: "t",
          createdAfter: AT,
          createdBefore: undefined,
        },
        limit: 7,
        cursor: "here",
        includePayloads: true,
      },
    ]);
  });

  it("asks for the first page of everything by an empty request", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      jobList: async (options) => {
        asked.push(options);
        return { items: [] };
      },
    });

    const answer = await bench.answer(JobServiceService.list, ListJobsRequest.fromPartial({}));

    assert.deepEqual(answer, { jobs: [], nextCursor: "" });
    assert.deepEqual(asked, [
      { filter: undefined, limit: undefined, cursor: undefined, includePayloads: false },
    ]);
  });

  it("refuses an unknown state by name", async () => {
    await using bench = await startGrpc();

    const refusal = await bench.refusal(
      JobServiceService.list,
      ListJobsRequest.fromPartial({ filter: { states: ["done"] } }),
    );

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
    assert.match(refusal.message, /waiting, scheduled, .*; received "done"/);
  });

  it("refuses an answer that does not fit into one message", async () => {
    const input = JSON.stringify("x".repeat(1024 * 1024 - 2));
    await using bench = await startGrpc({
      jobList: async () => ({ items: Array.from({ length: 64 }, () => aJobView({ input })) }),
    });

    const refusal = await bench.refusal(JobServiceService.list, ListJobsRequest.fromPartial({}));

    assert.equal(refusal.status, Rpc.RESOURCE_EXHAUSTED);
    assert.match(
      refusal.message,
      /The answer has 671\d+ bytes, at most 67108864 go into one message/,
    );
  });
});

describe("JobService.Cancel", () => {
  const outcomes = [
    ["cancelled", { cancelledCount: 1, requestedCount: 0, hasMore: false }],
    ["running", { cancelledCount: 0, requestedCount: 1, hasMore: false }],
  ] as const;
  for (const [state, expected] of outcomes) {
    it(`counts one job that is ${state} after the call`, async () => {
      const asked: unknown[] = [];
      await using bench = await startGrpc({
        cancel: async (...args) => {
          asked.push(args);
          return { state };
        },
      });

      const answer = await bench.answer(
        JobServiceService.cancel,
        CancelRequest.fromPartial({ jobId: JOB_ID, reason: "why" }),
      );

      assert.deepEqual(answer, expected);
      assert.deepEqual(asked, [[JOB_ID, "why"]]);
    });
  }

  it("cancels by filter", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      cancelMany: async (filter, limit, reason) => {
        asked.push(filter.queue, limit, reason);
        return { cancelledCount: 3, requestedCount: 2, hasMore: true };
      },
    });

    const answer = await bench.answer(
      JobServiceService.cancel,
      CancelRequest.fromPartial({ filter: { queue: "q" }, limit: 5 }),
    );

    assert.deepEqual(answer, { cancelledCount: 3, requestedCount: 2, hasMore: true });
    assert.deepEqual(asked, ["q", 5, undefined]);
  });

  const unclear = [
    ["neither", CancelRequest.fromPartial({})],
    ["both", CancelRequest.fromPartial({ jobId: JOB_ID, filter: JobFilter.fromPartial({}) })],
  ] as const;
  for (const [what, request] of unclear) {
    it(`refuses a request with ${what} of job and filter`, async () => {
      await using bench = await startGrpc();

      const refusal = await bench.refusal(JobServiceService.cancel, request);

      assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
      assert.equal(refusal.message, `Expected either job_id or filter; received ${what}.`);
    });
  }

  it("answers FAILED_PRECONDITION for a job that has ended", async () => {
    await using bench = await startGrpc({
      cancel: () => Promise.reject(new AppError("job_finished", "it is dead")),
    });

    const refusal = await bench.refusal(
      JobServiceService.cancel,
      CancelRequest.fromPartial({ jobId: JOB_ID }),
    );

    assert.equal(refusal.status, Rpc.FAILED_PRECONDITION);
  });
});

describe("JobService.Redrive", () => {
  it("redrives one job", async () => {
    const asked: string[] = [];
    await using bench = await startGrpc({ redrive: async (jobId) => void asked.push(jobId) });

    const answer = await bench.answer(
      JobServiceService.redrive,
      RedriveRequest.fromPartial({ jobId: JOB_ID }),
    );

    assert.deepEqual(answer, { redrivenCount: 1, hasMore: false });
    assert.deepEqual(asked, [JOB_ID]);
  });

  it("redrives by filter", async () => {
    await using bench = await startGrpc({
      redriveMany: async () => ({ redrivenCount: 9, hasMore: true }),
    });

    const answer = await bench.answer(
      JobServiceService.redrive,
      RedriveRequest.fromPartial({ filter: {} }),
    );

    assert.deepEqual(answer, { redrivenCount: 9, hasMore: true });
  });

  it("refuses a request about nothing", async () => {
    await using bench = await startGrpc();

    const refusal = await bench.refusal(JobServiceService.redrive, RedriveRequest.fromPartial({}));

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
  });
});

describe("JobService.ListLogs", () => {
  it("answers with a page of lines", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      logList: async (options) => {
        asked.push(options);
        return {
          items: [
            { attempt: 1, at: AT, level: "warn", message: "m", fields: '{"a":1}' },
            { attempt: 1, at: AT, level: "info", message: "n" },
          ],
          nextCursor: "more",
        };
      },
    });

    const answer = await bench.answer(
      JobServiceService.listLogs,
      ListLogsRequest.fromPartial({ jobId: JOB_ID, attempt: 1, limit: 2 }),
    );

    assert.deepEqual(answer, {
      lines: [
        { attempt: 1, at: AT, level: "warn", message: "m", fields: Buffer.from('{"a":1}') },
        { attempt: 1, at: AT, level: "info", message: "n", fields: Buffer.alloc(0) },
      ],
      nextCursor: "more",
    });
    assert.deepEqual(asked, [{ jobId: JOB_ID, attempt: 1, limit: 2, cursor: undefined }]);
  });

  it("asks for all attempts by attempt 0", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      logList: async ({ attempt }) => {
        asked.push(attempt);
        return { items: [] };
      },
    });

    await bench.answer(JobServiceService.listLogs, ListLogsRequest.fromPartial({ jobId: "x" }));

    assert.deepEqual(asked, [undefined]);
  });
});
