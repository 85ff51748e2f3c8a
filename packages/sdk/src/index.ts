/** Client, tasks and workers for Baton. See docs/sdk.md. */
export type {
  BulkOptions,
  CancelManyOptions,
  Client,
  ClientOptions,
  LimitOption,
  ListOptions,
  WatchOptions,
} from "./client.ts";
export type { ConnectionOptions } from "./connection.ts";
export type { JobInfo, TaskContext, TaskLog } from "./context.ts";
export {
  Cancelled,
  Fatal,
  LeaseLost,
  RetryAfter,
  Snooze,
  TimedOut,
  WorkerStopped,
} from "./control-errors.ts";
export type { FatalOptions, TimeoutReason } from "./control-errors.ts";
export { createClient } from "./create-client.ts";
export type { EnqueueOptions } from "./enqueue-options.ts";
export { BatonError, JobFailedError } from "./errors.ts";
export type { BatonErrorCode, ClientErrorCode, ServerErrorCode } from "./errors.ts";
export type { JobHandle, ResultOptions } from "./job-handle.ts";
export type { JobRequest } from "./job-spec.ts";
export type { JsonOf } from "./json-type.ts";
export type { RetryPolicy } from "./retry-policy.ts";
export type { InputIssue } from "./schema.ts";
export type {
  RefusedBatch,
  SubmitStreamOptions,
  SubmitStreamProgress,
  SubmitStreamResult,
} from "./submit-stream.ts";
export { isTask, task } from "./task.ts";
export type { PlainTaskOptions, SchemaTaskOptions, Task, TaskSettings } from "./task.ts";
export { VERSION } from "./version.ts";
export type {
  Attempt,
  AttemptOutcome,
  CancelManyResult,
  Job,
  JobError,
  JobEvent,
  JobFilter,
  JobPage,
  JobState,
  LogLevel,
  LogLine,
  QueueView,
  RedriveManyResult,
  ServerView,
  TaskDefinition,
  WorkerView,
} from "./views.ts";
export { createWorker } from "./worker/create-worker.ts";
export type { WorkerLogger } from "./worker/logger.ts";
export type { WorkerOptions } from "./worker/options.ts";
export type { Worker, WorkerState } from "./worker/worker.ts";
