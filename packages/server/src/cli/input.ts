/** Bytes from a file or from standard input. */
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { TextDecoder } from "node:util";

import { CliError, usageError } from "./failure.ts";

/** Far above what a server takes; a file by mistake must not fill the memory. */
export const INPUT_BYTES_MAX = 64 * 1024 * 1024;

/** The name that means standard input. */
export const STDIN = "-";

/** Reads everything. @throws CliError file_unreadable, payload_too_large */
export async function readInput(path: string): Promise<Buffer> {
  if (path === STDIN) return readStdin();
  const { size } = await requireFile(path);
  if (size > INPUT_BYTES_MAX) throw tooLarge(path, size);
  return readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

/** Chunks of a file or of standard input. @throws CliError file_unreadable */
export async function* readChunks(path: string): AsyncGenerator<Buffer, void, undefined> {
  if (path !== STDIN) await requireFile(path);
  try {
    const stream: AsyncIterable<Buffer> = path === STDIN ? stdin() : createReadStream(path);
    yield* stream;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Checks that there is a regular file or a pipe. @throws CliError file_unreadable */
export async function requireFile(
  path: string,
): Promise<{ readonly size: number; readonly isRegular: boolean }> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (found.isDirectory()) throw unreadable(path, new Error("it is a directory"));
  return { size: found.size, isRegular: found.isFile() };
}

/** Bytes as text. @throws CliError malformed_json: not UTF-8 */
export function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CliError("malformed_json", `${what} is not UTF-8`, {}, { cause });
  }
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin()) {
    size += chunk.length;
    if (size > INPUT_BYTES_MAX) throw tooLarge("standard input", size);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function stdin(): AsyncIterable<Buffer> {
  if (process.stdin.isTTY) {
    throw usageError("Expected input on standard input, for example by a pipe; it is a terminal.");
  }
  return process.stdin;
}

function tooLarge(name: string, bytes: number): CliError {
  return new CliError(
    "payload_too_large",
    `Expected at most ${INPUT_BYTES_MAX} bytes from ${name}; received ${bytes} or more.`,
    { bytes, bytesMax: INPUT_BYTES_MAX },
  );
}

function unreadable(path: string, cause: unknown): Error {
  if (cause instanceof CliError) return cause;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const why =
    code === "ENOENT"
      ? "there is no such file"
      : code === "EACCES"
        ? "this user may not read it"
        : cause instanceof Error
          ? cause.message
          : String(cause);
  return new CliError(
    "file_unreadable",
    `The file ${path} cannot be read: ${why}.`,
    { path },
    { cause },
  );
}
