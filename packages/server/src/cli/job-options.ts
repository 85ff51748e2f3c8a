/** How a job shall be run: options of `baton submit`, and the members of one line of its file. */
import type { EnqueueOptions, RetryPolicy } from "@baton/sdk";
import { Option, type Command } from "commander";

import { parseDuration, parseInstant, parseInteger, parseList } from "./option-values.ts";

export const STRATEGIES = ["fixed", "linear", "exponential"] as const;
export const JITTERS = ["full", "none"] as const;
export const ON_CONFLICT = ["return_existing", "reject"] as const;

/** Options of {@link withJobOptions}. */
export interface JobFlags {
  readonly queue?: string;
  readonly priority?: number;
  readonly delayMs?: number;
  readonly runAt?: Date;
  readonly maxAttempts?: number;
  readonly retryStrategy?: (typeof STRATEGIES)[number];
  readonly retryBaseMs?: number;
  readonly retryMaxMs?: number;
  readonly retryJitter?: (typeof JITTERS)[number];
  readonly attemptTimeoutMs?: number;
  readonly queueTimeoutMs?: number;
  readonly deadlineMs?: number;
  readonly heartbeatTimeoutMs?: number;
  readonly cancelGraceMs?: number;
  readonly tags?: readonly string[];
  readonly idempotencyKey?: string;
  readonly uniqueKey?: string;
  readonly onConflict?: (typeof ON_CONFLICT)[number];
  readonly inputContentType?: string;
}

const GROUP = "Job options (durations: milliseconds, or with a unit such as 90s, 15m, 2h):";
const PRIORITY_MAX = 100;
const MAX_ATTEMPTS_MAX = 1_000;

/** Adds one option for each option of a job. */
export function withJobOptions(command: Command): Command {
  const options = [
    new Option("--queue <name>", 'queue to wait in (default: "default")'),
    new Option(
      "--priority <n>",
      `${-PRIORITY_MAX} to ${PRIORITY_MAX}, higher first (default: 0)`,
    ).argParser(parseInteger(-PRIORITY_MAX, PRIORITY_MAX)),
    durationOption("--delay-ms <duration>", "start no earlier than this from now").conflicts(
      "runAt",
    ),
    new Option(
      "--run-at <instant>",
      "start no earlier than this, for example 2026-11-22T14:00:00Z",
    ).argParser(parseInstant),
    new Option(
      "--max-attempts <n>",
      `failed attempts until the job is dead, 1 to ${MAX_ATTEMPTS_MAX} (default: the task's, or 3)`,
    ).argParser(parseInteger(1, MAX_ATTEMPTS_MAX)),
    new Option("--retry-strategy <name>", "how the pause between attempts grows").choices(
      STRATEGIES,
    ),
    durationOption("--retry-base-ms <duration>", "first pause between attempts (default: 1s)"),
    durationOption("--retry-max-ms <duration>", "longest pause between attempts (default: 1h)"),
    new Option(
      "--retry-jitter <name>",
      "whether the pause varies at random, up to its length",
    ).choices(JITTERS),
    durationOption(
      "--attempt-timeout-ms <duration>",
      "one attempt may take so long; 0: no limit (default: 1h)",
    ),
    durationOption(
      "--queue-timeout-ms <duration>",
      "the first attempt must start within so long after the job is due",
    ),
    durationOption("--deadline-ms <duration>", "the job must end within so long, retries included"),
    durationOption(
      "--heartbeat-timeout-ms <duration>",
      "the handler must report at least so often",
    ),
    durationOption(
      "--cancel-grace-ms <duration>",
      "how long a handler may take to stop (default: 10s)",
    ),
    new Option("--tags <tags>", "up to 16 tags, separated by commas").argParser(parseList),
    new Option("--idempotency-key <key>", "the same key with the same job returns the first one"),
    new Option("--unique-key <key>", "at most one unfinished job holds it"),
    new Option(
      "--on-conflict <what>",
      "when another unfinished job holds the unique key (default: return_existing)",
    ).choices(ON_CONFLICT),
    new Option("--input-content-type <type>", "send the input as bytes of this type, not as JSON"),
  ];
  for (const option of options) command.addOption(option.helpGroup(GROUP));
  return command;
}

/** The job options that the command line says. */
export function enqueueOptionsOf(flags: JobFlags): EnqueueOptions {
  return {
    queue: flags.queue,
    priority: flags.priority,
    delayMs: flags.delayMs,
    runAt: flags.runAt,
    maxAttempts: flags.maxAttempts,
    retry: retryOf(flags),
    attemptTimeoutMs: flags.attemptTimeoutMs,
    queueTimeoutMs: flags.queueTimeoutMs,
    deadlineMs: flags.deadlineMs,
    heartbeatTimeoutMs: flags.heartbeatTimeoutMs,
    cancelGraceMs: flags.cancelGraceMs,
    tags: flags.tags,
    idempotencyKey: flags.idempotencyKey,
    uniqueKey: flags.uniqueKey,
    onConflict: flags.onConflict,
    inputContentType: flags.inputContentType,
  };
}

function retryOf(flags: JobFlags): RetryPolicy | undefined {
  const retry = {
    strategy: flags.retryStrategy,
    baseMs: flags.retryBaseMs,
    maxMs: flags.retryMaxMs,
    jitter: flags.retryJitter,
  };
  return Object.values(retry).some((value) => value !== undefined) ? retry : undefined;
}

function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(parseDuration);
}
