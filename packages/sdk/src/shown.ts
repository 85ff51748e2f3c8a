import { inspect } from "node:util";
import type { InspectOptions } from "node:util";

const CHARACTERS_MAX = 100;

/** A value for the end of an error's message; it may be anything, and long. Texts show what they hide: `"a\ud800"`. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value));
  return cut(inspected(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY }));
}

/** Like `inspect`, but never throws: values bring code along, getters, proxies and an inspection of their own. */
export function inspected(value: unknown, options: InspectOptions = {}): string {
  try {
    if (value instanceof Date && Number.isNaN(value.getTime())) return "an invalid Date";
    return inspect(value, options);
  } catch {
    return "a value that cannot be shown";
  }
}

function cut(text: string): string {
  return text.length <= CHARACTERS_MAX ? text : `${text.slice(0, CHARACTERS_MAX)}…`;
}
