import { extname } from "node:path";

/** What images are read and written as. Not SVG or PDF: they are programs for a renderer rather than pixels. */
export const IMAGE_FORMATS = ["jpeg", "png", "webp", "avif", "gif", "tiff"] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

const EXTENSIONS: Readonly<Record<string, ImageFormat>> = {
  ".jpg": "jpeg",
  ".jpeg": "jpeg",
  ".png": "png",
  ".webp": "webp",
  ".avif": "avif",
  ".gif": "gif",
  ".tif": "tiff",
  ".tiff": "tiff",
};

/** The format that a file's name promises. */
export function formatOfName(path: string): ImageFormat | undefined {
  return EXTENSIONS[extname(path).toLowerCase()];
}
