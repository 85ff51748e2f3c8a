/**
 * Keeps errors within what fits: into trailers, where messages are cut and long lists of bad items summed up, and into
 * an answer, which has room for every item.
 */
import type { RefusedBulk } from "@baton/sdk/contract";
import { cutText } from "../../domain/cut-text.ts";
import { AppError } from "../../errors.ts";

/** Items of a bulk error that are told one by one, where they fit. */
const ITEMS_MAX = 50;
const ITEM_MESSAGE_CHARACTERS_MAX = 200;
/** In an answer: 10,000 items of 3 bytes a character stay below half of the largest message. */
const ANSWER_MESSAGE_CHARACTERS_MAX = 1_000;
/** Of the room for a list of items, what the indexes of all may take; the first items themselves get the rest. */
const INDEXES_SHARE_MAX = 0.75;

/** One bad item of a bulk call, as `details.items` of `bulk_rejected` holds them. */
interface Item {
  readonly index: number;
  readonly code: string;
  readonly message: string;
}

type Details = Readonly<Record<string, unknown>>;

/** JSON in printable ASCII, as metadata wants it. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * The message, cut at a character so that it takes at most so many bytes percent-encoded, as grpc-js sends it. Half
 * surrogates become U+FFFD: the encoding would throw.
 */
export function boundMessage(message: string, encodedBytesMax: number): string {
  // A UTF-16 unit takes at least one byte, so what lies further behind cannot fit.
  const text = message.slice(0, encodedBytesMax).toWellFormed();
  if (text.length === message.length && encodeURI(text).length <= encodedBytesMax) return text;
  const mark = "…";
  let bytes = encodeURI(mark).length;
  let kept = "";
  for (const character of text) {
    bytes += encodeURI(character).length;
    if (bytes > encodedBytesMax) break;
    kept += character;
  }
  return kept + mark;
}

/**
 * Details that take at most so many more bytes of ASCII JSON than `{}`. A list of items is cut to its first ones, with
 * `itemCount` and `indexes` (bad indexes as ranges, like "0-9,12", ending in "…" when they do not fit) besides; other details that are too long are left
 * out.
 */
export function boundDetails(details: Details, bytesMax: number, itemsMax = ITEMS_MAX): Details {
  const items = itemsOf(details);
  if (items === undefined) return fits(details, bytesMax) ? details : {};
  if (items.length <= itemsMax && fits(details, bytesMax)) return details;
  const summary = { itemCount: items.length, indexes: asRanges(items, bytesMax) };
  for (let count = Math.min(items.length, itemsMax); count > 0; count = Math.floor(count * 0.8)) {
    const cut = { items: items.slice(0, count).map(shortItem), ...summary };
    if (fits(cut, bytesMax)) return cut;
  }
  return fits(summary, bytesMax) ? summary : { itemCount: items.length };
}

/** The whole error of a bulk call for an answer; undefined for every other error. */
export function refusedBulk(error: unknown): RefusedBulk | undefined {
  if (!(error instanceof AppError) || error.code !== "bulk_rejected") return undefined;
  const jobs = itemsOf(error.details)?.map(({ index, code, message }) => ({
    index,
    code,
    message: answerText(message),
  }));
  return jobs && { message: answerText(error.message), jobs };
}

function answerText(message: string): string {
  return cutText(message, ANSWER_MESSAGE_CHARACTERS_MAX).toWellFormed();
}

function fits(details: Details, bytesMax: number): boolean {
  return asciiJson(details).length - "{}".length <= bytesMax;
}

function itemsOf(details: Details): readonly Item[] | undefined {
  const items = details["items"];
  return Array.isArray(items) && items.every(isItem) ? items : undefined;
}

function isItem(value: unknown): value is Item {
  return (
    typeof value === "object" &&
    value !== null &&
    "index" in value &&
    typeof value.index === "number" &&
    "code" in value &&
    typeof value.code === "string" &&
    "message" in value &&
    typeof value.message === "string"
  );
}

function shortItem(item: Item): Item {
  const { index, code, message } = item;
  return { index, code, message: cutText(message, ITEM_MESSAGE_CHARACTERS_MAX) };
}

function asRanges(items: readonly Item[], bytesMax: number): string {
  const mark = ",…";
  const textMax = bytesMax * INDEXES_SHARE_MAX - asciiJson(mark).length;
  const sorted = items.map((item) => item.index).toSorted((left, right) => left - right);
  let text = "";
  for (let at = 0; at < sorted.length;) {
    let end = at;
    while ((sorted[end + 1] ?? Number.NaN) === (sorted[end] ?? 0) + 1) end += 1;
    const range = end === at ? `${sorted[at]}` : `${sorted[at]}-${sorted[end]}`;
    if (text.length + 1 + range.length > textMax) return text + mark;
    text += text === "" ? range : `,${range}`;
    at = end + 1;
  }
  return text;
}
