import { task } from "@baton/sdk";
import { z } from "zod";

import {
  joined,
  shown,
  URL_CHARACTERS_MAX,
  USER_AGENT,
  type BoundedResponse,
  type Headers,
  type Network,
} from "./network/network.ts";
import { errorOfStatus } from "./network/response-status.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
const HEADERS_MAX = 64;
const HEADER_CHARACTERS_MAX = 8_192;
const TIMEOUT_MS_DEFAULT = 30_000;
const TIMEOUT_MS_MAX = 15 * 60_000;
/** Fits, as base64, into a result of the default size. */
const RESPONSE_BYTES_MAX_DEFAULT = 512 * 1024;
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;
const REDIRECTS_MAX_DEFAULT = 5;
const REDIRECTS_MAX = 20;
// Set by the connection itself; from outside they would break it or lead to another virtual host than the one judged.
const HEADERS_REFUSED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, "expected a header name")
  .refine(
    (name) => !HEADERS_REFUSED.has(name.toLowerCase()),
    "this header is set by the connection",
  );
const headerValue = z
  .string()
  .max(HEADER_CHARACTERS_MAX)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, "expected a header value without line breaks, in Latin-1");

const input = z
  .strictObject({
    url: z
      .string()
      .min(1)
      .max(URL_CHARACTERS_MAX)
      .describe("http or https, without user name and password."),
    method: z.enum(METHODS).default("GET").describe("The HTTP method."),
    headers: z
      .record(headerName, z.union([headerValue, z.array(headerValue).max(HEADERS_MAX)]))
      .refine(
        (headers) => Object.keys(headers).length <= HEADERS_MAX,
        `at most ${HEADERS_MAX} headers`,
      )
      .default({})
      .describe(
        "Request headers, at most 64. Those that frame the message, and host, are refused.",
      ),
    body: z
      .json()
      .optional()
      .describe("Request body: a text is sent as it is, anything else as JSON."),
    bodyBase64: z.base64().optional().describe("Request body: the bytes that this encodes."),
    expectedStatuses: z
      .array(z.union([z.int().min(100).max(599), z.enum(["1xx", "2xx", "3xx", "4xx", "5xx"])]))
      .min(1)
      .max(64)
      .default(["2xx"])
      .describe("Statuses that are a success: numbers, or classes such as 2xx."),
    responseType: z
      .enum(["auto", "json", "text", "base64"])
      .default("auto")
      .describe("How the body is returned; auto goes by the response's content type."),
    timeoutMs: z
      .int()
      .min(1)
      .max(TIMEOUT_MS_MAX)
      .default(TIMEOUT_MS_DEFAULT)
      .describe(
        "For everything from connect to last byte, redirects included; at most 15 minutes.",
      ),
    responseBytesMax: z
      .int()
      .min(0)
      .max(RESPONSE_BYTES_MAX)
      .default(RESPONSE_BYTES_MAX_DEFAULT)
      .describe(
        "Larger bodies fail for good; at most 16 MiB. The server bounds results too, at 1 MiB by default.",
      ),
    redirectsMax: z
      .int()
      .min(0)
      .max(REDIRECTS_MAX)
      .default(REDIRECTS_MAX_DEFAULT)
      .describe("Redirects to follow, at most 20; with 0 the redirect is the response."),
  })
  .refine(
    ({ body, bodyBase64 }) => body === undefined || bodyBase64 === undefined,
    "expected at most one of body and bodyBase64",
  )
  .refine(
    ({ method, body, bodyBase64 }) =>
      (method !== "GET" && method !== "HEAD") || (body === undefined && bodyBase64 === undefined),
    "GET and HEAD have no body",
  );
type Input = z.output<typeof input>;

/** Makes an HTTP request. What the server says of trying again is followed. */
export function httpTask(network: Network) {
  return task({
    name: "http",
    description: "Makes an HTTP request and returns the response.",
    input,
    async run(request, ctx) {
      const startedAtMs = performance.now();
      const response = await network.request({
        url: request.url,
        method: request.method,
        headers: requestHeaders(request, ctx.job.id),
        body: requestBody(request),
        timeoutMs: request.timeoutMs,
        responseBytesMax: request.responseBytesMax,
        redirectsMax: request.redirectsMax,
        signal: ctx.signal,
      });
      if (!isExpected(response.status, request.expectedStatuses)) throw errorOfStatus(response);
      return {
        status: response.status,
        url: response.url.href,
        redirectCount: response.redirectCount,
        headers: response.headers,
        ...responseBody(response, request.responseType),
        bodyBytes: response.body.length,
        durationMs: Math.round(performance.now() - startedAtMs),
      };
    },
  });
}

function requestHeaders(request: Input, jobId: string): Headers {
  const given = Object.entries(request.headers).map(
    ([name, value]) => [name.toLowerCase(), value] as const,
  );
  // A job may run more than once; a server that knows this header does the work only once.
  const isIdempotent = request.method !== "POST" && request.method !== "PATCH";
  return {
    "user-agent": USER_AGENT,
    accept: "*/*",
    ...(!isIdempotent && { "idempotency-key": jobId }),
    ...(request.body !== undefined && {
      "content-type":
        typeof request.body === "string" ? "text/plain; charset=utf-8" : "application/json",
    }),
    ...Object.fromEntries(given),
  };
}

function requestBody({ body, bodyBase64 }: Input): Buffer | undefined {
  if (bodyBase64 !== undefined) return Buffer.from(bodyBase64, "base64");
  if (body === undefined) return undefined;
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

function isExpected(status: number, expected: Input["expectedStatuses"]): boolean {
  return expected.some((entry) => entry === status || entry === `${Math.floor(status / 100)}xx`);
}

type ResponseBody =
  | { readonly bodyType: "json"; readonly body: unknown }
  | { readonly bodyType: "text" | "base64"; readonly body: string };

function responseBody(response: BoundedResponse, wanted: Input["responseType"]): ResponseBody {
  const contentType = joined(response.headers["content-type"])?.toLowerCase() ?? "";
  switch (wanted) {
    case "json":
      return jsonBody(response);
    case "text":
      return { bodyType: "text", body: decoded(response.body, contentType) };
    case "base64":
      return { bodyType: "base64", body: response.body.toString("base64") };
    case "auto":
      return guessedBody(response, contentType);
  }
}

function guessedBody(response: BoundedResponse, contentType: string): ResponseBody {
  const [mediaType = ""] = contentType.split(";", 1);
  const isJson = /^application\/([a-z0-9.+-]+\+)?json$/.test(mediaType.trim());
  const isText = /^(text\/|application\/(xml|javascript|x-www-form-urlencoded)|[^;]*\+xml)/.test(
    mediaType,
  );
  if (response.body.length === 0) return { bodyType: "text", body: "" };
  if (isJson) return jsonBody(response);
  return responseBody(response, isText ? "text" : "base64");
}

function jsonBody(response: BoundedResponse): ResponseBody {
  try {
    const body: unknown = JSON.parse(response.body.toString("utf8"));
    return { bodyType: "json", body };
  } catch (cause) {
    // A proxy's error page in place of JSON is a matter of now.
    throw new Error(`Expected JSON from ${shown(response.url)}: ${String(cause)}`, { cause });
  }
}

function decoded(body: Buffer, contentType: string): string {
  const charset = /charset\s*=\s*"?([\w.:-]+)/.exec(contentType)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset).decode(body);
  } catch {
    // A charset that nobody knows: UTF-8 is the best guess there is.
    return new TextDecoder().decode(body);
  }
}
