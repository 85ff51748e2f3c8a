/** Refuses what a message cannot carry, before it is sent. Ranges are the server's to check. */
import { BatonError } from "./errors.ts";
import { shown } from "./shown.ts";

type Details = Readonly<Record<string, unknown>>;

/**
 * Checks every text, number and instant of a message. UTF-8 has no lone surrogates: the wire would replace each by
 * U+FFFD, and two different keys could become one. A number that does not fit its field would fail while it is encoded,
 * with an error that names neither; a value of another kind, from plain JavaScript, would be sent as some text.
 *
 * @param place   in front of the field's name in the error, for instance `tasks[0].`
 * @param details added to the error's details
 * @throws BatonError invalid_argument with `details.field`
 */
export function checkMessage(message: object, place = "", details: Details = {}): void {
  for (const [name, value] of Object.entries(message)) {
    if (value === undefined) continue;
    const kind = KIND_BY_NAME.get(name);
    if (kind !== undefined) checkKind(place, name, value, kind, details);
    else if (isMessage(value)) checkMessage(value, `${place}${name}.`, details);
  }
}

/** @throws BatonError invalid_argument: it is no text, or has a lone surrogate */
export function checkText(field: string, value: unknown, details: Details = {}): void {
  checkKind("", field, value, "text", details);
}

const KINDS = ["int32", "int64", "text", "texts", "instant"] as const;
type Kind = (typeof KINDS)[number];

/** The fields of all requests, without maps, whose names are the caller's. */
const NAMES: Readonly<Record<Kind, readonly string[]>> = {
  int32: ["priority", "maxAttempts", "limit", "attempt"],
  int64: [
    ...["delayMs", "baseMs", "maxMs", "attemptTimeoutMs", "queueTimeoutMs", "deadlineMs"],
    ...["heartbeatTimeoutMs", "cancelGraceMs", "afterSequence"],
  ],
  text: [
    ...["jobId", "task", "queue", "tag", "name", "description", "reason", "cursor"],
    ...["idempotencyKey", "uniqueKey", "onConflict", "inputContentType", "strategy", "jitter"],
  ],
  texts: ["tags", "states", "queues"],
  instant: ["runAt", "createdAfter", "createdBefore"],
};

const EXPECTED: Readonly<Record<Kind, string>> = {
  int32: "an integer of 32 bits",
  int64: "an integer",
  text: "a string",
  texts: "an array of strings",
  instant: "a valid Date",
};

const CHECKS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  int32: (value) => typeof value === "number" && value === value << 0,
  int64: (value) => Number.isSafeInteger(value),
  text: (value) => typeof value === "string",
  texts: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
  instant: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
};

const KIND_BY_NAME: ReadonlyMap<string, Kind> = new Map(
  KINDS.flatMap((kind) => NAMES[kind].map((name) => [name, kind] as const)),
);

function checkKind(
  place: string,
  name: string,
  value: unknown,
  kind: Kind,
  details: Details,
): void {
  if (!CHECKS[kind](value)) {
    const field = `${place}${name}`;
    throw new BatonError(
      "invalid_argument",
      `${field} must be ${EXPECTED[kind]}, got ${shown(value)}`,
      { ...details, field },
    );
  }
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw loneSurrogate(`${place}${name}`, value, details);
  } else if (Array.isArray(value)) {
    const texts: readonly string[] = value;
    const at = texts.findIndex((text) => !text.isWellFormed());
    if (at !== -1) throw loneSurrogate(`${place}${name}[${at}]`, texts[at] ?? "", details);
  }
}

function loneSurrogate(field: string, text: string, details: Details): BatonError {
  return new BatonError(
    "invalid_argument",
    `${field} has a lone surrogate at index ${text.search(/\p{Surrogate}/u)}, half of a character, ` +
      `which UTF-8 cannot carry; got ${shown(text)}`,
    { ...details, field },
  );
}

/** Bytes and arrays of messages are checked by whoever makes them. */
function isMessage(value: unknown): value is object {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}
