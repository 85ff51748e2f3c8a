/** Jobs for people. */
import type { Attempt, Job, JobError, JobState } from "@baton/sdk";

import { countText } from "./count-text.ts";
import { sheetText, tableText, type Column } from "./table.ts";
import { paint, printable, printableLines, type Style } from "./terminal.ts";
import { agoText, durationText } from "./time-text.ts";

const STYLE_OF_STATE: Readonly<Record<JobState, Style>> = {
  waiting: "dim",
  scheduled: "magenta",
  queued: "blue",
  running: "cyan",
  succeeded: "green",
  dead: "red",
  cancelled: "yellow",
};

const STACK_LINES_MAX = 6;
const VALUE_CHARACTERS_MAX = 2_000;
const BAR_CHARACTERS = 20;

/** The state in its colour. */
export function stateText(state: JobState): string {
  return paint(STYLE_OF_STATE[state], state);
}

/** Many jobs, a line each. */
export function jobsText(jobs: readonly Job[]): string {
  return tableText(JOB_COLUMNS, jobs);
}

/** Dead jobs, a line each, with why they died. */
export function deadJobsText(jobs: readonly Job[]): string {
  return tableText(DEAD_COLUMNS, jobs);
}

/** Everything about one job, with all attempts and what came of them. */
export function jobText(job: Job): string {
  const sheet = sheetText([
    ["job", job.id],
    ["task", printable(job.task)],
    ["queue", printable(job.queue)],
    ["state", stateText(job.state)],
    ["priority", job.priority === 0 ? undefined : String(job.priority)],
    ["attempts", attemptsOf(job)],
    ["tags", job.tags.length === 0 ? undefined : printable(job.tags.join(", "))],
    ["unique key", job.uniqueKey === undefined ? undefined : printable(job.uniqueKey)],
    ["accepted", instantText(job.createdAt)],
    ["runs at", job.state === "scheduled" ? instantText(job.runAt) : undefined],
    ["finished", instantText(job.finishedAt)],
    ["cancelled", cancelText(job)],
    ["worker", job.worker === undefined ? undefined : printable(job.worker)],
    ["progress", job.progress === undefined ? undefined : progressText(job.progress)],
    ["input", payloadText(job.input)],
    ["result", job.state === "succeeded" ? payloadText(job.result ?? null) : undefined],
    ["error", job.state === "succeeded" ? undefined : errorText(job.error)],
  ]);
  if (job.attempts.length === 0) return sheet;
  return `${sheet}\n\n${tableText(ATTEMPT_COLUMNS, job.attempts)}`;
}

/** A percentage as a bar, any other value as JSON. */
export function progressText(progress: unknown): string {
  const percent = percentOf(progress);
  if (percent === undefined) return payloadText(progress) ?? "";
  const filled = Math.round((percent / 100) * BAR_CHARACTERS);
  return `${"█".repeat(filled)}${"░".repeat(BAR_CHARACTERS - filled)} ${Math.round(percent)} %`;
}

const JOB_COLUMNS: readonly Column<Job>[] = [
  { head: "JOB", cell: (job) => job.id },
  { head: "STATE", cell: (job) => job.state, style: (job) => STYLE_OF_STATE[job.state] },
  { head: "TASK", cell: (job) => job.task, isElastic: true },
  { head: "QUEUE", cell: (job) => job.queue, isElastic: true },
  { head: "ATTEMPT", cell: (job) => String(job.attempt), align: "right" },
  { head: "ACCEPTED", cell: (job) => agoText(job.createdAt) },
  { head: "TOOK", cell: tookText },
];

const DEAD_COLUMNS: readonly Column<Job>[] = [
  { head: "JOB", cell: (job) => job.id },
  { head: "TASK", cell: (job) => job.task },
  { head: "QUEUE", cell: (job) => job.queue },
  { head: "ATTEMPTS", cell: (job) => String(job.attempt), align: "right" },
  { head: "DIED", cell: (job) => (job.finishedAt === undefined ? "" : agoText(job.finishedAt)) },
  { head: "ERROR", cell: (job) => oneLine(job.error), style: () => "red", isElastic: true },
];

const ATTEMPT_COLUMNS: readonly Column<Attempt>[] = [
  { head: "ATTEMPT", cell: ({ attempt }) => String(attempt), align: "right" },
  {
    head: "OUTCOME",
    cell: ({ outcome }) => outcome ?? "running",
    style: ({ outcome }) => styleOfOutcome(outcome),
  },
  { head: "WORKER", cell: ({ worker }) => worker ?? "" },
  {
    head: "STARTED",
    cell: ({ startedAt, leasedAt }) => (startedAt ?? leasedAt)?.toISOString() ?? "",
  },
  { head: "TOOK", cell: (attempt) => spanText(attempt.startedAt, attempt.finishedAt) },
  { head: "ERROR", cell: ({ error }) => oneLine(error), style: () => "red", isElastic: true },
];

function styleOfOutcome(outcome: Attempt["outcome"]): Style {
  switch (outcome) {
    case undefined:
      return "cyan";
    case "succeeded":
      return "green";
    case "snoozed":
      return "magenta";
    case "cancelled":
      return "yellow";
    case "retry":
    case "failed":
    case "timed_out":
    case "lost":
      return "red";
  }
}

function attemptsOf(job: Job): string {
  const failed = job.failureCount === 0 ? "" : `, ${job.failureCount} failed`;
  return `${job.attempt}${failed} (dead after ${countText(job.maxAttempts, "failure")})`;
}

function cancelText(job: Job): string | undefined {
  if (job.cancelRequestedAt === undefined && job.cancelReason === undefined) return undefined;
  const asked = job.cancelRequestedAt === undefined ? "" : instantText(job.cancelRequestedAt);
  const reason = job.cancelReason === undefined ? "" : printable(job.cancelReason);
  return [asked, reason].filter((part) => part !== "").join(", ");
}

function instantText(instant: Date | undefined): string | undefined {
  if (instant === undefined) return undefined;
  return `${instant.toISOString()} ${paint("dim", `(${agoText(instant)})`)}`;
}

function tookText(job: Job): string {
  return job.state === "running"
    ? spanText(job.startedAt, new Date())
    : spanText(job.startedAt, job.finishedAt);
}

function spanText(from: Date | undefined, to: Date | undefined): string {
  return from === undefined || to === undefined ? "" : durationText(to.getTime() - from.getTime());
}

function errorText(error: JobError | undefined): string | undefined {
  if (error === undefined) return undefined;
  const head = paint("red", printableLines(`${error.code}: ${error.message}`));
  const places = (error.stack ?? "")
    .split("\n")
    .filter((line) => line.trimStart().startsWith("at "))
    .slice(0, STACK_LINES_MAX)
    .map((line) => paint("dim", printable(line)));
  return [head, ...places].join("\n");
}

function oneLine(error: JobError | undefined): string {
  return error === undefined ? "" : `${error.code}: ${error.message}`.replaceAll(/\s+/g, " ");
}

function payloadText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (Buffer.isBuffer(value)) return `${value.length} bytes`;
  const text = JSON.stringify(value);
  if (text.length <= VALUE_CHARACTERS_MAX) return printable(text);
  return `${printable(text.slice(0, VALUE_CHARACTERS_MAX))}… (${text.length} characters; --json has all)`;
}

function percentOf(progress: unknown): number | undefined {
  if (typeof progress !== "object" || progress === null || !("percent" in progress))
    return undefined;
  const { percent } = progress;
  return typeof percent === "number" && percent >= 0 && percent <= 100 ? percent : undefined;
}
