/**
 * idle: not started. connecting: never welcomed yet. active: takes jobs. detached: without contact, keeps its jobs and
 * reconnects. draining: finishes what it has. stopped: over for good.
 */
export type WorkerState = "idle" | "connecting" | "active" | "detached" | "draining" | "stopped";

export interface Worker {
  readonly state: WorkerState;
  /** Resolves when the worker has stopped, however that came. */
  readonly closed: Promise<void>;
  /**
   * Connects, and reconnects from then on whenever contact is lost. Resolves when a server has welcomed the worker.
   *
   * @throws BatonError what the server says when it refuses the worker; connection_failed when the worker is stopped
   *   before it was welcomed; invalid_argument when it was started before
   */
  start(): Promise<void>;
  /** Takes no more jobs, gives back those that wait, finishes those that run, and stops. */
  drain(): Promise<void>;
  /** Aborts all handlers, reports those that do not end within half a second as lost, and stops. */
  stop(): Promise<void>;
  /** Starts, and drains on SIGTERM or SIGINT; a second signal stops. Resolves when the worker has stopped. */
  run(): Promise<void>;
}
