import { randomFillSync } from "node:crypto";

/** The shard that new jobs live in, 0 to 4,095: the 12 `rand_a` bits of a job's UUIDv7. One database is shard 0. */
const SHARD = 0;

/** Hexadecimal digits of chance that one id takes, and a store of them: asking for each alone costs ten times as much. */
const DIGITS = 16;
const pool = Buffer.alloc((512 * DIGITS) / 2);
let digits = "";
let used = 0;
let timeMs = Number.NaN;
let prefix = "";

/**
 * A UUIDv7 (RFC 9562 §5.7) whose `rand_a` bits are the shard and whose other random bits are random.
 *
 * @param nowMs milliseconds since 1970; orders ids roughly by acceptance, decides nothing
 */
export function newJobId(nowMs: number): string {
  if (used === digits.length) {
    digits = randomFillSync(pool).toString("hex");
    used = 0;
  }
  if (nowMs !== timeMs) {
    timeMs = nowMs;
    prefix = prefixOf(nowMs);
  }
  const at = used;
  used += DIGITS;
  // The first random digit keeps two bits; the variant takes the other two.
  const variant = "89ab".charAt(Number.parseInt(digits.charAt(at), 16) & 3);
  return `${prefix}${variant}${digits.slice(at + 1, at + 4)}-${digits.slice(at + 4, at + DIGITS)}`;
}

function prefixOf(nowMs: number): string {
  const time = nowMs.toString(16).padStart(12, "0");
  const shard = SHARD.toString(16).padStart(3, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${shard}-`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Tells whether text from outside is a UUID of any version. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Milliseconds since 1970 that a UUIDv7 carries; only a hint, as its maker's clock wrote it. */
export function jobIdTimeMs(jobId: string): number {
  return Number.parseInt(jobId.slice(0, 8) + jobId.slice(9, 13), 16);
}
