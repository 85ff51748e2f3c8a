import type { Sharp } from "sharp";

import { Refused } from "../isolation/serve.ts";
import { PIXELS_MAX, type ImageDescription } from "./describe-image.ts";
import type { ImageFormat } from "./formats.ts";

/** WebP's limit. */
export const SIDE_PIXELS_MAX = 16_383;

export const FITS = ["inside", "cover", "contain", "fill", "outside"] as const;

/** What is to be done with an image. */
export interface ImageChange {
  readonly operation: "resize" | "convert" | "thumbnail";
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly fit: (typeof FITS)[number];
  readonly enlarge: boolean;
  /** Side of a thumbnail's square. */
  readonly size: number;
  /** 1 to 100. */
  readonly quality?: number | undefined;
  /** `#rrggbb`. */
  readonly background: string;
}

/**
 * Sets up the change; nothing is decoded before the pipeline is read.
 *
 * @throws Refused when the result would be too large
 */
export function transformImage(
  image: Sharp,
  source: ImageDescription,
  change: ImageChange,
  format: ImageFormat,
): Sharp {
  return encode(reshape(image.autoOrient(), source, change), source, change, format);
}

function reshape(image: Sharp, source: ImageDescription, change: ImageChange): Sharp {
  switch (change.operation) {
    case "convert":
      return image;
    case "thumbnail":
      return image.resize({ width: change.size, height: change.size, fit: "cover" });
    case "resize":
      refuseHugeResult(source, change);
      return image.resize({
        ...(change.width !== undefined && { width: change.width }),
        ...(change.height !== undefined && { height: change.height }),
        fit: change.fit,
        background: source.hasAlpha ? transparent(change.background) : change.background,
        withoutEnlargement: !change.enlarge,
      });
  }
}

/** A side that is left out follows from the other one, and is enormous for an image that is one pixel wide. */
function refuseHugeResult(source: ImageDescription, change: ImageChange): void {
  const [width, height] = sizeWanted(source, change);
  if (width <= SIDE_PIXELS_MAX && height <= SIDE_PIXELS_MAX && width * height <= PIXELS_MAX) return;
  throw new Refused(
    "image_too_large",
    `The result would have ${Math.ceil(width)} × ${Math.ceil(height)} pixels; at most ` +
      `${SIDE_PIXELS_MAX} a side and ${PIXELS_MAX} in all are possible.`,
  );
}

function sizeWanted(source: ImageDescription, change: ImageChange): readonly [number, number] {
  const { width, height, fit } = change;
  if (width !== undefined && height !== undefined && fit !== "outside") return [width, height];
  const scale = Math.max((width ?? 0) / source.width, (height ?? 0) / source.height);
  const bounded = change.enlarge ? scale : Math.min(1, scale);
  return [source.width * bounded, source.height * bounded];
}

function encode(
  image: Sharp,
  source: ImageDescription,
  change: ImageChange,
  format: ImageFormat,
): Sharp {
  const quality = change.quality === undefined ? {} : { quality: change.quality };
  switch (format) {
    case "jpeg": {
      // JPEG has no transparency; without this it turns black.
      const opaque = source.hasAlpha ? image.flatten({ background: change.background }) : image;
      return opaque.jpeg(quality);
    }
    case "png":
      return image.png();
    case "webp":
      return image.webp(quality);
    case "avif":
      return image.avif(quality);
    case "gif":
      return image.gif();
    case "tiff":
      return image.tiff(quality);
  }
}

function transparent(colour: string) {
  const value = Number.parseInt(colour.slice(1), 16);
  return { r: value >> 16, g: (value >> 8) & 0xff, b: value & 0xff, alpha: 0 };
}
