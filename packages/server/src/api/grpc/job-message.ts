/** From the API's views of jobs to messages. */
import type {
  Attempt as AttemptMessage,
  Job as JobMessage,
  JobError as JobErrorMessage,
  LogLine as LogLineMessage,
} from "@baton/sdk/contract";
import type { JobError } from "../../domain/job.ts";
import type { AttemptView, JobEventView, JobView, LogLineView } from "../../domain/views.ts";

/** The message of a job; its attempts only where they were asked for. */
export function jobMessage(job: JobView, attempts: readonly AttemptView[] = []): JobMessage {
  return {
    id: job.id,
    task: job.task,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    failureCount: job.failureCount,
    input: inputBytes(job),
    inputContentType: job.inputContentType ?? "",
    result: bytesOf(job.result),
    error: jobErrorMessage(job.error),
    tags: [...job.tags],
    createdAt: job.createdAt,
    runAt: job.runAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt,
    progress: bytesOf(job.progress),
    cancelRequestedAt: job.cancelRequestedAt,
    cancelReason: job.cancelReason ?? "",
    uniqueKey: job.uniqueKey ?? "",
    attempts: attempts.map(attemptMessage),
    worker: job.worker ?? "",
  };
}

/** What a change of state tells of its job: id, task, queue, state and attempt. */
export function jobEventMessage(event: JobEventView): JobMessage {
  return {
    ...EMPTY_JOB,
    id: event.jobId,
    task: event.task,
    queue: event.queue,
    state: event.state,
    attempt: event.attempt,
  };
}

/** A job's input as the bytes that were submitted; none where payloads were not asked for. */
export function inputBytes(job: JobView): Buffer {
  return Buffer.from(job.input ?? "", job.inputContentType === undefined ? "utf8" : "base64");
}

/** The message of a log line. */
export function logLineMessage(line: LogLineView): LogLineMessage {
  return {
    attempt: line.attempt,
    at: line.at,
    level: line.level,
    message: line.message,
    fields: Buffer.from(line.fields ?? ""),
  };
}

function attemptMessage(attempt: AttemptView): AttemptMessage {
  return {
    attempt: attempt.attempt,
    outcome: attempt.outcome ?? "",
    worker: attempt.worker ?? "",
    leasedAt: attempt.leasedAt,
    startedAt: attempt.startedAt,
    finishedAt: attempt.finishedAt,
    error: jobErrorMessage(attempt.error),
  };
}

function jobErrorMessage(error: JobError | undefined): JobErrorMessage | undefined {
  return error && { code: error.code, message: error.message, stack: error.stack ?? "" };
}

function bytesOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text);
}

const EMPTY_JOB: JobMessage = {
  id: "",
  task: "",
  queue: "",
  state: "",
  priority: 0,
  attempt: 0,
  maxAttempts: 0,
  failureCount: 0,
  input: Buffer.alloc(0),
  inputContentType: "",
  error: undefined,
  tags: [],
  createdAt: undefined,
  runAt: undefined,
  startedAt: undefined,
  finishedAt: undefined,
  cancelRequestedAt: undefined,
  cancelReason: "",
  uniqueKey: "",
  attempts: [],
  worker: "",
};
