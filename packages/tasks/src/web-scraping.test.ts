import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { RequestListener } from "node:http";
import { describe, it } from "node:test";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { localServer } from "../test/local-server.ts";
import { endsForGood, transient } from "../test/refusals.ts";
import { createNetwork } from "./network/network.ts";
import { webScrapingTask } from "./web-scraping.ts";

const PAGE = await readFile(new URL("../../../examples/data/page.html", import.meta.url));
const TASK = webScrapingTask(createNetwork({ allowPrivateAddresses: true }));

/** Serves one page on every path, and no robots.txt. */
function site(body: string | Buffer, contentType = "text/html"): RequestListener {
  return (request, response) => {
    const isRules = request.url === "/robots.txt";
    response.writeHead(isRules ? 404 : 200, { "content-type": contentType });
    response.end(isRules ? "" : body);
  };
}

async function scrape(listener: RequestListener, input: object = {}): Promise<unknown> {
  await using server = await localServer(listener);
  return await run(TASK, { url: `${server.origin}/shop/`, ...input });
}

exerciseTask("web_scraping", async () => {
  const asked = Promise.withResolvers<void>();
  const server = await localServer((request, response) => {
    if (request.url === "/slow") asked.resolve();
    else
      site(
        request.url === "/data" ? "{}" : PAGE,
        request.url === "/data" ? "application/json" : "text/html",
      )(request, response);
  });
  const url = `${server.origin}/page`;
  const select = { name: { selector: "h1" } };
  return {
    task: TASK,
    good: {
      "a page": { url },
      "everything of it": { url, select, text: true, links: true },
      "nothing found": { url, select: { name: { selector: "video", attribute: "src" } } },
    },
    bad: {
      "no URL": {},
      "another protocol": { url: "file:///etc/passwd" },
      "a metadata address": { url: "http://169.254.169.254/" },
      "an empty selector": { url, select: { name: { selector: "" } } },
      "a selector that is none": { url, select: { name: { selector: "a[" } } },
      "an unknown pseudo-class": { url, select: { name: { selector: "a:unknown" } } },
      "markup in place of a selector": { url, select: { name: { selector: "<img src=x>" } } },
      "no selection": { url, select: { name: "h1" } },
      "too many names": {
        url,
        select: Object.fromEntries(
          Array.from({ length: 65 }, (_, index) => [`n${index}`, { selector: "a" }]),
        ),
      },
      "a line break in the user agent": { url, userAgent: "a\r\nb: c" },
      "a page bound over the limit": { url, pageBytesMax: 10 * 1024 * 1024 + 1 },
      "what is no page": { url: `${server.origin}/data` },
      "a field that is unknown": { url, ignoreRobots: true },
    },
    long: { input: { url: `${server.origin}/slow` }, underWay: asked.promise },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

describe("web_scraping", () => {
  it("takes title, description and selected values from a page", async () => {
    const result = await scrape(site(PAGE), {
      select: {
        heading: { selector: "h1" },
        names: { selector: ".lamp h2", all: true },
        skus: { selector: ".lamp", attribute: "data-sku", all: true },
        firstLink: { selector: ".lamp a", attribute: "href" },
        none: { selector: "video" },
        nones: { selector: "video", all: true },
      },
    });

    assert.partialDeepStrictEqual(result, {
      status: 200,
      redirectCount: 0,
      pageBytes: PAGE.length,
      title: "The Lamp Shop — autumn catalogue",
      description: "Lamps for desks, walls and ceilings, made to be repaired.",
      values: {
        heading: "Autumn catalogue",
        names: ["Desk lamp “Heron”", "Wall lamp “Wren”", "Ceiling lamp “Kite”"],
        skus: ["LMP-101", "LMP-102", "LMP-103"],
        firstLink: "/lamps/desk",
        none: null,
        nones: [],
      },
      truncated: [],
    });
  });

  it("returns the readable text, one line per block", async () => {
    const page =
      "<title>t</title><style>p{}</style><p>One  <b>bold</b>\n word<p>Two<br>Three<script>x</script>" +
      "<table><tr><td>a</td><td>b</td></tr></table>";

    const result = await scrape(site(page), { text: true });

    assert.partialDeepStrictEqual(result, { text: "One bold word\nTwo\nThree\na b" });
  });

  it("returns links absolute and once, with their text", async () => {
    const page =
      '<base href="/base/"><a href="#"></a><a href="x"><img></a><a href="x">X</a><a href="x">Y</a>' +
      '<a href="https://example.com/?q=1#f">E</a><a href="mailto:a@b.c">M</a><a href="javascript:1">J</a><a href="http://">bad</a>';
    await using server = await localServer(site(page));

    const result = await run(TASK, { url: `${server.origin}/shop/`, links: true });

    assert.partialDeepStrictEqual(result, {
      links: [
        { url: `${server.origin}/base/#`, text: "" },
        { url: `${server.origin}/base/x`, text: "X" },
        { url: "https://example.com/?q=1#f", text: "E" },
      ],
    });
  });

  it("leaves text and links out unless asked for", async () => {
    const result = await scrape(site(PAGE));

    assert.deepEqual(Object.keys(result as object).sort(), [
      "description",
      "pageBytes",
      "redirectCount",
      "status",
      "title",
      "truncated",
      "url",
      "values",
    ]);
  });

  const encoded: readonly (readonly [string, string, Buffer])[] = [
    ["the header's charset", "text/html; charset=iso-8859-2", Buffer.from([0xb1])],
    [
      "the page's own charset",
      "text/html",
      Buffer.from('<meta charset="iso-8859-2">\xb1', "latin1"),
    ],
    ["UTF-8 when nobody says", "text/html", Buffer.from("ą")],
  ];
  for (const [what, contentType, text] of encoded) {
    it(`decodes by ${what}`, async () => {
      const page = Buffer.concat([
        Buffer.from("<title>"),
        Buffer.alloc(0),
        Buffer.from("</title>"),
        text,
      ]);

      const result = await scrape(site(page, contentType), { text: true });

      assert.partialDeepStrictEqual(result, { text: "ą" });
    });
  }

  it("reads XML, with its case-sensitive names", async () => {
    const feed =
      '<?xml version="1.0"?><rss><channel><pubDate>now</pubDate><item><link>http://a/</link></item></channel></rss>';

    const result = await scrape(site(feed, "application/rss+xml"), {
      select: { date: { selector: "pubDate" }, links: { selector: "item > link", all: true } },
    });

    assert.partialDeepStrictEqual(result, { values: { date: "now", links: ["http://a/"] } });
  });

  it("says where a redirect led", async () => {
    await using server = await localServer((request, response) => {
      if (request.url === "/old") response.writeHead(301, { location: "/new" }).end();
      else site(PAGE)(request, response);
    });

    const result = await run(TASK, { url: `${server.origin}/old` });

    assert.partialDeepStrictEqual(result, { url: `${server.origin}/new`, redirectCount: 1 });
  });

  it("gives up on 404 and tries again after 503", async () => {
    const answer =
      (status: number): RequestListener =>
      (request, response) => {
        response.writeHead(request.url === "/robots.txt" ? 404 : status).end();
      };

    await assert.rejects(scrape(answer(404)), endsForGood("http_status", /answered 404/));
    await assert.rejects(scrape(answer(503)), transient(/answered 503/));
  });

  it("gives up on a page that is larger than the job allows", async () => {
    await assert.rejects(
      scrape(site(PAGE), { pageBytesMax: 100 }),
      endsForGood("response_too_large", /more than 100 bytes/),
    );
  });
});

describe("web_scraping, robots.txt", () => {
  const withRules =
    (rules: string, next: RequestListener = site(PAGE)): RequestListener =>
    (request, response) => {
      if (request.url === "/robots.txt") response.end(rules);
      else next(request, response);
    };

  it("does not fetch what the site forbids", async () => {
    await using server = await localServer(withRules("User-agent: baton\nDisallow: /shop"));

    await assert.rejects(
      run(TASK, { url: `${server.origin}/shop/` }),
      endsForGood("robots_disallowed", /does not allow "baton\/\d/),
    );
    assert.deepEqual(server.requestedPaths, ["/robots.txt"]);
  });

  it("asks for the rules of the user agent that it sends", async () => {
    const listener = withRules("User-agent: goodbot\nAllow: /\n\nUser-agent: *\nDisallow: /");

    await assert.rejects(scrape(listener), endsForGood("robots_disallowed", /baton/));
    assert.partialDeepStrictEqual(await scrape(listener, { userAgent: "GoodBot/2.0" }), {
      status: 200,
    });
  });

  it("does not follow a redirect to where the site forbids", async () => {
    const redirect: RequestListener = (_request, response) => {
      response.writeHead(302, { location: "/private" }).end();
    };
    await using server = await localServer(
      withRules("User-agent: *\nDisallow: /private", redirect),
    );

    await assert.rejects(
      run(TASK, { url: `${server.origin}/shop/` }),
      endsForGood("robots_disallowed", /\/private/),
    );
    assert.deepEqual(server.requestedPaths, ["/robots.txt", "/shop/"]);
  });

  it("asks every site that a redirect leads to", async () => {
    await using other = await localServer(withRules("User-agent: *\nDisallow: /"));
    await using server = await localServer(
      withRules("", (_request, response) => {
        response.writeHead(302, { location: other.origin }).end();
      }),
    );

    await assert.rejects(run(TASK, { url: server.origin }), endsForGood("robots_disallowed", /./));
    assert.deepEqual(other.requestedPaths, ["/robots.txt"]);
  });
});

describe("web_scraping, hostile pages", () => {
  it("reads the text of a page that is nested twenty thousand levels deep", async () => {
    const result = await scrape(site(`${"<b>".repeat(20_000)}deep`), { text: true });

    assert.partialDeepStrictEqual(result, { text: "deep" });
  });

  it("ends a page that is nested too deeply for its selectors, for good, and works on", async () => {
    const page = "<b>".repeat(20_000);

    await assert.rejects(
      scrape(site(page), { select: { all: { selector: "b" } } }),
      endsForGood("page_unreadable", /^The page cannot be read: /),
    );
    assert.partialDeepStrictEqual(await scrape(site(PAGE)), { status: 200 });
  });

  it("keeps the event loop free while a selector takes its time", async () => {
    const page = "<div>".repeat(400) + "<p></p>".repeat(20_000);
    const selector = "div ".repeat(8) + "p:not(div ~ div)";
    let turns = 0;
    const done = new AbortController();
    const count = async () => {
      while (!done.signal.aborted) {
        turns += 1;
        await new Promise(setImmediate);
      }
    };

    const counting = count();
    await scrape(site(page), { select: { slow: { selector, all: true } } }).catch(() => {});
    done.abort();
    await counting;

    assert.ok(turns > 100, `only ${turns} turns`);
  });

  it("cuts long text, many links and many matches, and says so", async () => {
    const page = `<p>${"x".repeat(200_001)}</p>${Array.from({ length: 2_001 }, (_, index) => `<a href="/${index}"></a>`).join("")}`;

    const result = await scrape(site(page), {
      text: true,
      links: true,
      select: { all: { selector: "a", attribute: "href", all: true } },
    });

    const { text, links, values, truncated } = result as {
      text: string;
      links: unknown[];
      values: { all: unknown[] };
      truncated: unknown;
    };
    assert.deepEqual([text.length, links.length, values.all.length], [200_000, 2_000, 1_000]);
    assert.deepEqual(truncated, ["all", "text", "links"]);
  });

  it("refuses to return more than a result carries", async () => {
    const page = `<p>${"x".repeat(100_000)}</p>`.repeat(8);

    await assert.rejects(
      scrape(site(page), { select: { all: { selector: "p", all: true } } }),
      endsForGood("result_too_large", /at most 716800\. Select less/),
    );
  });
});
