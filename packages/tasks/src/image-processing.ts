import { availableParallelism } from "node:os";

import { task } from "@baton/sdk";
import { z } from "zod";

import { fatal } from "./faults.ts";
import {
  PATH_CHARACTERS_MAX,
  readFileBelow,
  writeFileBelow,
  type AllowedFolder,
} from "./files/allowed-folder.ts";
import { formatOfName, IMAGE_FORMATS } from "./image/formats.ts";
import type { ImageRequest, ImageResult } from "./image/process-image.ts";
import { FITS, SIDE_PIXELS_MAX } from "./image/transform-image.ts";
import { IsolatedPool, IsolationError, moduleBeside } from "./isolation/isolated-pool.ts";
import { URL_CHARACTERS_MAX, USER_AGENT, type Network } from "./network/network.ts";
import { fetchedOrThrow } from "./network/response-status.ts";

const SOURCE_BYTES_MAX = 32 * 1024 * 1024;
/** As base64 it fits into a result of the default size, 1 MiB. */
const INLINE_BYTES_MAX = 700 * 1024;
const REDIRECTS_MAX = 5;
const TIMEOUT_MS_DEFAULT = 60_000;
const TIMEOUT_MS_MAX = 15 * 60_000;
const THUMBNAIL_SIDE_DEFAULT = 256;
const PROCESSES_MAX = Math.min(4, availableParallelism());
/** Pixels are not in it; libvips keeps them outside of the JavaScript heap. */
const PROCESS_MEGABYTES_MAX = 128;

const side = z.int().min(1).max(SIDE_PIXELS_MAX);
const path = z.string().min(1).max(PATH_CHARACTERS_MAX);
const imageSource = z
  .strictObject({
    url: z.string().min(1).max(URL_CHARACTERS_MAX).optional(),
    file: path.optional(),
    base64: z.base64().optional(),
  })
  .refine(
    (given) => Object.values(given).filter((each) => each !== undefined).length === 1,
    "expected exactly one of url, file, base64",
  );
const input = z
  .strictObject({
    operation: z
      .enum(["resize", "convert", "thumbnail", "metadata"])
      .describe("What to do. All but metadata turn the image upright and drop its metadata."),
    source: imageSource.describe(
      "Exactly one of url, file (below the worker's files folder), base64; at most 32 MiB and 64 " +
        `million pixels, in one of ${IMAGE_FORMATS.join(", ")}.`,
    ),
    width: side.optional().describe("For resize: pixels. At least one of width and height."),
    height: side.optional().describe("For resize: pixels."),
    fit: z
      .enum(FITS)
      .default("inside")
      .describe("For resize with width and height: how the image gets that size."),
    enlarge: z.boolean().default(false).describe("For resize: makes small images larger too."),
    size: side
      .default(THUMBNAIL_SIDE_DEFAULT)
      .describe("For thumbnail: the side of the square, in pixels. What does not fit is cut off."),
    format: z
      .enum(IMAGE_FORMATS)
      .optional()
      .describe("Of the result. Absent: by the output file's extension, else the source's."),
    quality: z.int().min(1).max(100).optional().describe("For jpeg, webp, avif, tiff."),
    background: z
      .string()
      .regex(/^#[0-9a-fA-F]{6}$/, "expected a colour such as #ffffff")
      .default("#ffffff")
      .describe("Behind transparent parts in jpeg, and around an opaque image for fit contain."),
    output: z
      .strictObject({ file: path })
      .optional()
      .describe(
        "A file below the worker's output folder. Absent: base64 in the result, at most 700 KiB.",
      ),
    timeoutMs: z
      .int()
      .min(1)
      .max(TIMEOUT_MS_MAX)
      .default(TIMEOUT_MS_DEFAULT)
      .describe("For fetching, and again for processing; at most 15 minutes."),
  })
  .refine(
    ({ operation, width, height }) =>
      operation !== "resize" || width !== undefined || height !== undefined,
    "resize needs width or height",
  )
  .refine(
    ({ operation, format, output }) =>
      operation !== "convert" ||
      format !== undefined ||
      formatOfName(output?.file ?? "") !== undefined,
    "convert needs format, or an output.file whose extension names one",
  );
type Input = z.output<typeof input>;

export interface ImageProcessingOptions {
  readonly network: Network;
  readonly files: AllowedFolder;
  readonly output: AllowedFolder;
}

/** Resizes, converts and describes images, by libvips. */
export function imageProcessingTask(options: ImageProcessingOptions) {
  const processes = new IsolatedPool<ImageRequest, ImageResult>({
    kind: "process",
    module: moduleBeside(import.meta.url, "image/serve-images"),
    countMax: PROCESSES_MAX,
    heapMegabytesMax: PROCESS_MEGABYTES_MAX,
  });
  return task({
    name: "image_processing",
    description: "Resizes, converts and describes images.",
    input,
    async run(request, ctx) {
      const { operation, output, timeoutMs } = request;
      const { signal } = ctx;
      const bytes = await sourceBytes(options, request, signal);
      ctx.progress({ step: "loaded", bytes: bytes.length });
      const processed = await processes
        .run(
          {
            bytes,
            change: operation === "metadata" ? undefined : { ...request, operation },
            format: request.format ?? formatOfName(output?.file ?? ""),
          },
          { timeoutMs, signal },
        )
        .catch(explain);
      const { source } = processed;
      if (processed.output === undefined) return { operation, source };

      const data = Buffer.from(processed.output.bytes);
      const changed = { ...processed.output, bytes: data.length };
      ctx.progress({ step: "processed", bytes: data.length });
      if (output === undefined) {
        return { operation, source, output: { ...changed, base64: inline(data) } };
      }
      await writeFileBelow(options.output, output.file, data);
      return { operation, source, output: { ...changed, file: output.file } };
    },
  });
}

async function sourceBytes(
  options: ImageProcessingOptions,
  request: Input,
  signal: AbortSignal,
): Promise<Buffer> {
  const { url, file, base64 } = request.source;
  if (file !== undefined) {
    return readFileBelow(options.files, file, { bytesMax: SOURCE_BYTES_MAX, signal });
  }
  if (url === undefined) return Buffer.from(base64 ?? "", "base64");
  const response = await options.network.request({
    url,
    headers: { "user-agent": USER_AGENT, accept: "image/*" },
    timeoutMs: request.timeoutMs,
    responseBytesMax: SOURCE_BYTES_MAX,
    redirectsMax: REDIRECTS_MAX,
    signal,
  });
  return fetchedOrThrow(response).body;
}

function inline(bytes: Buffer): string {
  if (bytes.length <= INLINE_BYTES_MAX) return bytes.toString("base64");
  throw fatal(
    "image_too_large",
    `The image has ${bytes.length} bytes, and a result carries at most ${INLINE_BYTES_MAX}. ` +
      "Name an output.file, or ask for a smaller image.",
  );
}

/** An image that takes long may be quicker on a worker with less to do; what libvips refuses stays refused. */
function explain(error: unknown): never {
  if (!(error instanceof IsolationError)) throw error;
  if (error.fault !== undefined) throw fatal(error.fault, error.message, { cause: error });
  throw new Error(`The image was not processed: ${error.message}.`, { cause: error });
}
