import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { status as Rpc } from "@grpc/grpc-js";
import { aJobView, bareMethod, JOB_ID, startGrpc } from "../../../test/grpc.ts";
import type { JobSpec } from "../../domain/job-spec.ts";
import { JOB_STATES } from "../../domain/job.ts";
import type { ServerView, WorkerView } from "../../domain/views.ts";
import { AppError, type ErrorCode } from "../../errors.ts";
import {
  ListDLQRequest,
  ListJobsRequest,
  MasterServiceService,
  SubmitJobRequest,
} from "../../gen/conductor/master.ts";
import type { Operations } from "../operations.ts";

const AT = new Date("2026-11-22T10:00:00.000Z");
function aRequest(different: Partial<SubmitJobRequest>): SubmitJobRequest {
  return { ...SubmitJobRequest.fromPartial({}), ...different };
}

function aWorker(different: Partial<WorkerView> = {}): WorkerView {
  return {
    id: "w-1",
    name: "worker",
    state: "active",
    server: "s",
    host: "host-a",
    pid: 1,
    sdk: "sdk/1",
    slots: 10,
    runningCount: 2,
    tasks: ["image_processing"],
    queues: ["default"],
    labels: { zone: "x" },
    connectedAt: AT,
    seenAt: AT,
    ...different,
  };
}

function aServer(id: string, startedAt: string, isAlive = true): ServerView {
  return {
    id,
    name: `${id}-name`,
    version: "1",
    startedAt: new Date(startedAt),
    renewedAt: AT,
    workerCount: 0,
    isAlive,
  };
}

const COUNTS = { pending: 3, running: 2, dead: 1 };
const openDoor: Partial<Operations> = {
  workerList: async () => [aWorker()],
  jobCounts: async () => COUNTS,
};

describe("proto.MasterService.SubmitJob", () => {
  it("submits the job and answers success", async () => {
    const specs: JobSpec[] = [];
    await using bench = await startGrpc({
      ...openDoor,
      submit: async (given) => {
        specs.push(...given);
        return [{ jobId: JOB_ID, isDuplicate: false, state: "queued" }];
      },
    });

    const answer = await bench.answer(
      MasterServiceService.submitJob,
      aRequest({
        type: "image_processing",
        payload: Buffer.from('{"width":100}'),
        priority: 5,
        maxRetries: 3,
        timeoutSeconds: 60,
      }),
    );

    assert.deepEqual(answer, {
      jobId: JOB_ID,
      status: "success",
      message: "Job submitted successfully",
    });
    assert.deepEqual(specs, [
      {
        task: "image_processing",
        input: '{"width":100}',
        priority: 5,
        maxAttempts: 3,
        attemptTimeoutMs: 60_000,
      },
    ]);
  });

  const translations = [
    [
      "text that is not JSON as bytes",
      { payload: Buffer.from("test data") },
      { input: "dGVzdCBkYXRh", inputContentType: "application/octet-stream" },
    ],
    [
      "bytes as bytes",
      { payload: Buffer.from([0, 255]) },
      { input: "AP8=", inputContentType: "application/octet-stream" },
    ],
    ["no payload as null", {}, { input: "null" }],
    ["no retries as one attempt", { maxRetries: 0 }, { maxAttempts: 1 }],
    ["one retry as one attempt", { maxRetries: 1 }, { maxAttempts: 1 }],
    ["ten retries as ten attempts", { maxRetries: 10 }, { maxAttempts: 10 }],
    ["no timeout as the task's own", { timeoutSeconds: 0 }, { attemptTimeoutMs: undefined }],
  ] as const;
  for (const [what, request, expected] of translations) {
    it(`passes on ${what}`, async () => {
      const specs: JobSpec[] = [];
      await using bench = await startGrpc({
        ...openDoor,
        submit: async (given) => {
          specs.push(...given);
          return [{ jobId: JOB_ID, isDuplicate: false, state: "queued" }];
        },
      });

      await bench.answer(MasterServiceService.submitJob, aRequest({ type: "t", ...request }));

      assert.deepEqual({ ...specs[0], ...expected }, specs[0]);
    });
  }

  it("answers unavailable when no worker is connected", async () => {
    await using bench = await startGrpc({
      ...openDoor,
      workerList: async () => [aWorker({ state: "gone" }), aWorker({ state: "detached" })],
    });

    const answer = await bench.answer(MasterServiceService.submitJob, aRequest({ type: "t" }));

    assert.deepEqual([answer.jobId, answer.status], ["", "unavailable"]);
    assert.match(answer.message, /no workers are connected/);
  });

  it("answers overloaded when 10,000 jobs are pending", async () => {
    await using bench = await startGrpc({
      ...openDoor,
      jobCounts: async () => ({ ...COUNTS, pending: 10_000 }),
    });

    const answer = await bench.answer(MasterServiceService.submitJob, aRequest({ type: "t" }));

    assert.deepEqual([answer.jobId, answer.status], ["", "overloaded"]);
  });

  const refusals: readonly (readonly [ErrorCode, string])[] = [
    ["task_not_found", "error"],
    ["invalid_argument", "error"],
    ["resource_exhausted", "overloaded"],
    ["unavailable", "unavailable"],
  ];
  for (const [code, status] of refusals) {
    it(`answers ${status} when the operation refuses with ${code}`, async () => {
      await using bench = await startGrpc({
        ...openDoor,
        submit: () => Promise.reject(new AppError(code, `what is ${code}`)),
      });

      const answer = await bench.answer(MasterServiceService.submitJob, aRequest({ type: "t" }));

      assert.deepEqual(answer, { jobId: "", status, message: `what is ${code}` });
      assert.deepEqual(bench.logs, []);
    });
  }

  it("answers error without telling of the server's inside, and logs it once", async () => {
    await using bench = await startGrpc({
      ...openDoor,
      submit: () => Promise.reject(new TypeError("secret")),
    });

    const answer = await bench.answer(MasterServiceService.submitJob, aRequest({ type: "t" }));

    assert.equal(answer.status, "error");
    assert.doesNotMatch(answer.message, /secret/);
    assert.equal(bench.logs.length, 1);
  });

  const bad = [
    [{ maxRetries: -1 }, /max_retries must be a whole number from 0 to 1000; received -1/],
    [{ maxRetries: 1_001 }, /max_retries/],
    [{ timeoutSeconds: -1 }, /timeout_seconds must be a whole number from 0 to 31536000/],
    [{ timeoutSeconds: 31_536_001 }, /timeout_seconds/],
    [{ payload: Buffer.alloc(101) }, /payload may have 100 bytes; received 101/],
  ] as const;
  for (const [request, message] of bad) {
    it(`answers error: ${message.source}`, async () => {
      await using bench = await startGrpc(openDoor, { payloadBytesMax: 100 });

      const answer = await bench.answer(
        MasterServiceService.submitJob,
        aRequest({ type: "t", ...request }),
      );

      assert.equal(answer.status, "error");
      assert.match(answer.message, message);
    });
  }
});

describe("proto.MasterService.GetJobStatus", () => {
  const statuses = {
    waiting: "pending",
    scheduled: "pending",
    queued: "pending",
    running: "running",
    succeeded: "completed",
    dead: "failed",
    cancelled: "cancelled",
  } as const;
  for (const state of JOB_STATES) {
    it(`calls ${state} ${statuses[state]}`, async () => {
      await using bench = await startGrpc({ jobGet: async () => aJobView({ state }) });

      const { job } = await bench.answer(MasterServiceService.getJobStatus, { jobId: JOB_ID });

      assert.equal(job?.status, statuses[state]);
    });
  }

  it("tells all of a job that has succeeded", async () => {
    await using bench = await startGrpc({
      jobGet: async (id) =>
        aJobView({
          id,
          task: "data_analysis",
          state: "succeeded",
          priority: 7,
          attempt: 3,
          failureCount: 2,
          maxAttempts: 5,
          input: "AP8=",
          inputContentType: "application/octet-stream",
          result: '{"rows":1}',
          error: { code: "Error", message: "of the second attempt" },
          worker: "worker-1",
          startedAt: new Date(AT.getTime() + 1_000),
          finishedAt: new Date(AT.getTime() + 3_500),
          attemptTimeoutMs: 60_000,
        }),
    });

    const { job } = await bench.answer(MasterServiceService.getJobStatus, { jobId: JOB_ID });

    assert.deepEqual(job, {
      id: JOB_ID,
      type: "data_analysis",
      payload: Buffer.from([0, 255]),
      priority: 7,
      status: "completed",
      assignedTo: "worker-1",
      createdAt: AT,
      startedAt: new Date(AT.getTime() + 1_000),
      completedAt: new Date(AT.getTime() + 3_500),
      result: { success: true, output: Buffer.from('{"rows":1}'), error: "", durationMs: 2_500 },
      retryCount: 2,
      maxRetries: 5,
      errorMessage: "",
      timeoutSeconds: 60,
    });
  });

  it("tells why a job is dead", async () => {
    await using bench = await startGrpc({
      jobGet: async () => aJobView({ state: "dead", error: { code: "E", message: "boom" } }),
    });

    const { job } = await bench.answer(MasterServiceService.getJobStatus, { jobId: JOB_ID });

    assert.equal(job?.errorMessage, "boom");
    assert.deepEqual(job.result, {
      success: false,
      output: Buffer.alloc(0),
      error: "boom",
      durationMs: 0,
    });
  });

  it("tells of a running job's last error and no result", async () => {
    await using bench = await startGrpc({
      jobGet: async () => aJobView({ state: "running", error: { code: "E", message: "before" } }),
    });

    const { job } = await bench.answer(MasterServiceService.getJobStatus, { jobId: JOB_ID });

    assert.equal(job?.errorMessage, "before");
    assert.equal(job.result, undefined);
  });

  it("answers NOT_FOUND for an unknown job", async () => {
    await using bench = await startGrpc({
      jobGet: () => Promise.reject(new AppError("job_not_found", "no such job")),
    });

    const refusal = await bench.refusal(MasterServiceService.getJobStatus, { jobId: "x" });

    assert.deepEqual([refusal.status, refusal.message], [Rpc.NOT_FOUND, "no such job"]);
  });
});

describe("proto.MasterService.ListJobs and ListDLQ", () => {
  it("lists jobs of a status with a total", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      ...openDoor,
      jobList: async (options) => {
        asked.push(options);
        return { items: [aJobView({ state: "running" })] };
      },
    });

    const answer = await bench.answer(
      MasterServiceService.listJobs,
      ListJobsRequest.fromPartial({ statusFilter: "running", limit: 10 }),
    );

    assert.deepEqual([answer.jobs.map((job) => job.status), answer.total], [["running"], 2]);
    assert.deepEqual(asked, [
      { filter: { states: ["running"] }, limit: 10, cursor: undefined, includePayloads: true },
    ]);
  });

  it("lists the dead-letter queue, 100 jobs by default", async () => {
    const asked: unknown[] = [];
    await using bench = await startGrpc({
      ...openDoor,
      jobList: async ({ filter, limit }) => {
        asked.push(filter, limit);
        return { items: [aJobView({ state: "dead" })] };
      },
    });

    const answer = await bench.answer(MasterServiceService.listDlq, ListDLQRequest.fromPartial({}));

    assert.deepEqual([answer.jobs[0]?.status, answer.total], ["failed", 1]);
    assert.deepEqual(asked, [{ states: ["dead"] }, 100]);
  });

  it("knows no assigned jobs", async () => {
    await using bench = await startGrpc(openDoor);

    const answer = await bench.answer(
      MasterServiceService.listJobs,
      ListJobsRequest.fromPartial({ statusFilter: "assigned" }),
    );

    assert.deepEqual(answer, { jobs: [], total: 0 });
  });

  for (const statusFilter of ["queued", "Pending", "__proto__", "constructor"]) {
    it(`refuses the status ${statusFilter}`, async () => {
      await using bench = await startGrpc(openDoor);

      const refusal = await bench.refusal(
        MasterServiceService.listJobs,
        ListJobsRequest.fromPartial({ statusFilter }),
      );

      assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
      assert.match(refusal.message, /pending, assigned, running, completed, failed, cancelled/);
    });
  }
});

describe("proto.MasterService.CancelJob", () => {
  for (const [state, message] of [
    ["cancelled", "Job cancelled successfully"],
    ["running", "Job is being cancelled"],
  ] as const) {
    it(`answers success for a job that is ${state} afterwards`, async () => {
      const asked: unknown[] = [];
      await using bench = await startGrpc({
        cancel: async (...args) => {
          asked.push(args);
          return { state };
        },
      });

      const answer = await bench.answer(MasterServiceService.cancelJob, { jobId: JOB_ID });

      assert.deepEqual(answer, { success: true, message });
      assert.deepEqual(asked, [[JOB_ID, "cancelled by user"]]);
    });
  }

  it("answers no success for a job that has ended", async () => {
    await using bench = await startGrpc({
      cancel: () => Promise.reject(new AppError("job_finished", "it is dead")),
    });

    const answer = await bench.answer(MasterServiceService.cancelJob, { jobId: JOB_ID });

    assert.deepEqual(answer, { success: false, message: "it is dead" });
  });

  it("answers NOT_FOUND for an unknown job", async () => {
    await using bench = await startGrpc({
      cancel: () => Promise.reject(new AppError("job_not_found", "no such job")),
    });

    const refusal = await bench.refusal(MasterServiceService.cancelJob, { jobId: JOB_ID });

    assert.equal(refusal.status, Rpc.NOT_FOUND);
  });
});

describe("proto.MasterService.RetryFromDLQ", () => {
  it("redrives the job", async () => {
    const asked: string[] = [];
    await using bench = await startGrpc({ redrive: async (jobId) => void asked.push(jobId) });

    const answer = await bench.answer(MasterServiceService.retryFromDlq, { jobId: JOB_ID });

    assert.deepEqual(answer, { success: true, message: "Job moved back to its queue" });
    assert.deepEqual(asked, [JOB_ID]);
  });

  it("answers no success for a job that is not dead", async () => {
    await using bench = await startGrpc({
      redrive: () => Promise.reject(new AppError("job_not_dead", "it is queued")),
    });

    const answer = await bench.answer(MasterServiceService.retryFromDlq, { jobId: JOB_ID });

    assert.deepEqual(answer, { success: false, message: "it is queued" });
  });
});

describe("proto.MasterService.GetClusterHealth", () => {
  const servers = [
    aServer("server-3", "2026-11-01T00:00:00Z", false),
    aServer("server-2", "2026-11-03T00:00:00Z"),
    aServer("server-1", "2026-11-02T00:00:00Z"),
  ];
  const operations: Partial<Operations> = {
    serverList: async () => servers,
    workerList: async () => [aWorker(), aWorker({ state: "draining" }), aWorker({ state: "gone" })],
    jobCounts: async () => COUNTS,
  };

  for (const [serverId, isLeader, raftState] of [
    ["server-1", true, "Leader"],
    ["server-2", false, "Follower"],
  ] as const) {
    it(`names the oldest alive server leader to a caller of ${serverId}`, async () => {
      await using bench = await startGrpc(operations, { serverId: () => serverId });

      const answer = await bench.answer(MasterServiceService.getClusterHealth, {});

      assert.deepEqual(answer, {
        leaderId: "server-1",
        leaderAddress: "server-1-name",
        isLeader,
        workerCount: 2,
        activeWorkerCount: 1,
        pendingJobs: 3,
        runningJobs: 2,
        dlqJobs: 1,
        raftState,
      });
    });
  }

  it("names one leader of servers that started at once, whatever their order", async () => {
    const twins = [aServer("b", "2026-11-02T00:00:00Z"), aServer("a", "2026-11-02T00:00:00Z")];
    await using bench = await startGrpc({ ...operations, serverList: async () => twins });
    await using other = await startGrpc({
      ...operations,
      serverList: async () => twins.toReversed(),
    });

    const answers = await Promise.all([
      bench.answer(MasterServiceService.getClusterHealth, {}),
      other.answer(MasterServiceService.getClusterHealth, {}),
    ]);

    assert.deepEqual(
      answers.map(({ leaderId }) => leaderId),
      ["a", "a"],
    );
  });
});

describe("proto.MasterService.ListWorkers", () => {
  const workers = [
    aWorker(),
    aWorker({ id: "w-2", state: "draining" }),
    aWorker({ id: "w-3", state: "detached" }),
    aWorker({ id: "w-4", state: "gone" }),
  ];

  for (const [statusFilter, ids] of [
    ["", ["w-1", "w-2", "w-3", "w-4"]],
    ["active", ["w-1"]],
    ["inactive", ["w-2", "w-3"]],
    ["dead", ["w-4"]],
  ] as const) {
    it(`lists workers of the status ${JSON.stringify(statusFilter)}`, async () => {
      await using bench = await startGrpc({ workerList: async () => workers });

      const answer = await bench.answer(MasterServiceService.listWorkers, { statusFilter });

      assert.deepEqual(
        answer.workers.map(({ id }) => id),
        ids,
      );
      assert.equal(answer.total, ids.length);
    });
  }

  it("tells all of a worker", async () => {
    await using bench = await startGrpc({ workerList: async () => workers });

    const answer = await bench.answer(MasterServiceService.listWorkers, { statusFilter: "active" });

    assert.deepEqual(answer.workers, [
      {
        id: "w-1",
        address: "host-a",
        maxConcurrentJobs: 10,
        activeJobs: 2,
        status: "active",
        lastHeartbeat: AT,
        capabilities: { image_processing: "true", zone: "x" },
      },
    ]);
  });

  it("refuses another status", async () => {
    await using bench = await startGrpc({ workerList: async () => workers });

    const refusal = await bench.refusal(MasterServiceService.listWorkers, { statusFilter: "up" });

    assert.equal(refusal.status, Rpc.INVALID_ARGUMENT);
  });
});

describe("the wire of proto.MasterService", () => {
  // Bytes written by hand from the field numbers of the foreign specification, not by our generator.
  const id = Buffer.from("job");
  const text = (field: number, value: string | Uint8Array) =>
    Buffer.concat([Buffer.from([(field << 3) | 2, value.length]), Buffer.from(value)]);
  const number = (field: number, value: number) => Buffer.from([field << 3, value]);
  const at = new Date(100_000);

  it("reads SubmitJobRequest and writes SubmitJobResponse by their field numbers", async () => {
    const specs: JobSpec[] = [];
    await using bench = await startGrpc({
      ...openDoor,
      submit: async (given) => {
        specs.push(...given);
        return [{ jobId: "job", isDuplicate: false, state: "queued" }];
      },
    });

    const answer = await bench.answer(
      bareMethod("/proto.MasterService/SubmitJob"),
      Buffer.concat([text(1, "web"), text(2, "[1]"), number(3, 9), number(4, 2), number(5, 30)]),
    );

    assert.deepEqual(specs, [
      { task: "web", input: "[1]", priority: 9, maxAttempts: 2, attemptTimeoutMs: 30_000 },
    ]);
    assert.deepEqual(
      answer,
      Buffer.concat([text(1, "job"), text(2, "success"), text(3, "Job submitted successfully")]),
    );
  });

  it("writes Job with JobResult by their field numbers", async () => {
    const asked: string[] = [];
    await using bench = await startGrpc({
      jobGet: async (jobId) => {
        asked.push(jobId);
        return aJobView({
          id: "job",
          task: "web",
          input: "[1]",
          priority: 9,
          state: "succeeded",
          worker: "w",
          createdAt: at,
          startedAt: at,
          finishedAt: new Date(100_007),
          result: "[2]",
          failureCount: 1,
          maxAttempts: 2,
          attemptTimeoutMs: 30_000,
        });
      },
    });

    const answer = await bench.answer(bareMethod("/proto.MasterService/GetJobStatus"), text(1, id));

    const seconds = (field: number) => text(field, number(1, 100));
    const finished = text(
      9,
      Buffer.concat([number(1, 100), Buffer.from([0x10, 0xc0, 0x9f, 0xab, 0x03])]),
    );
    const result = Buffer.concat([number(1, 1), text(2, "[2]"), number(4, 7)]);
    assert.deepEqual(asked, ["job"]);
    assert.deepEqual(
      answer,
      text(
        1,
        Buffer.concat([
          text(1, "job"),
          text(2, "web"),
          text(3, "[1]"),
          number(4, 9),
          text(5, "completed"),
          text(6, "w"),
          seconds(7),
          seconds(8),
          finished,
          text(10, result),
          number(11, 1),
          number(12, 2),
          number(14, 30),
        ]),
      ),
    );
  });

  it("writes error_message and JobResult.error by their field numbers", async () => {
    await using bench = await startGrpc({
      jobGet: async () =>
        aJobView({
          id: "job",
          task: "t",
          input: "",
          state: "dead",
          createdAt: at,
          maxAttempts: 1,
          failureCount: 1,
          error: { code: "E", message: "boom" },
        }),
    });

    const answer = await bench.answer(bareMethod("/proto.MasterService/GetJobStatus"), text(1, id));

    assert.deepEqual(
      answer,
      text(
        1,
        Buffer.concat([
          text(1, "job"),
          text(2, "t"),
          text(5, "failed"),
          text(7, number(1, 100)),
          text(10, text(3, "boom")),
          number(11, 1),
          number(12, 1),
          text(13, "boom"),
        ]),
      ),
    );
  });

  const lists = [
    ["ListJobs", Buffer.concat([text(1, "failed"), number(2, 4), number(3, 1)])],
    ["ListDLQ", Buffer.concat([number(1, 4), number(2, 1)])],
  ] as const;
  for (const [name, request] of lists) {
    it(`reads and writes ${name} by its field numbers`, async () => {
      const asked: unknown[] = [];
      await using bench = await startGrpc({
        jobCounts: async () => ({ pending: 0, running: 0, dead: 9 }),
        jobList: async ({ limit, cursor }) => {
          asked.push([limit, cursor]);
          return { items: [aJobView({ id: "job", state: "dead" })], nextCursor: "more" };
        },
      });

      const answer = await bench.answer(bareMethod(`/proto.MasterService/${name}`), request);

      assert.deepEqual(asked, [
        [1, undefined],
        [4, "more"],
        [3, "more"],
        [2, "more"],
        [1, "more"],
      ]);
      assert.deepEqual(answer.subarray(0, 1), Buffer.from([0x0a]));
      assert.deepEqual(answer.subarray(-2), number(2, 9));
    });
  }

  const changes = [
    ["CancelJob", "Job cancelled successfully"],
    ["RetryFromDLQ", "Job moved back to its queue"],
  ] as const;
  for (const [name, message] of changes) {
    it(`reads and writes ${name} by its field numbers`, async () => {
      const asked: string[] = [];
      await using bench = await startGrpc({
        cancel: async (jobId) => {
          asked.push(jobId);
          return { state: "cancelled" };
        },
        redrive: async (jobId) => void asked.push(jobId),
      });

      const answer = await bench.answer(bareMethod(`/proto.MasterService/${name}`), text(1, id));

      assert.deepEqual(asked, ["job"]);
      assert.deepEqual(answer, Buffer.concat([number(1, 1), text(2, message)]));
    });
  }

  it("writes GetClusterHealthResponse by its field numbers", async () => {
    await using bench = await startGrpc({
      serverList: async () => [aServer("server-1", "2026-11-02T00:00:00Z")],
      workerList: async () => [aWorker(), aWorker({ state: "draining" })],
      jobCounts: async () => ({ pending: 5, running: 6, dead: 7 }),
    });

    const answer = await bench.answer(
      bareMethod("/proto.MasterService/GetClusterHealth"),
      Buffer.alloc(0),
    );

    assert.deepEqual(
      answer,
      Buffer.concat([
        text(1, "server-1"),
        text(2, "server-1-name"),
        number(3, 1),
        number(4, 2),
        number(5, 1),
        number(6, 5),
        number(7, 6),
        number(8, 7),
        text(9, "Leader"),
      ]),
    );
  });

  it("reads ListWorkersRequest and writes WorkerInfo by their field numbers", async () => {
    await using bench = await startGrpc({
      workerList: async () => [
        aWorker({ id: "w", host: "h", tasks: ["t"], labels: {}, seenAt: new Date(100_000) }),
        aWorker({ state: "gone" }),
      ],
    });

    const answer = await bench.answer(
      bareMethod("/proto.MasterService/ListWorkers"),
      text(1, "active"),
    );

    const worker = Buffer.concat([
      text(1, "w"),
      text(2, "h"),
      number(3, 10),
      number(4, 2),
      text(5, "active"),
      text(6, number(1, 100)),
      text(7, Buffer.concat([text(1, "t"), text(2, "true")])),
    ]);
    assert.deepEqual(answer, Buffer.concat([text(1, worker), number(2, 1)]));
  });

  for (const name of ["JoinCluster", "RegisterWorker", "Heartbeat", "ReportResult"]) {
    it(`answers UNIMPLEMENTED to ${name}, which workers and masters of the old system use`, async () => {
      await using bench = await startGrpc();

      const refusal = await bench.refusal(
        bareMethod(`/proto.MasterService/${name}`),
        Buffer.alloc(0),
      );

      assert.equal(refusal.status, Rpc.UNIMPLEMENTED);
    });
  }
});
