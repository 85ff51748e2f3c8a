/**
 * Finds the first character at which a text stops being JSON (RFC 8259). It exists because the
 * messages of `JSON.parse` name a position only for some mistakes and quote the caller's text in
 * others. It is iterative and looks at each character once.
 */

/** Where and why a text is not JSON. */
export interface JsonFault {
  /** Index into the text, from 0. */
  readonly position: number;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** Example: `"," or "}"`. */
  readonly expected: string;
  /** Example: `"x"` or `the end of the text`. */
  readonly received: string;
}

const EXPECTED = {
  value: "a value",
  firstItem: 'a value or "]"',
  firstKey: 'a property name in double quotes or "}"',
  key: "a property name in double quotes",
  colon: '":"',
  afterItem: '"," or "]"',
  afterProperty: '"," or "}"',
  end: "the end of the text",
} as const;
type Place = keyof typeof EXPECTED;
type Container = "[" | "{";

// A number may not be followed by another digit or letter; that is found at the next place.
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = /[\t\n\r ]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** Where a character stands, for people: line and column from 1, the index from 0. */
export function describePlace(text: string, position: number): string {
  const { line, column } = placeOf(text, position);
  return `line ${line}, column ${column} (character ${position})`;
}

/** The first fault of a text, or `undefined` when it is JSON. */
export function findJsonFault(text: string): JsonFault | undefined {
  const containers: Container[] = [];
  let place: Place = "value";
  let position = 0;
  for (;;) {
    position = matchEnd(SPACE, text, position) ?? position;
    if (place === "end") {
      return position === text.length ? undefined : faultAt(text, position, EXPECTED.end);
    }
    const character = text[position];
    if (place === "colon") {
      if (character !== ":") return faultAt(text, position, EXPECTED.colon);
      position += 1;
      place = "value";
    } else if (character === '"' && place !== "afterItem" && place !== "afterProperty") {
      const string = stringEnd(text, position);
      if (string.expected !== undefined) return faultAt(text, string.end, string.expected);
      position = string.end;
      place = isKey(place) ? "colon" : placeAfterValue(containers);
    } else if (isClosing(character, place)) {
      position += 1;
      containers.pop();
      place = placeAfterValue(containers);
    } else if (place === "afterItem" || place === "afterProperty") {
      if (character !== ",") return faultAt(text, position, EXPECTED[place]);
      position += 1;
      place = place === "afterItem" ? "value" : "key";
    } else if (isKey(place)) {
      return faultAt(text, position, EXPECTED[place]);
    } else if (character === "[" || character === "{") {
      position += 1;
      containers.push(character);
      place = character === "[" ? "firstItem" : "firstKey";
    } else {
      const end = matchEnd(SCALAR, text, position);
      if (end === undefined) return faultAt(text, position, EXPECTED[place]);
      position = end;
      place = placeAfterValue(containers);
    }
  }
}

function isClosing(character: string | undefined, place: Place): boolean {
  if (character === "]") return place === "firstItem" || place === "afterItem";
  return character === "}" && (place === "firstKey" || place === "afterProperty");
}

function isKey(place: Place): boolean {
  return place === "key" || place === "firstKey";
}

function placeAfterValue(containers: readonly Container[]): Place {
  const container = containers.at(-1);
  if (container === undefined) return "end";
  return container === "[" ? "afterItem" : "afterProperty";
}

function matchEnd(pattern: RegExp, text: string, position: number): number | undefined {
  pattern.lastIndex = position;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

/** The index after the string at `start`, or the index of its fault and what was expected there. */
function stringEnd(text: string, start: number): { end: number; expected?: string } {
  let position = start + 1;
  while (position < text.length) {
    const code = text.charCodeAt(position);
    if (code === 0x22) return { end: position + 1 };
    if (code < 0x20) {
      return { end: position, expected: "an escape such as \\n instead of a control character" };
    }
    if (code === 0x5c) {
      const end = matchEnd(ESCAPE, text, position);
      if (end === undefined)
        return { end: position, expected: "a JSON escape such as \\n or \\u0041" };
      position = end;
    } else {
      position += 1;
    }
  }
  return { end: position, expected: 'the closing "\\"" of a string' };
}

function placeOf(text: string, position: number): { line: number; column: number } {
  const before = text.slice(0, position);
  const lineStart = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let at = before.indexOf("\n"); at !== -1; at = before.indexOf("\n", at + 1)) line += 1;
  return { line, column: position - lineStart + 1 };
}

function faultAt(text: string, position: number, expected: string): JsonFault {
  const codePoint = text.codePointAt(position);
  const received =
    codePoint === undefined
      ? "the end of the text"
      : JSON.stringify(String.fromCodePoint(codePoint));
  return { position, ...placeOf(text, position), expected, received };
}
