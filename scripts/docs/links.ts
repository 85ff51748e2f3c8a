import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

import { readMarkdown, type Markdown } from "./markdown.ts";

/** Folders of the repository: a code span that begins with one is a path, and must exist. */
const PATH_SPAN = /^(?:packages|scripts|docs|proto|examples|test|bench|deploy|\.ci)\/[\w@./-]+$/;

/** Links of a document to files and headings that do not exist, and paths in code spans that do not. */
export function brokenLinks(root: string, file: string, document: Markdown): readonly string[] {
  const links = document.links.flatMap(({ line, text }) => {
    const problem = linkProblem(root, file, document, text);
    return problem === undefined ? [] : [`${file}:${line}: the link ${text} ${problem}`];
  });
  const spans = document.codeSpans
    .filter(({ text }) => PATH_SPAN.test(text) && !existsSync(join(root, text)))
    .map(({ line, text }) => `${file}:${line}: the path ${text} does not exist`);
  return [...links, ...spans];
}

function linkProblem(
  root: string,
  file: string,
  document: Markdown,
  target: string,
): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) return undefined;
  const [path = "", anchor] = decodeURI(target).split("#");
  if (path === "") return anchorProblem(document, anchor);
  const found = path.startsWith("/") ? join(root, path) : resolve(root, dirname(file), path);
  if (relative(root, found).startsWith("..")) return "leads out of the repository";
  if (!existsSync(found)) return "leads to no file";
  if (anchor === undefined) return undefined;
  if (!found.endsWith(".md") || statSync(found).isDirectory())
    return "has an anchor, but is no document";
  return anchorProblem(readMarkdown(readFileSync(found, "utf8")), anchor);
}

function anchorProblem(document: Markdown, anchor: string | undefined): string | undefined {
  return anchor !== undefined && document.anchors.has(anchor) ? undefined : "leads to no heading";
}
