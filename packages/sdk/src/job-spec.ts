/** From what a producer says to the message that is sent. */
import { checkMessage, checkText } from "./check-message.ts";
import { checkEnqueueOptions, toWireRetryPolicy } from "./enqueue-options.ts";
import type { EnqueueOptions } from "./enqueue-options.ts";
import { BatonError } from "./errors.ts";
import { isJson } from "./from-wire.ts";
import type { JobSpec } from "./gen/baton/v1/job.ts";
import type { TaskDefinition as WireTaskDefinition } from "./gen/baton/v1/worker.ts";
import { jsonFault } from "./json-fault.ts";
import { checkJobBytes } from "./message-size.ts";
import { invalidInput } from "./schema.ts";
import type { Validation } from "./schema.ts";
import { shown } from "./shown.ts";
import { isTask, stepsOf } from "./task.ts";
import type { Task } from "./task.ts";
import type { TaskDefinition } from "./views.ts";

/** One job of a bulk or a stream. */
export interface JobRequest {
  /** A task, whose validator then checks the input, or a task's name. */
  readonly task: Task | string;
  /** @default null */
  readonly input?: unknown;
  readonly options?: EnqueueOptions | undefined;
}

/**
 * Checks one request and encodes it. Answers at once unless the task's validator is asynchronous, so that bulks save a
 * turn for each job.
 *
 * @param details added to the error's details, for instance the index in a bulk
 * @throws BatonError invalid_input (its schema refuses it), invalid_argument (options, or no JSON),
 *   payload_too_large (no message can carry it); or rejects with it
 */
export function toJobSpec(
  request: JobRequest,
  details: Readonly<Record<string, unknown>> = {},
): JobSpec | Promise<JobSpec> {
  const options = request.options ?? NO_OPTIONS;
  checkEnqueueOptions(options);
  const task = taskName(request.task);
  checkText("task", task, details);
  checkMessage(options, "", details);
  const spec: JobSpec = {
    task,
    input: encodeInput(task, request.input, options.inputContentType, details),
    inputContentType: options.inputContentType ?? "",
    queue: options.queue ?? "",
    priority: options.priority,
    delayMs: options.delayMs,
    runAt: options.runAt,
    maxAttempts: options.maxAttempts,
    retry: toWireRetryPolicy(options.retry),
    attemptTimeoutMs: options.attemptTimeoutMs,
    queueTimeoutMs: options.queueTimeoutMs,
    deadlineMs: options.deadlineMs,
    heartbeatTimeoutMs: options.heartbeatTimeoutMs,
    cancelGraceMs: options.cancelGraceMs,
    tags: options.tags === undefined ? NO_TAGS : [...options.tags],
    idempotencyKey: options.idempotencyKey ?? "",
    uniqueKey: options.uniqueKey ?? "",
    onConflict: options.onConflict ?? "",
  };
  if (!isTask(request.task) || !stepsOf(request.task).hasSchema) {
    checkJobBytes(spec, details);
    return spec;
  }
  // The validator sees what the worker will see: a Date, for instance, arrives as a string.
  const arriving: unknown = isJson(options.inputContentType)
    ? JSON.parse(spec.input.toString("utf8"))
    : spec.input;
  const answer = stepsOf(request.task).validate(arriving);
  return answer instanceof Promise
    ? answer.then((validation) => validated(spec, validation, details))
    : validated(spec, answer, details);
}

const NO_OPTIONS: EnqueueOptions = {};
/** Of messages that are only written. */
const NO_TAGS: string[] = [];

function validated(
  spec: JobSpec,
  validation: Validation,
  details: Readonly<Record<string, unknown>>,
): JobSpec {
  if (validation.kind === "invalid") throw invalidInput(spec.task, validation.issues, details);
  checkJobBytes(spec, details);
  return spec;
}

/** The definition of a task as the server keeps it. */
export function toWireTaskDefinition(definition: Task | TaskDefinition): WireTaskDefinition {
  const { inputSchema } = definition;
  return {
    name: definition.name,
    description: definition.description ?? "",
    maxAttempts: definition.maxAttempts,
    retry: toWireRetryPolicy(definition.retry),
    attemptTimeoutMs: definition.attemptTimeoutMs,
    queueTimeoutMs: definition.queueTimeoutMs,
    deadlineMs: definition.deadlineMs,
    heartbeatTimeoutMs: definition.heartbeatTimeoutMs,
    cancelGraceMs: definition.cancelGraceMs,
    inputSchema: inputSchema === undefined ? EMPTY : Buffer.from(JSON.stringify(inputSchema)),
    updatedAt: undefined,
  };
}

const EMPTY = Buffer.alloc(0);

function taskName(task: Task | string): string {
  if (typeof task === "string") return task;
  if (isTask(task)) return task.name;
  throw new BatonError(
    "invalid_argument",
    `expected a task made by task() or a task's name, got ${shown(task)}`,
  );
}

function encodeInput(
  task: string,
  input: unknown,
  contentType: string | undefined,
  details: Readonly<Record<string, unknown>>,
): Buffer {
  if (!isJson(contentType)) return encodeBytes(task, input, contentType, details);
  let text: string | undefined;
  try {
    text = JSON.stringify(input === undefined ? null : input);
  } catch (cause) {
    throw new BatonError(
      "invalid_argument",
      `input of task "${task}" is not JSON: ${jsonFault(cause)}`,
      { ...details, task },
      { cause },
    );
  }
  if (text === undefined) {
    throw new BatonError(
      "invalid_argument",
      `input of task "${task}" is not JSON: got ${shown(input)}`,
      { ...details, task },
    );
  }
  return Buffer.from(text);
}

function encodeBytes(
  task: string,
  input: unknown,
  contentType: string | undefined,
  details: Readonly<Record<string, unknown>>,
): Buffer {
  if (typeof input === "string") {
    checkText("input", input, details);
    return Buffer.from(input);
  }
  if (input instanceof Uint8Array)
    return Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  throw new BatonError(
    "invalid_argument",
    `input of task "${task}" with content type ${contentType} must be a Uint8Array or a string, ` +
      `got ${shown(input)}`,
    { ...details, task },
  );
}
