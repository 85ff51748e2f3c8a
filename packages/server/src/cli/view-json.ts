/** Views as JSON: the names and shapes of the REST API, absent values as null. */
import type {
  Attempt,
  Job,
  JobError,
  JobEvent,
  LogLine,
  QueueView,
  ServerView,
  TaskDefinition,
  WorkerView,
} from "@baton/sdk";

type Json = Readonly<Record<string, unknown>>;

/** A job without its attempts. Input, result and progress are left out where there are none. */
export function jobJson(job: Job): Json {
  return {
    id: job.id,
    task: job.task,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    failureCount: job.failureCount,
    error: errorJson(job.error),
    tags: job.tags,
    createdAt: job.createdAt,
    runAt: job.runAt ?? null,
    startedAt: job.startedAt ?? null,
    finishedAt: job.finishedAt ?? null,
    cancelRequestedAt: job.cancelRequestedAt ?? null,
    cancelReason: job.cancelReason ?? null,
    uniqueKey: job.uniqueKey ?? null,
    worker: job.worker ?? null,
    inputContentType: job.inputContentType ?? null,
    input: Buffer.isBuffer(job.input) ? job.input.toString("base64") : job.input,
    result: job.result,
    progress: job.progress,
  };
}

/** A job with its attempts, oldest first. */
export function jobWithAttemptsJson(job: Job): Json {
  return { ...jobJson(job), attempts: job.attempts.map(attemptJson) };
}

/** How a job ended. */
export function jobResultJson(job: Job): Json {
  return { id: job.id, state: job.state, error: errorJson(job.error), result: job.result };
}

export function eventJson({ sequence, at, job }: JobEvent): Json {
  const { id: jobId, task, queue, state, attempt } = job;
  return { sequence, at, jobId, task, queue, state, attempt };
}

export function logLineJson({ attempt, at, level, message, fields }: LogLine): Json {
  return { attempt, at, level, message, fields };
}

export function queueJson(queue: QueueView): Json {
  return {
    ...queue,
    pausedAt: queue.pausedAt ?? null,
    pauseReason: queue.pauseReason ?? null,
    oldestQueuedAt: queue.oldestQueuedAt ?? null,
  };
}

export function taskJson(task: TaskDefinition): Json {
  return {
    name: task.name,
    description: task.description ?? null,
    maxAttempts: task.maxAttempts ?? null,
    retry: task.retry ?? null,
    attemptTimeoutMs: task.attemptTimeoutMs ?? null,
    queueTimeoutMs: task.queueTimeoutMs ?? null,
    deadlineMs: task.deadlineMs ?? null,
    heartbeatTimeoutMs: task.heartbeatTimeoutMs ?? null,
    cancelGraceMs: task.cancelGraceMs ?? null,
    inputSchema: task.inputSchema ?? null,
    updatedAt: task.updatedAt ?? null,
  };
}

export function workerJson(worker: WorkerView): Json {
  return { ...worker, connectedAt: worker.connectedAt ?? null, seenAt: worker.seenAt ?? null };
}

export function serverJson(server: ServerView): Json {
  return { ...server, startedAt: server.startedAt ?? null, renewedAt: server.renewedAt ?? null };
}

function attemptJson(attempt: Attempt): Json {
  return {
    attempt: attempt.attempt,
    outcome: attempt.outcome ?? null,
    worker: attempt.worker ?? null,
    leasedAt: attempt.leasedAt ?? null,
    startedAt: attempt.startedAt ?? null,
    finishedAt: attempt.finishedAt ?? null,
    error: errorJson(attempt.error),
  };
}

function errorJson(error: JobError | undefined): Json | null {
  return error === undefined
    ? null
    : { code: error.code, message: error.message, stack: error.stack ?? null };
}
