import { RETRY_BASE_MS_DEFAULT, RETRY_MAX_MS_DEFAULT } from "./limits.ts";

export const RETRY_STRATEGIES = ["fixed", "linear", "exponential"] as const;
export type RetryStrategy = (typeof RETRY_STRATEGIES)[number];
export const RETRY_JITTERS = ["full", "none"] as const;
export type RetryJitter = (typeof RETRY_JITTERS)[number];

/** How long to wait before the next attempt. Absent fields have the defaults named in {@link retryDelayMs}. */
export interface RetryPolicy {
  readonly strategy?: RetryStrategy | undefined;
  readonly baseMs?: number | undefined;
  readonly maxMs?: number | undefined;
  readonly jitter?: RetryJitter | undefined;
}

/**
 * Delay before the next attempt, in whole milliseconds.
 *
 * @param policy  strategy (default exponential), `baseMs` (default 1,000), `maxMs` (default 3,600,000, never below
 *                `baseMs`), jitter (default full)
 * @param failureCount failed attempts so far, at least 1
 * @param random  uniform in [0, 1); injected so that tests are exact
 * @returns fixed: base; linear: base · n; exponential: base · 2^(n−1); each at most `maxMs`; with full jitter uniform
 *          between 0 and that ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015)
 */
export function retryDelayMs(policy: RetryPolicy, failureCount: number, random: number): number {
  const baseMs = policy.baseMs ?? RETRY_BASE_MS_DEFAULT;
  const maxMs = Math.max(baseMs, policy.maxMs ?? RETRY_MAX_MS_DEFAULT);
  const delayMs = Math.min(maxMs, baseMs * growth(policy.strategy ?? "exponential", failureCount));
  return Math.round((policy.jitter ?? "full") === "full" ? delayMs * random : delayMs);
}

function growth(strategy: RetryStrategy, failureCount: number): number {
  switch (strategy) {
    case "fixed":
      return 1;
    case "linear":
      return failureCount;
    case "exponential":
      return 2 ** (failureCount - 1);
  }
}
