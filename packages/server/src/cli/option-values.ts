/** Values of options, read with a message that says what was expected and what came. */
import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = {
  "": 1,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|)$/;
const INSTANT =
  /^\d{4}-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;
const CRON = /^(?:@[a-z]+|[\d*?/,LW#A-Za-z-]+(?:\s+[\d*?/,LW#A-Za-z-]+){4,6})$/;
const SHOWN_CHARACTERS_MAX = 80;

/**
 * A duration: a whole number of milliseconds, or a number with a unit.
 *
 * @example parseDuration("1500") === 1_500; parseDuration("1.5m") === 90_000
 */
export function parseDuration(text: string): number {
  const match = DURATION.exec(text.trim());
  const ms = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ""] ?? Number.NaN);
  if (Number.isSafeInteger(ms)) return ms;
  throw new InvalidArgumentError(
    `Expected milliseconds such as 1500, or a number with a unit (ms, s, m, h, d) such as 90s; ` +
      `received ${shown(text)}${durationHint(text)}.`,
  );
}

/** An instant: RFC 3339 with an offset. */
export function parseInstant(text: string): Date {
  const instant = readInstant(text.trim());
  if (instant !== undefined) return instant;
  throw new InvalidArgumentError(
    `Expected a date and time with an offset such as 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00; ` +
      `received ${shown(text)}${instantHint(text)}.`,
  );
}

/** An instant, or an age: `15m` is a quarter of an hour ago. */
export function parseInstantOrAge(text: string): Date {
  const match = DURATION.exec(text.trim());
  if (match === null || match[2] === "") return parseInstant(text);
  return new Date(Date.now() - parseDuration(text));
}

/** A reader of whole numbers within bounds, both included. */
export function parseInteger(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(
      `Expected a whole number from ${least} to ${most}; received ${shown(text)}.`,
    );
  };
}

/** One more value of an option that can be given several times. */
export function parseOneMore(
  text: string,
  before: readonly string[] | undefined,
): readonly string[] {
  return [...(before ?? []), text];
}

/** Values that an option takes several times or separated by commas, together with those read before. */
export function parseList(text: string, before: readonly string[] | undefined): readonly string[] {
  const values = text.split(",").map((value) => value.trim());
  if (values.includes("")) {
    throw new InvalidArgumentError(`Expected values separated by commas; received ${shown(text)}.`);
  }
  return [...(before ?? []), ...values];
}

/** The same of values from a closed set. */
export function parseChoices<Choice extends string>(
  choices: readonly Choice[],
): (text: string, before: readonly Choice[] | undefined) => readonly Choice[] {
  return (text, before) => [
    ...(before ?? []),
    ...parseList(text, undefined).map((value) => {
      const choice = choices.find((candidate) => candidate === value);
      if (choice !== undefined) return choice;
      throw new InvalidArgumentError(
        `Expected one or more of ${choices.join(", ")}; received ${shown(value)}.`,
      );
    }),
  ];
}

/** `key=value`, together with the pairs read before. */
export function parsePair(
  text: string,
  before: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at > 0) return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
  throw new InvalidArgumentError(`Expected key=value; received ${shown(text)}.`);
}

/** A value for a message: quoted, and not too long. */
export function shown(text: string): string {
  return JSON.stringify(
    text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`,
  );
}

/** The instant that a text names; undefined when it is none, also 30 February and 24:00. */
export function readInstant(text: string): Date | undefined {
  const match = INSTANT.exec(text);
  if (match === null) return undefined;
  const instant = new Date(text.toUpperCase());
  if (Number.isNaN(instant.getTime())) return undefined;
  // Date carries 30 February over into March; without its offset the text must come back as it is.
  const local = new Date(`${text.slice(0, 19).toUpperCase()}Z`);
  return local.toISOString().slice(0, 19) === text.slice(0, 19).toUpperCase() ? instant : undefined;
}

function durationHint(text: string): string {
  if (text.trim().startsWith("-")) return ", which is negative";
  return CRON.test(text.trim()) ? ", which looks like a cron expression; a job runs once" : "";
}

/** Why a text that was meant as an instant is none, for the end of a message. */
export function instantHint(text: string): string {
  const trimmed = text.trim();
  if (CRON.test(trimmed)) return ", which looks like a cron expression; a job runs once";
  if (INSTANT.test(trimmed)) return ", which is not in the calendar";
  if (/^\d{4}-\d{2}-\d{2}$/.test(trimmed)) return ", which has no time and no offset";
  return /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}/.test(trimmed) ? ", which has no offset" : "";
}
