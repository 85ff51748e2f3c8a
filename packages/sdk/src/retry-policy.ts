/** How long to wait before the next attempt. */
export interface RetryPolicy {
  /** fixed: base; linear: base · n; exponential: base · 2^(n−1) before attempt n+1. @default "exponential" */
  readonly strategy?: "fixed" | "linear" | "exponential" | undefined;
  /** First delay, 0 to 24 hours. @default 1,000 */
  readonly baseMs?: number | undefined;
  /** Longest delay, `baseMs` to 30 days. @default 3,600,000 */
  readonly maxMs?: number | undefined;
  /** full: uniform between 0 and the delay. @default "full" */
  readonly jitter?: "full" | "none" | undefined;
}
