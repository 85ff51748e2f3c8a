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

/** UUIDs as `uuid[]`. @param ids in their usual form: 36 characters */
export function uuidArray(ids: readonly string[]): Buffer {
  let hex = "";
  for (const id of ids) hex += `00000010${id}`;
  const elements = Buffer.from(hex.replaceAll("-", ""), "hex");
  // An odd character ends the decoding of hex without an error.
  if (elements.length !== ids.length * 20) throw new TypeError("expected UUIDs");
  return Buffer.concat([bigEndian(head(OID.uuid, ids.length), HEAD_BYTES / 4), elements]);
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
