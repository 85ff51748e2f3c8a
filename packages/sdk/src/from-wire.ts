/** Turns messages into the shapes of views.ts: "" becomes undefined, bytes become JSON. */
import { BatonError } from "./errors.ts";
import type {
  Attempt as WireAttempt,
  Job as WireJob,
  JobError as WireJobError,
  LogLine as WireLogLine,
  RetryPolicy as WireRetryPolicy,
  WatchResponse as WireWatchResponse,
} from "./gen/baton/v1/job.ts";
import type { Queue as WireQueue, Server as WireServer } from "./gen/baton/v1/admin.ts";
import type {
  TaskDefinition as WireTaskDefinition,
  Worker as WireWorker,
} from "./gen/baton/v1/worker.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import type {
  Attempt,
  AttemptOutcome,
  Job,
  JobError,
  JobEvent,
  JobState,
  LogLevel,
  LogLine,
  QueueView,
  ServerView,
  TaskDefinition,
  WorkerView,
} from "./views.ts";

const JOB_STATES: readonly JobState[] = [
  "waiting",
  "scheduled",
  "queued",
  "running",
  "succeeded",
  "dead",
  "cancelled",
];
const OUTCOMES: readonly AttemptOutcome[] = [
  "succeeded",
  "retry",
  "failed",
  "snoozed",
  "cancelled",
  "timed_out",
  "lost",
];
/** How the wire may leave out a null. */
const JSON_NULL = Buffer.from("null");
const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const WORKER_STATES: readonly WorkerView["state"][] = ["active", "draining", "detached", "gone"];
const STRATEGIES: readonly NonNullable<RetryPolicy["strategy"]>[] = [
  "fixed",
  "linear",
  "exponential",
];
const JITTERS: readonly NonNullable<RetryPolicy["jitter"]>[] = ["full", "none"];

/**
 * A job.
 *
 * @typeParam Output what the caller knows of the task's result; trusted, not checked
 * @param hasPayloads false for list entries without payloads, where an absent result does not mean null
 */
export function toJob<Output = unknown>(job: WireJob, hasPayloads: boolean): Job<Output> {
  const inputContentType = present(job.inputContentType);
  const state = toJobState(job.state);
  const result = job.result ?? (hasPayloads && state === "succeeded" ? JSON_NULL : undefined);
  return {
    id: job.id,
    task: job.task,
    queue: job.queue,
    state,
    priority: job.priority,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    failureCount: job.failureCount,
    input: hasPayloads ? toInput(job.input, inputContentType) : undefined,
    inputContentType,
    result: result === undefined ? undefined : parseResult<Output>(result),
    error: toJobError(job.error),
    tags: job.tags,
    createdAt: job.createdAt ?? new Date(0),
    runAt: job.runAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt,
    progress: job.progress === undefined ? undefined : parseJson(job.progress, "progress"),
    cancelRequestedAt: job.cancelRequestedAt,
    cancelReason: present(job.cancelReason),
    uniqueKey: present(job.uniqueKey),
    attempts: job.attempts.map(toAttempt),
    worker: present(job.worker),
  };
}

/** @throws BatonError internal: a state that this version does not know */
export function toJobState(state: string): JobState {
  return oneOf(JOB_STATES, state, "job state");
}

export function toJobEvent(event: WireWatchResponse): JobEvent {
  const { job } = event;
  if (job === undefined) throw new BatonError("internal", "the server sent an event without a job");
  return {
    sequence: event.sequence,
    at: event.at ?? new Date(0),
    job: {
      id: job.id,
      task: job.task,
      queue: job.queue,
      state: toJobState(job.state),
      attempt: job.attempt,
    },
  };
}

export function toLogLine(line: WireLogLine): LogLine {
  return {
    attempt: line.attempt,
    at: line.at ?? new Date(0),
    level: oneOf(LOG_LEVELS, line.level, "log level"),
    message: line.message,
    fields: line.fields.length === 0 ? undefined : toObject(parseJson(line.fields, "log fields")),
  };
}

export function toQueue(queue: WireQueue): QueueView {
  return {
    name: queue.name,
    isPaused: queue.isPaused,
    pausedAt: queue.pausedAt,
    pauseReason: present(queue.pauseReason),
    queuedCount: queue.queuedCount,
    scheduledCount: queue.scheduledCount,
    runningCount: queue.runningCount,
    oldestQueuedAt: queue.oldestQueuedAt,
  };
}

export function toTaskDefinition(task: WireTaskDefinition): TaskDefinition {
  return {
    name: task.name,
    description: present(task.description),
    maxAttempts: task.maxAttempts,
    retry: task.retry === undefined ? undefined : toRetryPolicy(task.retry),
    attemptTimeoutMs: task.attemptTimeoutMs,
    queueTimeoutMs: task.queueTimeoutMs,
    deadlineMs: task.deadlineMs,
    heartbeatTimeoutMs: task.heartbeatTimeoutMs,
    cancelGraceMs: task.cancelGraceMs,
    inputSchema:
      task.inputSchema.length === 0
        ? undefined
        : toObject(parseJson(task.inputSchema, "input schema")),
    updatedAt: task.updatedAt,
  };
}

export function toWorker(worker: WireWorker): WorkerView {
  return { ...worker, state: oneOf(WORKER_STATES, worker.state, "worker state") };
}

export function toServer(server: WireServer): ServerView {
  return { ...server };
}

/** Bytes of a payload as the handler or the caller sees them: parsed JSON, or a Buffer of another content type. */
export function toInput(input: Buffer, contentType: string | undefined): unknown {
  if (!isJson(contentType)) return input;
  return input.length === 0 ? undefined : parseJson(input, "input");
}

/** Tells whether a content type means JSON; absent and "" do. */
export function isJson(contentType: string | undefined): boolean {
  return contentType === undefined || contentType === "" || contentType === "application/json";
}

/** "" is how proto3 says that a string is absent. */
function present(text: string): string | undefined {
  return text === "" ? undefined : text;
}

function toAttempt(attempt: WireAttempt): Attempt {
  const outcome = present(attempt.outcome);
  return {
    attempt: attempt.attempt,
    outcome: outcome === undefined ? undefined : oneOf(OUTCOMES, outcome, "outcome"),
    worker: present(attempt.worker),
    leasedAt: attempt.leasedAt,
    startedAt: attempt.startedAt,
    finishedAt: attempt.finishedAt,
    error: toJobError(attempt.error),
  };
}

function toJobError(error: WireJobError | undefined): JobError | undefined {
  return error === undefined
    ? undefined
    : { code: error.code, message: error.message, stack: present(error.stack) };
}

function toRetryPolicy(retry: WireRetryPolicy): RetryPolicy {
  return {
    strategy: retry.strategy === "" ? undefined : oneOf(STRATEGIES, retry.strategy, "strategy"),
    baseMs: retry.baseMs,
    maxMs: retry.maxMs,
    jitter: retry.jitter === "" ? undefined : oneOf(JITTERS, retry.jitter, "jitter"),
  };
}

function oneOf<Name extends string>(names: readonly Name[], text: string, what: string): Name {
  const name = names.find((candidate) => candidate === text);
  if (name !== undefined) return name;
  throw new BatonError(
    "internal",
    `the server sent the unknown ${what} "${text}"; a newer @baton/sdk may know it`,
    { [what]: text },
  );
}

/** The one place where a result gets the type that its task declares: JSON carries none, so it is trusted. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
function parseResult<Output>(bytes: Buffer): Output {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return parseJson(bytes, "result") as Output;
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new BatonError("internal", `the server sent a ${what} that is not JSON`, {}, { cause });
  }
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : { value };
}
