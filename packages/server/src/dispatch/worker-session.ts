/**
 * One connected worker as this server sees it: its slots and the attempts it holds. Jobs reach the worker through it;
 * what the worker says comes in by its `WorkerConnection`.
 */
import type { JobOptions } from "../domain/check-spec.ts";
import { idleSilenceMsMax } from "../domain/heartbeat.ts";
import type { AttemptRef } from "../domain/job.ts";
import type { HeldJob, LeasedJob } from "../store/job-lease.ts";
import type { WorkerKey } from "../store/worker.ts";
import { Endings } from "./endings.ts";
import { WaitingLine } from "./waiting-line.ts";
import type { Lane } from "./lane.ts";

export const STOP_REASONS = [
  "cancelled",
  "timed_out",
  "heartbeat_timed_out",
  "deadline_exceeded",
  "stale_lease",
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** A job that a worker holds or is to hold. */
export interface Assignment {
  readonly id: string;
  readonly attempt: number;
  readonly lane: Lane;
  readonly inputContentType: string | undefined;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly failureCount: number;
  readonly lostCount: number;
  readonly createdAt: Date;
  readonly tags: readonly string[];
  readonly options: JobOptions | undefined;
  readonly deadlineInMs: number | undefined;
  readonly isCancelRequested: boolean;
  /** Since its lease; more than 0 for a worker that came back with it. */
  readonly leasedAgoMs: number;
}

/** A job on its way down to a worker. */
export interface JobDelivery extends Assignment {
  readonly input: string;
}

/** What goes down to a worker. */
export interface WorkerSink {
  /** Whether the worker has not read what it was given, so that more would pile up here. */
  readonly isFull: boolean;
  jobs(jobs: readonly JobDelivery[]): void;
  stop(refs: readonly AttemptRef[], reason: StopReason, graceMs: number, message: string): void;
  /** Ends the stream; the worker keeps its jobs and reconnects. */
  goodbye(reason: string): void;
}

/** An attempt that a worker holds. Instants are of this process's monotonic clock. */
export interface HeldAttempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly lane: Lane;
  readonly maxAttempts: number;
  readonly failureCount: number;
  readonly lostCount: number;
  readonly options: JobOptions | undefined;
  /** When the job's total deadline passes. */
  readonly deadlineAtMs: number | undefined;
  /** When its handler can have started: at delivery, or when a slot became free. */
  startedAtMs: number | undefined;
  /** When its handler was last heard of. */
  heardAtMs: number;
  isCancelRequested: boolean;
  /** Told to stop, and when the server ends the attempt itself. */
  stop: { readonly reason: StopReason; readonly endsAtMs: number } | undefined;
  logLineCount: number;
  /** It was on its way when the worker had said that it drains: a worker that closes its stream has not seen it. */
  readonly isAfterDrain: boolean;
}

/** Somebody who counts the free slots of several workers. */
export interface SlotCounter {
  freeChanged(by: number): void;
  /** An attempt is over. */
  ended(nowMs: number): void;
  recount(): void;
}

export interface WorkerSessionOptions {
  /** Of its row, and of its connection. */
  readonly key: WorkerKey;
  readonly instance: string;
  readonly name: string;
  readonly slots: number;
  readonly prefetch: number;
  readonly leaseMs: number;
  readonly sink: WorkerSink;
  readonly nowMs: number;
}

export class WorkerSession {
  readonly id: number;
  readonly key: WorkerKey;
  readonly instance: string;
  readonly name: string;
  readonly slots: number;
  readonly leaseMs: number;
  readonly sink: WorkerSink;
  readonly held = new Map<string, HeldAttempt>();
  /** Attempts that are over but may still stand as running in the table. */
  readonly ending = new Endings();
  group: SlotCounter | undefined;
  isDraining = false;
  /** Reconciled with the table and allowed to get jobs. */
  isReady = false;
  isClosed = false;
  /** Jobs that it holds at most. */
  readonly capacity: number;
  /** Found silent and being booked out: whatever it says now prolongs nothing. */
  isLost = false;
  #heardAtMs: number;
  /** When it was given something while it held nothing: it answers that within its lease. */
  #owesAnswerSinceMs = Number.NEGATIVE_INFINITY;
  /** Grows with each reconciliation: what was leased before it is delivered by the next one. */
  reconcileCount = 0;
  /** Slots promised to statements under way. */
  #reservedCount = 0;
  #startedCount = 0;
  /** Held behind the slots, in the order the worker will start them. */
  readonly #waiting = new WaitingLine<HeldAttempt>(
    (held) => this.held.get(held.jobId) === held && held.startedAtMs === undefined,
  );

  constructor(options: WorkerSessionOptions) {
    this.id = options.key.id;
    this.key = options.key;
    this.instance = options.instance;
    this.name = options.name;
    this.slots = options.slots;
    this.leaseMs = options.leaseMs;
    this.sink = options.sink;
    this.#heardAtMs = options.nowMs;
    this.capacity = options.slots + options.prefetch;
  }

  /** Takes note of a sign of life. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** How long it owes a sign of life: since the last one, or since it was given something after it. */
  silentMs(nowMs: number): number {
    return nowMs - Math.max(this.#heardAtMs, this.#owesAnswerSinceMs);
  }

  /** Whether it was silent for longer than it may: its lease, or, while nothing depends on it, more. */
  isSilent(nowMs: number): boolean {
    const isOwing = this.held.size > 0 || this.#owesAnswerSinceMs > this.#heardAtMs;
    return this.silentMs(nowMs) > (isOwing ? this.leaseMs : idleSilenceMsMax(this.leaseMs));
  }

  /** Jobs that it can take now. */
  get freeCount(): number {
    if (!this.#takesJobs) return 0;
    return Math.max(0, this.capacity - this.held.size - this.#reservedCount);
  }

  get #takesJobs(): boolean {
    return this.isReady && !this.isDraining && !this.isLost && !this.isClosed && !this.sink.isFull;
  }

  get loadCount(): number {
    return this.held.size + this.#reservedCount;
  }

  /** Promises one slot to a statement under way. */
  reserve(): void {
    this.#reservedCount += 1;
    this.#freeChanged(-1);
  }

  /** Takes the promise of one slot back. */
  release(): void {
    this.#reservedCount -= 1;
    this.#freeChanged(1);
  }

  /** Books a job as held. The caller has delivered it, or the worker said that it has it. */
  hold(job: Assignment, nowMs: number): HeldAttempt {
    const startedAtMs = nowMs - job.leasedAgoMs;
    const held: HeldAttempt = {
      jobId: job.id,
      attempt: job.attempt,
      lane: job.lane,
      maxAttempts: job.maxAttempts,
      failureCount: job.failureCount,
      lostCount: job.lostCount,
      options: job.options,
      deadlineAtMs: job.deadlineInMs === undefined ? undefined : nowMs + job.deadlineInMs,
      startedAtMs: undefined,
      heardAtMs: nowMs,
      isCancelRequested: job.isCancelRequested,
      stop: undefined,
      logLineCount: 0,
      isAfterDrain: this.isDraining,
    };
    // Given one job after the other, a worker that never answers must not seem to have just begun.
    if (this.held.size === 0 && this.#heardAtMs >= this.#owesAnswerSinceMs) {
      this.#owesAnswerSinceMs = nowMs;
    }
    this.held.set(job.id, held);
    this.#freeChanged(-1);
    if (this.#startedCount < this.slots) this.#start(held, startedAtMs);
    else this.#waiting.push(held);
    return held;
  }

  /** The attempt of this fence, if the worker holds it. */
  find(jobId: string, attempt: number): HeldAttempt | undefined {
    const held = this.held.get(jobId);
    return held?.attempt === attempt ? held : undefined;
  }

  /** Frees the slot of an attempt that is over. @returns an attempt that can have started in its place */
  letGo(held: HeldAttempt, nowMs: number): HeldAttempt | undefined {
    if (!this.held.delete(held.jobId)) return undefined;
    this.#freeChanged(1);
    this.group?.ended(nowMs);
    if (held.startedAtMs === undefined) return undefined;
    this.#startedCount -= 1;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#start(next, nowMs);
    return next;
  }

  #freeChanged(by: number): void {
    if (this.#takesJobs) this.group?.freeChanged(by);
  }

  #start(held: HeldAttempt, startedAtMs: number): void {
    this.#startedCount += 1;
    held.startedAtMs = startedAtMs;
    // A handler has its whole heartbeat timeout from when this server began to listen.
    held.heardAtMs = Math.max(held.heardAtMs, startedAtMs);
  }
}

/** A leased row as a delivery. */
export function toDelivery(row: LeasedJob, lane: Lane): JobDelivery {
  return {
    id: row.id,
    attempt: row.attempt,
    lane,
    input: row.input,
    inputContentType: row.input_content_type ?? undefined,
    priority: row.priority,
    maxAttempts: row.max_attempts,
    failureCount: row.failure_count,
    lostCount: row.lost_count,
    createdAt: new Date(row.created_ms),
    tags: row.tags ?? [],
    options: row.options ?? undefined,
    deadlineInMs: row.deadline_in_ms ?? undefined,
    isCancelRequested: false,
    leasedAgoMs: 0,
  };
}

/** A running row as what its worker holds. */
export function toAssignment(row: HeldJob, lane: Lane): Assignment {
  return {
    ...toDelivery({ ...row, input: "" }, lane),
    isCancelRequested: row.is_cancel_requested,
    leasedAgoMs: Math.max(0, row.leased_ago_ms),
  };
}
