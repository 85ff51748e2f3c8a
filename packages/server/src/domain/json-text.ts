/**
 * The one check of JSON that comes from outside. It guarantees: at most so many bytes, valid UTF-8,
 * at most so many levels of nesting (recursive readers fail on deep ones), JSON by RFC 8259, and no
 * keys that poison prototypes when a handler merges objects carelessly. It stands on the submit path
 * of every door: 100 bytes cost about one microsecond, most of it `JSON.parse`.
 */
import { isUtf8 } from "node:buffer";
import { TextDecoder } from "node:util";
import { describePlace, findJsonFault } from "./json-fault.ts";
import { JSON_DEPTH_MAX, PAYLOAD_BYTES_MAX_DEFAULT } from "./limits.ts";

/** Bytes decoded at once while looking for the place of an encoding mistake. */
const DECODE_BLOCK_BYTES = 4096;

export interface JsonTextLimits {
  /** @default PAYLOAD_BYTES_MAX_DEFAULT */
  readonly bytesMax?: number | undefined;
  /** Levels of arrays and objects. @default JSON_DEPTH_MAX */
  readonly depthMax?: number | undefined;
  /** Levels around those that count: of a body around its input. @default 0 */
  readonly depthAround?: number | undefined;
}

export type JsonTextResult =
  | {
      readonly kind: "ok";
      readonly text: string;
      /** What `JSON.parse` makes of the text. */
      readonly value: unknown;
    }
  | {
      readonly kind: "invalid";
      readonly code: "malformed_json" | "payload_too_large";
      /** A sentence that says what was wrong and where. */
      readonly message: string;
    };

/** Checks bytes that claim to be JSON and decodes them. Never throws for any input. */
export function parseJsonText(bytes: Uint8Array, limits: JsonTextLimits = {}): JsonTextResult {
  const bytesMax = limits.bytesMax ?? PAYLOAD_BYTES_MAX_DEFAULT;
  if (bytes.length > bytesMax) {
    return {
      kind: "invalid",
      code: "payload_too_large",
      message: `expected at most ${bytesMax} bytes, received ${bytes.length} bytes`,
    };
  }
  if (!isUtf8(bytes)) return malformed(`expected UTF-8, received ${describeBadUtf8(bytes)}`);
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString("utf8");
  // RFC 8259 section 8.1 lets a reader ignore a byte order mark; editors on Windows write one.
  const withoutMark = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  return parseDecoded(withoutMark, limits);
}

/** The same for text that is decoded already; `bytesMax` counts its UTF-8 bytes. */
export function checkJsonText(text: string, limits: JsonTextLimits = {}): JsonTextResult {
  const bytesMax = limits.bytesMax ?? PAYLOAD_BYTES_MAX_DEFAULT;
  // A UTF-16 unit is one to three bytes of UTF-8, so most texts need no count.
  if (text.length * 3 > bytesMax) {
    const byteCount = Buffer.byteLength(text);
    if (byteCount > bytesMax) {
      return {
        kind: "invalid",
        code: "payload_too_large",
        message: `expected at most ${bytesMax} bytes, received ${byteCount} bytes`,
      };
    }
  }
  return parseDecoded(text, limits);
}

function parseDecoded(
  text: string,
  { depthMax = JSON_DEPTH_MAX, depthAround = 0 }: JsonTextLimits,
): JsonTextResult {
  const depthTotal = depthMax + depthAround;
  // Depth n takes n opening and n closing characters, so a short text cannot be too deep.
  if (text.length > 2 * depthTotal) {
    const position = depthExceededAt(text, depthTotal);
    if (position !== undefined) {
      return malformed(
        `expected at most ${depthMax} levels of nesting${describeAround(depthAround)}, ` +
          `received more at ${describePlace(text, position)}`,
      );
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return malformed(describeFault(text));
  }
  if (mayHoldForbiddenKey(text)) {
    const key = findForbiddenKey(value);
    if (key !== undefined) {
      return malformed(
        `expected no key that changes prototypes, received the key ${JSON.stringify(key)}` +
          ` at ${describePlace(text, forbiddenKeyAt(text))}`,
      );
    }
  }
  return { kind: "ok", text, value };
}

function describeAround(depthAround: number): string {
  if (depthAround === 0) return "";
  return ` below the outermost${depthAround === 1 ? "" : ` ${depthAround}`}`;
}

function malformed(message: string): JsonTextResult {
  return { kind: "invalid", code: "malformed_json", message };
}

/** The index of the bracket that opens one level too many, strings left out. */
function depthExceededAt(text: string, depthMax: number): number | undefined {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    switch (text.charCodeAt(index)) {
      case 0x22: // "
        index = closingQuote(text, index);
        break;
      case 0x5b: // [
      case 0x7b: // {
        depth += 1;
        if (depth > depthMax) return index;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth -= 1;
        break;
    }
  }
  return undefined;
}

/** The index of the quote that ends the string at `start`, or the last index of the text. */
function closingQuote(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === 0x22) return index;
    index += code === 0x5c ? 2 : 1;
  }
  return index;
}

// An escape can hide a letter of a key only as \u00.., since all of them are ASCII.
function mayHoldForbiddenKey(text: string): boolean {
  return text.includes('"__proto__"') || text.includes('"prototype"') || text.includes("\\u00");
}

/** `__proto__`, or `constructor` whose object has `prototype`: the two ways to an object's prototype. */
function findForbiddenKey(root: unknown): string | undefined {
  const pending: unknown[] = [root];
  while (pending.length > 0) {
    const value = pending.pop();
    if (typeof value !== "object" || value === null) continue;
    for (const [key, member] of Object.entries(value)) {
      if (key === "__proto__") return key;
      if (key === "constructor" && isObjectWithPrototype(member)) return "constructor.prototype";
      if (typeof member === "object") pending.push(member);
    }
  }
  return undefined;
}

/** The index of the first key that can be meant: `__proto__`, or `constructor` before an object. */
function forbiddenKeyAt(text: string): number {
  for (let index = text.indexOf('"'); index !== -1; index = text.indexOf('"', index + 1)) {
    const start = index;
    index = closingQuote(text, start);
    const after = text.slice(index + 1, index + 1 + KEY_LOOKAHEAD);
    const key: unknown = JSON.parse(text.slice(start, index + 1));
    if (key === "__proto__" && /^\s*:/.test(after)) return start;
    if (key === "constructor" && /^\s*:\s*\{/.test(after)) return start;
  }
  return 0;
}

/** White space that may stand between a key and its value; where there is more, the place is that of the text's begin. */
const KEY_LOOKAHEAD = 100;

function isObjectWithPrototype(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}

function describeFault(text: string): string {
  const fault = findJsonFault(text);
  if (fault === undefined) return "expected JSON, received text that is not JSON";
  return (
    `expected ${fault.expected} at ${describePlace(text, fault.position)}, ` +
    `received ${fault.received}`
  );
}

function describeBadUtf8(bytes: Uint8Array): string {
  const position = badUtf8At(bytes);
  const byte = bytes[position];
  if (byte === undefined) return "a text that ends inside a character";
  return `byte 0x${byte.toString(16).padStart(2, "0")} at position ${position}`;
}

/** The index of the first byte that is not UTF-8, or the length when the last character is cut. */
function badUtf8At(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let blockStart = 0;
  for (; blockStart < bytes.length; blockStart += DECODE_BLOCK_BYTES) {
    const block = bytes.subarray(blockStart, blockStart + DECODE_BLOCK_BYTES);
    if (!decodes(decoder, block)) break;
  }
  let start = Math.min(blockStart, bytes.length);
  while (start > 0 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  const byteDecoder = new TextDecoder("utf-8", { fatal: true });
  for (let index = start; index < bytes.length; index += 1) {
    if (!decodes(byteDecoder, bytes.subarray(index, index + 1))) return index;
  }
  return bytes.length;
}

function decodes(decoder: TextDecoder, bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
