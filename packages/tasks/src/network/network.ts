import { Fatal, VERSION } from "@baton/sdk";
import type { Dispatcher } from "undici";

import { fatal } from "../faults.ts";
import { createAddressPolicy, type AddressPolicy, type NetworkOptions } from "./address-policy.ts";
import {
  AddressRefused,
  guardedLookup,
  refusalOfLiteral,
  type ResolveName,
} from "./guarded-connector.ts";
import { ACCEPTED_ENCODINGS, BodyTooLarge, readBody } from "./read-body.ts";

/** How tasks introduce themselves. A site's robots.txt is asked for "baton". */
export const USER_AGENT = `baton/${VERSION}`;
export const URL_CHARACTERS_MAX = 8_192;
const CONNECT_TIMEOUT_MS = 10_000;
const CONNECTIONS_PER_ORIGIN_MAX = 64;
const RESPONSE_HEADER_BYTES_MAX = 32 * 1024;
// What a redirect to another origin may keep of the caller's headers: nothing that could be a credential.
const HEADERS_KEPT_ACROSS_ORIGINS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "content-type",
  "user-agent",
]);

export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface BoundedRequest {
  readonly url: string;
  /** @default "GET" */
  readonly method?: Dispatcher.HttpMethod | undefined;
  /** Names in lower case. */
  readonly headers?: Headers | undefined;
  readonly body?: Buffer | undefined;
  /** From the first connect to the last byte, redirects included. */
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
  /** What a larger body does. @default "fail" */
  readonly overflow?: "fail" | "truncate" | undefined;
  /** 0: a redirect is the response. */
  readonly redirectsMax: number;
  readonly signal: AbortSignal;
  /** Called before each request, the first one and each redirect. What it throws ends the request. */
  readonly beforeHop?: ((url: URL) => Promise<void>) | undefined;
}

export interface BoundedResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Where the response came from, after redirects. */
  readonly url: URL;
  readonly redirectCount: number;
  /** Decoded. */
  readonly body: Buffer;
}

/** Guarded access to the network: every task that fetches something does it through here. */
export interface Network {
  /**
   * Makes one HTTP request and reads its response. Any status is a response, not an error.
   *
   * @throws Fatal when trying again cannot help: the URL is not usable, the address is refused, there are too many
   *   redirects, the body is too large
   * @throws Error for what may pass: no connection, a timeout, a response that breaks off
   * @throws the signal's reason when it aborts
   */
  request(request: BoundedRequest): Promise<BoundedResponse>;
}

/** Makes the network of one configuration. `resolveName` is the system's unless given. */
export function createNetwork(options: NetworkOptions, resolveName?: ResolveName): Network {
  const policy = createAddressPolicy(options);
  let dispatcher: Promise<Dispatcher> | undefined;
  return {
    request: async (request) => {
      dispatcher ??= openDispatcher(policy, resolveName);
      return requestBounded(await dispatcher, request);
    },
  };
}

/** undici is loaded here, at the first request, so that a worker starts without it. */
async function openDispatcher(
  policy: AddressPolicy,
  resolveName: ResolveName | undefined,
): Promise<Dispatcher> {
  const { Agent, buildConnector } = await import("undici");
  const lookup = guardedLookup(policy, resolveName);
  const connect = buildConnector({ allowH2: false, timeout: CONNECT_TIMEOUT_MS, lookup });
  return new Agent({
    allowH2: false,
    connections: CONNECTIONS_PER_ORIGIN_MAX,
    maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
    // The deadline of each request governs instead.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: (target, callback) => {
      const refusal = refusalOfLiteral(policy, target.hostname);
      if (refusal === undefined) connect(target, callback);
      else callback(refusal, null);
    },
  });
}

async function requestBounded(
  dispatcher: Dispatcher,
  request: BoundedRequest,
): Promise<BoundedResponse> {
  request.signal.throwIfAborted();
  const deadline = AbortSignal.timeout(request.timeoutMs);
  let hop: Hop = {
    url: parseHttpUrl(request.url),
    method: request.method ?? "GET",
    headers: { "accept-encoding": ACCEPTED_ENCODINGS, ...request.headers },
    body: request.body,
  };
  for (let redirectCount = 0; ; redirectCount += 1) {
    await request.beforeHop?.(hop.url);
    const answer = await sendHop(dispatcher, request, hop, deadline);
    if ("status" in answer) return { ...answer, redirectCount };
    if (redirectCount >= request.redirectsMax) {
      throw fatal(
        "too_many_redirects",
        `${shown(hop.url)} redirects more than ${request.redirectsMax} times, which is the limit.`,
      );
    }
    hop = answer;
  }
}

interface Hop {
  readonly url: URL;
  readonly method: Dispatcher.HttpMethod;
  readonly headers: Headers;
  readonly body: Buffer | undefined;
}

/** Makes one request; its answer is the response, or where it redirects to. */
async function sendHop(
  dispatcher: Dispatcher,
  request: BoundedRequest,
  hop: Hop,
  deadline: AbortSignal,
): Promise<Omit<BoundedResponse, "redirectCount"> | Hop> {
  const signal = AbortSignal.any([request.signal, deadline]);
  try {
    const response = await dispatcher.request({
      origin: hop.url.origin,
      path: hop.url.pathname + hop.url.search,
      method: hop.method,
      headers: mutableHeaders(hop.headers),
      body: hop.body ?? null,
      signal,
    });
    const next = request.redirectsMax === 0 ? undefined : nextHop(hop, response);
    if (next !== undefined) {
      response.body.on("error", () => {}).destroy();
      return next;
    }
    const { statusCode: status, headers } = response;
    const body = await readBody(response.body, {
      contentEncoding: hop.method === "HEAD" ? undefined : joined(headers["content-encoding"]),
      bytesMax: request.responseBytesMax,
      overflow: request.overflow ?? "fail",
      signal,
    });
    return { status, headers: presentHeaders(headers), url: hop.url, body };
  } catch (error) {
    request.signal.throwIfAborted();
    throw explain(error, hop.url, request, deadline);
  }
}

/** What a redirect asks for next (RFC 9110 section 15.4), or undefined when the response is none. */
function nextHop(hop: Hop, response: Dispatcher.ResponseData): Hop | undefined {
  const { statusCode: status } = response;
  const location = joined(response.headers["location"]);
  if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined;
  const url = parseHttpUrl(location, hop.url);
  const becomesGet =
    (status === 303 && hop.method !== "HEAD") || (status < 303 && hop.method === "POST");
  const kept = Object.entries(hop.headers).filter(
    ([name]) =>
      (url.origin === hop.url.origin || HEADERS_KEPT_ACROSS_ORIGINS.has(name)) &&
      !(becomesGet && name.startsWith("content-")),
  );
  return {
    url,
    method: becomesGet ? "GET" : hop.method,
    headers: Object.fromEntries(kept),
    body: becomesGet ? undefined : hop.body,
  };
}

/**
 * Parses an http or https URL.
 *
 * @throws Fatal when it is not one, is too long, or carries a user name or password
 */
function parseHttpUrl(text: string, base?: URL): URL {
  if (text.length > URL_CHARACTERS_MAX) {
    throw fatal(
      "url_refused",
      `Expected a URL of at most ${URL_CHARACTERS_MAX} characters; received ${text.length}.`,
    );
  }
  const url = URL.parse(text, base?.href);
  if (url === null || url.hostname === "" || !["http:", "https:"].includes(url.protocol)) {
    throw fatal(
      "url_refused",
      `Expected an http or https URL${base === undefined ? "" : ` in the redirect of ${shown(base)}`}; ` +
        `received "${text.slice(0, 200)}".`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw fatal(
      "url_refused",
      `Expected a URL without user name and password; received one for ${url.host}. ` +
        "Send an authorization header instead.",
    );
  }
  return url;
}

/** A URL as messages and logs may show it: queries often carry keys. */
export function shown(url: URL): string {
  return url.origin + url.pathname;
}

/** A header's one value; several are joined as HTTP joins them. */
export function joined(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "object" ? value.join(", ") : value;
}

function explain(
  error: unknown,
  url: URL,
  request: BoundedRequest,
  deadline: AbortSignal,
): unknown {
  if (error instanceof Fatal) return error;
  if (error instanceof AddressRefused) {
    return fatal("address_refused", error.message, { cause: error });
  }
  if (error instanceof BodyTooLarge) {
    return fatal(
      "response_too_large",
      `${shown(url)} sent more than ${request.responseBytesMax} bytes, which is the limit.`,
      { cause: error },
    );
  }
  if (deadline.aborted) {
    return new Error(`${shown(url)} did not answer completely within ${request.timeoutMs} ms.`, {
      cause: error,
    });
  }
  return new Error(`The request to ${shown(url)} failed: ${reasonOf(error)}`, { cause: error });
}

/** Connects to several addresses fail with an AggregateError whose own message is empty. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) {
    return error.errors.map((each: unknown) => reasonOf(each)).join("; ");
  }
  return error instanceof Error ? error.message || error.name : String(error);
}

function mutableHeaders(headers: Headers): Record<string, string | string[]> {
  const entries = Object.entries(headers);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "object" ? [...value] : value]),
  );
}

function presentHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string | readonly string[]>> {
  const present: (readonly [string, string | readonly string[]])[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) present.push([name, value]);
  }
  return Object.fromEntries(present);
}
