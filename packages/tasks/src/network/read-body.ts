import { Writable, type Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from "node:zlib";

/** Said in a request, so that servers send what {@link readBody} can decode. */
export const ACCEPTED_ENCODINGS = "gzip, br, zstd";
/** More layers of compression than anybody needs are an attack: each one can multiply the size by a thousand. */
const ENCODINGS_MAX = 2;
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

export class BodyTooLarge extends Error {}

export interface ReadBodyOptions {
  /** The `content-encoding` header. Unknown encodings are left as they are. */
  readonly contentEncoding: string | undefined;
  /** Bound of the decoded bytes. The memory used is bounded by it too, however well the body is compressed. */
  readonly bytesMax: number;
  /** `fail` throws {@link BodyTooLarge}; `truncate` returns the first `bytesMax` bytes. */
  readonly overflow: "fail" | "truncate";
  readonly signal: AbortSignal;
}

/** Reads a response's body, decoded and bounded, and closes it. */
export async function readBody(body: Readable, options: ReadBodyOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const room = options.bytesMax - bytes;
      bytes += chunk.length;
      chunks.push(chunk.subarray(0, room));
      done(chunk.length > room ? new BodyTooLarge() : null);
    },
  });
  try {
    await pipeline([body, ...decoders(options.contentEncoding), sink], { signal: options.signal });
  } catch (error) {
    if (!(error instanceof BodyTooLarge) || options.overflow === "fail") throw error;
  }
  return Buffer.concat(chunks);
}

function decoders(contentEncoding: string | undefined): readonly Transform[] {
  const names = (contentEncoding ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity");
  const makers = names.map((name) => (Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined));
  const known = makers.filter((maker) => maker !== undefined);
  if (known.length < makers.length || known.length > ENCODINGS_MAX) return [];
  return known.reverse().map((make) => make());
}
