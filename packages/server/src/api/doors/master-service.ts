/**
 * proto.MasterService: the client surface of the Raft-backed scheduler that Baton replaces, wire-compatible with it. Its
 * words are translated here; docs/grpc.md says what differs.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  CancelJobRequest,
  type CancelJobResponse,
  GetClusterHealthRequest,
  type GetClusterHealthResponse,
  GetJobStatusRequest,
  ListDLQRequest,
  ListJobsRequest,
  ListWorkersRequest,
  MasterServiceService,
  RetryFromDLQRequest,
  type RetryFromDLQResponse,
  SubmitJobRequest,
  type SubmitJobResponse,
} from "../../gen/conductor/master.ts";
import { AppError } from "../../errors.ts";
import { strictDecoder } from "../grpc/decode.ts";
import { publicError } from "../grpc/error-status.ts";
import { type MethodContext, type Methods, unary } from "../grpc/methods.ts";
import type { Operations } from "../operations.ts";
import { createCapacity } from "./master-capacity.ts";
import { masterJobMessage, masterJobSpec, statesOf } from "./master-job.ts";
import { jobsAtOffset, jobTotal } from "./master-pages.ts";
import { masterWorkerMessage, workerStatusFilter } from "./master-worker.ts";

export interface MasterOptions {
  readonly operations: Operations;
  readonly context: MethodContext;
  /** Id of this server as in `operations.serverList()`. */
  readonly serverId: () => string;
  /** Largest payload of a job, in bytes. */
  readonly payloadBytesMax: number;
}

/** Jobs of one answer where the caller names no number. */
const JOBS_LIMIT_DEFAULT = 10_000;
const DLQ_LIMIT_DEFAULT = 100;

const decode = strictDecoder(BinaryReader);

export function masterMethods(options: MasterOptions): Methods<typeof MasterServiceService> {
  const { operations, context } = options;
  const service = MasterServiceService;
  const submitJob = submitter(options);
  return {
    submitJob: unary(context, service.submitJob, decode(SubmitJobRequest), submitJob),
    getJobStatus: unary(
      context,
      service.getJobStatus,
      decode(GetJobStatusRequest),
      async ({ jobId }) => ({ job: masterJobMessage(await operations.jobGet(jobId)) }),
    ),
    listJobs: unary(context, service.listJobs, decode(ListJobsRequest), async (request) => {
      const states = statesOf(request.statusFilter);
      const page = await jobsAtOffset(operations, states, request, JOBS_LIMIT_DEFAULT);
      const total = await jobTotal(operations, request.statusFilter, page.seenCount);
      return { jobs: page.jobs.map(masterJobMessage), total };
    }),
    cancelJob: unary(context, service.cancelJob, decode(CancelJobRequest), (request) =>
      cancelJob(operations, request),
    ),
    listDlq: unary(context, service.listDlq, decode(ListDLQRequest), async (request) => {
      const page = await jobsAtOffset(operations, ["dead"], request, DLQ_LIMIT_DEFAULT);
      const total = await jobTotal(operations, "failed", page.seenCount);
      return { jobs: page.jobs.map(masterJobMessage), total };
    }),
    retryFromDlq: unary(context, service.retryFromDlq, decode(RetryFromDLQRequest), (request) =>
      retryFromDlq(operations, request),
    ),
    getClusterHealth: unary(
      context,
      service.getClusterHealth,
      decode(GetClusterHealthRequest),
      () => clusterHealth(options),
    ),
    listWorkers: unary(
      context,
      service.listWorkers,
      decode(ListWorkersRequest),
      async (request) => {
        const matches = workerStatusFilter(request.statusFilter);
        const workers = (await operations.workerList()).filter(matches).map(masterWorkerMessage);
        return { workers, total: workers.length };
      },
    ),
  };
}

/** Submits one job; what goes wrong is told by `status` and `message`, as callers of this service expect. */
function submitter({
  operations,
  context,
  payloadBytesMax,
}: MasterOptions): (request: SubmitJobRequest) => Promise<SubmitJobResponse> {
  const capacity = createCapacity(operations);
  return async (request) => {
    try {
      const verdict = await capacity.check();
      if (verdict.kind !== "open") return refusal(verdict.kind, verdict.message);
      const [result] = await operations.submit([masterJobSpec(request, payloadBytesMax)]);
      if (result === undefined) throw new Error("submit answered nothing for one job");
      capacity.countAccepted();
      return { jobId: result.jobId, status: "success", message: "Job submitted successfully" };
    } catch (error) {
      const { path } = MasterServiceService.submitJob;
      const { code, message } = publicError(error, path, context.logger);
      if (code === "resource_exhausted") return refusal("overloaded", message);
      return refusal(code === "unavailable" ? "unavailable" : "error", message);
    }
  };
}

function refusal(
  status: "error" | "unavailable" | "overloaded",
  message: string,
): SubmitJobResponse {
  return { jobId: "", status, message: message.toWellFormed() };
}

async function cancelJob(
  operations: Operations,
  request: CancelJobRequest,
): Promise<CancelJobResponse> {
  try {
    const { state } = await operations.cancel(request.jobId, "cancelled by user");
    const message = state === "cancelled" ? "Job cancelled successfully" : "Job is being cancelled";
    return { success: true, message };
  } catch (error) {
    return refusedChange(error, "job_finished");
  }
}

async function retryFromDlq(
  operations: Operations,
  request: RetryFromDLQRequest,
): Promise<RetryFromDLQResponse> {
  try {
    await operations.redrive(request.jobId);
    return { success: true, message: "Job moved back to its queue" };
  } catch (error) {
    return refusedChange(error, "job_not_dead");
  }
}

/** A job in the wrong state is an answer; everything else stays an error. */
function refusedChange(
  error: unknown,
  expected: "job_finished" | "job_not_dead",
): { success: boolean; message: string } {
  if (error instanceof AppError && error.code === expected) {
    return { success: false, message: error.message };
  }
  throw error;
}

async function clusterHealth({
  operations,
  serverId,
}: MasterOptions): Promise<GetClusterHealthResponse> {
  const [servers, workers, counts] = await Promise.all([
    operations.serverList(),
    operations.workerList(),
    operations.jobCounts(),
  ]);
  // Every server is equal; callers of this service want to know one leader, and the same from every server.
  const [leader] = servers
    .filter((server) => server.isAlive)
    .toSorted(
      (left, right) =>
        left.startedAt.getTime() - right.startedAt.getTime() || (left.id < right.id ? -1 : 1),
    );
  const isLeader = leader?.id === serverId();
  return {
    leaderId: leader?.id ?? "",
    leaderAddress: leader?.name ?? "",
    isLeader,
    workerCount: workers.filter((worker) => worker.state !== "gone").length,
    activeWorkerCount: workers.filter((worker) => worker.state === "active").length,
    pendingJobs: counts.pending,
    runningJobs: counts.running,
    dlqJobs: counts.dead,
    raftState: isLeader ? "Leader" : "Follower",
  };
}
