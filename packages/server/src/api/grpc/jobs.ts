/** baton.v1.JobService. */
import {
  CancelRequest,
  type CancelResponse,
  GetJobRequest,
  JobServiceService,
  JobSpec,
  ListJobsRequest,
  ListLogsRequest,
  RedriveRequest,
  type RedriveResponse,
  SubmitManyRequest,
  type SubmitManyResponse,
  WatchRequest,
  type WatchResponse,
} from "@baton/sdk/contract";
import type { JobSpec as DomainJobSpec, SubmitResult } from "../../domain/job-spec.ts";
import { AppError } from "../../errors.ts";
import type { Operations } from "../operations.ts";
import { decodeMessage } from "./decode.ts";
import { refusedBulk } from "./error-bounds.ts";
import { jobFilterFromMessage, targetFromMessage } from "./filter-message.ts";
import { jobEventMessage, jobMessage, logLineMessage } from "./job-message.ts";
import { type BulkJobs, jobSpecFromMessage, jobSpecsFromMessages } from "./job-spec-message.ts";
import { clientStream, type MethodContext, type Methods, serverStream, unary } from "./methods.ts";
import { presentText } from "./present.ts";
import { submitStream } from "./submit-stream.ts";

/** @param payloadBytesMax largest input of a job, in bytes */
export function jobMethods(
  operations: Operations,
  context: MethodContext,
  payloadBytesMax: number,
): Methods<typeof JobServiceService> {
  const service = JobServiceService;
  return {
    // Messages are translated before anything waits, so that they are garbage while it does.
    submit: unary(context, service.submit, decodeMessage(JobSpec), (message) =>
      submitOne(operations, jobSpecFromMessage(message, payloadBytesMax)),
    ),
    submitMany: unary(
      context,
      service.submitMany,
      decodeMessage(SubmitManyRequest),
      ({ jobs, reportRefused }) =>
        submitMany(operations, jobSpecsFromMessages(jobs, payloadBytesMax), reportRefused === true),
    ),
    submitStream: clientStream(
      context,
      service.submitStream,
      decodeMessage(SubmitManyRequest),
      (call) =>
        submitStream(call, {
          operations,
          payloadBytesMax,
          path: service.submitStream.path,
          logger: context.logger,
        }),
    ),
    get: unary(context, service.get, decodeMessage(GetJobRequest), async ({ jobId }) => {
      const [job, attempts] = await Promise.all([
        operations.jobGet(jobId),
        operations.attemptList(jobId),
      ]);
      return jobMessage(job, attempts);
    }),
    list: unary(context, service.list, decodeMessage(ListJobsRequest), async (request) => {
      const page = await operations.jobList({
        filter: request.filter && jobFilterFromMessage(request.filter),
        limit: request.limit,
        cursor: presentText(request.cursor),
        includePayloads: request.includePayloads,
      });
      return {
        jobs: page.items.map((job) => jobMessage(job)),
        nextCursor: page.nextCursor ?? "",
      };
    }),
    cancel: unary(context, service.cancel, decodeMessage(CancelRequest), (request) =>
      cancel(operations, request),
    ),
    redrive: unary(context, service.redrive, decodeMessage(RedriveRequest), (request) =>
      redrive(operations, request),
    ),
    watch: serverStream(context, service.watch, decodeMessage(WatchRequest), (request, signal) =>
      watch(operations, request, signal),
    ),
    listLogs: unary(context, service.listLogs, decodeMessage(ListLogsRequest), async (request) => {
      const page = await operations.logList({
        jobId: request.jobId,
        attempt: request.attempt === 0 ? undefined : request.attempt,
        limit: request.limit,
        cursor: presentText(request.cursor),
      });
      return { lines: page.items.map(logLineMessage), nextCursor: page.nextCursor ?? "" };
    }),
  };
}

async function submitOne(operations: Operations, spec: DomainJobSpec): Promise<SubmitResult> {
  const [result] = await operations.submit([spec]);
  if (result === undefined) throw new Error("submit answered nothing for one job");
  return result;
}

async function submitMany(
  operations: Operations,
  { specs, unread }: BulkJobs,
  reportsRefused: boolean,
): Promise<SubmitManyResponse> {
  try {
    return { jobs: [...(await operations.submit(specs, unread))] };
  } catch (error) {
    const refused = reportsRefused ? refusedBulk(error) : undefined;
    if (refused === undefined) throw error;
    return { jobs: [], refused };
  }
}

async function cancel(operations: Operations, request: CancelRequest): Promise<CancelResponse> {
  const target = targetFromMessage(request);
  const reason = presentText(request.reason);
  switch (target.kind) {
    case "job": {
      const { state } = await operations.cancel(target.jobId, reason);
      return {
        cancelledCount: state === "cancelled" ? 1 : 0,
        requestedCount: state === "running" ? 1 : 0,
        hasMore: false,
      };
    }
    case "filter":
      return operations.cancelMany(target.filter, request.limit, reason);
  }
}

async function redrive(operations: Operations, request: RedriveRequest): Promise<RedriveResponse> {
  const target = targetFromMessage(request);
  switch (target.kind) {
    case "job":
      await operations.redrive(target.jobId);
      return { redrivenCount: 1, hasMore: false };
    case "filter":
      return operations.redriveMany(target.filter, request.limit);
  }
}

async function* watch(
  operations: Operations,
  request: WatchRequest,
  signal: AbortSignal,
): AsyncIterable<WatchResponse> {
  const target = targetFromMessage(request);
  switch (target.kind) {
    case "job":
      if (request.afterSequence !== undefined) {
        throw new AppError(
          "invalid_argument",
          "after_sequence goes with a filter: a job's present shape always comes first.",
          { field: "afterSequence" },
        );
      }
      for await (const job of operations.watchJob(target.jobId, signal)) {
        yield { sequence: 0, at: undefined, job: jobMessage(job) };
      }
      return;
    case "filter": {
      const { filter } = target;
      for await (const event of operations.watchEvents(filter, request.afterSequence, signal)) {
        yield { sequence: event.sequence, at: event.at, job: jobEventMessage(event) };
      }
    }
  }
}
