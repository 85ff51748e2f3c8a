/** Standard output: results only. Everything about how it went belongs on standard error. */
import { once } from "node:events";

import { EXIT } from "./exit-codes.ts";

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

/** Ends the process quietly when nobody reads any more: `baton list --all | head` is no failure. */
export function endWithReader(): void {
  process.stdout.on("error", onReaderGone);
  process.stderr.on("error", () => undefined);
}

/** For a process that has more to do than to print: it goes on when its terminal or its pipe is gone. */
export function outliveReader(): void {
  process.stdout.off("error", onReaderGone).on("error", () => undefined);
}

function onReaderGone(): void {
  process.exit(EXIT.ok);
}
