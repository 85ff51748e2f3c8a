import { setTimeout as sleep } from "node:timers/promises";

export interface LoopOptions {
  readonly signal: AbortSignal;
  readonly intervalMs: number;
  /** A pass that takes long is followed by a rest of so many times its duration. @default 0 */
  readonly restTimes?: number | undefined;
  /** A pass that fails is reported, and the next one comes after the interval. */
  readonly onError: (error: unknown) => void;
}

/** Runs passes until `signal` aborts. A slow pass delays the next one, never overlaps it. */
export async function runEvery(options: LoopOptions, once: () => Promise<unknown>): Promise<void> {
  while (!options.signal.aborted) {
    const startMs = performance.now();
    try {
      await once();
    } catch (error) {
      options.onError(error);
    }
    const restMs = (performance.now() - startMs) * (options.restTimes ?? 0);
    await sleep(Math.max(options.intervalMs, restMs), undefined, { signal: options.signal }).catch(
      () => undefined,
    );
  }
}
