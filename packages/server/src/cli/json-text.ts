/** JSON that a person typed or a program wrote: read exactly, and refused with the place of the mistake. */
import { CliError } from "./failure.ts";

declare global {
  interface JSON {
    /** Keeps the source of a primitive through `JSON.stringify` (ECMAScript proposal, in Node since 21). */
    rawJSON(text: string): unknown;
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source: string }) => unknown,
    ): unknown;
  }
}

/** Servers take 200. */
const DEPTH_MAX = 1_000;
// 16 digits and more may not fit a double; an exponent of three digits may overflow it.
const LOSSY_NUMBER = /[\d.]{16}|\d[eE][+-]?\d{3}/;

/**
 * Reads JSON. Numbers that a double cannot hold are kept as they are written and come out of `JSON.stringify` so.
 *
 * @param what for the message, for example `the input`
 * @throws CliError malformed_json with `details.position`, `line` and `column`
 */
export function parseJsonText(text: string, what: string): unknown {
  if (isDeep(text)) {
    const message = `${what} is nested more than ${DEPTH_MAX} levels deep, far beyond what servers take`;
    throw new CliError("malformed_json", message);
  }
  try {
    const value: unknown = JSON.parse(text);
    return LOSSY_NUMBER.test(text) ? exactValue(text) : value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const fault = jsonFault(text);
    const place =
      fault.line === 1 ? `column ${fault.column}` : `line ${fault.line}, column ${fault.column}`;
    throw new CliError(
      "malformed_json",
      `${what} is not JSON: unexpected ${fault.received} at ${place}`,
      { position: fault.position, line: fault.line, column: fault.column },
      { cause: error },
    );
  }
}

function exactValue(text: string): unknown {
  return JSON.parse(text, (_key, member, context) =>
    typeof member === "number" && String(member) !== context.source
      ? JSON.rawJSON(context.source)
      : member,
  );
}

/** Counts brackets outside of strings. Readers and writers of JSON are recursive and fail somewhere above. */
function isDeep(text: string): boolean {
  if (text.length <= DEPTH_MAX) return false;
  let depth = 0;
  let isString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isString) {
      if (character === "\\") at += 1;
      else if (character === '"') isString = false;
    } else if (character === '"') isString = true;
    else if (character === "[" || character === "{") {
      depth += 1;
      if (depth > DEPTH_MAX) return true;
    } else if (character === "]" || character === "}") depth -= 1;
  }
  return false;
}

export interface JsonFault {
  /** Index of the first character that cannot be part of any JSON text that begins like this one. */
  readonly position: number;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  readonly received: string;
}

/** @param text not JSON */
export function jsonFault(text: string): JsonFault {
  const position = toldPosition(text) ?? searchedPosition(text);
  const before = text.slice(0, position);
  const code = text.codePointAt(position);
  return {
    position,
    line: before.split("\n").length,
    column: position - before.lastIndexOf("\n"),
    received: code === undefined ? "end of the text" : JSON.stringify(String.fromCodePoint(code)),
  };
}

/** What `JSON.parse` says of the place: everything but that of a wrong token. */
function toldPosition(text: string): number | undefined {
  try {
    JSON.parse(text);
    return text.length;
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    if (message.startsWith("Unexpected end")) return text.length;
    const position = / at position (\d+)/.exec(message)?.[1];
    return position === undefined ? undefined : Number(position);
  }
}

/** The length of the longest beginning that has no fault before its end. */
function searchedPosition(text: string): number {
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (toldPosition(text.slice(0, middle)) === middle) low = middle;
    else high = middle - 1;
  }
  return low;
}
