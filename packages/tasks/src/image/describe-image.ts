import type { Metadata } from "sharp";

import { Refused } from "../isolation/serve.ts";
import { IMAGE_FORMATS } from "./formats.ts";

/**
 * Of a source and of a result. A small file can declare a huge image; decoded, one pixel takes four bytes, and four
 * images are worked on at a time, so this keeps a worker's images near one gigabyte.
 */
export const PIXELS_MAX = 64_000_000;

export type ImageDescription = ReturnType<typeof describeImage>;

/**
 * What a caller wants to know of an image; width and height as it is seen upright.
 *
 * @throws Refused for a format or a size that must not be decoded
 */
export function describeImage(metadata: Metadata, bytes: number) {
  const isAvif = metadata.format === "heif" && metadata.compression === "av1";
  const name = isAvif ? "avif" : metadata.format;
  const format = IMAGE_FORMATS.find((each) => each === name);
  if (format === undefined) {
    throw new Refused(
      "image_unreadable",
      `Expected an image in one of ${IMAGE_FORMATS.join(", ")}; received ${name}.`,
    );
  }
  const { width, height } = metadata.autoOrient;
  if (width * height > PIXELS_MAX) {
    throw new Refused(
      "image_too_large",
      `Expected an image of at most ${PIXELS_MAX} pixels; received ${width} × ${height}.`,
    );
  }
  return {
    format,
    width,
    height,
    bytes,
    space: metadata.space,
    channels: metadata.channels,
    depth: metadata.depth,
    /** Pixels per inch; null when the image does not say. */
    density: metadata.density ?? null,
    hasAlpha: metadata.hasAlpha,
    hasProfile: metadata.hasProfile,
    isProgressive: metadata.isProgressive,
    /** EXIF, 1 to 8; 1 is upright. */
    orientation: metadata.orientation ?? 1,
    /** Frames of an animation or pages of a document. Only the first one is worked on. */
    pages: metadata.pages ?? 1,
  };
}
