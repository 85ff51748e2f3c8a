/**
 * Text of at most so many bytes of UTF-8, ending in a mark that says how long it was. A cut never splits a character.
 *
 * @param bytesMax at least 64
 */
export function truncateBytes(text: string, bytesMax: number): string {
  // No character of UTF-16 needs more than three bytes, so short texts need no counting.
  if (text.length * 3 <= bytesMax) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= bytesMax) return text;
  const mark = `… [cut, ${bytes} bytes]`;
  const kept = Buffer.from(text).subarray(0, bytesMax - Buffer.byteLength(mark));
  return kept.subarray(0, characterBoundary(kept)).toString("utf8") + mark;
}

/** Text of at most so many characters, ending in a mark that says how long it was. */
export function truncateCharacters(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const mark = `… [cut, ${text.length} characters]`;
  return text.slice(0, charactersMax - mark.length) + mark;
}

/** Where the last whole character ends. */
function characterBoundary(bytes: Buffer): number {
  let start = bytes.length - 1;
  while (start >= 0 && (bytes[start] ?? 0) >>> 6 === 0b10) start -= 1;
  if (start < 0) return bytes.length;
  const first = bytes[start] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return start + length <= bytes.length ? start + length : start;
}
