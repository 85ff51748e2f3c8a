import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { pino } from "pino";
import { JOB_ID } from "../../test/fake-operations.ts";
import { aListeningHttpApp, anHttpApp, problemLine, send } from "../../test/http-app.ts";
import type { SubmitResult } from "../domain/job-spec.ts";
import { memberOf } from "./rest/json-body.ts";

/** Where a mistake would make a test wait for ever. */
const TIMEOUT_MS = 10_000;

const SUBMITTED: SubmitResult = { jobId: JOB_ID, state: "queued", isDuplicate: false };
const submit = async (): Promise<SubmitResult[]> => [SUBMITTED];

/** A raw connection, closed after the test. */
function aConnection(test: TestContext, origin: string): Socket {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  socket.on("error", () => undefined);
  test.after(() => socket.destroy());
  return socket;
}

/** Everything that a connection answers until the server closes it. */
async function answerOf(socket: Socket): Promise<string> {
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk.toString()));
  await once(socket, "close");
  return answer;
}

describe("request bodies", () => {
  const post = "/api/v1/jobs";

  for (const [name, body, expected] of [
    [
      "malformed JSON",
      '{"task": "echo",}',
      "400 malformed_json: the body is not acceptable JSON: expected a property name in double " +
        'quotes at line 1, column 17 (character 16), received "}"',
    ],
    [
      "invalid UTF-8",
      Buffer.from('{"task": "\xff"}', "latin1"),
      "400 malformed_json: the body is not acceptable JSON: expected UTF-8, received byte 0xff at " +
        "position 10",
    ],
    [
      "10,000 levels of nesting",
      `{"task":"echo","input":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
      "400 malformed_json: the body is not acceptable JSON: expected at most 200 levels of nesting " +
        "below the outermost, received more at line 1, column 224 (character 223)",
    ],
    [
      "a __proto__ key",
      '{"task":"echo","input":{"__proto__":{"isAdmin":true}}}',
      "400 malformed_json: the body is not acceptable JSON: expected no key that changes " +
        'prototypes, received the key "__proto__" at line 1, column 25 (character 24)',
    ],
    [
      "a constructor.prototype key",
      '{"task":"echo","input":{"constructor":{"prototype":{"isAdmin":true}}}}',
      "400 malformed_json: the body is not acceptable JSON: expected no key that changes " +
        'prototypes, received the key "constructor.prototype" at line 1, column 25 (character 24)',
    ],
  ] as const) {
    it(`refuses ${name}`, async () => {
      const response = await send(anHttpApp(), "POST", post, body);

      assert.equal(problemLine(response), expected);
    });
  }

  for (const [type, received] of [
    ["text/plain", "text/plain"],
    ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded"],
    ["multipart/form-data; boundary=x", "multipart/form-data; boundary=x"],
    ["nonsense", "nonsense"],
  ] as const) {
    it(`refuses the content type ${type}`, async () => {
      const headers = { "content-type": type };

      const response = await send(anHttpApp(), "POST", post, { task: "echo" }, headers);

      assert.equal(
        problemLine(response),
        "415 unsupported_media_type: expected a body with content-type application/json, " +
          `received ${received}`,
      );
    });
  }

  for (const [header, value, expected] of [
    ["content-encoding", "gzip", "a body without content-encoding, received gzip"],
    ["content-encoding", "GZIP, br", "a body without content-encoding, received GZIP, br"],
    [
      "content-type",
      "application/json; charset=utf-16",
      "a body in UTF-8, received charset utf-16",
    ],
    [
      "content-type",
      'application/json;charset="latin1"',
      "a body in UTF-8, received charset latin1",
    ],
  ] as const) {
    it(`refuses the ${header} ${value}`, async () => {
      const response = await send(anHttpApp(), "POST", post, { task: "x" }, { [header]: value });

      assert.equal(problemLine(response), `415 unsupported_media_type: expected ${expected}`);
    });
  }

  it("accepts the content-encoding identity", async () => {
    const headers = { "content-encoding": "identity" };

    const response = await send(anHttpApp({ submit }), "POST", post, { task: "echo" }, headers);

    assert.equal(response.statusCode, 201);
  });

  for (const url of [post, "/api/v1/jobs/bulk", `/api/v1/jobs/${JOB_ID}/cancel`]) {
    it(`tells a body that is null at ${url} from one that is not there`, async () => {
      const response = await send(anHttpApp(), "POST", url, "null");

      assert.equal(
        problemLine(response),
        "400 invalid_argument: the body must be an object; received null",
      );
    });
  }

  for (const [number, shown] of [
    ["1e400", "a number above 1.8e308"],
    ["-1e400", "a number below -1.8e308"],
  ] as const) {
    it(`says of ${number} what it is`, async () => {
      const response = await send(anHttpApp(), "POST", post, `{"task":"t","priority":${number}}`);

      assert.equal(
        problemLine(response),
        `400 invalid_argument: priority must be a whole number; received ${shown}`,
      );
    });
  }

  for (const body of [
    JSON.stringify({ task: "t", onConflict: `${"x".repeat(77)}😀😀` }),
    JSON.stringify({ task: "t", [`${"x".repeat(79)}😀`]: 1 }),
    JSON.stringify({ task: "t", "\ud800": 1 }),
    JSON.stringify({ task: "t", runAt: `${"x".repeat(79)}😀` }),
  ]) {
    it(`cuts no character of ${body.slice(0, 40)}… in two`, async () => {
      const response = await send(anHttpApp(), "POST", post, body);

      const { detail, details } = response.json<{ detail: string; details: { field: string } }>();
      assert.doesNotMatch(detail, /\\ud83d(?!\\u)/i);
      assert.ok(detail.isWellFormed() && details.field.isWellFormed(), response.body);
    });
  }

  it("refuses a body without a content type", async (t) => {
    const [, origin] = await aListeningHttpApp(t);
    const socket = aConnection(t, origin);
    socket.write(
      "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    );

    assert.match(await answerOf(socket), /415 .*application\/json, received none/s);
  });

  it("accepts application/json with a character set", async () => {
    const headers = { "content-type": "Application/JSON; charset=UTF-8" };

    const response = await send(anHttpApp({ submit }), "POST", post, { task: "echo" }, headers);

    assert.equal(response.statusCode, 201);
  });

  it("refuses a body above the limit with the limit and the size", async () => {
    const app = anHttpApp({}, { payloadBytesMax: 1_000 });
    const body = JSON.stringify({ task: "echo", input: "x".repeat(100_000) });

    const response = await send(app, "POST", post, body);

    assert.equal(
      problemLine(response),
      `413 payload_too_large: expected a request body of at most 66536 bytes, received ${body.length} bytes`,
    );
  });

  it("stops reading a body of unannounced size at the limit", async (t) => {
    const [, origin] = await aListeningHttpApp(t, {}, { payloadBytesMax: 1_000 });
    const socket = aConnection(t, origin);
    const answer = answerOf(socket);
    socket.write(
      "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
        "transfer-encoding: chunked\r\n\r\n",
    );
    const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
    socket.write(chunk);
    socket.write(chunk);

    assert.match(
      await answer,
      /^HTTP\/1.1 413 .*connection: close.*at most 66536 bytes, received more"/s,
    );
  });

  it("survives a connection that is cut in the middle of a body", async (t) => {
    const [, origin] = await aListeningHttpApp(t, { submit });
    const socket = aConnection(t, origin);
    await once(socket, "connect");
    socket.write(
      "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
        'content-length: 100\r\n\r\n{"task":',
    );
    socket.destroy();
    await once(socket, "close");

    const response = await fetch(`${origin}/health`);

    assert.equal(response.status, 200);
  });
});

describe("queries", () => {
  for (const [query, received] of [
    ["tag=%ff", "tag=%ff"],
    ["state=dead&tag=a%c3", "tag=a%c3"],
    ["tag=100%", "tag=100%"],
    ["%ff=1", "%ff=1"],
  ] as const) {
    it(`refuses ${query}, which is not UTF-8 percent-encoded`, async () => {
      const response = await anHttpApp().inject(`/api/v1/jobs?${query}`);

      assert.equal(
        problemLine(response),
        "400 invalid_argument: expected a query of UTF-8 with valid percent-encoding, received " +
          received,
      );
    });
  }

  it("refuses bytes that are not percent-encoded at all as no HTTP", async (t) => {
    const [, origin] = await aListeningHttpApp(t);
    const socket = aConnection(t, origin);
    socket.write(
      Buffer.from(
        "GET /api/v1/jobs?tag=\xff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "latin1",
      ),
    );

    assert.match(await answerOf(socket), /^HTTP\/1.1 400 .*expected an HTTP/s);
  });

  it("takes characters of every kind", async () => {
    const filters: unknown[] = [];
    const app = anHttpApp({
      jobList: async ({ filter }) => {
        filters.push(filter?.tag);
        return { items: [] };
      },
    });

    const response = await app.inject(`/api/v1/jobs?tag=${encodeURIComponent("ä+😀 %")}`);

    assert.equal(response.statusCode, 200);
    assert.deepEqual(filters, ["ä+😀 %"]);
  });
});

describe("errors", () => {
  it("answers an unknown path with a problem", async () => {
    const response = await anHttpApp().inject({ method: "DELETE", url: "/api/v1/jobs?x=1" });

    assert.equal(
      problemLine(response),
      "404 route_not_found: expected a method and path of /api/v1/docs, received DELETE /api/v1/jobs",
    );
  });

  it("answers a path with broken percent-encoding with a problem", async () => {
    const response = await anHttpApp().inject("/api/v1/jobs/%zz");

    assert.equal(
      problemLine(response),
      "400 invalid_argument: expected a URL with valid percent-encoding, received /api/v1/jobs/%zz",
    );
  });

  it("answers a path parameter beyond every name with a problem", async () => {
    const response = await anHttpApp().inject(`/api/v1/jobs/${"x".repeat(5_000)}`);

    assert.equal(
      problemLine(response),
      "400 invalid_argument: expected a shorter name or id in the path",
    );
  });

  for (const [what, text, status, code, detail] of [
    [
      "bytes that are not HTTP",
      "HELLO\r\n\r\n",
      "400 Bad Request",
      "malformed_request",
      "expected an HTTP/1.1 request, received something else",
    ],
    [
      "an unknown method",
      "FETCH /health HTTP/1.1\r\nhost: x\r\n\r\n",
      "400 Bad Request",
      "malformed_request",
      "expected an HTTP/1.1 request, received something else",
    ],
    [
      "a body whose chunks are none",
      "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
        "transfer-encoding: chunked\r\n\r\nzz\r\n",
      "400 Bad Request",
      "malformed_request",
      "expected an HTTP/1.1 request, received something else",
    ],
    [
      "no host",
      "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n",
      "400 Bad Request",
      "malformed_request",
      "expected a header host, as HTTP/1.1 has it; received none",
    ],
    [
      "too many headers",
      `GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(20_000)}\r\n\r\n`,
      "431 Request Header Fields Too Large",
      "headers_too_large",
      "expected at most 16 KiB of headers, received more",
    ],
    [
      "chunks with long extensions",
      "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
        `transfer-encoding: chunked\r\n\r\n1;x=${"x".repeat(20_000)}\r\n`,
      "413 Payload Too Large",
      "payload_too_large",
      "expected at most 16 KiB of chunk extensions, received more",
    ],
  ] as const) {
    it(`answers ${what} with a problem and closes`, { timeout: TIMEOUT_MS }, async (t) => {
      const [, origin] = await aListeningHttpApp(t);
      const socket = aConnection(t, origin);
      socket.write(text);

      const [head = "", body = ""] = (await answerOf(socket)).split("\r\n\r\n");

      assert.equal(head.split("\r\n")[0], `HTTP/1.1 ${status}`);
      assert.match(head, /\r\ncontent-type: application\/problem\+json/);
      assert.match(head, /\r\nx-request-id: [\w-]{36}(\r|$)/);
      assert.match(head, /\r\nconnection: close/i);
      const problem: unknown = JSON.parse(body);
      assert.deepEqual(
        ["status", "code", "detail"].map((key) => memberOf(problem, key)),
        [Number.parseInt(status, 10), code, detail],
      );
    });
  }

  it(
    "answers a request that comes too slowly with a problem",
    { timeout: TIMEOUT_MS },
    async (t) => {
      const [app, origin] = await aListeningHttpApp(t, {}, { receiveMsMax: 20 });
      const accepted = once(app.server, "connection");
      const socket = aConnection(t, origin);
      const answer = answerOf(socket);
      await accepted;
      socket.write("GET /health HTTP/1.1\r\nhost: x\r\n");

      assert.match(
        await answer,
        /^HTTP\/1.1 408 Request Timeout\r\n.*retry-after: 1\r\n.*"code":"request_timeout"/s,
      );
    },
  );

  it("ignores an expectation that it does not know", async (t) => {
    const [, origin] = await aListeningHttpApp(t);
    const socket = aConnection(t, origin);
    socket.write("GET /health HTTP/1.1\r\nhost: x\r\nexpect: wonders\r\nconnection: close\r\n\r\n");

    assert.match(await answerOf(socket), /^HTTP\/1.1 200 /);
  });

  it("logs an unexpected error once with its cause and shows none of it", async () => {
    const lines: { level: number; msg: string; err?: { message: string; stack: string } }[] = [];
    const logger = pino({ level: "info" }, { write: (line) => lines.push(JSON.parse(line)) });
    const jobList = async (): Promise<never> => {
      throw new Error("password=hunter2", { cause: new Error("the cause") });
    };
    const app = anHttpApp({ jobList }, { logger });

    const headers = { "x-request-id": "my-1" };
    const response = await app.inject({ url: "/api/v1/jobs", headers });

    assert.equal(
      problemLine(response),
      "500 internal: the server failed to answer; its log has the cause under request id my-1",
    );
    assert.doesNotMatch(response.body, /hunter2/);
    assert.deepEqual(
      lines.map((line) => [line.level, line.msg]),
      [[50, "request failed"]],
    );
    assert.match(lines[0]?.err?.message ?? "", /hunter2/);
    assert.match(lines[0]?.err?.stack ?? "", /the cause/);
    assert.match(JSON.stringify(lines[0]), /"requestId":"my-1"/);
  });

  it("logs no error that is the caller's", async () => {
    const lines: string[] = [];
    const logger = pino({ level: "info" }, { write: (line) => lines.push(line) });
    const app = anHttpApp({}, { logger });

    await send(app, "POST", "/api/v1/jobs", "{");
    await app.inject("/nowhere");

    assert.deepEqual(lines, []);
  });

  it("logs each request at debug", async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ level: "debug" }, { write: (line) => lines.push(JSON.parse(line)) });

    await anHttpApp({}, { logger }).inject("/health?x=1");

    const [line] = lines;
    assert.equal(lines.length, 1);
    assert.deepEqual(
      [line?.["method"], line?.["url"], line?.["status"], typeof line?.["durationMs"]],
      ["GET", "/health?x=1", 200, "number"],
    );
  });
});

describe("headers", () => {
  it("tell browsers to keep their hands off", async () => {
    const response = await anHttpApp().inject("/health");

    assert.deepEqual(
      [
        "cache-control",
        "content-security-policy",
        "cross-origin-resource-policy",
        "referrer-policy",
        "x-content-type-options",
        "access-control-allow-origin",
      ].map((name) => response.headers[name]),
      [
        "no-store",
        "default-src 'none'; frame-ancestors 'none'",
        "same-origin",
        "no-referrer",
        "nosniff",
        undefined,
      ],
    );
  });

  it("give back a plain request id of the caller", async () => {
    const headers = { "x-request-id": "trace-1:a.b" };

    const response = await anHttpApp().inject({ url: "/health", headers });

    assert.equal(response.headers["x-request-id"], "trace-1:a.b");
  });

  for (const id of ["", "a b", 'x"}', "x".repeat(129)]) {
    it(`replace the request id ${JSON.stringify(id.slice(0, 20))}`, async () => {
      const headers = { "x-request-id": id };

      const response = await anHttpApp().inject({ url: "/health", headers });

      assert.match(String(response.headers["x-request-id"]), /^[0-9a-f-]{36}$/);
    });
  }
});

describe("connections", () => {
  it("serve several requests", async (t) => {
    const [, origin] = await aListeningHttpApp(t, { submit });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const ports: (number | undefined)[] = [];

    for (let count = 0; count < 3; count += 1) {
      const headers = { "content-type": "application/json" };
      const request = httpRequest(`${origin}/api/v1/jobs`, { method: "POST", headers, agent });
      request.end('{"task":"echo"}');
      const ended = Promise.withResolvers<void>();
      request.on("response", (response) => {
        assert.equal(response.statusCode, 201);
        ports.push(request.socket?.localPort);
        response.on("end", () => ended.resolve()).resume();
      });
      await ended.promise;
    }

    assert.equal(new Set(ports).size, 1);
  });

  it(
    "are closed after the requests that run when the server closes",
    { timeout: TIMEOUT_MS },
    async (t) => {
      const isRunning = Promise.withResolvers<void>();
      const mayEnd = Promise.withResolvers<void>();
      const [app, origin] = await aListeningHttpApp(t, {
        submit: async () => {
          isRunning.resolve();
          await mayEnd.promise;
          return [SUBMITTED];
        },
      });
      const headers = { "content-type": "application/json" };
      const url = `${origin}/api/v1/jobs`;
      const answer = fetch(url, { method: "POST", headers, body: '{"task":"echo"}' });
      await isRunning.promise;

      const closed = app.close();
      mayEnd.resolve();

      assert.equal((await answer).status, 201);
      await closed;
      await assert.rejects(fetch(`${origin}/health`));
    },
  );

  it("are cut off when a request's body does not come", { timeout: TIMEOUT_MS }, async (t) => {
    const [app, origin] = await aListeningHttpApp(t, {}, { closeMsMax: 20 });
    const accepted = once(app.server, "connection");
    const socket = aConnection(t, origin);
    const answer = answerOf(socket);
    await accepted;
    const isRead = once(app.server, "request");
    socket.write(
      "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" +
        "content-length: 100\r\n\r\n{",
    );
    await isRead;

    await app.close();

    assert.equal(await answer, "");
  });
});
