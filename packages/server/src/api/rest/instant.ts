import { cutText } from "../../domain/cut-text.ts";
import { AppError } from "../../errors.ts";

const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|[+-](\d{2}):(\d{2}))$/;
const CRON = /^(?:@[a-z]+|[\d*?/,LW#A-Za-z-]+(?:\s+[\d*?/,LW#A-Za-z-]+){4,6})$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const WITHOUT_OFFSET = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?$/;
const SHOWN_CHARACTERS_MAX = 80;

/**
 * Reads an instant: RFC 3339 date and time with an offset, cut to milliseconds.
 *
 * @param field name of the property or parameter, for the message
 * @throws AppError invalid_argument
 */
export function parseInstant(field: string, text: string): Date {
  const match = RFC_3339.exec(text);
  if (match !== null && isCalendarTime(match.slice(1).map(Number))) {
    const instant = new Date(text.toUpperCase());
    if (!Number.isNaN(instant.getTime())) return instant;
  }
  const shown = JSON.stringify(cutText(text, SHOWN_CHARACTERS_MAX));
  throw new AppError(
    "invalid_argument",
    `${field} must be an RFC 3339 date and time with an offset such as 2026-11-22T14:00:00Z or ` +
      `2026-11-22T15:00:00+01:00; received ${shown}${hintFor(text)}`,
    { field },
  );
}

/** The same for an optional value. */
export function parseOptionalInstant(
  field: string,
  text: string | null | undefined,
): Date | undefined {
  return text === undefined || text === null ? undefined : parseInstant(field, text);
}

/** Refuses 30 February and 24:00, which `Date` would carry over or accept. */
function isCalendarTime([year, month, day, hour, minute, second, ...offset]: number[]): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year ?? 0, (month ?? 0) - 1, day ?? 0);
  const isDate = date.getUTCMonth() + 1 === month && date.getUTCDate() === day;
  const isTime = (hour ?? 24) < 24 && (minute ?? 60) < 60 && (second ?? 60) < 60;
  const [offsetHour = 0, offsetMinute = 0] = offset.map((part) => (Number.isNaN(part) ? 0 : part));
  return isDate && isTime && offsetHour < 24 && offsetMinute < 60;
}

function hintFor(text: string): string {
  if (CRON.test(text.trim())) return ", which looks like a cron expression; a job runs once";
  if (DATE.test(text)) return ", which has no time and no offset";
  if (WITHOUT_OFFSET.test(text)) return ", which has no offset";
  if (RFC_3339.test(text)) return ", which is not in the calendar";
  return "";
}
