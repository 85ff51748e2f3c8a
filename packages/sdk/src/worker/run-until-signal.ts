import process from "node:process";

/** The part of a worker that signals steer. */
export interface SignalledWorker {
  readonly closed: Promise<void>;
  start(): Promise<void>;
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts a worker and runs it until it has stopped: the first SIGTERM or SIGINT drains it, the second stops it.
 *
 * @throws BatonError when the server refuses the worker
 */
export async function runUntilSignal(worker: SignalledWorker): Promise<void> {
  let signalCount = 0;
  const onSignal = () => {
    signalCount += 1;
    void (signalCount === 1 ? worker.drain() : worker.stop());
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  try {
    await worker.start().catch((error: unknown) => {
      // A signal before the first connection is not a failure.
      if (signalCount === 0) throw error;
    });
    await worker.closed;
  } finally {
    process.off("SIGTERM", onSignal);
    process.off("SIGINT", onSignal);
  }
}
