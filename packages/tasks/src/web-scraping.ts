import { availableParallelism } from "node:os";

import { task } from "@baton/sdk";
import { z } from "zod";

import { fatal } from "./faults.ts";
import { IsolatedPool, IsolationError, moduleBeside } from "./isolation/isolated-pool.ts";
import { joined, shown, URL_CHARACTERS_MAX, USER_AGENT, type Network } from "./network/network.ts";
import { fetchedOrThrow } from "./network/response-status.ts";
import type { Page, PageRequest } from "./page/extract-page.ts";
import { createRobots } from "./robots.ts";

const USER_AGENT_CHARACTERS_MAX = 256;
const SELECTIONS_MAX = 64;
const SELECTOR_CHARACTERS_MAX = 1_024;
const MATCHES_MAX = 1_000;
const TEXT_CHARACTERS_MAX = 200_000;
const LINKS_MAX = 2_000;
const PAGE_BYTES_MAX_DEFAULT = 2 * 1024 * 1024;
const PAGE_BYTES_MAX = 10 * 1024 * 1024;
const REDIRECTS_MAX_DEFAULT = 5;
const REDIRECTS_MAX = 20;
const TIMEOUT_MS_DEFAULT = 30_000;
const TIMEOUT_MS_MAX = 5 * 60_000;
/** Parsing is a matter of milliseconds; a selector that takes seconds is an accident or an attack. */
const EXTRACT_TIMEOUT_MS = 10_000;
/** Fits into a result of the default size, 1 MiB, with room for what JSON adds. */
const RESULT_CHARACTERS_MAX = 700 * 1024;

const THREADS_MAX = Math.min(4, availableParallelism());
/** Ten times a parsed page of the largest allowed size. */
const THREAD_MEGABYTES_MAX = 256;

const selection = z.strictObject({
  selector: z
    .string()
    .min(1)
    .max(SELECTOR_CHARACTERS_MAX)
    .refine((text) => !text.trimStart().startsWith("<"), "expected a CSS selector, not markup"),
  attribute: z.string().min(1).max(128).optional(),
  all: z.boolean().default(false),
});
const input = z.strictObject({
  url: z
    .string()
    .min(1)
    .max(URL_CHARACTERS_MAX)
    .describe("http or https, without user name and password."),
  select: z
    .record(z.string().min(1).max(128), selection)
    .refine(
      (select) => Object.keys(select).length <= SELECTIONS_MAX,
      `at most ${SELECTIONS_MAX} names`,
    )
    .default({})
    .describe(
      "What to take from the page, at most 64 names: { name: { selector, attribute?, all? } }. A CSS selector; its " +
        "first match's text, or that attribute; with all a list of at most 1,000.",
    ),
  text: z
    .boolean()
    .default(false)
    .describe("Return the page's readable text, at most 200,000 characters."),
  links: z
    .boolean()
    .default(false)
    .describe("Return the page's links, absolute and each once, at most 2,000."),
  userAgent: z
    .string()
    .min(1)
    .max(USER_AGENT_CHARACTERS_MAX)
    .regex(/^[\x20-\x7e]+$/, "expected printable ASCII")
    .optional()
    .describe(
      "Sent to the site, and the name that its robots.txt is asked for. Absent: baton/<version>.",
    ),
  pageBytesMax: z
    .int()
    .min(1)
    .max(PAGE_BYTES_MAX)
    .default(PAGE_BYTES_MAX_DEFAULT)
    .describe("Larger pages fail for good; at most 10 MiB."),
  redirectsMax: z
    .int()
    .min(0)
    .max(REDIRECTS_MAX)
    .default(REDIRECTS_MAX_DEFAULT)
    .describe("Redirects to follow, at most 20."),
  timeoutMs: z
    .int()
    .min(1)
    .max(TIMEOUT_MS_MAX)
    .default(TIMEOUT_MS_DEFAULT)
    .describe("For fetching the page, redirects included; at most 5 minutes."),
});

/** Fetches a page, as its site's robots.txt allows, and takes title, text, links and selected values from it. */
export function webScrapingTask(network: Network) {
  const robots = createRobots(network);
  const threads = new IsolatedPool<PageRequest, Page>({
    kind: "thread",
    module: moduleBeside(import.meta.url, "page/serve-pages"),
    countMax: THREADS_MAX,
    heapMegabytesMax: THREAD_MEGABYTES_MAX,
  });
  return task({
    name: "web_scraping",
    description: "Fetches a page and takes text, links and selected values from it.",
    input,
    async run(request, ctx) {
      const { signal } = ctx;
      const userAgent = request.userAgent ?? USER_AGENT;
      const response = await network.request({
        url: request.url,
        headers: {
          "user-agent": userAgent,
          accept: "text/html,application/xhtml+xml,application/xml;q=0.9",
        },
        timeoutMs: request.timeoutMs,
        responseBytesMax: request.pageBytesMax,
        redirectsMax: request.redirectsMax,
        signal,
        beforeHop: (url) => robots.assertAllowed(url, userAgent, signal),
      });
      const { status, body } = fetchedOrThrow(response);
      const contentType = pageType(joined(response.headers["content-type"]), response.url);
      ctx.progress({ step: "fetched", bytes: body.length });
      const page = await threads
        .run(
          {
            url: response.url.href,
            bytes: body,
            ...contentType,
            select: request.select,
            wantsText: request.text,
            wantsLinks: request.links,
            textCharactersMax: TEXT_CHARACTERS_MAX,
            linksMax: LINKS_MAX,
            matchesMax: MATCHES_MAX,
          },
          { timeoutMs: EXTRACT_TIMEOUT_MS, signal },
        )
        .catch(refuse);
      const result = {
        url: response.url.href,
        status,
        redirectCount: response.redirectCount,
        pageBytes: body.length,
        ...page,
      };
      refuseLargeResult(result);
      return result;
    },
  });
}

/** A page is the same tomorrow: what takes too long or too much memory today is not tried again. */
function refuse(error: unknown): never {
  if (!(error instanceof IsolationError)) throw error;
  throw error.fault === undefined
    ? fatal("page_unreadable", `The page cannot be read: ${error.message}.`, { cause: error })
    : fatal(error.fault, error.message, { cause: error });
}

/** How the page is to be read. @throws Fatal for what is no page */
function pageType(contentType: string | undefined, url: URL) {
  const [mediaType = ""] = (contentType ?? "text/html").toLowerCase().split(";", 1);
  const charset = /charset\s*=\s*"?([\w.:-]+)/i.exec(contentType ?? "")?.[1];
  const isHtml = ["text/html", "application/xhtml+xml"].includes(mediaType.trim());
  const isXml = /^(text|application)\/([\w.+-]+\+)?xml$/.test(mediaType.trim());
  if (isHtml || isXml) return { charset, isXml: !isHtml };
  throw fatal(
    "page_unreadable",
    `Expected an HTML or XML page from ${shown(url)}; received ${mediaType.trim()}. ` +
      "The http task fetches anything.",
  );
}

function refuseLargeResult(result: object): void {
  const characters = JSON.stringify(result).length;
  if (characters <= RESULT_CHARACTERS_MAX) return;
  throw fatal(
    "result_too_large",
    `The page gives ${characters} characters, and a result carries at most ${RESULT_CHARACTERS_MAX}. ` +
      "Select less of it.",
  );
}
