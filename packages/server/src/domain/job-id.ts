import { randomFillSync } from "node:crypto";

/** The shard that new jobs live in, 0 to 4,095: the 12 `rand_a` bits of a job's UUIDv7. One database is shard 0. */
const SHARD = 0;

const RANDOM_BYTES = 8;
const POOL_BYTES = RANDOM_BYTES * 512;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/**
 * The text of the latest id. Ids are put together here and read out in one go: text that is concatenated from parts is a
 * tree of them, which takes four times as long to make, and as much again when it is written out.
 */
const latest = Buffer.from(
  `00000000-0000-7${SHARD.toString(16).padStart(3, "0")}-0000-000000000000`,
  "latin1",
);
/** Where each random byte but the first stands; its digits are neighbours. */
const RANDOM_AT = [21, 24, 26, 28, 30, 32, 34] as const;
const DIGITS = Buffer.from("0123456789abcdef", "latin1");
let latestMs = -1;

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
  if (nowMs !== latestMs) {
    latestMs = nowMs;
    const time = nowMs.toString(16).padStart(12, "0");
    latest.write(time.slice(0, 8), 0, "latin1");
    latest.write(time.slice(8), 9, "latin1");
  }
  const first = pool[used] ?? 0;
  // The variant, 10 in binary, takes two bits of the first random digit.
  latest[19] = digit(8 | ((first >> 4) & 3));
  latest[20] = digit(first & 15);
  let from = used;
  for (const at of RANDOM_AT) {
    const byte = pool[(from += 1)] ?? 0;
    latest[at] = digit(byte >> 4);
    latest[at + 1] = digit(byte & 15);
  }
  used += RANDOM_BYTES;
  return latest.toString("latin1");
}

function digit(value: number): number {
  return DIGITS[value] ?? 0;
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
