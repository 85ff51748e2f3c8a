/**
 * What every door may do: one set of operations behind REST, gRPC and the compatibility doors. A door translates names
 * and shapes, calls one of these, and decides nothing itself.
 */
import type { JobSpec, SubmitResult } from "../domain/job-spec.ts";
import type {
  AttemptView,
  JobEventView,
  JobFilter,
  JobView,
  LogLineView,
  Page,
  QueueView,
  ServerView,
  TaskDefinition,
  WorkerView,
} from "../domain/views.ts";
import type { BadJob } from "../errors.ts";

export interface Operations {
  /**
   * Accepts 1 to 10,000 jobs, all or none; answers after the commit, in order.
   *
   * @param unread jobs of the same call that their door could not read; `specs` are the others, in order. With any,
   *   nothing is accepted, and the error tells of every bad job at once
   * @throws AppError `bulk_rejected` with `details.items: {index, code, message}[]` when several specs were given,
   *   otherwise the code of the one bad spec: invalid_argument, malformed_json, payload_too_large, task_not_found,
   *   idempotency_conflict, unique_conflict; resource_exhausted, unavailable
   */
  submit(specs: readonly JobSpec[], unread?: readonly BadJob[]): Promise<readonly SubmitResult[]>;
  /** One job with its payloads. @throws AppError job_not_found, invalid_argument (not a UUID) */
  jobGet(jobId: string): Promise<JobView>;
  /** Attempts of a job, oldest first, the running one included. @throws AppError job_not_found */
  attemptList(jobId: string): Promise<readonly AttemptView[]>;
  /** Newest first. @throws AppError invalid_cursor, invalid_argument */
  jobList(options: {
    readonly filter?: JobFilter | undefined;
    readonly limit?: number | undefined;
    readonly cursor?: string | undefined;
    readonly includePayloads?: boolean | undefined;
  }): Promise<Page<JobView>>;
  /** @throws AppError job_not_found, invalid_cursor, invalid_argument */
  logList(options: {
    readonly jobId: string;
    readonly attempt?: number | undefined;
    readonly limit?: number | undefined;
    readonly cursor?: string | undefined;
  }): Promise<Page<LogLineView>>;
  /** Ends a job, or tells its worker to stop it. @throws AppError job_not_found, job_finished */
  cancel(jobId: string, reason: string | undefined): Promise<CancelResult>;
  /** The same for up to `limit` unfinished jobs (default 1,000, at most 10,000). */
  cancelMany(
    filter: JobFilter,
    limit: number | undefined,
    reason: string | undefined,
  ): Promise<CancelManyResult>;
  /** Puts a dead job back to its queue. @throws AppError job_not_found, job_not_dead */
  redrive(jobId: string): Promise<void>;
  redriveMany(filter: JobFilter, limit: number | undefined): Promise<RedriveManyResult>;
  /**
   * One job: its present shape, then again after each change, ending after its final state.
   * @throws AppError job_not_found
   */
  watchJob(jobId: string, signal: AbortSignal): AsyncIterable<JobView>;
  /** Changes of matching jobs, from now on or after a sequence. @throws AppError resource_exhausted (too slow) */
  watchEvents(
    filter: JobFilter,
    afterSequence: number | undefined,
    signal: AbortSignal,
  ): AsyncIterable<JobEventView>;
  queueList(): Promise<readonly QueueView[]>;
  /** Creates the queue when it is new. @throws AppError invalid_argument */
  queuePause(name: string, reason: string | undefined): Promise<QueueView>;
  /** @throws AppError queue_not_found */
  queueResume(name: string): Promise<QueueView>;
  taskList(): Promise<readonly TaskDefinition[]>;
  /** @throws AppError task_not_found */
  taskGet(name: string): Promise<TaskDefinition>;
  /** Creates or replaces. @throws AppError invalid_argument, resource_exhausted */
  taskPut(definition: TaskDefinition): Promise<TaskDefinition>;
  /** Connected workers first. */
  workerList(): Promise<readonly WorkerView[]>;
  serverList(): Promise<readonly ServerView[]>;
  /** Jobs by state, each exact up to 10,000 and 10,000 beyond; for compatibility doors that promise totals. */
  jobCounts(): Promise<Readonly<Record<"pending" | "running" | "dead", number>>>;
  /** Whether this server can accept and run jobs: migrated, database answering, not draining. */
  isReady(): Promise<boolean>;
}

export interface CancelResult {
  /** `cancelled` when it ended at once, `running` when its worker was told to stop. */
  readonly state: "cancelled" | "running";
}

export interface CancelManyResult {
  readonly cancelledCount: number;
  readonly requestedCount: number;
  readonly hasMore: boolean;
}

export interface RedriveManyResult {
  readonly redrivenCount: number;
  readonly hasMore: boolean;
}
