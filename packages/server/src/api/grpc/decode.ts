/**
 * Decoding of what comes over the wire. Generated codecs put U+FFFD where a text is not UTF-8, and what they throw
 * becomes INTERNAL inside grpc-js; here wrong bytes become a value that the method answers as `invalid_argument`.
 */
import { TextDecoder } from "node:util";
import { TextReader } from "@baton/sdk/contract";

/** A message, or why the bytes are none. */
export type Decoded<Message> =
  | { readonly kind: "ok"; readonly message: Message }
  | { readonly kind: "malformed"; readonly reason: string };

/** What a reader tells of its place. */
interface Place {
  readonly pos: number;
  readonly len: number;
}

/** The half of a generated codec that reads. */
export interface Codec<Reader, Message> {
  decode(input: Reader): Message;
}

type DecodeUtf8 = (bytes: Uint8Array) => string;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Makes strict decoders for codecs that read with `Reader`. Codecs recognise a reader by its class, and two installed
 * copies of the protobuf library are two classes: each group of codecs brings its own.
 *
 * @returns for a codec, a function that never throws
 */
export function strictDecoder<Reader extends Place>(
  Reader: new (bytes: Uint8Array, decodeUtf8: DecodeUtf8) => Reader,
): <Message>(codec: Codec<Reader, Message>) => (bytes: Uint8Array) => Decoded<Message> {
  return (codec) => (bytes) => {
    try {
      const reader = new Reader(bytes, decodeUtf8);
      const message = codec.decode(reader);
      // Codecs take a zero byte or the end of a group for the end of the message and leave the rest.
      if (reader.pos === reader.len) return { kind: "ok", message };
      return {
        kind: "malformed",
        reason: `the message ends at byte ${reader.pos} of ${reader.len}`,
      };
    } catch (error) {
      return { kind: "malformed", reason: error instanceof Error ? error.message : String(error) };
    }
  };
}

/** Strict decoders for the codecs of `@baton/sdk/contract`. */
export const decodeMessage = strictDecoder(TextReader);

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new Error("a text field is not UTF-8", { cause: error });
  }
}
