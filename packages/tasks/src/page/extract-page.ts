/** What a page holds: title, text, links and what selectors find. Runs in a thread of its own, see isolation/isolated-pool.ts. */
import { isUtf8 } from "node:buffer";

import { loadBuffer, type CheerioAPI } from "cheerio";

import { Refused } from "../isolation/serve.ts";

/** One value, or list of values, to take from a page. */
export interface Selection {
  readonly selector: string;
  /** Absent: the element's text. */
  readonly attribute?: string | undefined;
  /** All matches as a list instead of the first one. */
  readonly all: boolean;
}

export interface PageRequest {
  /** Where the page came from; relative links are resolved against it. */
  readonly url: string;
  readonly bytes: Uint8Array;
  /** Of the content-type header. */
  readonly charset: string | undefined;
  readonly isXml: boolean;
  readonly select: Readonly<Record<string, Selection>>;
  readonly wantsText: boolean;
  readonly wantsLinks: boolean;
  readonly textCharactersMax: number;
  readonly linksMax: number;
  /** Matches of one selection with `all`. */
  readonly matchesMax: number;
}

export interface Page {
  readonly title: string | null;
  readonly description: string | null;
  readonly text?: string;
  readonly links?: readonly Link[];
  readonly values: Readonly<Record<string, string | null | readonly string[]>>;
  /** Parts that were cut at their bound: `text`, `links`, or a name of `values`. */
  readonly truncated: readonly string[];
}

export interface Link {
  /** Absolute, http or https. */
  readonly url: string;
  readonly text: string;
}

/** Reads one page. @throws Refused for a selector that cannot be used */
export function extractPage(request: PageRequest): Page {
  const $ = parse(request);
  const truncated: string[] = [];
  const bounded = <Value extends string | readonly Link[] | readonly string[]>(
    name: string,
    value: { readonly kept: Value; readonly isCut: boolean },
  ): Value => {
    if (value.isCut) truncated.push(name);
    return value.kept;
  };
  const values = Object.entries(request.select).map(([name, selection]) => {
    const found = selected($, name, selection, request.matchesMax);
    return [
      name,
      typeof found === "object" && found !== null ? bounded(name, found) : found,
    ] as const;
  });
  return {
    title: textOrNull($("title").first().text()),
    description: textOrNull($('meta[name="description"]').attr("content") ?? ""),
    ...(request.wantsText && { text: bounded("text", pageText($, request.textCharactersMax)) }),
    ...(request.wantsLinks && { links: bounded("links", pageLinks($, request)) }),
    values: Object.fromEntries(values),
    truncated,
  };
}

function parse({ bytes, charset, isXml, url }: PageRequest): CheerioAPI {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return loadBuffer(buffer, {
    baseURI: url,
    xml: isXml,
    encoding: {
      ...(charset !== undefined && { transportLayerEncodingLabel: charset }),
      // Used when neither the server nor the page names an encoding.
      defaultEncoding: isUtf8(buffer) ? "utf-8" : "windows-1252",
    },
  });
}

function selected(
  $: CheerioAPI,
  name: string,
  { selector, attribute, all }: Selection,
  matchesMax: number,
): string | null | { readonly kept: readonly string[]; readonly isCut: boolean } {
  const matches = find($, name, selector);
  const read = (index: number): string | null => {
    const element = matches.eq(index);
    if (element.length === 0) return null;
    return attribute === undefined ? collapsed(element.text()) : (element.attr(attribute) ?? null);
  };
  if (!all) return read(0);
  const count = Math.min(matches.length, matchesMax);
  const kept = Array.from({ length: count }, (_, index) => read(index));
  return { kept: kept.filter((value) => value !== null), isCut: matches.length > count };
}

function find($: CheerioAPI, name: string, selector: string) {
  try {
    return $.root().find(selector);
  } catch (cause) {
    // The page is nested too deeply; the selector is not to blame.
    if (cause instanceof RangeError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Refused(
      "selector_invalid",
      `The selector "${name}" (${selector}) is not valid: ${message}`,
      {
        cause,
      },
    );
  }
}

function pageLinks($: CheerioAPI, request: PageRequest) {
  const base = URL.parse($("base[href]").attr("href") ?? "", request.url)?.href ?? request.url;
  const found = new Map<string, string>();
  let isCut = false;
  for (const element of $("a[href], area[href]")) {
    const url = URL.parse($(element).attr("href") ?? "", base);
    if (url === null || !/^https?:$/.test(url.protocol) || found.get(url.href)) continue;
    if (!found.has(url.href) && found.size >= request.linksMax) {
      isCut = true;
      break;
    }
    found.set(url.href, collapsed($(element).text()));
  }
  const kept: readonly Link[] = Array.from(found, ([url, text]) => ({ url, text }));
  return { kept, isCut };
}

const TAGS_WITHOUT_TEXT: ReadonlySet<string> = new Set(
  "head script style noscript template iframe object svg".split(" "),
);
const TAGS_ON_THEIR_OWN_LINE: ReadonlySet<string> = new Set(
  (
    "address article aside blockquote body br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 " +
    "header hr li main nav ol option p pre section table tr ul"
  ).split(" "),
);

/** The text that a reader sees, one line per block. Walks without recursion: pages may be nested as deeply as they like. */
function pageText($: CheerioAPI, charactersMax: number) {
  const parts: string[] = [];
  const pending: (Node | string)[] = [...($.root()[0]?.children ?? [])].reverse();
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (typeof next === "string") {
      parts.push(next);
    } else if ("children" in next) {
      const name = "name" in next ? next.name : "";
      if (TAGS_WITHOUT_TEXT.has(name)) continue;
      const edge = TAGS_ON_THEIR_OWN_LINE.has(name)
        ? "\n"
        : name === "td" || name === "th"
          ? " "
          : "";
      parts.push(edge);
      pending.push(edge);
      for (let index = next.children.length - 1; index >= 0; index -= 1) {
        const child = next.children[index];
        if (child !== undefined) pending.push(child);
      }
    } else if (next.nodeType === TEXT_NODE && "data" in next) {
      parts.push(next.data.replaceAll(/\s+/g, " "));
    }
  }
  const lines = parts.join("").split("\n").map(collapsed);
  const text = lines.filter((line) => line !== "").join("\n");
  return { kept: text.slice(0, charactersMax), isCut: text.length > charactersMax };
}

const TEXT_NODE = 3;
type Node = ReturnType<CheerioAPI["root"]>[number]["children"][number];

function collapsed(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

function textOrNull(text: string): string | null {
  return collapsed(text) || null;
}
