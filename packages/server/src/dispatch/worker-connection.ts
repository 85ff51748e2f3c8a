/**
 * The way in from a worker: what its stream says, checked and in the engine's words. What the server knows of the worker,
 * and gives to it, is its `WorkerSession`.
 */
import { fenceOf, type AttemptRef } from "../domain/job.ts";
import { checkDefinition, checkName, isPlain, type SpecProblem } from "../domain/check-spec.ts";
import { cutText } from "../domain/cut-text.ts";
import { isUuid } from "../domain/job-id.ts";
import {
  LOG_LINES_PER_ATTEMPT_MAX,
  NAME_CHARACTERS_MAX,
  WORKER_LABELS_MAX,
  WORKER_LEASE_MS_DEFAULT,
  WORKER_LEASE_MS_MAX,
  WORKER_LEASE_MS_MIN,
  WORKER_QUEUES_MAX,
  WORKER_SLOTS_MAX,
  WORKER_TASKS_MAX,
} from "../domain/limits.ts";
import type { TaskDefinition } from "../domain/views.ts";
import { AppError } from "../errors.ts";
import type { NewLogLine, ProgressReport } from "../store/job-notes.ts";
import type { Notes } from "./notes.ts";
import type { AttemptOutcome, Outcomes } from "./outcomes.ts";
import type { Stops } from "./stops.ts";
import type { WorkerSession } from "./worker-session.ts";

/** How a worker introduces itself. */
export interface WorkerHello {
  readonly instance: string;
  readonly name: string;
  readonly tasks: readonly TaskDefinition[];
  /** None means "default". */
  readonly queues: readonly string[];
  readonly slots: number;
  readonly prefetch: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly host: string;
  readonly pid: number;
  readonly sdk: string;
  /** 0: the default. */
  readonly leaseMs: number;
  readonly held: readonly AttemptRef[];
}

/** @throws AppError invalid_argument that names what is wrong */
export function checkHello(hello: WorkerHello): void {
  const problem =
    (isUuid(hello.instance) ? undefined : fault("worker_id", "must be a UUID", hello.instance)) ??
    checkRange("slots", hello.slots, 1, WORKER_SLOTS_MAX) ??
    checkRange("prefetch", hello.prefetch, 0, WORKER_SLOTS_MAX) ??
    checkRange("tasks", hello.tasks.length, 1, WORKER_TASKS_MAX) ??
    checkRange("queues", hello.queues.length, 0, WORKER_QUEUES_MAX) ??
    checkRange("labels", Object.keys(hello.labels).length, 0, WORKER_LABELS_MAX) ??
    checkRange("held", hello.held.length, 0, 2 * WORKER_SLOTS_MAX + HELD_SLACK) ??
    (hello.leaseMs === 0
      ? undefined
      : checkRange("lease_ms", hello.leaseMs, WORKER_LEASE_MS_MIN, WORKER_LEASE_MS_MAX)) ??
    [hello.name, hello.host, hello.sdk, ...Object.entries(hello.labels).flat()]
      .filter((text) => text.length > NAME_CHARACTERS_MAX || !isPlain(text))
      .map((text) =>
        fault(
          "name, host, sdk and labels",
          `must be at most ${NAME_CHARACTERS_MAX} plain characters`,
          text,
        ),
      )
      .at(0) ??
    hello.queues.map((queue) => checkName("queue", queue)).find(Boolean) ??
    hello.held.map(checkHeld).find(Boolean) ??
    checkDistinct(
      "tasks",
      hello.tasks.map((task) => task.name),
    ) ??
    hello.tasks.map((task) => checkName("task", task.name) ?? checkDefinition(task)).find(Boolean);
  if (problem !== undefined) throw new AppError("invalid_argument", problem.message);
}

function checkHeld({ jobId, attempt }: AttemptRef): SpecProblem | undefined {
  if (!isUuid(jobId)) return fault("held", "must name jobs by UUID", jobId);
  if (attempt >= 1) return undefined;
  return {
    field: "held",
    message: `held must name attempts from 1 on; received ${jobId}, attempt ${attempt}`,
  };
}

function checkDistinct(field: string, names: readonly string[]): SpecProblem | undefined {
  if (new Set(names).size === names.length) return undefined;
  const twin = names.find((name, index) => names.indexOf(name) < index) ?? "";
  return { field, message: `${field} must differ; received ${shown(twin)} twice` };
}

/** Outcomes that wait for their acknowledgement come on top of what is held. */
const HELD_SLACK = 10_000;

function checkRange(
  field: string,
  value: number,
  least: number,
  most: number,
): SpecProblem | undefined {
  if (Number.isInteger(value) && value >= least && value <= most) return undefined;
  return { field, message: `${field} must be from ${least} to ${most}; received ${value}` };
}

function fault(field: string, rule: string, received: string): SpecProblem {
  return { field, message: `${field} ${rule}; received ${shown(received)}` };
}

function shown(received: string): string {
  return JSON.stringify(cutText(received, 80));
}

/** The lease that a worker asked for, or the default, in milliseconds. */
export function leaseMsOf(hello: WorkerHello): number {
  return hello.leaseMs === 0 ? WORKER_LEASE_MS_DEFAULT : hello.leaseMs;
}

/** A worker's lease can not outlast its server's: whole milliseconds from now. */
export function remainingLeaseMs(leaseMs: number, renewedAgoMs: number): number {
  return Math.max(0, Math.floor(leaseMs - renewedAgoMs));
}

export interface ConnectionParts {
  readonly session: WorkerSession;
  readonly outcomes: Outcomes;
  readonly stops: Stops;
  readonly notes: Notes;
  readonly now: () => number;
  /** How long ago this server last renewed its own lease, in milliseconds. */
  readonly renewedAgoMs: () => number;
  readonly onDrain: () => void;
  readonly onClosed: (inOrder: boolean) => Promise<void>;
}

/** One worker's open stream. */
export class WorkerConnection {
  readonly #parts: ConnectionParts;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.session.name;
  }

  /**
   * Books outcomes; resolves when they are durable or refused, with the refused ones. Log lines that came before are
   * written first: whoever sees a job's end sees all it said.
   */
  async outcomes(outcomes: readonly AttemptOutcome[]): Promise<readonly AttemptRef[]> {
    this.#heard();
    const logsWritten = this.#parts.notes.logsWritten();
    if (logsWritten !== undefined) await logsWritten;
    return this.#parts.outcomes.report(this.#parts.session, outcomes);
  }

  /** Keeps progress and handlers' heartbeats. Those of attempts that are not this worker's are answered by a stop. */
  progress(reports: readonly (AttemptRef & { readonly value: string | undefined })[]): void {
    this.#heard();
    const kept: ProgressReport[] = [];
    const foreign: AttemptRef[] = [];
    for (const { jobId, attempt, value } of reports) {
      const held = this.#parts.session.find(jobId, attempt);
      if (held === undefined) {
        foreign.push({ jobId, attempt });
        continue;
      }
      held.heardAtMs = this.#parts.now();
      if (value !== undefined) kept.push({ jobId, attempt, value });
    }
    this.#disown(foreign);
    this.#parts.notes.progress(kept);
  }

  /** Keeps log lines. Resolves at once, or, when many wait, after they are written. */
  async logs(lines: readonly NewLogLine[]): Promise<void> {
    this.#heard();
    const kept: NewLogLine[] = [];
    const foreign: AttemptRef[] = [];
    for (const line of lines) {
      const { jobId, attempt } = line;
      const held = this.#parts.session.find(jobId, attempt);
      if (held === undefined) {
        foreign.push({ jobId, attempt });
      } else if (held.logLineCount <= LOG_LINES_PER_ATTEMPT_MAX) {
        held.logLineCount += 1;
        kept.push(held.logLineCount > LOG_LINES_PER_ATTEMPT_MAX ? lastLine(line) : line);
      }
    }
    this.#disown(foreign);
    await this.#parts.notes.logs(kept);
  }

  /** Prolongs the worker's lease. @returns how long it lasts, in milliseconds, counted from when the worker sent this */
  heartbeat(): number {
    this.#heard();
    if (this.#parts.session.isLost) return 0;
    return remainingLeaseMs(this.#parts.session.leaseMs, this.#parts.renewedAgoMs());
  }

  /** Resolves when there is room for what the worker says next; `undefined` when there is now. */
  room(): Promise<void> | undefined {
    return this.#parts.outcomes.room();
  }

  /** Its sink was full and is not any more. */
  relieved(): void {
    this.#parts.session.group?.recount();
  }

  /** The worker wants no more jobs. */
  drain(): void {
    this.#heard();
    this.#parts.onDrain();
  }

  /** The stream is over. @param inOrder the worker closed it, and all its outcomes are booked */
  closed(inOrder: boolean): Promise<void> {
    return this.#parts.onClosed(inOrder);
  }

  #heard(): void {
    this.#parts.session.heard(this.#parts.now());
  }

  #disown(refs: readonly AttemptRef[]): void {
    if (refs.length === 0) return;
    const distinct = new Map(refs.map((ref) => [fenceOf(ref.jobId, ref.attempt), ref]));
    this.#parts.session.sink.stop(
      [...distinct.values()],
      "stale_lease",
      0,
      "The attempt is not this worker's.",
    );
  }
}

function lastLine(line: NewLogLine): NewLogLine {
  return {
    ...line,
    level: "warn",
    message: `This attempt wrote more than ${LOG_LINES_PER_ATTEMPT_MAX} lines; the rest is not kept.`,
    fields: undefined,
  };
}
