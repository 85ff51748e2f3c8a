/** What the API shows: plain shapes that every door translates into its own. Instants are `Date`, payloads text. */
import type { JobError, JobState, Outcome } from "./job.ts";
import type { RetryPolicy } from "./retry.ts";

/** A job as callers see it. */
export interface JobView {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly state: JobState;
  readonly priority: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly failureCount: number;
  /** Absent where payloads were not asked for. */
  readonly input?: string | undefined;
  /** Absent: application/json. Otherwise `input` is base64. */
  readonly inputContentType?: string | undefined;
  /** JSON text. */
  readonly result?: string | undefined;
  readonly error?: JobError | undefined;
  readonly tags: readonly string[];
  readonly createdAt: Date;
  readonly runAt?: Date | undefined;
  readonly startedAt?: Date | undefined;
  readonly finishedAt?: Date | undefined;
  /** JSON text. */
  readonly progress?: string | undefined;
  readonly cancelRequestedAt?: Date | undefined;
  readonly cancelReason?: string | undefined;
  readonly uniqueKey?: string | undefined;
  readonly worker?: string | undefined;
  /** Per-attempt limit that the job itself asked for. */
  readonly attemptTimeoutMs?: number | undefined;
}

/** One try of a job, as kept for ever or until retention. */
export interface AttemptView {
  readonly attempt: number;
  /** Absent while it runs. */
  readonly outcome?: Outcome | undefined;
  readonly worker?: string | undefined;
  readonly leasedAt?: Date | undefined;
  readonly startedAt?: Date | undefined;
  readonly finishedAt?: Date | undefined;
  readonly error?: JobError | undefined;
}

/** All given conditions must hold. */
export interface JobFilter {
  readonly states?: readonly JobState[] | undefined;
  readonly queue?: string | undefined;
  readonly task?: string | undefined;
  readonly tag?: string | undefined;
  readonly createdAfter?: Date | undefined;
  readonly createdBefore?: Date | undefined;
}

/** One page of a list; `nextCursor` is absent on the last page. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor?: string | undefined;
}

export interface LogLineView {
  readonly attempt: number;
  readonly at: Date;
  readonly level: LogLevel;
  readonly message: string;
  /** JSON object as text. */
  readonly fields?: string | undefined;
}

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface QueueView {
  readonly name: string;
  readonly isPaused: boolean;
  readonly pausedAt?: Date | undefined;
  readonly pauseReason?: string | undefined;
  /** Exact up to 10,000, then 10,000. */
  readonly queuedCount: number;
  readonly scheduledCount: number;
  readonly runningCount: number;
  readonly oldestQueuedAt?: Date | undefined;
}

/** active, draining (wants no more jobs), detached (no connection, lease not over), gone. */
export const WORKER_STATES = ["active", "draining", "detached", "gone"] as const;
export type WorkerState = (typeof WORKER_STATES)[number];

export interface WorkerView {
  readonly id: string;
  readonly name: string;
  readonly state: WorkerState;
  readonly server: string;
  readonly host: string;
  readonly pid: number;
  readonly sdk: string;
  readonly slots: number;
  readonly runningCount: number;
  readonly tasks: readonly string[];
  readonly queues: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly connectedAt: Date;
  readonly seenAt: Date;
}

export interface ServerView {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly startedAt: Date;
  readonly renewedAt: Date;
  readonly workerCount: number;
  readonly isAlive: boolean;
}

/** What a task is to the server. Absent values are the defaults of limits.ts. Durations are milliseconds. */
export interface TaskDefinition {
  readonly name: string;
  readonly description?: string | undefined;
  readonly maxAttempts?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly attemptTimeoutMs?: number | undefined;
  readonly queueTimeoutMs?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly heartbeatTimeoutMs?: number | undefined;
  readonly cancelGraceMs?: number | undefined;
  /** JSON Schema as JSON text. */
  readonly inputSchema?: string | undefined;
  readonly updatedAt?: Date | undefined;
}

/** A change of a job's state, as watchers of a filter see it. */
export interface JobEventView {
  /** Watch after this to miss nothing that followed; the events of one batch may come again. */
  readonly sequence: number;
  readonly at: Date;
  readonly jobId: string;
  readonly task: string;
  readonly queue: string;
  readonly state: JobState;
  readonly attempt: number;
}
