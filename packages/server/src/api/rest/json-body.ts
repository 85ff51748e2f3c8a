/** Request bodies: JSON only, checked once, the numbers of inputs kept as their author wrote them. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { parseJsonText } from "../../domain/json-text.ts";
import { AppError } from "../../errors.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The text of a JSON body; "" without one. */
    bodyText: string;
  }
}

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

/**
 * Makes a scope accept `application/json` and nothing else. Other types are refused even when their
 * content is JSON: a page of a foreign origin can make a browser send text/plain or a form to a
 * server on its user's machine, but not application/json.
 *
 * @param depthAround levels of a body around its input
 */
export function acceptJson(app: FastifyInstance, depthAround: number): void {
  app.removeAllContentTypeParsers();
  const parseAs = { parseAs: "buffer" } as const;
  app.addContentTypeParser<Buffer>("application/json", parseAs, (request, bytes, done) => {
    if (bytes.length === 0) return done(null, undefined);
    const fault = encodingFault(request);
    if (fault !== undefined) return done(fault);
    const json = parseJsonText(bytes, { bytesMax: bytes.length, depthAround });
    if (json.kind === "invalid") {
      return done(new AppError(json.code, `the body is not acceptable JSON: ${json.message}`));
    }
    // Fastify shows a body that is not there as null too.
    if (json.value === null) return done(NULL_BODY);
    request.bodyText = json.text;
    return done(null, json.value);
  });
}

const NULL_BODY = new AppError("invalid_argument", "the body must be an object; received null", {
  field: "",
});

const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

/** Bytes that are not JSON in UTF-8 by their own headers would only be called malformed. */
function encodingFault({ headers }: FastifyRequest): AppError | undefined {
  const coding = headers["content-encoding"] ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    return new AppError(
      "unsupported_media_type",
      `expected a body without content-encoding, received ${coding}`,
    );
  }
  const charset = CHARSET.exec(headers["content-type"] ?? "")?.[1] ?? "utf-8";
  if (/^utf-?8$/i.test(charset)) return undefined;
  return new AppError(
    "unsupported_media_type",
    `expected a body in UTF-8, received charset ${charset}`,
  );
}

// 16 digits and more may not fit a double; an exponent of three digits may overflow it.
const LOSSY_NUMBER = /[\d.]{16}|\d[eE][+-]?\d{3}/;

/**
 * A parsed body whose numbers `JSON.stringify` writes as the body had them, so that an input with a
 * 64-bit id reaches its worker unchanged. Without such numbers it is the value itself.
 */
export function exactJson(value: unknown, text: string): unknown {
  if (!LOSSY_NUMBER.test(text)) return value;
  return JSON.parse(text, (_key, member, context) =>
    typeof member === "number" && String(member) !== context.source
      ? JSON.rawJSON(context.source)
      : member,
  );
}

/** A member of an object or array of unknown shape; `undefined` when there is none. */
export function memberOf(value: unknown, key: string | number): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}
