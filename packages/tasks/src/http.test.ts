import assert from "node:assert/strict";
import type { IncomingMessage, RequestListener } from "node:http";
import { describe, it } from "node:test";

import { RetryAfter } from "@baton/sdk";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { localServer } from "../test/local-server.ts";
import { endsForGood, invalidInput, transient } from "../test/refusals.ts";
import { httpTask } from "./http.ts";
import { createNetwork } from "./network/network.ts";

const aTask = () => httpTask(createNetwork({ allowPrivateAddresses: true }));

exerciseTask("http", async () => {
  const asked = Promise.withResolvers<void>();
  const server = await localServer((request, response) => {
    if (request.url === "/slow") asked.resolve();
    else response.setHeader("content-type", "application/json").end('{"a":[1,null]}');
  });
  const url = server.origin;
  return {
    task: aTask(),
    good: {
      "a GET": { url },
      "a POST of JSON": { url, method: "POST", body: { a: 1 } },
      bytes: { url, responseType: "base64" },
      "a HEAD": { url, method: "HEAD" },
    },
    bad: {
      "no URL": {},
      "an empty URL": { url: "" },
      "another protocol": { url: "ftp://example.com/" },
      "a file": { url: "file:///etc/passwd" },
      "a metadata address": { url: "http://169.254.169.254/latest/" },
      "a password": { url: "http://a:b@example.com/" },
      "an unknown method": { url, method: "TRACE" },
      "a GET with a body": { url, body: "x" },
      "two bodies": { url, method: "POST", body: "x", bodyBase64: "eA==" },
      "a line break in a header": { url, headers: { "x-a": "1\r\nx-b: 2" } },
      "a header that frames the message": { url, headers: { "Content-Length": "5" } },
      "a host header": { url, headers: { host: "internal" } },
      "a header without a name": { url, headers: { "": "1" } },
      "a status out of range": { url, expectedStatuses: [600] },
      "no status": { url, expectedStatuses: [] },
      "a timeout of zero": { url, timeoutMs: 0 },
      "a response bound over the limit": { url, responseBytesMax: 16 * 1024 * 1024 + 1 },
      "a field that is unknown": { url, proxy: "http://example.com" },
    },
    long: { input: { url: `${url}/slow` }, underWay: asked.promise },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

/** Asks a server that answers in the given way. */
async function ask(listener: RequestListener, input: object): Promise<unknown> {
  await using server = await localServer(listener);
  return await run(aTask(), { url: `${server.origin}/path?key=secret`, ...input });
}

/** What a server sees of a request. */
async function seen(input: object): Promise<{ request: IncomingMessage; body: string }> {
  const arrived = Promise.withResolvers<{ request: IncomingMessage; body: string }>();
  await ask((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      response.end();
      arrived.resolve({ request, body: Buffer.concat(chunks).toString() });
    });
  }, input);
  return arrived.promise;
}

function answer(status: number, headers: Record<string, string>, body: string | Buffer = "") {
  const listener: RequestListener = (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
  return listener;
}

describe("http, request", () => {
  it("sends method, headers and path", async () => {
    const { request } = await seen({ method: "DELETE", headers: { "X-Many": ["a", "b"] } });

    assert.equal(request.method, "DELETE");
    assert.equal(request.url, "/path?key=secret");
    assert.equal(request.headers["x-many"], "a, b");
    assert.match(request.headers["user-agent"] ?? "", /^baton\/\d/);
  });

  for (const [what, input, type, body] of [
    ["a text", { body: "täxt" }, "text/plain; charset=utf-8", "täxt"],
    ["an object", { body: { a: [1] } }, "application/json", '{"a":[1]}'],
    ["null", { body: null }, "application/json", "null"],
    ["bytes", { bodyBase64: "dMOkeHQ=" }, undefined, "täxt"],
    ["nothing", {}, undefined, ""],
  ] as const) {
    it(`sends ${what} as ${type ?? "it is"}`, async () => {
      const sent = await seen({ method: "POST", ...input });

      assert.equal(sent.body, body);
      assert.equal(sent.request.headers["content-type"], type);
    });
  }

  it("lets the job choose the content type, in any case of letters", async () => {
    const { request } = await seen({
      method: "PUT",
      body: "<a/>",
      headers: { "Content-Type": "application/xml" },
    });

    assert.equal(request.headers["content-type"], "application/xml");
  });

  for (const [method, key] of [
    ["POST", "01936d5e-0000-7000-8000-000000000001"],
    ["PATCH", "01936d5e-0000-7000-8000-000000000001"],
    ["PUT", undefined],
  ] as const) {
    it(`sends ${key === undefined ? "no idempotency key" : "the job as idempotency key"} with ${method}`, async () => {
      const { request } = await seen({ method, body: "x" });

      assert.equal(request.headers["idempotency-key"], key);
    });
  }
});

describe("http, response", () => {
  const cases: readonly (readonly [string, string, string, string | Buffer, string, unknown])[] = [
    ["JSON", "application/json; charset=utf-8", "auto", '{"a":1}', "json", { a: 1 }],
    ["JSON of a vendor", "application/vnd.x+json", "auto", "[1]", "json", [1]],
    ["text", "text/html", "auto", "<p>", "text", "<p>"],
    ["XML", "application/atom+xml", "auto", "<a/>", "text", "<a/>"],
    ["Latin-1", "text/plain; charset=iso-8859-1", "auto", Buffer.from([0xe4]), "text", "ä"],
    ["an unknown charset", "text/plain; charset=none", "auto", "ä", "text", "ä"],
    ["an image", "image/png", "auto", Buffer.from([0x89]), "base64", "iQ=="],
    ["nothing", "image/png", "auto", "", "text", ""],
    ["JSON as text", "application/json", "text", '{"a":1}', "text", '{"a":1}'],
    ["text as JSON", "text/plain", "json", "5", "json", 5],
    ["text as bytes", "text/plain", "base64", "a", "base64", "YQ=="],
  ];
  for (const [what, contentType, responseType, body, bodyType, expected] of cases) {
    it(`returns ${what}`, async () => {
      const result = await ask(answer(200, { "content-type": contentType }, body), {
        responseType,
      });

      assert.partialDeepStrictEqual(result, {
        status: 200,
        bodyType,
        body: expected,
        bodyBytes: Buffer.byteLength(body),
        redirectCount: 0,
      });
    });
  }

  it("tries again when the promised JSON is none", async () => {
    await assert.rejects(
      ask(answer(200, { "content-type": "application/json" }, "<html>"), {}),
      transient(/^Expected JSON from http:\/\/127\.0\.0\.1:\d+\/path: SyntaxError/),
    );
  });

  it("gives up on a response that is larger than the job allows", async () => {
    await assert.rejects(
      ask(answer(200, {}, "x".repeat(101)), { responseBytesMax: 100 }),
      endsForGood("response_too_large", /more than 100 bytes/),
    );
  });
});

describe("http, status", () => {
  for (const [status, expectedStatuses] of [
    [204, ["2xx"]],
    [404, [404]],
    [503, ["2xx", "5xx"]],
  ] as const) {
    it(`takes ${status} for a success when ${expectedStatuses.join(" and ")} are`, async () => {
      const result = await ask(answer(status, {}), { expectedStatuses });

      assert.partialDeepStrictEqual(result, { status });
    });
  }

  for (const status of [400, 401, 403, 404, 409, 410, 422]) {
    it(`gives up on ${status}`, async () => {
      await assert.rejects(
        ask(answer(status, { "retry-after": "1" }, "why\n  so"), {}),
        endsForGood("http_status", new RegExp(`/path answered ${status} [A-Z].*: why so$`)),
      );
    });
  }

  for (const status of [408, 425, 429, 500, 502, 503, 504, 599]) {
    it(`tries again after ${status}`, async () => {
      await assert.rejects(
        ask(answer(status, {}), {}),
        transient(new RegExp(`answered ${status}`)),
      );
    });
  }

  it("tries again when the server says", async () => {
    await assert.rejects(ask(answer(503, { "retry-after": "7" }), {}), (error: unknown) => {
      assert.ok(error instanceof RetryAfter);
      assert.equal(error.delayMs, 7_000);
      return true;
    });
  });

  it("keeps keys of the query out of its messages", async () => {
    await assert.rejects(
      ask(answer(500, {}), {}),
      (error: unknown) => !String(error).includes("secret"),
    );
  });

  it("names the field that does not fit", async () => {
    await assert.rejects(
      run(aTask(), { url: "http://example.com", timeoutMs: "5" }),
      invalidInput(/timeoutMs/),
    );
  });
});
