import { resolveConnection } from "./connection.ts";
import type { ConnectionOptions } from "./connection.ts";
import type { EnqueueOptions } from "./enqueue-options.ts";
import { BatonError } from "./errors.ts";
import { toWireFilter } from "./filter.ts";
import {
  toJob,
  toJobState,
  toLogLine,
  toQueue,
  toServer,
  toTaskDefinition,
  toWorker,
} from "./from-wire.ts";
import type { JobSpec, SubmitResponse } from "./gen/baton/v1/job.ts";
import { awaitResult } from "./job-handle.ts";
import type { JobHandle } from "./job-handle.ts";
import { toJobSpec, toWireTaskDefinition } from "./job-spec.ts";
import type { JobRequest } from "./job-spec.ts";
import type { JsonOf } from "./json-type.ts";
import {
  CALL_TIMEOUT_MS_DEFAULT,
  CONNECT_TIMEOUT_MS_DEFAULT,
  MESSAGE_BYTES_MAX,
  PAGE_JOBS,
} from "./limits.ts";
import { openServices } from "./services.ts";
import type { Services } from "./services.ts";
import { submitStream } from "./submit-stream.ts";
import type { SubmitStreamOptions, SubmitStreamResult } from "./submit-stream.ts";
import { isTask } from "./task.ts";
import type { Task } from "./task.ts";
import { callUnary } from "./unary.ts";
import type { UnaryMethod, UnaryOptions } from "./unary.ts";
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
import { watchEvents, watchJob } from "./watch.ts";

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

/**
 * Makes a client. Connects with the first call.
 *
 * @throws BatonError invalid_argument: a malformed address
 */
export function createClient(options: ClientOptions = {}): Client {
  return new BatonClient(options);
}

class BatonClient implements Client {
  readonly #services: Services;
  readonly #safe: UnaryOptions;
  readonly #once: UnaryOptions;
  readonly queues: Client["queues"];
  readonly tasks: Client["tasks"];

  constructor(options: ClientOptions) {
    this.#services = openServices(resolveConnection(options));
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS_DEFAULT;
    const connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS_DEFAULT;
    this.#safe = { timeoutMs, connectTimeoutMs, repeat: "safe" };
    this.#once = { timeoutMs, connectTimeoutMs, repeat: "once" };
    const { queues, tasks } = this.#services;
    this.queues = {
      list: async () => (await this.#ask(queues.list, {})).queues.map(toQueue),
      pause: async (name, reason = "") => toQueue(await this.#ask(queues.pause, { name, reason })),
      resume: async (name) => toQueue(await this.#ask(queues.resume, { name })),
    };
    this.tasks = {
      list: async () => (await this.#ask(tasks.list, {})).tasks.map(toTaskDefinition),
      get: async (name) => toTaskDefinition(await this.#ask(tasks.get, { name })),
      put: async (task) => toTaskDefinition(await this.#ask(tasks.put, toWireTaskDefinition(task))),
    };
  }

  async enqueue<Output>(
    task: Task | string,
    input?: unknown,
    options?: EnqueueOptions,
  ): Promise<JobHandle<Output>> {
    const spec = await toJobSpec({ task, input, options });
    const repeat = spec.idempotencyKey === "" ? this.#once : this.#safe;
    const submit = () => this.#call(this.#services.jobs.submit, spec, repeat);
    return this.#handle<Output>(await this.#withDefinitions([task], submit));
  }

  async enqueueMany<Output>(
    first: Task | string | readonly JobRequest[],
    inputs: readonly unknown[] = [],
    options?: BulkOptions<unknown>,
  ): Promise<readonly JobHandle<Output>[]> {
    const requests =
      typeof first === "string" || isTask(first) ? requestsOf(first, inputs, options) : first;
    const jobs: JobSpec[] = [];
    for (const [index, request] of requests.entries()) {
      jobs.push(await toJobSpec(request, { index }));
    }
    checkBulkBytes(jobs);
    const isRepeatable = jobs.every((spec) => spec.idempotencyKey !== "");
    const repeat = isRepeatable ? this.#safe : this.#once;
    const submit = () => this.#call(this.#services.jobs.submitMany, { jobs }, repeat);
    const tasks = new Set(requests.map((request) => request.task));
    const response = await this.#withDefinitions([...tasks], submit);
    return response.jobs.map((job) => this.#handle<Output>(job));
  }

  submitStream(
    requests: AsyncIterable<JobRequest> | Iterable<JobRequest>,
    options: SubmitStreamOptions = {},
  ): Promise<SubmitStreamResult> {
    return submitStream(
      { connection: this.#services.connection, jobs: this.#services.raw },
      requests,
      options,
    );
  }

  job<Output>(id: string): JobHandle<Output> {
    return this.#handle<Output>({ jobId: id, isDuplicate: false, state: "" });
  }

  async getJob<Output>(id: string): Promise<Job<Output>> {
    return toJob<Output>(await this.#ask(this.#services.jobs.get, { jobId: id }), true);
  }

  async listJobs(filter: JobFilter = {}, options: ListOptions = {}): Promise<JobPage> {
    const includePayloads = options.includePayloads ?? false;
    const page = await this.#ask(this.#services.jobs.list, {
      filter: toWireFilter(filter),
      limit: options.limit,
      cursor: options.cursor ?? "",
      includePayloads,
    });
    return {
      jobs: page.jobs.map((job) => toJob(job, includePayloads)),
      nextCursor: page.nextCursor === "" ? undefined : page.nextCursor,
    };
  }

  async *jobs(
    filter: JobFilter = {},
    options: { readonly includePayloads?: boolean | undefined } = {},
  ): AsyncGenerator<Job, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.listJobs(filter, { ...options, limit: PAGE_JOBS, cursor });
      yield* page.jobs;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  watch(filter: JobFilter = {}, options: WatchOptions = {}): AsyncIterable<JobEvent> {
    const to = { connection: this.#services.connection, jobs: this.#services.raw };
    return watchEvents(to, filter, options.afterSequence, options.signal);
  }

  async cancelMany(filter: JobFilter, options: CancelManyOptions = {}): Promise<CancelManyResult> {
    const { cancelledCount, requestedCount, hasMore } = await this.#call(
      this.#services.jobs.cancel,
      {
        jobId: "",
        filter: toWireFilter(filter),
        limit: options.limit,
        reason: options.reason ?? "",
      },
      this.#once,
    );
    return { cancelledCount, requestedCount, hasMore };
  }

  async redrive(id: string): Promise<void> {
    const request = { jobId: id, filter: undefined, limit: undefined };
    await this.#call(this.#services.jobs.redrive, request, this.#once);
  }

  async redriveMany(filter: JobFilter, options: LimitOption = {}): Promise<RedriveManyResult> {
    const request = { jobId: "", filter: toWireFilter(filter), limit: options.limit };
    const response = await this.#call(this.#services.jobs.redrive, request, this.#once);
    return { redrivenCount: response.redrivenCount, hasMore: response.hasMore };
  }

  async workers(): Promise<readonly WorkerView[]> {
    return (await this.#ask(this.#services.workers.list, {})).workers.map(toWorker);
  }

  async servers(): Promise<readonly ServerView[]> {
    return (await this.#ask(this.#services.servers.list, {})).servers.map(toServer);
  }

  async *logs(
    jobId: string,
    options: { readonly attempt?: number | undefined } = {},
  ): AsyncGenerator<LogLine, void, undefined> {
    let cursor = "";
    do {
      const request = { jobId, attempt: options.attempt ?? 0, limit: undefined, cursor };
      const page = await this.#ask(this.#services.jobs.listLogs, request);
      yield* page.lines.map(toLogLine);
      cursor = page.nextCursor;
    } while (cursor !== "");
  }

  close(): void {
    this.#services.close();
  }

  #handle<Output>(submitted: SubmitResponse): JobHandle<Output> {
    const { jobId: id, isDuplicate } = submitted;
    const to = { connection: this.#services.connection, jobs: this.#services.raw };
    const watch = (signal: AbortSignal | undefined) => watchJob<Output>(to, id, signal);
    return {
      id,
      isDuplicate,
      state: submitted.state === "" ? undefined : toJobState(submitted.state),
      result: (options = {}) => awaitResult<Output>(watch, id, options),
      get: () => this.getJob<Output>(id),
      watch: (options = {}) => watch(options.signal),
      cancel: (reason) => this.#cancel(id, reason),
      logs: () => this.logs(id),
    };
  }

  async #cancel(jobId: string, reason = ""): Promise<"cancelled" | "running"> {
    const request = { jobId, filter: undefined, limit: undefined, reason };
    const response = await this.#call(this.#services.jobs.cancel, request, this.#once);
    return response.cancelledCount > 0 ? "cancelled" : "running";
  }

  /** Submits, and when the server does not know one of our tasks, tells it of them and submits once more. */
  async #withDefinitions<Response>(
    tasks: readonly (Task | string)[],
    submit: () => Promise<Response>,
  ): Promise<Response> {
    try {
      return await submit();
    } catch (error) {
      const missing = missingTasks(error, tasks);
      if (missing.length === 0) throw error;
      for (const task of missing) await this.tasks.put(task);
      return submit();
    }
  }

  #ask<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return this.#call(method, request, this.#safe);
  }

  #call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: UnaryOptions,
  ): Promise<Response> {
    return callUnary(this.#services.connection, method, request, options);
  }
}

function requestsOf(
  task: Task | string,
  inputs: readonly unknown[],
  options: BulkOptions<unknown> | undefined,
): readonly JobRequest[] {
  return inputs.map((input, index) => ({
    task,
    input,
    options: typeof options === "function" ? options(input, index) : options,
  }));
}

/** Beyond this the transport refuses the message with an error that nobody would understand. */
function checkBulkBytes(jobs: readonly JobSpec[]): void {
  const bytes = jobs.reduce((sum, job) => sum + job.input.length, 0);
  if (bytes <= MESSAGE_BYTES_MAX) return;
  throw new BatonError(
    "payload_too_large",
    `the inputs of one bulk are ${bytes} bytes, at most ${MESSAGE_BYTES_MAX} fit; ` +
      "use several bulks or submitStream",
    { bytes, bytesMax: MESSAGE_BYTES_MAX },
  );
}

/** The task objects among `tasks` that the error says are unknown to the server. */
function missingTasks(error: unknown, tasks: readonly (Task | string)[]): readonly Task[] {
  if (!(error instanceof BatonError)) return [];
  const isMissing =
    error.code === "task_not_found" ||
    (error.code === "bulk_rejected" && hasItemCode(error.details["items"], "task_not_found"));
  return isMissing ? tasks.filter((task) => isTask(task)) : [];
}

function hasItemCode(items: unknown, code: string): boolean {
  return (
    Array.isArray(items) &&
    items.some(
      (item: unknown) =>
        typeof item === "object" && item !== null && "code" in item && item.code === code,
    )
  );
}
