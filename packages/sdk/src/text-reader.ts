import { BinaryReader } from "@bufbuild/protobuf/wire";

/** What a decoder puts where bytes are not UTF-8, or what somebody wrote. */
const REPLACEMENT = "\uFFFD";

/**
 * Reads texts without making a view of their bytes first. Most fields of most messages are short texts, and the views cost
 * more than the texts: a third of what decoding a job took. A byte order mark is part of the text.
 */
export class TextReader extends BinaryReader {
  readonly #bytes: Buffer;
  readonly #decodeUtf8: ((bytes: Uint8Array) => string) | undefined;

  /**
   * @param decodeUtf8 asked for texts that may be no UTF-8, and may throw
   * @default puts U+FFFD where they are none
   */
  constructor(bytes: Uint8Array, decodeUtf8?: (bytes: Uint8Array) => string) {
    super(bytes, decodeUtf8);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#decodeUtf8 = decodeUtf8;
  }

  /** @throws RangeError the message ends before the text does */
  override string(): string {
    const end = this.uint32() + this.pos;
    if (end > this.len) throw new RangeError("premature EOF");
    const text = this.#bytes.toString("utf8", this.pos, end);
    const isOdd = this.#decodeUtf8 !== undefined && text.includes(REPLACEMENT);
    const read = isOdd ? this.#decodeUtf8(this.#bytes.subarray(this.pos, end)) : text;
    this.pos = end;
    return read;
  }
}
