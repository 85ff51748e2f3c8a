import { inspect } from "node:util";

const CHARACTERS_MAX = 100;

/** A value for the end of an error's message; it may be anything, and long. Texts show what they hide: `"a\ud800"`. */
export function shown(value: unknown): string {
  if (value instanceof Date && Number.isNaN(value.getTime())) return "an invalid Date";
  if (typeof value === "string") return JSON.stringify(cut(value));
  return cut(inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY }));
}

function cut(text: string): string {
  return text.length <= CHARACTERS_MAX ? text : `${text.slice(0, CHARACTERS_MAX)}…`;
}
