/** What the client shows: plain objects. Instants are `Date`, payloads are parsed JSON, absent is `undefined`. */
import type { RetryPolicy } from "./retry-policy.ts";

/** `succeeded`, `dead` and `cancelled` are final; a dead job can be redriven. */
export type JobState =
  | "waiting"
  | "scheduled"
  | "queued"
  | "running"
  | "succeeded"
  | "dead"
  | "cancelled";

/** How an attempt ended. */
export type AttemptOutcome =
  | "succeeded"
  | "retry"
  | "failed"
  | "snoozed"
  | "cancelled"
  | "timed_out"
  | "lost";

/** An error as kept with a job or an attempt. */
export interface JobError {
  /** A code of docs/errors.md or docs/sdk.md, or the name of the handler's error class. */
  readonly code: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** One request to run one task with one input. */
export interface Job<Output = unknown> {
  readonly id: string;
  readonly task: string;
  readonly queue: string;
  readonly state: JobState;
  readonly priority: number;
  /** Number of the latest attempt, 0 before the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Attempts that count against `maxAttempts` since acceptance or the last redrive. */
  readonly failureCount: number;
  /** Parsed JSON, or a Buffer when `inputContentType` is set. Absent in lists unless asked for. */
  readonly input: unknown;
  /** Absent: application/json. */
  readonly inputContentType: string | undefined;
  /** Present when succeeded; null when the handler returned nothing. Absent in lists unless asked for. */
  readonly result: Output | undefined;
  readonly error: JobError | undefined;
  readonly tags: readonly string[];
  readonly createdAt: Date;
  readonly runAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  /** The latest that the handler reported. */
  readonly progress: unknown;
  readonly cancelRequestedAt: Date | undefined;
  readonly cancelReason: string | undefined;
  readonly uniqueKey: string | undefined;
  /** Oldest first; only from `getJob` and `handle.get`, otherwise empty. */
  readonly attempts: readonly Attempt[];
  /** Name of the worker that holds or last held the job. */
  readonly worker: string | undefined;
}

/** One try of a job. */
export interface Attempt {
  readonly attempt: number;
  /** Absent while it runs. */
  readonly outcome: AttemptOutcome | undefined;
  readonly worker: string | undefined;
  readonly leasedAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  readonly error: JobError | undefined;
}

/** All given conditions must hold. */
export interface JobFilter {
  /** Any of these. */
  readonly states?: readonly JobState[] | undefined;
  readonly queue?: string | undefined;
  readonly task?: string | undefined;
  readonly tag?: string | undefined;
  readonly createdAfter?: Date | undefined;
  readonly createdBefore?: Date | undefined;
}

/** A change of a job's state. */
export interface JobEvent {
  /** Pass the last one that you have handled as `afterSequence` to go on from there. */
  readonly sequence: number;
  readonly at: Date;
  readonly job: {
    readonly id: string;
    readonly task: string;
    readonly queue: string;
    readonly state: JobState;
    readonly attempt: number;
  };
}

export interface JobPage {
  /** Newest first. */
  readonly jobs: readonly Job[];
  /** Absent on the last page. */
  readonly nextCursor: string | undefined;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  readonly attempt: number;
  readonly at: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

export interface QueueView {
  readonly name: string;
  readonly isPaused: boolean;
  readonly pausedAt: Date | undefined;
  readonly pauseReason: string | undefined;
  /** Exact up to 10,000, then 10,000. */
  readonly queuedCount: number;
  readonly scheduledCount: number;
  readonly runningCount: number;
  readonly oldestQueuedAt: Date | undefined;
}

/** What the server knows of a task. Absent values are the server's defaults. Durations are milliseconds. */
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
  /** JSON Schema. */
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly updatedAt?: Date | undefined;
}

export interface WorkerView {
  readonly id: string;
  readonly name: string;
  /** detached: no connection, but its lease is not over. */
  readonly state: "active" | "draining" | "detached" | "gone";
  readonly server: string;
  readonly host: string;
  readonly pid: number;
  readonly sdk: string;
  readonly slots: number;
  readonly runningCount: number;
  readonly tasks: readonly string[];
  readonly queues: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly connectedAt: Date | undefined;
  readonly seenAt: Date | undefined;
}

export interface ServerView {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly startedAt: Date | undefined;
  readonly renewedAt: Date | undefined;
  readonly workerCount: number;
  readonly isAlive: boolean;
}

/** What a cancel by filter did. */
export interface CancelManyResult {
  /** Ended at once. */
  readonly cancelledCount: number;
  /** Running: their workers were told to stop. */
  readonly requestedCount: number;
  /** True when the filter matched more than the limit. */
  readonly hasMore: boolean;
}

/** What a redrive by filter did. */
export interface RedriveManyResult {
  readonly redrivenCount: number;
  readonly hasMore: boolean;
}
