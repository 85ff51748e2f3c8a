/** What a handler is given beside its input. */
export interface TaskContext {
  readonly job: JobInfo;
  /**
   * The fence: valid for this attempt only, growing with each one. Give it to your own writes (`where fence < $1`) and
   * a stale worker cannot overwrite what its successor wrote.
   */
  readonly fence: { readonly jobId: string; readonly attempt: number };
  /**
   * Aborted when the attempt shall stop. `signal.reason` is `Cancelled`, `TimedOut`, `LeaseLost` or `WorkerStopped`;
   * rethrow it (`signal.throwIfAborted()`) or return a result within the grace.
   */
  readonly signal: AbortSignal;
  /**
   * Shows how far the job is; any JSON value. Goes up at most every 100 ms, the latest value wins. Counts as a heartbeat.
   *
   * @throws BatonError payload_too_large (over 16 KiB), invalid_argument (not JSON)
   */
  readonly progress: (value: unknown) => void;
  /** Says that the handler is alive, for tasks with `heartbeatTimeoutMs`. */
  readonly heartbeat: () => void;
  /** Writes to the job's log. Never throws; messages over 16 KiB are cut with a mark. */
  readonly log: TaskLog;
}

/** The job as its handler sees it. */
export interface JobInfo {
  readonly id: string;
  /** From 1, grows with each attempt. */
  readonly attempt: number;
  readonly task: string;
  readonly queue: string;
  readonly tags: readonly string[];
  readonly createdAt: Date;
  readonly maxAttempts: number;
  /** Failed attempts before this one. */
  readonly failureCount: number;
  readonly priority: number;
}

export interface TaskLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
