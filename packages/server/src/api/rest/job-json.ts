/** Jobs, attempts and events as REST shows them. Payloads are JSON text already and are not parsed again. */
import { type Static, Type } from "@fastify/type-provider-typebox";
import { JOB_STATES, type JobError, OUTCOMES } from "../../domain/job.ts";
import type { AttemptView, JobEventView, JobView, LogLineView } from "../../domain/views.ts";
import { LOG_LEVELS } from "../../domain/views.ts";
import { orNull, refTo } from "./optional.ts";

export const State = Type.Enum(JOB_STATES, { type: "string" });
export const Instant = Type.String({ format: "date-time" });

const JobErrorJson = Type.Object({
  code: Type.String({
    description: "A code of docs/errors.md or the name of the handler's error class.",
  }),
  message: Type.String(),
  stack: orNull(Type.String()),
});

export const Attempt = Type.Object(
  {
    attempt: Type.Integer(),
    outcome: orNull(
      Type.Enum(OUTCOMES, { type: "string", description: "null while the attempt runs." }),
    ),
    worker: orNull(Type.String()),
    leasedAt: orNull(Instant),
    startedAt: orNull(Instant),
    finishedAt: orNull(Instant),
    error: orNull(JobErrorJson),
  },
  { $id: "Attempt", description: "One try of a job." },
);

const jobFields = {
  id: Type.String({ format: "uuid" }),
  task: Type.String(),
  queue: Type.String(),
  state: State,
  priority: Type.Integer(),
  attempt: Type.Integer({ description: "Number of the latest attempt; 0 before the first." }),
  maxAttempts: Type.Integer(),
  failureCount: Type.Integer({ description: "Attempts that count against maxAttempts." }),
  error: orNull(JobErrorJson),
  tags: Type.Array(Type.String()),
  createdAt: Instant,
  runAt: orNull(Instant),
  startedAt: orNull(Instant),
  finishedAt: orNull(Instant),
  cancelRequestedAt: orNull(Instant),
  cancelReason: orNull(Type.String()),
  uniqueKey: orNull(Type.String()),
  worker: orNull(Type.String()),
  inputContentType: orNull(
    Type.String({ description: "null: input is JSON. Otherwise input is base64." }),
  ),
  attemptTimeoutMs: orNull(
    Type.Integer({ description: "The limit that the job itself asked for." }),
  ),
};

export const Job = Type.Object(
  {
    ...jobFields,
    input: Type.Optional(
      Type.Unknown({ description: "Absent where payloads were not asked for." }),
    ),
    result: Type.Optional(Type.Unknown({ description: "Present when succeeded." })),
    progress: Type.Optional(Type.Unknown({ description: "The latest that the handler reported." })),
  },
  { $id: "Job" },
);
export const JobWithAttempts = Type.Object(
  { ...Job.properties, attempts: Type.Array(refTo(Attempt), { description: "Oldest first." }) },
  { $id: "JobWithAttempts" },
);
export const JobPage = Type.Object(
  { items: Type.Array(refTo(Job)), nextCursor: orNull(Type.String()) },
  { $id: "JobPage", description: "nextCursor is null on the last page." },
);
export const JobResult = Type.Object(
  {
    id: Type.String({ format: "uuid" }),
    state: State,
    result: Type.Optional(Type.Unknown({ description: "Present when succeeded." })),
    error: orNull(JobErrorJson),
  },
  { $id: "JobResult" },
);
export const JobEvent = Type.Object(
  {
    sequence: Type.Integer({ description: "Give it back as Last-Event-ID to go on after it." }),
    at: Instant,
    jobId: Type.String({ format: "uuid" }),
    task: Type.String(),
    queue: Type.String(),
    state: State,
    attempt: Type.Integer(),
  },
  { $id: "JobEvent", description: "A change of a job's state." },
);
export const LogLine = Type.Object(
  {
    attempt: Type.Integer(),
    at: Instant,
    level: Type.Enum(LOG_LEVELS, { type: "string" }),
    message: Type.String(),
    fields: Type.Optional(Type.Unknown({ description: "An object; absent when there are none." })),
  },
  { $id: "LogLine" },
);
export const LogPage = Type.Object(
  { items: Type.Array(refTo(LogLine)), nextCursor: orNull(Type.String()) },
  { $id: "LogPage", description: "In the order of writing. nextCursor is null on the last page." },
);

const jobFieldsSchema = Type.Object(jobFields);

/** A job as JSON text; its attempts too when given. */
export function jobJson(job: JobView, attempts?: readonly AttemptView[]): string {
  const fields: Static<typeof jobFieldsSchema> = {
    id: job.id,
    task: job.task,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    failureCount: job.failureCount,
    error: errorJson(job.error),
    tags: [...job.tags],
    createdAt: job.createdAt.toISOString(),
    runAt: instantJson(job.runAt),
    startedAt: instantJson(job.startedAt),
    finishedAt: instantJson(job.finishedAt),
    cancelRequestedAt: instantJson(job.cancelRequestedAt),
    cancelReason: job.cancelReason ?? null,
    uniqueKey: job.uniqueKey ?? null,
    worker: job.worker ?? null,
    inputContentType: job.inputContentType ?? null,
    attemptTimeoutMs: job.attemptTimeoutMs ?? null,
  };
  return withJsonMembers(fields, {
    input: inputJson(job),
    result: job.result,
    progress: job.progress,
    attempts: attempts === undefined ? undefined : JSON.stringify(attempts.map(attemptJson)),
  });
}

/** The end of a job, or that it has none yet, as JSON text. */
export function jobResultJson(job: JobView): string {
  const fields = { id: job.id, state: job.state, error: errorJson(job.error) };
  return withJsonMembers(fields, { result: job.result });
}

export function attemptJson(attempt: AttemptView): Static<typeof Attempt> {
  return {
    attempt: attempt.attempt,
    outcome: attempt.outcome ?? null,
    worker: attempt.worker ?? null,
    leasedAt: instantJson(attempt.leasedAt),
    startedAt: instantJson(attempt.startedAt),
    finishedAt: instantJson(attempt.finishedAt),
    error: errorJson(attempt.error),
  };
}

export function eventJson(event: JobEventView): string {
  const { sequence, at, jobId, task, queue, state, attempt } = event;
  return JSON.stringify({ sequence, at, jobId, task, queue, state, attempt });
}

/** A log line as JSON text. */
export function logLineJson(line: LogLineView): string {
  const { attempt, at, level, message } = line;
  return withJsonMembers({ attempt, at, level, message }, { fields: line.fields });
}

/** A page of items that are JSON text. */
export function pageJson(items: readonly string[], nextCursor: string | undefined): string {
  return `{"items":[${items.join(",")}],"nextCursor":${JSON.stringify(nextCursor ?? null)}}`;
}

/**
 * An object as JSON text with further members whose values are JSON text. Splicing instead of parsing
 * and writing again keeps large numbers exact and large payloads cheap.
 */
export function withJsonMembers(
  fields: object,
  members: Readonly<Record<string, string | undefined>>,
): string {
  let text = JSON.stringify(fields).slice(0, -1);
  for (const [name, value] of Object.entries(members)) {
    if (value === undefined) continue;
    text += `${text === "{" ? "" : ","}${JSON.stringify(name)}:${value}`;
  }
  return `${text}}`;
}

export function instantJson(instant: Date | undefined): string | null {
  return instant === undefined ? null : instant.toISOString();
}

function inputJson(job: JobView): string | undefined {
  if (job.input === undefined || job.inputContentType === undefined) return job.input;
  return JSON.stringify(job.input);
}

function errorJson(error: JobError | undefined): Static<typeof JobErrorJson> | null {
  if (error === undefined) return null;
  return { code: error.code, message: error.message, stack: error.stack ?? null };
}
