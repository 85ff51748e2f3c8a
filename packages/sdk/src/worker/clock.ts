/** Time as the worker sees it, a parameter so that tests own it. */
export interface Clock {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Calls back once after at least so long; the returned function takes it back. */
  readonly after: (delayMs: number, callback: () => void) => () => void;
}

/** The process's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
