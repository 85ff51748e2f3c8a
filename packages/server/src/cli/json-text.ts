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

// 16 digits and more may not fit a double; an exponent of three digits may overflow it.
const LOSSY_NUMBER = /[\d.]{16}|\d[eE][+-]?\d{3}/;

/**
 * Reads JSON. Numbers that a double cannot hold are kept as they are written and come out of `JSON.stringify` so.
 *
 * @param what for the message, for example `the input`
 * @throws CliError malformed_json with `details.position`, `line` and `column`
 */
export function parseJsonText(text: string, what: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return LOSSY_NUMBER.test(text) ? exactValue(text) : value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw tooDeep(what, error);
    const fault = jsonFault(text);
    const place = fault.line === 1 ? `column ${fault.column}` : `line ${fault.line}, column ${fault.column}`;
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

function tooDeep(what: string, cause: unknown): CliError {
  return new CliError("malformed_json", `${what} is nested too deeply to be read`, {}, { cause });
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
