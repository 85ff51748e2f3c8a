/** Checks a job spec and fills in what its task's definition says. */
import { cutText } from "./cut-text.ts";
import type { JobSpec } from "./job-spec.ts";
import {
  CANCEL_GRACE_MS_MAX,
  DELAY_MS_MAX,
  DESCRIPTION_CHARACTERS_MAX,
  KEY_CHARACTERS_MAX,
  MAX_ATTEMPTS_DEFAULT,
  MAX_ATTEMPTS_MAX,
  NAME_CHARACTERS_MAX,
  PRIORITY_MAX,
  PRIORITY_MIN,
  REASON_CHARACTERS_MAX,
  RETRY_BASE_MS_MAX,
  RETRY_MAX_MS_MAX,
  TAG_CHARACTERS_MAX,
  TAGS_MAX,
  TIMEOUT_MS_MAX,
} from "./limits.ts";
import { RETRY_JITTERS, RETRY_STRATEGIES, type RetryPolicy } from "./retry.ts";
import type { JobFilter, TaskDefinition } from "./views.ts";

/** Something wrong with a spec: which field, what was expected, what came. */
export interface SpecProblem {
  readonly field: string;
  readonly message: string;
}

/** What a job asks for beyond its task's definition; kept with its row, absent when it asks for nothing. */
export interface JobOptions {
  readonly retry?: RetryPolicy | undefined;
  readonly attemptTimeoutMs?: number | undefined;
  readonly heartbeatTimeoutMs?: number | undefined;
  readonly cancelGraceMs?: number | undefined;
}

export const ON_CONFLICT = ["return_existing", "reject"] as const;

/** Text that names something: letters, digits and `_ - . : /`, beginning with a letter or digit. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.:/-]*$/;

/** Problem with a name, or undefined. */
export function checkName(field: string, name: string): SpecProblem | undefined {
  if (name.length <= NAME_CHARACTERS_MAX && NAME.test(name)) return undefined;
  return {
    field,
    message:
      `${field} must be 1 to ${NAME_CHARACTERS_MAX} letters, digits or _ - . : / and begin with a letter or digit; ` +
      `received ${show(name)}`,
  };
}

/** The first problem of a spec, or undefined. Whether its task exists and its input is JSON is checked elsewhere. */
export function checkSpec(spec: JobSpec): SpecProblem | undefined {
  return (
    checkName("task", spec.task) ??
    (spec.queue === undefined ? undefined : checkName("queue", spec.queue)) ??
    checkInteger("priority", spec.priority, PRIORITY_MIN, PRIORITY_MAX) ??
    checkInteger("delayMs", spec.delayMs, 0, DELAY_MS_MAX) ??
    checkRunAt(spec) ??
    checkDefinition(spec) ??
    checkTags(spec.tags) ??
    checkKey("idempotencyKey", spec.idempotencyKey) ??
    checkKey("uniqueKey", spec.uniqueKey) ??
    checkKey("inputContentType", spec.inputContentType) ??
    checkMember("onConflict", spec.onConflict, ON_CONFLICT)
  );
}

/** The part of a spec that a task's definition shares. */
export function checkDefinition(
  spec: Omit<TaskDefinition, "name" | "updatedAt" | "inputSchema">,
): SpecProblem | undefined {
  return (
    checkText("description", spec.description, DESCRIPTION_CHARACTERS_MAX) ??
    checkInteger("maxAttempts", spec.maxAttempts, 1, MAX_ATTEMPTS_MAX) ??
    checkInteger("attemptTimeoutMs", spec.attemptTimeoutMs, 0, TIMEOUT_MS_MAX) ??
    checkInteger("queueTimeoutMs", spec.queueTimeoutMs, 0, TIMEOUT_MS_MAX) ??
    checkInteger("deadlineMs", spec.deadlineMs, 0, TIMEOUT_MS_MAX) ??
    checkInteger("heartbeatTimeoutMs", spec.heartbeatTimeoutMs, 0, TIMEOUT_MS_MAX) ??
    checkInteger("cancelGraceMs", spec.cancelGraceMs, 0, CANCEL_GRACE_MS_MAX) ??
    checkRetry(spec.retry)
  );
}

/** Problem with why somebody cancels or pauses, or undefined. */
export function checkReason(reason: string | undefined): SpecProblem | undefined {
  return checkText("reason", reason, REASON_CHARACTERS_MAX);
}

/** The first problem of a filter, or undefined: what no job can have is more likely a mistake than a wish for none. */
export function checkFilter({ queue, task, tag }: JobFilter): SpecProblem | undefined {
  return (
    (queue === undefined ? undefined : checkName("queue", queue)) ??
    (task === undefined ? undefined : checkName("task", task)) ??
    (tag === undefined ? undefined : checkTag("tag", tag))
  );
}

/** What of a spec goes beyond its task's definition, or undefined when nothing does. */
export function jobOptions(spec: JobSpec): JobOptions | undefined {
  const { retry, attemptTimeoutMs, heartbeatTimeoutMs, cancelGraceMs } = spec;
  if (
    retry === undefined &&
    attemptTimeoutMs === undefined &&
    heartbeatTimeoutMs === undefined &&
    cancelGraceMs === undefined
  ) {
    return undefined;
  }
  return { retry, attemptTimeoutMs, heartbeatTimeoutMs, cancelGraceMs };
}

/** Failed attempts until a job is dead: its own wish, its task's, or the default. */
export function maxAttemptsOf(spec: JobSpec, task: TaskDefinition): number {
  return spec.maxAttempts ?? task.maxAttempts ?? MAX_ATTEMPTS_DEFAULT;
}

function checkInteger(
  field: string,
  value: number | undefined,
  least: number,
  most: number,
): SpecProblem | undefined {
  if (value === undefined) return undefined;
  if (Number.isInteger(value) && value >= least && value <= most) return undefined;
  return {
    field,
    message: `${field} must be a whole number from ${least} to ${most}; received ${show(value)}`,
  };
}

function checkText(
  field: string,
  text: string | undefined,
  charactersMax: number,
): SpecProblem | undefined {
  if (text === undefined) return undefined;
  if (text.length <= charactersMax && !text.includes("\0") && text.isWellFormed()) return undefined;
  return {
    field,
    message: `${field} must be at most ${charactersMax} characters, without NUL and halves of surrogate pairs; received ${show(text)}`,
  };
}

function checkRunAt(spec: JobSpec): SpecProblem | undefined {
  const { runAt, delayMs } = spec;
  if (runAt === undefined) return undefined;
  if (delayMs !== undefined) {
    return { field: "runAt", message: "runAt and delayMs exclude each other; received both" };
  }
  // A fixed range: how far ahead an instant lies is for the database's clock to say, not for this process's.
  const time = runAt.getTime();
  if (time >= 0 && time <= RUN_AT_MS_MAX) return undefined;
  const received = Number.isNaN(time) ? "none" : runAt.toISOString();
  return {
    field: "runAt",
    message: `runAt must be an instant from 1970 to 2200; received ${received}`,
  };
}

const RUN_AT_MS_MAX = Date.UTC(2200, 0, 1);

function checkRetry(retry: RetryPolicy | undefined): SpecProblem | undefined {
  if (retry === undefined) return undefined;
  const problem =
    checkMember("retry.strategy", retry.strategy, RETRY_STRATEGIES) ??
    checkMember("retry.jitter", retry.jitter, RETRY_JITTERS) ??
    checkInteger("retry.baseMs", retry.baseMs, 0, RETRY_BASE_MS_MAX) ??
    checkInteger("retry.maxMs", retry.maxMs, 0, RETRY_MAX_MS_MAX);
  if (problem !== undefined) return problem;
  if (retry.maxMs !== undefined && retry.baseMs !== undefined && retry.maxMs < retry.baseMs) {
    return {
      field: "retry.maxMs",
      message: `retry.maxMs must be at least retry.baseMs (${retry.baseMs}); received ${retry.maxMs}`,
    };
  }
  return undefined;
}

function checkTags(tags: readonly string[] | undefined): SpecProblem | undefined {
  if (tags === undefined || tags.length === 0) return undefined;
  if (tags.length > TAGS_MAX) {
    return { field: "tags", message: `at most ${TAGS_MAX} tags are kept; received ${tags.length}` };
  }
  return tags.map((tag) => checkTag("tags", tag)).find(Boolean);
}

function checkTag(field: string, tag: string): SpecProblem | undefined {
  if (tag.length > 0 && tag.length <= TAG_CHARACTERS_MAX && isPlain(tag)) return undefined;
  return {
    field,
    message: `a tag must be 1 to ${TAG_CHARACTERS_MAX} characters without control characters; received ${show(tag)}`,
  };
}

function checkKey(field: string, key: string | undefined): SpecProblem | undefined {
  if (key === undefined) return undefined;
  if (key.length > 0 && key.length <= KEY_CHARACTERS_MAX && isPlain(key)) return undefined;
  return {
    field,
    message: `${field} must be 1 to ${KEY_CHARACTERS_MAX} characters without control characters; received ${show(key)}`,
  };
}

function checkMember(
  field: string,
  value: string | undefined,
  members: readonly string[],
): SpecProblem | undefined {
  if (value === undefined || members.includes(value)) return undefined;
  return {
    field,
    message: `${field} must be one of ${members.join(", ")}; received ${show(value)}`,
  };
}

/** No control characters and no half surrogates: PostgreSQL and people can both read it. */
export function isPlain(text: string): boolean {
  return !/[\u0000-\u001f\u007f]/.test(text) && text.isWellFormed();
}

function show(value: string | number): string {
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${cutText(text, 78)} (${value.length} characters)`;
}
