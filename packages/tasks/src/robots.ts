// Makes the types known to every program that compiles this file, not only to this package.
// oxlint-disable-next-line typescript/triple-slash-reference -- an import cannot name an ambient module
/// <reference path="./robots-parser.d.ts" />

/**
 * What a site lets robots fetch: the Robots Exclusion Protocol, RFC 9309. A site without rules allows everything; one
 * whose rules cannot be fetched now is not fetched from now.
 */

import { fatal } from "./faults.ts";
import type { Network } from "./network/network.ts";
import { errorOfStatus } from "./network/response-status.ts";

/** RFC 9309 section 2.5 asks for at least 500 KiB; what is beyond is not read. */
const ROBOTS_BYTES_MAX = 512 * 1024;
/** RFC 9309 section 2.3.1.2: at least five. */
const REDIRECTS_MAX = 5;
const TIMEOUT_MS = 10_000;
/** RFC 9309 section 2.4 allows a day; a site that changes its mind should not wait that long. */
const CACHE_MS = 10 * 60_000;
const CACHED_SITES_MAX = 500;
const CACHED_BYTES_MAX = 8 * 1024 * 1024;

export interface Robots {
  /**
   * Returns when the URL may be fetched.
   *
   * @throws Fatal when the site forbids it
   * @throws Error when the site's rules cannot be fetched now
   */
  assertAllowed(url: URL, userAgent: string, signal: AbortSignal): Promise<void>;
}

interface Rules {
  readonly isAllowed: (url: string, userAgent: string) => boolean;
  readonly bytes: number;
  readonly expiresAtMs: number;
}

/** Rules are kept for ten minutes, for at most 500 sites and 8 MiB; what was fetched first goes first. */
export function createRobots(network: Network, nowMs: () => number = Date.now): Robots {
  const cache = new Map<string, Rules>();
  return {
    async assertAllowed(url, userAgent, signal) {
      let rules = cache.get(url.origin);
      if (rules === undefined || rules.expiresAtMs <= nowMs()) {
        rules = await fetchRules(network, url.origin, userAgent, signal, nowMs() + CACHE_MS);
        cache.delete(url.origin);
        cache.set(url.origin, rules);
        evict(cache);
      }
      if (rules.isAllowed(url.href, userAgent)) return;
      throw fatal(
        "robots_disallowed",
        `${url.origin}/robots.txt does not allow "${userAgent}" to fetch ${url.pathname}.`,
      );
    },
  };
}

async function fetchRules(
  network: Network,
  origin: string,
  userAgent: string,
  signal: AbortSignal,
  expiresAtMs: number,
): Promise<Rules> {
  const url = `${origin}/robots.txt`;
  const response = await network.request({
    url,
    headers: { "user-agent": userAgent, accept: "text/plain" },
    timeoutMs: TIMEOUT_MS,
    responseBytesMax: ROBOTS_BYTES_MAX,
    overflow: "truncate",
    redirectsMax: REDIRECTS_MAX,
    signal,
  });
  const { status, body } = response;
  // Section 2.3.1.4: a server in trouble has not allowed anything. 429 is trouble too, for all that it is a 4xx.
  if (status >= 500 || status === 429) throw errorOfStatus(response);
  // Section 2.3.1.3: a site without rules, or one that does not show them, allows everything.
  if (status < 200 || status >= 300) return { isAllowed: () => true, bytes: 0, expiresAtMs };
  const { default: robotsParser } = await import("robots-parser");
  const parsed = robotsParser(url, body.toString("utf8"));
  return {
    isAllowed: (target, agent) => parsed.isAllowed(target, agent) ?? true,
    bytes: body.length,
    expiresAtMs,
  };
}

function evict(cache: Map<string, Rules>): void {
  let bytes = 0;
  for (const rules of cache.values()) bytes += rules.bytes;
  for (const [origin, rules] of cache) {
    if (cache.size <= CACHED_SITES_MAX && bytes <= CACHED_BYTES_MAX) return;
    cache.delete(origin);
    bytes -= rules.bytes;
  }
}
