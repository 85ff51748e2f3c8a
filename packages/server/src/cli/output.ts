/** Standard output: results only. Everything about how it went belongs on standard error. */
import { once } from "node:events";

/** Writes one line, and waits while the reader is slow. */
export async function writeLine(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, "drain");
}

/** One document: indented for people, on one line for programs. */
export async function writeJson(value: unknown): Promise<void> {
  const indent = process.stdout.isTTY ? 2 : undefined;
  await writeLine(JSON.stringify(value, undefined, indent));
}

/** One of a stream of documents, a line each. */
export async function writeJsonLine(value: unknown): Promise<void> {
  await writeLine(JSON.stringify(value));
}

/** A remark for people, on standard error. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
