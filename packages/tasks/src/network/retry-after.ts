const SECOND_MS = 1_000;
/** A server that asks for more gets no more: a typing error in a header must not park a job for years. */
export const RETRY_AFTER_MS_MAX = 24 * 60 * 60 * SECOND_MS;

/**
 * Reads a `Retry-After` header: seconds or an HTTP date (RFC 9110 section 10.2.3).
 *
 * @param nowMs the time that a date is compared with, milliseconds since 1970
 * @returns milliseconds in [0, 24 h], or undefined when the header is absent or neither of both
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * SECOND_MS, RETRY_AFTER_MS_MAX);
  // Date.parse alone takes nearly anything, for example "-5".
  if (!/^[A-Za-z]{3,9},? .*\d{2}:\d{2}:\d{2}/.test(text)) return undefined;
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) return undefined;
  return Math.min(Math.max(0, atMs - nowMs), RETRY_AFTER_MS_MAX);
}
