import {
  RECONNECT_BASE_MS,
  RECONNECT_MAX_MS,
  RECONNECT_PATIENT_AFTER_MS,
  RECONNECT_PATIENT_MAX_MS,
} from "../limits.ts";

/**
 * Pause before the next connection: exponential with full jitter ("Exponential Backoff and Jitter", AWS Architecture
 * Blog, 2015). The first is at most 200 ms; none is above 2 s while the outage is shorter than a minute.
 *
 * @param failures connections that failed in a row, at least 1
 * @param outageMs since contact was lost
 * @param random   uniform in [0, 1)
 */
export function reconnectDelayMs(failures: number, outageMs: number, random: number): number {
  const maxMs = outageMs < RECONNECT_PATIENT_AFTER_MS ? RECONNECT_MAX_MS : RECONNECT_PATIENT_MAX_MS;
  return Math.min(maxMs, RECONNECT_BASE_MS * 2 ** (failures - 1)) * random;
}
