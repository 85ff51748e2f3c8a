import { randomFillSync } from "node:crypto";

/** The shard that new jobs live in, 0 to 4,095: the 12 `rand_a` bits of a job's UUIDv7. One database is shard 0. */
const SHARD = 0;

const POOL_BYTES = 8 * 512;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/**
 * A UUIDv7 (RFC 9562 §5.7) whose `rand_a` bits are the shard and whose other random bits are random.
 *
 * @param nowMs milliseconds since 1970; orders ids roughly by acceptance, decides nothing
 */
export function newJobId(nowMs: number): string {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const time = nowMs.toString(16).padStart(12, "0");
  const random = pool.toString("hex", used, used + 8);
  used += 8;
  // The first random digit keeps two bits; the variant takes the other two.
  const variant = "89ab".charAt(Number.parseInt(random.charAt(0), 16) & 3);
  const shard = SHARD.toString(16).padStart(3, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${shard}-${variant}${random.slice(1, 4)}-${random.slice(4)}`;
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
