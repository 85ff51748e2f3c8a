import { setTimeout as sleep } from "node:timers/promises";

/** However slow passes are, nothing rests for longer. */
const REST_MS_MAX = 60_000;

export interface LoopOptions {
  readonly signal: AbortSignal;
  readonly intervalMs: number;
  /**
   * Passes that take long again and again are followed by rests of so many times their duration, at most a minute. One that
   * took long once, because it waited for somebody, is not. @default 0
   */
  readonly restTimes?: number | undefined;
  /** A pass that fails is reported, and the next one comes after the interval. */
  readonly onError: (error: unknown) => void;
}

/** Runs passes until `signal` aborts. A slow pass delays the next one, never overlaps it. */
export async function runEvery(options: LoopOptions, once: () => Promise<unknown>): Promise<void> {
  const { signal, intervalMs, restTimes = 0, onError } = options;
  let lastTookMs = 0;
  while (!signal.aborted) {
    const startMs = performance.now();
    let tookMs = 0;
    try {
      await once();
      tookMs = performance.now() - startMs;
    } catch (error) {
      onError(error);
    }
    const restMs = Math.min(REST_MS_MAX, Math.min(tookMs, lastTookMs) * restTimes);
    lastTookMs = tookMs;
    await sleep(Math.max(intervalMs, restMs), undefined, { signal }).catch(() => undefined);
  }
}
