import type { ConnectionOptions } from "./connection.ts";
import type { EnqueueOptions } from "./enqueue-options.ts";
import type { JobHandle } from "./job-handle.ts";
import type { JobRequest } from "./job-spec.ts";
import type { JsonOf } from "./json-type.ts";
import type { SubmitStreamOptions, SubmitStreamResult } from "./submit-stream.ts";
import type { Task } from "./task.ts";
import type {
  CancelManyResult,
  Job,
  JobEvent,
  JobFilter,
  JobPage,
  LogLine,
  QueueView,
  RedriveManyResult,
  ServerView,
  TaskDefinition,
  WorkerView,
} from "./views.ts";

export interface ClientOptions extends ConnectionOptions {
  /** Of one call, repetitions included. @default 30,000 */
  readonly timeoutMs?: number | undefined;
  /** For so long a server that cannot be reached is tried again, so that a restart is not felt. @default 10,000 */
  readonly connectTimeoutMs?: number | undefined;
}

/** Options of all jobs of a bulk, or of each. */
export type BulkOptions<Input> = EnqueueOptions | ((input: Input, index: number) => EnqueueOptions);

/**
 * A connection to Baton. Every method throws BatonError. Calls that only look, and calls that do the same when done
 * twice, are repeated while the server is away, until `timeoutMs`; a submission is repeated only with an
 * `idempotencyKey`, or when it surely never left this process.
 */
export interface Client {
  /**
   * Submits one job. Resolves after the server has committed it.
   *
   * With a task, the input is checked by the task's validator first, and a server that does not know the task yet is
   * given its definition.
   *
   * @throws BatonError invalid_input, invalid_argument, payload_too_large, task_not_found (by name only),
   *   idempotency_conflict, unique_conflict, resource_exhausted, unavailable, connection_failed, deadline_exceeded
   */
  enqueue<Input, Output>(
    task: Task<Input, Output>,
    input: NoInfer<Input>,
    options?: EnqueueOptions,
  ): Promise<JobHandle<JsonOf<Output>>>;
  enqueue<Output = unknown>(
    task: string,
    input?: unknown,
    options?: EnqueueOptions,
  ): Promise<JobHandle<Output>>;
  /**
   * Submits 1 to 10,000 jobs, all or none, in order. Options are the same for all, or made for each by a function.
   * The second form takes jobs of different tasks.
   *
   * @throws BatonError bulk_rejected with `details.items: {index, code, message}[]`; else as {@link enqueue}
   */
  enqueueMany<Input, Output>(
    task: Task<Input, Output>,
    inputs: readonly NoInfer<Input>[],
    options?: BulkOptions<NoInfer<Input>>,
  ): Promise<readonly JobHandle<JsonOf<Output>>[]>;
  enqueueMany<Output = unknown>(
    task: string,
    inputs: readonly unknown[],
    options?: BulkOptions<unknown>,
  ): Promise<readonly JobHandle<Output>[]>;
  enqueueMany(requests: readonly JobRequest[]): Promise<readonly JobHandle[]>;
  /** Submits any number of jobs over one stream. See {@link SubmitStreamResult}. */
  submitStream(
    requests: AsyncIterable<JobRequest> | Iterable<JobRequest>,
    options?: SubmitStreamOptions,
  ): Promise<SubmitStreamResult>;
  /** A handle for a job whose id is known. Asks nothing. */
  job<Output = unknown>(id: string): JobHandle<Output>;
  /** One job with its attempts. @throws BatonError job_not_found */
  getJob<Output = unknown>(id: string): Promise<Job<Output>>;
  /** One page, newest first. */
  listJobs(filter?: JobFilter, options?: ListOptions): Promise<JobPage>;
  /** All jobs that match, page by page, newest first. */
  jobs(
    filter?: JobFilter,
    options?: { readonly includePayloads?: boolean | undefined },
  ): AsyncIterable<Job>;
  /** Changes of state of matching jobs. Ends quietly when the signal aborts. */
  watch(filter?: JobFilter, options?: WatchOptions): AsyncIterable<JobEvent>;
  /** Cancels up to `limit` unfinished jobs that match. */
  cancelMany(filter: JobFilter, options?: CancelManyOptions): Promise<CancelManyResult>;
  /** Puts a dead job back to its queue with fresh attempts. @throws BatonError job_not_found, job_not_dead */
  redrive(id: string): Promise<void>;
  /** Puts up to `limit` dead jobs that match back to their queues. */
  redriveMany(filter: JobFilter, options?: LimitOption): Promise<RedriveManyResult>;
  readonly queues: {
    list(): Promise<readonly QueueView[]>;
    /** Nothing of the queue starts any more; running jobs go on. Creates the queue when it is new. */
    pause(name: string, reason?: string): Promise<QueueView>;
    /** @throws BatonError queue_not_found */
    resume(name: string): Promise<QueueView>;
  };
  readonly tasks: {
    list(): Promise<readonly TaskDefinition[]>;
    /** @throws BatonError task_not_found */
    get(name: string): Promise<TaskDefinition>;
    /** Creates or replaces a definition, so that jobs can be submitted before any worker has come. */
    put(task: Task | TaskDefinition): Promise<TaskDefinition>;
  };
  workers(): Promise<readonly WorkerView[]>;
  servers(): Promise<readonly ServerView[]>;
  /** Log lines of a job, oldest first, all attempts or one. @throws BatonError job_not_found */
  logs(jobId: string, options?: { readonly attempt?: number | undefined }): AsyncIterable<LogLine>;
  /** Closes the connection. Calls and watches under way fail. */
  close(): void;
}

export interface LimitOption {
  /** 1 to 10,000. @default 1,000 */
  readonly limit?: number | undefined;
}

export interface CancelManyOptions extends LimitOption {
  /** Shown with the jobs, at most 1,000 characters. */
  readonly reason?: string | undefined;
}

export interface ListOptions {
  /** 1 to 1,000. @default 50 */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
  /** With input and result. @default false */
  readonly includePayloads?: boolean | undefined;
}

export interface WatchOptions {
  /** Deliver what came after this event. @default from now on */
  readonly afterSequence?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
