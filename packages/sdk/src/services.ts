/** The generated clients, on one channel, with their unary methods as plain functions. */
import type { Connection } from "./connection.ts";
import {
  QueueServiceClient,
  ServerServiceClient,
  TaskServiceClient,
} from "./gen/baton/v1/admin.ts";
import type {
  GetTaskRequest,
  ListQueuesRequest,
  ListQueuesResponse,
  ListServersRequest,
  ListServersResponse,
  ListTasksRequest,
  ListTasksResponse,
  PauseQueueRequest,
  Queue,
  ResumeQueueRequest,
} from "./gen/baton/v1/admin.ts";
import { JobServiceClient } from "./gen/baton/v1/job.ts";
import type {
  CancelRequest,
  CancelResponse,
  GetJobRequest,
  Job,
  JobSpec,
  ListJobsRequest,
  ListJobsResponse,
  ListLogsRequest,
  ListLogsResponse,
  RedriveRequest,
  RedriveResponse,
  SubmitManyRequest,
  SubmitManyResponse,
  SubmitResponse,
} from "./gen/baton/v1/job.ts";
import { WorkerServiceClient } from "./gen/baton/v1/worker.ts";
import type {
  ListWorkersRequest,
  ListWorkersResponse,
  TaskDefinition,
} from "./gen/baton/v1/worker.ts";
import { OpenCalls } from "./open-calls.ts";
import type { CallTarget, UnaryMethod } from "./unary.ts";

export interface Services extends CallTarget {
  /** For its streams. */
  readonly raw: JobServiceClient;
  readonly jobs: {
    readonly submit: UnaryMethod<JobSpec, SubmitResponse>;
    readonly submitMany: UnaryMethod<SubmitManyRequest, SubmitManyResponse>;
    readonly get: UnaryMethod<GetJobRequest, Job>;
    readonly list: UnaryMethod<ListJobsRequest, ListJobsResponse>;
    readonly cancel: UnaryMethod<CancelRequest, CancelResponse>;
    readonly redrive: UnaryMethod<RedriveRequest, RedriveResponse>;
    readonly listLogs: UnaryMethod<ListLogsRequest, ListLogsResponse>;
  };
  readonly queues: {
    readonly list: UnaryMethod<ListQueuesRequest, ListQueuesResponse>;
    readonly pause: UnaryMethod<PauseQueueRequest, Queue>;
    readonly resume: UnaryMethod<ResumeQueueRequest, Queue>;
  };
  readonly tasks: {
    readonly list: UnaryMethod<ListTasksRequest, ListTasksResponse>;
    readonly get: UnaryMethod<GetTaskRequest, TaskDefinition>;
    readonly put: UnaryMethod<TaskDefinition, TaskDefinition>;
  };
  readonly workers: { readonly list: UnaryMethod<ListWorkersRequest, ListWorkersResponse> };
  readonly servers: { readonly list: UnaryMethod<ListServersRequest, ListServersResponse> };
  readonly close: () => void;
}

/** Makes the clients; the channel connects with the first call. */
export function openServices(connection: Connection): Services {
  const { address, credentials, channelOptions } = connection;
  const raw = new JobServiceClient(address, credentials, channelOptions);
  const shared = { ...channelOptions, channelOverride: raw.getChannel() };
  const queues = new QueueServiceClient(address, credentials, shared);
  const tasks = new TaskServiceClient(address, credentials, shared);
  const workers = new WorkerServiceClient(address, credentials, shared);
  const servers = new ServerServiceClient(address, credentials, shared);
  const calls = new OpenCalls();
  return {
    connection,
    calls,
    raw,
    jobs: {
      submit: (...parameters) => raw.submit(...parameters),
      submitMany: (...parameters) => raw.submitMany(...parameters),
      get: (...parameters) => raw.get(...parameters),
      list: (...parameters) => raw.list(...parameters),
      cancel: (...parameters) => raw.cancel(...parameters),
      redrive: (...parameters) => raw.redrive(...parameters),
      listLogs: (...parameters) => raw.listLogs(...parameters),
    },
    queues: {
      list: (...parameters) => queues.list(...parameters),
      pause: (...parameters) => queues.pause(...parameters),
      resume: (...parameters) => queues.resume(...parameters),
    },
    tasks: {
      list: (...parameters) => tasks.list(...parameters),
      get: (...parameters) => tasks.get(...parameters),
      put: (...parameters) => tasks.put(...parameters),
    },
    workers: { list: (...parameters) => workers.list(...parameters) },
    servers: { list: (...parameters) => servers.list(...parameters) },
    close: () => {
      calls.close();
      raw.close();
    },
  };
}
