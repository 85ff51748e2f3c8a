import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readMarkdown } from "./markdown.ts";

const document = (...lines: readonly string[]): string => lines.join("\n");

describe("readMarkdown", () => {
  const anchors = {
    "## Where things go?": "where-things-go",
    "### `job_not_found`": "job_not_found",
    "# The [SDK](sdk.md), in short": "the-sdk-in-short",
    "## Größe & Grenzen": "größe--grenzen",
  };
  for (const [heading, anchor] of Object.entries(anchors)) {
    it(`gives "${heading}" the anchor ${anchor}`, () => {
      assert.deepEqual([...readMarkdown(heading).anchors], [anchor]);
    });
  }

  it("numbers headings with the same text", () => {
    const { anchors: found } = readMarkdown(document("# A", "## A", "### A"));

    assert.deepEqual([...found], ["a", "a-1", "a-2"]);
  });

  it("finds links, images, definitions and HTML, with their lines", () => {
    const { links } = readMarkdown(
      document('[a](b.md "title") ![i](c.png)', "", "[d]: e.md", '<a href="f.md">f</a>'),
    );

    assert.deepEqual(links, [
      { line: 1, text: "b.md" },
      { line: 1, text: "c.png" },
      { line: 3, text: "e.md" },
      { line: 4, text: "f.md" },
    ]);
  });

  it("sees no links and headings in code", () => {
    const { links, headings } = readMarkdown(
      document("`[a](b.md)`", "```sh check", "# [c](d.md)", "```"),
    );

    assert.deepEqual({ links, headings }, { links: [], headings: [] });
  });

  it("reads a block with its language, its words and the line on which it opens", () => {
    const { fences } = readMarkdown(document("", "```ts run", "one();", "two();", "```"));

    assert.deepEqual(
      fences.map(({ line, language, words, text }) => ({ line, language, words, text })),
      [{ line: 2, language: "ts", words: ["run"], text: "one();\ntwo();" }],
    );
  });

  it("ends a block only at a mark that is as long as the one that opened it", () => {
    const { fences } = readMarkdown(document("````md", "```", "````"));

    assert.deepEqual(
      fences.map(({ text }) => text),
      ["```"],
    );
  });

  it("refuses a block without an end", () => {
    assert.throws(() => readMarkdown(document("a", "```ts")), /line 2 has no end/);
  });
});
