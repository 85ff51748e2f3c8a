/** Describes and changes one image. Runs in a process of its own, see isolation/isolated-pool.ts. */
import sharp from "sharp";

import { Refused } from "../isolation/serve.ts";
import { describeImage, PIXELS_MAX, type ImageDescription } from "./describe-image.ts";
import type { ImageFormat } from "./formats.ts";
import { transformImage, type ImageChange } from "./transform-image.ts";

export interface ImageRequest {
  readonly bytes: Uint8Array;
  /** Absent: the image is described only. */
  readonly change: ImageChange | undefined;
  /** Absent: the source's. */
  readonly format: ImageFormat | undefined;
}

export interface ImageResult {
  readonly source: ImageDescription;
  /** Present when a change was asked for. */
  readonly output: ChangedImage | undefined;
}

export interface ChangedImage {
  readonly format: ImageFormat;
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8Array;
}

// Every image is another one.
sharp.cache(false);

/** @throws Refused for whatever libvips says of the image: it will say the same again */
export async function processImage({ bytes, change, format }: ImageRequest): Promise<ImageResult> {
  try {
    const image = sharp(bytes, { limitInputPixels: PIXELS_MAX });
    const source = describeImage(await image.metadata(), bytes.length);
    if (change === undefined) return { source, output: undefined };
    const target = format ?? source.format;
    const pipeline = transformImage(image, source, change, target);
    const { data, info } = await pipeline.toBuffer({ resolveWithObject: true });
    const { width, height } = info;
    return { source, output: { format: target, width, height, bytes: data } };
  } catch (error) {
    if (error instanceof Refused) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes("exceeds pixel limit")) {
      throw new Refused(
        "image_too_large",
        `Expected an image of at most ${PIXELS_MAX} pixels; received a larger one.`,
        { cause: error },
      );
    }
    throw new Refused("image_unreadable", `The image cannot be processed: ${message}`, {
      cause: error,
    });
  }
}
