/**
 * How a process that runs until it is told to stop gets told: Ctrl-C, SIGTERM, a closed terminal, or the loss of the
 * process that started it. The first time it stops in good order; the second time it must end at once.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { outliveReader } from "./output.ts";
import { onParentExit } from "./parent.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/**
 * One request can come several times at once: from the terminal, and passed on by npm or a service manager. What comes
 * within so long is the same request.
 */
const SAME_REQUEST_MS = 500;

/** Why to stop, when the process that started this one is gone. */
export const PARENT_GONE = "the process that started this one is gone";

export interface Lifetime {
  /** Aborted by the first request to stop; the reason is a sentence. */
  readonly stopping: AbortSignal;
  /** Resolves with the first request. */
  readonly stopRequested: Promise<string>;
  /** Stops to listen: signals do again what they do by default. */
  release(): void;
}

/**
 * Listens from now on.
 *
 * @param onHard called for the second request: must end the process without waiting for anybody
 */
export function openLifetime(onHard: () => void): Lifetime {
  outliveReader();
  const controller = new AbortController();
  const requested = Promise.withResolvers<string>();
  let requestedAtMs = 0;
  const request = (reason: string) => {
    if (controller.signal.aborted) {
      if (performance.now() - requestedAtMs > SAME_REQUEST_MS) onHard();
      return;
    }
    requestedAtMs = performance.now();
    controller.abort(reason);
    requested.resolve(reason);
  };
  const onSignal = (signal: NodeJS.Signals) => request(signal === "SIGINT" ? "Ctrl-C" : signal);
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const stopWaiting = onParentExit(() => {
    // Never a second request: who stops the parent has asked before.
    if (!controller.signal.aborted) request(PARENT_GONE);
  });
  return {
    stopping: controller.signal,
    stopRequested: requested.promise,
    release: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
      stopWaiting();
    },
  };
}

/** Waits for `work`, but no longer than this. @returns whether it ended in time */
export async function endsWithin(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const late = new AbortController();
  const timer = sleep(timeoutMs, false, { signal: late.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), timer]);
  } finally {
    late.abort();
  }
}
