import { setTimeout as sleep } from "node:timers/promises";

export interface LoopOptions {
  readonly signal: AbortSignal;
  readonly intervalMs: number;
  /** A pass that fails is reported, and the next one comes after the interval. */
  readonly onError: (error: unknown) => void;
}

/** Runs passes until `signal` aborts. A slow pass delays the next one, never overlaps it. */
export async function runEvery(options: LoopOptions, once: () => Promise<unknown>): Promise<void> {
  while (!options.signal.aborted) {
    try {
      await once();
    } catch (error) {
      options.onError(error);
    }
    await sleep(options.intervalMs, undefined, { signal: options.signal }).catch(() => undefined);
  }
}
