import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import type { JobSpec, SubmitResult } from "../../domain/job-spec.ts";
import type { Operations } from "../operations.ts";
import { AppError, refuseBadJobs } from "../../errors.ts";
import { JOB_ID } from "../../../test/fake-operations.ts";
import { aListeningHttpApp, anHttpApp, problemLine, send } from "../../../test/http-app.ts";

/** A submit that accepts everything and remembers it. */
function acceptAll(result: Partial<SubmitResult> = {}): {
  specs: JobSpec[];
  submit: Operations["submit"];
} {
  const specs: JobSpec[] = [];
  return {
    specs,
    submit: async (given, unread = []) => {
      refuseBadJobs(unread, given.length + unread.length);
      specs.push(...given);
      return given.map(() => ({ jobId: JOB_ID, state: "queued", isDuplicate: false, ...result }));
    },
  };
}

/** A spec without the options that are absent. */
function present(spec: JobSpec | undefined): unknown {
  return JSON.parse(JSON.stringify(spec ?? null));
}

describe("POST /api/v1/jobs", () => {
  it("answers 201 with the job's place and state", async () => {
    const app = anHttpApp(acceptAll());

    const response = await send(app, "POST", "/api/v1/jobs", { task: "echo" });

    assert.equal(response.statusCode, 201);
    assert.equal(response.headers["location"], `/api/v1/jobs/${JOB_ID}`);
    assert.deepEqual(response.json(), { id: JOB_ID, state: "queued", isDuplicate: false });
  });

  it("answers 200 when a key led to an earlier job", async () => {
    const app = anHttpApp(acceptAll({ isDuplicate: true, state: "succeeded" }));

    const response = await send(app, "POST", "/api/v1/jobs", { task: "echo", idempotencyKey: "k" });

    assert.equal(response.statusCode, 200);
    assert.deepEqual(response.json(), { id: JOB_ID, state: "succeeded", isDuplicate: true });
  });

  it("passes on every option under its name", async () => {
    const { submit, specs } = acceptAll();
    const app = anHttpApp({ submit });
    const options = {
      task: "echo",
      queue: "mail",
      priority: -7,
      delayMs: 1,
      maxAttempts: 2,
      retry: { strategy: "linear", baseMs: 3, maxMs: 4, jitter: "none" },
      attemptTimeoutMs: 5,
      queueTimeoutMs: 6,
      deadlineMs: 7,
      heartbeatTimeoutMs: 8,
      cancelGraceMs: 9,
      tags: ["a", "b"],
      idempotencyKey: "idempotency",
      uniqueKey: "unique",
      onConflict: "reject",
    };

    await send(app, "POST", "/api/v1/jobs", {
      ...options,
      input: { a: [1] },
      runAt: "2026-11-22T15:00:00+01:00",
    });

    assert.deepEqual(present(specs[0]), {
      ...options,
      input: '{"a":[1]}',
      runAt: "2026-11-22T14:00:00.000Z",
    });
  });

  it("takes null for absent", async () => {
    const { submit, specs } = acceptAll();
    const app = anHttpApp({ submit });

    await send(app, "POST", "/api/v1/jobs", {
      task: "echo",
      input: null,
      queue: null,
      priority: null,
      runAt: null,
      retry: { strategy: null, baseMs: 5 },
      tags: null,
      onConflict: null,
    });

    assert.deepEqual(present(specs[0]), { task: "echo", input: "null", retry: { baseMs: 5 } });
  });

  for (const [body, input] of [
    ['{"task":"echo"}', "null"],
    ['{"task":"echo","input":false}', "false"],
    ['{"task":"echo","input":"é\\u0000"}', '"é\\u0000"'],
    ['{"task":"echo","input":{"id":12345678901234567890}}', '{"id":12345678901234567890}'],
    ['{"task":"echo","input":[1e999,0.12345678901234567891]}', "[1e999,0.12345678901234567891]"],
    ['{"task":"echo","input":{"a":1.0,"b":9007199254740993}}', '{"a":1.0,"b":9007199254740993}'],
  ] as const) {
    it(`passes on the input of ${body} as ${input}`, async () => {
      const { submit, specs } = acceptAll();
      const app = anHttpApp({ submit });

      await send(app, "POST", "/api/v1/jobs", body);

      assert.equal(specs[0]?.input, input);
    });
  }

  it("passes on bytes as base64 with their content type", async () => {
    const { submit, specs } = acceptAll();
    const app = anHttpApp({ submit });
    const bytes = { input: "iVBORw==", inputContentType: "image/png" };

    await send(app, "POST", "/api/v1/jobs", { task: "echo", ...bytes });

    assert.deepEqual(present(specs[0]), { task: "echo", ...bytes });
  });

  it("takes the idempotency key from the header", async () => {
    const { submit, specs } = acceptAll();
    const app = anHttpApp({ submit });

    await send(app, "POST", "/api/v1/jobs", { task: "echo" }, { "idempotency-key": "k-1" });

    assert.equal(specs[0]?.idempotencyKey, "k-1");
  });

  for (const [body, expected] of [
    [{}, "400 invalid_argument: task is required; received an object without it"],
    [[], "400 invalid_argument: the body must be an object; received an array"],
    ["", "400 invalid_argument: the body must be an object; received none"],
    [{ task: 5 }, "400 invalid_argument: task must be a string; received 5"],
    [
      { task: "echo", priority: "5" },
      '400 invalid_argument: priority must be a whole number; received "5"',
    ],
    [
      { task: "echo", priority: 1.5 },
      "400 invalid_argument: priority must be a whole number; received 1.5",
    ],
    [
      { task: "echo", retry: { strategy: "never" } },
      '400 invalid_argument: retry.strategy must be one of fixed, linear, exponential; received "never"',
    ],
    [
      { task: "echo", tags: ["a", 2] },
      "400 invalid_argument: tags[1] must be a string; received 2",
    ],
    [
      { task: "echo", retry: { delay: 2 } },
      "400 invalid_argument: unknown property retry.delay; known are strategy, baseMs, maxMs, jitter",
    ],
    [
      { task: "echo", runAt: 1795312446 },
      "400 invalid_argument: runAt must be a string; received 1795312446",
    ],
    [
      { task: "echo", input: "no base64", inputContentType: "image/png" },
      '400 invalid_argument: input must be base64 text, because inputContentType is "image/png"',
    ],
  ] as const) {
    it(`refuses ${JSON.stringify(body)}`, async () => {
      const app = anHttpApp();

      const response = await send(app, "POST", "/api/v1/jobs", body);

      assert.equal(problemLine(response), expected);
    });
  }

  it("names an unknown property and the known ones", async () => {
    const app = anHttpApp();

    const response = await send(app, "POST", "/api/v1/jobs", { task: "echo", prioriti: 5 });

    assert.match(
      problemLine(response),
      /^400 invalid_argument: unknown property prioriti; known are task, /,
    );
    assert.deepEqual(response.json<{ details: unknown }>().details, { field: "prioriti" });
  });

  it("says that a cron string is not a time", async () => {
    const app = anHttpApp();

    const response = await send(app, "POST", "/api/v1/jobs", { task: "echo", runAt: "0 * * * *" });

    assert.match(problemLine(response), /^400 invalid_argument: runAt must be .*cron expression/);
  });

  it("refuses two different idempotency keys", async () => {
    const app = anHttpApp();

    const response = await send(
      app,
      "POST",
      "/api/v1/jobs",
      { task: "echo", idempotencyKey: "a" },
      { "idempotency-key": "b" },
    );

    assert.equal(
      problemLine(response),
      "400 invalid_argument: the header Idempotency-Key and the property idempotencyKey must be " +
        'equal; received "b" and "a"',
    );
  });

  it("shows an error of the operation with its code, details and status", async () => {
    const app = anHttpApp({
      submit: async () => {
        throw new AppError("idempotency_conflict", "the key k belongs to another job", {
          key: "k",
        });
      },
    });

    const response = await send(app, "POST", "/api/v1/jobs", { task: "echo" });

    assert.equal(response.statusCode, 409);
    assert.deepEqual(response.json(), {
      type: "/api/v1/docs/errors#idempotency_conflict",
      title: "Idempotency conflict",
      status: 409,
      detail: "the key k belongs to another job",
      code: "idempotency_conflict",
      details: { key: "k" },
      instance: "/api/v1/jobs",
    });
  });

  it("says when a refused job may be submitted again", async () => {
    const app = anHttpApp({
      submit: async () => {
        throw new AppError("resource_exhausted", "too many jobs wait for their commit");
      },
    });

    const response = await send(app, "POST", "/api/v1/jobs", { task: "echo" });

    assert.equal(response.statusCode, 429);
    assert.equal(response.headers["retry-after"], "1");
  });

  it("accepts an input nested 200 deep and refuses 201 levels", async () => {
    const app = anHttpApp(acceptAll());
    const nested = (levels: number): string =>
      `{"task":"echo","input":${"[".repeat(levels)}${"]".repeat(levels)}}`;

    const accepted = await send(app, "POST", "/api/v1/jobs", nested(200));
    const refused = await send(app, "POST", "/api/v1/jobs", nested(201));

    assert.equal(accepted.statusCode, 201);
    assert.match(
      problemLine(refused),
      /^400 malformed_json: .*at most 200 levels of nesting below the outermost,/,
    );
  });
});

describe("the header Idempotency-Key", () => {
  for (const [what, headers, expected] of [
    [
      "given twice",
      ["idempotency-key: a", "idempotency-key: b"],
      /expected one header Idempotency-Key; received 2/,
    ],
    [
      "that is not ASCII",
      ["idempotency-key: \xfc"],
      /the header Idempotency-Key must be ASCII; .* the property idempotencyKey/,
    ],
  ] as const) {
    it(`is refused when it is ${what}`, async (t) => {
      const [, origin] = await aListeningHttpApp(t, acceptAll());
      const socket = connect(Number(new URL(origin).port), "127.0.0.1");
      t.after(() => socket.destroy());
      socket.end(
        `POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\n${headers.join("\r\n")}\r\n` +
          'content-type: application/json\r\nconnection: close\r\ncontent-length: 12\r\n\r\n{"task":"x"}',
        "latin1",
      );

      assert.match(await text(socket), expected);
    });
  }
});

describe("POST /api/v1/jobs/bulk", () => {
  it("answers one result per job in order", async () => {
    const { submit, specs } = acceptAll();
    const app = anHttpApp({ submit });

    const response = await send(
      app,
      "POST",
      "/api/v1/jobs/bulk",
      '{"jobs":[{"task":"a","input":12345678901234567890},{"task":"b","priority":2}]}',
    );

    const submitted = { id: JOB_ID, state: "queued", isDuplicate: false };
    assert.equal(response.statusCode, 201);
    assert.deepEqual(response.json(), { jobs: [submitted, submitted] });
    assert.deepEqual(specs.map(present), [
      { task: "a", input: "12345678901234567890" },
      { task: "b", input: "null", priority: 2 },
    ]);
  });

  it("reports every job that it cannot read with its index", async () => {
    const app = anHttpApp(acceptAll());

    const response = await send(app, "POST", "/api/v1/jobs/bulk", {
      jobs: [{ task: "a" }, { task: 1 }, { task: "b" }, { task: "c", runAt: "today" }, "d"],
    });

    assert.equal(response.statusCode, 400);
    const problem = response.json<{
      code: string;
      details: { items: { index: number; code: string; message: string }[] };
    }>();
    assert.equal(problem.code, "bulk_rejected");
    assert.deepEqual(
      problem.details.items.map((item) => [item.index, item.code, item.message.slice(0, 30)]),
      [
        [1, "invalid_argument", "task must be a string; receive"],
        [3, "invalid_argument", "runAt must be an RFC 3339 date"],
        [4, "invalid_argument", "the job must be an object; rec"],
      ],
    );
  });

  for (const [count, expected] of [
    [0, "400 invalid_argument: jobs must hold at least 1 items; received 0"],
    [10_001, "400 invalid_argument: jobs must hold at most 10000 items; received 10001"],
  ] as const) {
    it(`refuses ${count} jobs`, async () => {
      const app = anHttpApp();
      const jobs = Array.from({ length: count }, () => ({ task: "echo" }));

      const response = await send(app, "POST", "/api/v1/jobs/bulk", { jobs });

      assert.equal(problemLine(response), expected);
    });
  }

  it("accepts 10,000 jobs and more bytes than a single job may have", async () => {
    const { submit, specs } = acceptAll();
    const app = anHttpApp({ submit });
    const jobs = Array.from({ length: 10_000 }, () => ({ task: "echo", input: "x".repeat(200) }));

    const response = await send(app, "POST", "/api/v1/jobs/bulk", { jobs });

    assert.equal(response.statusCode, 201);
    assert.equal(specs.length, 10_000);
  });

  it("refuses an Idempotency-Key header, which is about one job", async () => {
    const app = anHttpApp();

    const response = await send(
      app,
      "POST",
      "/api/v1/jobs/bulk",
      { jobs: [{ task: "echo" }] },
      { "idempotency-key": "k" },
    );

    assert.match(
      problemLine(response),
      /^400 invalid_argument: the header Idempotency-Key is about/,
    );
  });
});
