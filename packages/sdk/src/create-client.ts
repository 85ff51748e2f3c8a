import { checkMessage } from "./check-message.ts";
import { resolveConnection } from "./connection.ts";
import type {
  BulkOptions,
  CancelManyOptions,
  Client,
  ClientOptions,
  LimitOption,
  ListOptions,
  WatchOptions,
} from "./client.ts";
import type { EnqueueOptions } from "./enqueue-options.ts";
import { BatonError } from "./errors.ts";
import { toWireFilter } from "./filter.ts";
import { toJob, toLogLine, toQueue, toServer, toTaskDefinition, toWorker } from "./from-wire.ts";
import type { JobSpec, RefusedBulk, SubmitResponse } from "./gen/baton/v1/job.ts";
import type { JobHandle } from "./job-handle.ts";
import { toJobSpec, toWireTaskDefinition } from "./job-spec.ts";
import type { JobRequest } from "./job-spec.ts";
import { CALL_TIMEOUT_MS_DEFAULT, CONNECT_TIMEOUT_MS_DEFAULT, PAGE_JOBS } from "./limits.ts";
import { checkBulkBytes } from "./message-size.ts";
import { openServices } from "./services.ts";
import type { Services } from "./services.ts";
import { submitStream } from "./submit-stream.ts";
import type { SubmitStreamOptions, SubmitStreamResult } from "./submit-stream.ts";
import { SubmittedJob } from "./submitted-job.ts";
import type { JobCalls } from "./submitted-job.ts";
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
  RedriveManyResult,
  ServerView,
  WorkerView,
} from "./views.ts";
import { watchEvents, watchJob } from "./watch.ts";
import type { WatchTarget } from "./watch.ts";

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
  readonly #streams: WatchTarget;
  readonly #safe: UnaryOptions;
  readonly #once: UnaryOptions;
  readonly #jobCalls: JobCalls;
  readonly queues: Client["queues"];
  readonly tasks: Client["tasks"];

  constructor(options: ClientOptions) {
    this.#services = openServices(resolveConnection(options));
    this.#streams = { ...this.#services, jobs: this.#services.raw };
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS_DEFAULT;
    const connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS_DEFAULT;
    this.#safe = { timeoutMs, connectTimeoutMs, repeat: "safe" };
    this.#once = { timeoutMs, connectTimeoutMs, repeat: "once" };
    this.#jobCalls = {
      get: (id) => this.getJob(id),
      watch: (id, signal) => watchJob(this.#streams, id, signal),
      cancel: (id, reason) => this.#cancel(id, reason),
      logs: (id) => this.logs(id),
    };
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
    const submit = () => callUnary(this.#services, this.#services.jobs.submit, spec, repeat);
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
      const spec = toJobSpec(request, { index });
      jobs.push(spec instanceof Promise ? await spec : spec);
    }
    checkBulkBytes(jobs);
    const isRepeatable = jobs.every((spec) => spec.idempotencyKey !== "");
    const repeat = isRepeatable ? this.#safe : this.#once;
    const { submitMany } = this.#services.jobs;
    const submit = async () => {
      const request = { jobs, reportRefused: true };
      const response = await callUnary(this.#services, submitMany, request, repeat);
      if (response.refused !== undefined) throw bulkRejected(response.refused);
      return response;
    };
    const tasks = new Set(requests.map((request) => request.task));
    const response = await this.#withDefinitions([...tasks], submit);
    return response.jobs.map((job) => this.#handle<Output>(job));
  }

  submitStream(
    requests: AsyncIterable<JobRequest> | Iterable<JobRequest>,
    options: SubmitStreamOptions = {},
  ): Promise<SubmitStreamResult> {
    return submitStream(this.#streams, requests, options);
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
    return watchEvents(this.#streams, filter, options.afterSequence, options.signal);
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
    return new SubmittedJob<Output>(this.#jobCalls, submitted);
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

  #ask<Request extends object, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return this.#call(method, request, this.#safe);
  }

  async #call<Request extends object, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: UnaryOptions,
  ): Promise<Response> {
    checkMessage(request);
    return callUnary(this.#services, method, request, options);
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

/** As the server's own error would say it, with every bad job. */
function bulkRejected({ message, jobs }: RefusedBulk): BatonError {
  const items = jobs.map(({ index, code, message: text }) => ({ index, code, message: text }));
  return new BatonError("bulk_rejected", message, { items, itemCount: items.length });
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
