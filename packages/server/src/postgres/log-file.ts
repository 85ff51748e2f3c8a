import { copyFile, stat, truncate } from "node:fs/promises";

/** One file of this size and one older one are kept. */
const LOG_FILE_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Keeps a log file from growing without end: beyond `bytesMax` its content moves to `<file>.1` and it begins again.
 *
 * Copies and empties it in place, because PostgreSQL holds it open, and goes on at the new end, since it appends. A
 * few lines written in between can be lost. PostgreSQL's own collector cannot do this: it bounds by size or by
 * overwriting, never both.
 *
 * @returns whether it began again
 */
export async function boundLogFile(
  file: string,
  bytesMax: number = LOG_FILE_BYTES_MAX,
): Promise<boolean> {
  const entry = await stat(file).catch(() => undefined);
  if (entry === undefined || entry.size <= bytesMax) return false;
  await copyFile(file, `${file}.1`);
  await truncate(file);
  return true;
}
