import { BatonError, JobFailedError } from "./errors.ts";
import type { Job, JobState, LogLine } from "./views.ts";

/** One job, from wherever its id came. `Output` is what its task returns, after its trip through JSON. */
export interface JobHandle<Output = unknown> {
  readonly id: string;
  /** True when an idempotency key or a unique key led to an earlier job. */
  readonly isDuplicate: boolean;
  /** At acceptance; undefined for `client.job(id)`. */
  readonly state: JobState | undefined;
  /**
   * Waits for the job's end, through any number of reconnects.
   *
   * @returns what the handler returned; null when it returned nothing
   * @throws JobFailedError the job ended dead or cancelled; BatonError deadline_exceeded after `timeoutMs` (the job
   *   goes on), job_not_found, connection_failed; the signal's reason when it aborts
   */
  result(options?: ResultOptions): Promise<Output>;
  /** The job with its attempts. @throws BatonError job_not_found */
  get(): Promise<Job<Output>>;
  /** The job now and after each change; ends after its final state, or quietly when the signal aborts. */
  watch(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<Job<Output>>;
  /**
   * Ends the job, or asks its worker to stop it.
   *
   * @returns cancelled: it has ended; running: its handler was told to stop
   * @throws BatonError job_not_found, job_finished
   */
  cancel(reason?: string): Promise<"cancelled" | "running">;
  /** All log lines, oldest first. @throws BatonError job_not_found */
  logs(): AsyncIterable<LogLine>;
}

export interface ResultOptions {
  readonly signal?: AbortSignal | undefined;
  /** @default no limit */
  readonly timeoutMs?: number | undefined;
}

/**
 * The first final state of a watched job, as result or error.
 *
 * @param watch starts the watch; its stream ends when the signal aborts
 */
export async function awaitResult<Output>(
  watch: (signal: AbortSignal) => AsyncIterable<Job<Output>>,
  jobId: string,
  options: ResultOptions,
): Promise<Output> {
  const { signal, timeoutMs } = options;
  signal?.throwIfAborted();
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signals = [signal, timeout].filter((candidate) => candidate !== undefined);
  for await (const job of watch(AbortSignal.any(signals))) {
    if (job.state === "succeeded" && job.result !== undefined) return job.result;
    if (job.state === "dead" || job.state === "cancelled") throw new JobFailedError(job);
  }
  signal?.throwIfAborted();
  throw new BatonError(
    "deadline_exceeded",
    `job ${jobId} has not ended within ${timeoutMs} ms; it goes on`,
    { jobId, timeoutMs },
  );
}
