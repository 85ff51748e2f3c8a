/** Refuses what a message cannot carry, before it is sent. Ranges are the server's to check. */
import { BatonError } from "./errors.ts";

/**
 * Checks every text, number and instant of a message. UTF-8 has no lone surrogates: the wire would replace each by
 * U+FFFD, and two different keys could become one. Numbers that do not fit their field would fail while they are
 * encoded, with an error that names neither.
 *
 * @param place   in front of the field's name in the error, for instance `tasks[0].`
 * @param details added to the error's details
 * @throws BatonError invalid_argument with `details.field`
 */
export function checkMessage(
  message: object,
  place = "",
  details: Readonly<Record<string, unknown>> = {},
): void {
  for (const [name, value] of Object.entries(message)) {
    // Names of fields are ours; those of a map, such as a worker's labels, are the caller's.
    checkText(place.slice(0, -1), name, details);
    checkValue(`${place}${name}`, name, value, details);
  }
}

/** @throws BatonError invalid_argument: the text has a lone surrogate */
export function checkText(
  field: string,
  text: string,
  details: Readonly<Record<string, unknown>> = {},
): void {
  if (text.isWellFormed()) return;
  throw new BatonError(
    "invalid_argument",
    `${field} has a lone surrogate at index ${text.search(/\p{Surrogate}/u)}, half of a character, ` +
      `which UTF-8 cannot carry; got ${shown(text)}`,
    { ...details, field },
  );
}

type Bits = 32 | 64;

/** The integers of all requests, by their name. */
const BITS: ReadonlyMap<string, Bits> = new Map<string, Bits>([
  ["priority", 32],
  ["maxAttempts", 32],
  ["limit", 32],
  ["attempt", 32],
  ["delayMs", 64],
  ["baseMs", 64],
  ["maxMs", 64],
  ["attemptTimeoutMs", 64],
  ["queueTimeoutMs", 64],
  ["deadlineMs", 64],
  ["heartbeatTimeoutMs", 64],
  ["cancelGraceMs", 64],
  ["afterSequence", 64],
]);

function checkValue(
  field: string,
  name: string,
  value: unknown,
  details: Readonly<Record<string, unknown>>,
): void {
  const bits = BITS.get(name);
  if (value === undefined || value instanceof Uint8Array) return;
  if (bits !== undefined) checkInteger(field, value, bits, details);
  else if (typeof value === "string") checkText(field, value, details);
  else if (value instanceof Date) checkInstant(field, value, details);
  else if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    for (const [index, item] of items.entries()) {
      checkValue(`${field}[${index}]`, "", item, details);
    }
  } else if (typeof value === "object" && value !== null) {
    checkMessage(value, `${field}.`, details);
  }
}

function checkInteger(
  field: string,
  value: unknown,
  bits: Bits,
  details: Readonly<Record<string, unknown>>,
): void {
  if (Number.isSafeInteger(value) && (bits === 64 || value === Number(value) << 0)) return;
  const kind = bits === 32 ? "an integer of 32 bits" : "an integer";
  throw new BatonError(
    "invalid_argument",
    `${field} must be ${kind}, got ${typeof value === "string" ? shown(value) : String(value)}`,
    { ...details, field },
  );
}

function checkInstant(
  field: string,
  value: Date,
  details: Readonly<Record<string, unknown>>,
): void {
  if (!Number.isNaN(value.getTime())) return;
  throw new BatonError("invalid_argument", `${field} must be a valid Date`, { ...details, field });
}

const SHOWN_CHARACTERS_MAX = 100;

/** JSON escapes what cannot be shown. */
function shown(text: string): string {
  return JSON.stringify(
    text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`,
  );
}
