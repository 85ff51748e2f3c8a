/**
 * Arrays as PostgreSQL reads them fastest: in its binary format. The hot statements take their rows as one array a column;
 * written as text, reading these arrays was a tenth of PostgreSQL's work for a job, and `pg` pays 2 µs an element to
 * write them.
 *
 * @see `array_recv` in PostgreSQL's arrayfuncs.c: dimensions, whether there are nulls, type of the elements, length and
 *   lower bound of the dimension; then for each element its length in bytes, or -1 for null, and its value; big-endian
 */

/** Types by their OIDs, which never change. @see PostgreSQL's pg_type.dat */
const OID = { bigint: 20, integer: 23, text: 25, uuid: 2950 };
const HEAD_BYTES = 20;
const NULL = -1;
const UUID_CHARACTERS = 36;
/** Where the two digits of each byte stand in a UUID. */
const UUID_DIGITS = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;
const NO_DIGIT = 255;
/** By the character's code. */
const DIGIT_VALUES = new Uint8Array(256).fill(NO_DIGIT);
for (let value = 0; value < 16; value += 1) {
  DIGIT_VALUES[value.toString(16).charCodeAt(0)] = value;
  DIGIT_VALUES[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/** UUIDs as `uuid[]`. @param ids in their usual form: 36 characters */
export function uuidArray(ids: readonly string[]): Buffer {
  const digits = Buffer.from(ids.join(""), "latin1");
  if (digits.length !== ids.length * UUID_CHARACTERS) throw new TypeError("expected UUIDs");
  const bytes = Buffer.alloc(HEAD_BYTES + ids.length * 20);
  bigEndian(head(OID.uuid, ids.length), HEAD_BYTES / 4).copy(bytes);
  let at = HEAD_BYTES;
  let all = 0;
  for (let start = 0; start < digits.length; start += UUID_CHARACTERS) {
    bytes[at + 3] = 16;
    at += 4;
    for (const offset of UUID_DIGITS) {
      const high = DIGIT_VALUES[digits[start + offset] ?? 0] ?? NO_DIGIT;
      const low = DIGIT_VALUES[digits[start + offset + 1] ?? 0] ?? NO_DIGIT;
      all |= high | low;
      bytes[at] = (high << 4) | low;
      at += 1;
    }
  }
  if (all >= 16) throw new TypeError("expected UUIDs");
  return bytes;
}

/** Whole numbers below 2^31 as `integer[]`. */
export function integerArray(values: readonly number[]): Buffer {
  const words = head(OID.integer, values.length, 2);
  let at = HEAD_BYTES / 4;
  for (const value of values) {
    words[at] = 4;
    words[at + 1] = value;
    at += 2;
  }
  return bigEndian(words, at);
}

/** Whole numbers from 0 below 2^53 as `bigint[]`; null where there is none. */
export function bigintArray(values: readonly (number | undefined)[]): Buffer {
  const words = head(OID.bigint, values.length, 3);
  let at = HEAD_BYTES / 4;
  for (const value of values) {
    if (value === undefined) {
      words[at] = NULL;
      at += 1;
      continue;
    }
    words[at] = 8;
    words[at + 1] = Math.floor(value / 2 ** 32);
    words[at + 2] = value % 2 ** 32;
    at += 3;
  }
  return bigEndian(words, at);
}

/** Texts as `text[]`; null where there is none. */
export function textArray(values: readonly (string | undefined)[]): Buffer {
  const bytes = values.reduce(
    (sum, value) => sum + 4 + (value === undefined ? 0 : Buffer.byteLength(value)),
    HEAD_BYTES,
  );
  const array = Buffer.allocUnsafe(bytes);
  bigEndian(head(OID.text, values.length), HEAD_BYTES / 4).copy(array);
  let at = HEAD_BYTES;
  for (const value of values) {
    const length = value === undefined ? 0 : array.write(value, at + 4);
    array.writeInt32BE(value === undefined ? NULL : length, at);
    at += 4 + length;
  }
  return array;
}

/** The words that begin an array, and room for so many more an element. */
function head(type: number, count: number, wordsPerElement = 0): Int32Array {
  const words = new Int32Array(HEAD_BYTES / 4 + count * wordsPerElement);
  words.set([1, 1, type, count, 1]);
  return words;
}

function bigEndian(words: Int32Array, count: number): Buffer {
  return Buffer.from(words.buffer, 0, count * 4).swap32();
}
