import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { describe, it } from "node:test";

import { RetryAfter } from "@baton/sdk";

import { localServer } from "../test/local-server.ts";
import { endsForGood, transient } from "../test/refusals.ts";
import { createNetwork } from "./network/network.ts";
import { createRobots } from "./robots.ts";

const NEVER = new AbortController().signal;
const aNetwork = () => createNetwork({ allowPrivateAddresses: true });

function site(status: number, body: string, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
}

/** Asks whether "baton" may fetch a path of a site with these rules. */
async function ask(listener: RequestListener, path: string, agent = "baton/1.0"): Promise<void> {
  await using server = await localServer(listener);
  await createRobots(aNetwork()).assertAllowed(new URL(path, server.origin), agent, NEVER);
}

describe("createRobots", () => {
  const RULES = `
    # rules of a site
    User-agent: other
    Disallow: /

    User-agent: Baton
    Disallow: /private
    Allow: /private/open
    Disallow: /*.pdf$

    User-agent: *
    Disallow: /`;
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["/", "baton/1.0", true],
    ["/private", "baton/1.0", false],
    ["/private/a?b=c", "baton/1.0", false],
    ["/private/open/x", "baton/1.0", true],
    ["/a.pdf", "baton/1.0", false],
    ["/a.pdf?x", "baton/1.0", true],
    ["/", "BATON", true],
    ["/", "somebody/2.0", false],
  ];
  for (const [path, agent, isAllowed] of cases) {
    it(`${isAllowed ? "lets" : "does not let"} ${agent} fetch ${path}`, async () => {
      const asked = ask(site(200, RULES), path, agent).then(
        () => true,
        () => false,
      );

      assert.equal(await asked, isAllowed);
    });
  }

  it("says which site forbids what to whom", async () => {
    await assert.rejects(
      ask(site(200, "User-agent: *\nDisallow: /"), "/a?key=secret"),
      endsForGood(
        "robots_disallowed",
        /^http:\/\/127.*\/robots\.txt does not allow "baton\/1\.0" to fetch \/a\.$/,
      ),
    );
  });

  for (const [what, listener] of [
    ["no rules", site(404, "User-agent: *\nDisallow: /")],
    ["rules that are not shown", site(403, "")],
    ["empty rules", site(200, "")],
    ["a page in place of rules", site(200, "<!doctype html><p>Disallow: everything")],
    ["a redirect to nowhere", site(302, "")],
  ] as const) {
    it(`allows everything on a site with ${what}`, async () => {
      await ask(listener, "/any");
    });
  }

  it("tries again later when the rules cannot be fetched now", async () => {
    await assert.rejects(ask(site(503, ""), "/"), transient(/robots\.txt answered 503/));
    await assert.rejects(ask(site(429, "", { "retry-after": "3" }), "/"), (error: unknown) => {
      assert.ok(error instanceof RetryAfter);
      assert.equal(error.delayMs, 3_000);
      return true;
    });
  });

  it("reads half a megabyte of endless rules", async () => {
    const listener: RequestListener = (_request, response) => {
      response.write("User-agent: *\nDisallow: /private\n");
      const send = () => {
        while (!response.destroyed && response.write("# padding\n".repeat(10_000)));
      };
      response.on("drain", send);
      send();
    };

    await assert.rejects(ask(listener, "/private"), endsForGood("robots_disallowed", /private/));
  });

  it("follows redirects of the rules", async () => {
    const listener: RequestListener = (request, response) => {
      if (request.url === "/robots.txt") response.writeHead(301, { location: "/rules" }).end();
      else response.end("User-agent: *\nDisallow: /private");
    };

    await assert.rejects(ask(listener, "/private"), endsForGood("robots_disallowed", /private/));
  });

  it("asks a site once in ten minutes", async () => {
    await using server = await localServer(site(200, ""));
    let nowMs = 0;
    const robots = createRobots(aNetwork(), () => nowMs);
    const url = new URL(server.origin);

    await robots.assertAllowed(url, "baton", NEVER);
    await robots.assertAllowed(url, "baton", NEVER);
    nowMs = 10 * 60_000 - 1;
    await robots.assertAllowed(url, "baton", NEVER);
    assert.equal(server.requestedPaths.length, 1);

    nowMs += 1;
    await robots.assertAllowed(url, "baton", NEVER);
    assert.equal(server.requestedPaths.length, 2);
  });
});
