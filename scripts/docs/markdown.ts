/** As much of Markdown as the checks need: headings, links, code spans and fenced blocks, each with its line. */

/** A fenced block: "```ts run" has language ts and word run. */
export interface Fence {
  readonly line: number;
  readonly language: string;
  readonly words: readonly string[];
  readonly text: string;
}

export interface Located {
  readonly line: number;
  readonly text: string;
}

export interface Markdown {
  /** As written, with their `#` and code spans. */
  readonly headings: readonly Located[];
  /** What `#…` in a link may name. */
  readonly anchors: ReadonlySet<string>;
  /** Targets of links and images. */
  readonly links: readonly Located[];
  readonly codeSpans: readonly Located[];
  readonly fences: readonly Fence[];
}

/** Reads a document. Code in fences and spans holds no links. */
export function readMarkdown(source: string): Markdown {
  const { prose, fences } = splitFences(source);
  const headings = prose.filter(({ text }) => /^#{1,6} /.test(text));
  const codeSpans = prose.flatMap(({ line, text }) =>
    [...text.matchAll(/`([^`]+)`/g)].map((match) => ({ line, text: match[1] ?? "" })),
  );
  const links = prose.flatMap(({ line, text }) =>
    linksOf(text.replaceAll(/`[^`]*`/g, "")).map((target) => ({ line, text: target })),
  );
  return { headings, anchors: anchorsOf(prose, headings), links, codeSpans, fences };
}

function splitFences(source: string): { prose: readonly Located[]; fences: readonly Fence[] } {
  const prose: Located[] = [];
  const fences: Fence[] = [];
  let open: (Fence & { readonly mark: string; readonly lines: string[] }) | undefined;
  source.split("\n").forEach((text, index) => {
    const line = index + 1;
    const fence = /^\s*(`{3,}|~{3,})(.*)$/.exec(text);
    if (open !== undefined) {
      const isEnd = fence?.[1]?.startsWith(open.mark) === true && fence[2]?.trim() === "";
      if (!isEnd) open.lines.push(text);
      else {
        fences.push({ ...open, text: open.lines.join("\n") });
        open = undefined;
      }
    } else if (fence !== null) {
      const [language = "", ...words] = (fence[2] ?? "").trim().split(/\s+/);
      open = { line, language, words, text: "", mark: fence[1] ?? "", lines: [] };
    } else {
      prose.push({ line, text });
    }
  });
  if (open !== undefined) throw new Error(`The code block of line ${open.line} has no end.`);
  return { prose, fences };
}

/** `[text](target "title")`, `[name]: target`, `<a href="target">` and `<img src="target">`. */
function linksOf(text: string): readonly string[] {
  const patterns = [
    /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g,
    /^\s*\[[^\]]+\]:\s+<?([^\s>]+)>?/g,
    /<(?:a|img)\s[^>]*(?:href|src)="([^"]+)"/g,
  ];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ""));
}

/** Anchors as GitHub makes them: `## Where things go?` is `#where-things-go`, a second one gets `-1`. */
function anchorsOf(prose: readonly Located[], headings: readonly Located[]): ReadonlySet<string> {
  const counts = new Map<string, number>();
  const anchors = new Set<string>();
  for (const { text } of headings) {
    const slug = slugOf(text);
    const count = counts.get(slug) ?? 0;
    counts.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const { text } of prose) {
    for (const match of text.matchAll(/<a\s+(?:id|name)="([^"]+)"/g)) anchors.add(match[1] ?? "");
  }
  return anchors;
}

function slugOf(heading: string): string {
  return heading
    .replace(/^#+\s+/, "")
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replaceAll(/\s/g, "-");
}
