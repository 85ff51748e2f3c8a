import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aFeed } from "../../../test/event-stream.ts";
import { aJob, JOB_ID } from "../../../test/fake-operations.ts";
import { aListeningHttpApp, anHttpApp, problemLine } from "../../../test/http-app.ts";
import type { JobView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";
import type { Operations } from "../operations.ts";

/** Where a mistake would make a test wait for ever. */
const TIMEOUT_MS = 10_000;

const JOB = `/api/v1/jobs/${JOB_ID}`;
const END = new Date("2026-11-22T10:00:05.000Z");

describe("GET /api/v1/jobs", () => {
  it("passes on filters, limit, cursor and whether payloads are wanted", async () => {
    const asked: unknown[] = [];
    const app = anHttpApp({
      jobList: async (options) => {
        asked.push(options);
        return { items: [] };
      },
    });

    const response = await app.inject(
      "/api/v1/jobs?state=dead&state=queued&queue=q&task=t&tag=x&limit=7&cursor=abc" +
        "&createdAfter=2026-11-22T10:00:00Z&createdBefore=2026-11-22T12:00:00%2B01:00" +
        "&includePayloads=true",
    );

    assert.equal(response.body, '{"items":[],"nextCursor":null}');
    assert.equal(response.headers["link"], undefined);
    assert.deepEqual(asked, [
      {
        filter: {
          states: ["dead", "queued"],
          queue: "q",
          task: "t",
          tag: "x",
          createdAfter: new Date("2026-11-22T10:00:00Z"),
          createdBefore: new Date("2026-11-22T11:00:00Z"),
        },
        limit: 7,
        cursor: "abc",
        includePayloads: true,
      },
    ]);
  });

  it("takes one state as well as several", async () => {
    const asked: unknown[] = [];
    const app = anHttpApp({
      jobList: async ({ filter }) => {
        asked.push(filter?.states);
        return { items: [] };
      },
    });

    await app.inject("/api/v1/jobs?state=dead");

    assert.deepEqual(asked, [["dead"]]);
  });

  it("names the next page in the body and in the header Link", async () => {
    const app = anHttpApp({ jobList: async () => ({ items: [aJob()], nextCursor: "n/ä" }) });

    const response = await app.inject("/api/v1/jobs?queue=a%20b&cursor=old");

    assert.equal(response.json<{ nextCursor: string }>().nextCursor, "n/ä");
    assert.equal(
      response.headers["link"],
      '</api/v1/jobs?queue=a+b&cursor=n%2F%C3%A4>; rel="next"',
    );
  });

  it("shows absent values as null and leaves payloads out that were not asked for", async () => {
    const app = anHttpApp({ jobList: async () => ({ items: [aJob({ tags: ["a"] })] }) });

    const response = await app.inject("/api/v1/jobs");

    assert.deepEqual(response.json<{ items: unknown[] }>().items, [
      {
        id: JOB_ID,
        task: "echo",
        queue: "default",
        state: "queued",
        priority: 0,
        attempt: 0,
        maxAttempts: 3,
        failureCount: 0,
        error: null,
        tags: ["a"],
        createdAt: "2026-11-22T10:00:00.000Z",
        runAt: null,
        startedAt: null,
        finishedAt: null,
        cancelRequestedAt: null,
        cancelReason: null,
        uniqueKey: null,
        worker: null,
        inputContentType: null,
        attemptTimeoutMs: null,
      },
    ]);
  });

  for (const [query, expected] of [
    [
      "state=sleeping",
      "query parameter state must be one of waiting, scheduled, queued, running, succeeded, dead, " +
        'cancelled; received "sleeping"',
    ],
    [
      "stat=dead",
      "unknown query parameter stat; known are state, queue, task, tag, createdAfter, " +
        "createdBefore, limit, cursor, includePayloads",
    ],
    ["limit=0", "query parameter limit must be at least 1; received 0"],
    ["limit=1001", "query parameter limit must be at most 1000; received 1001"],
    ["limit=ten", 'query parameter limit must be a whole number; received "ten"'],
    ["queue=a&queue=b", "query parameter queue must be a string; received an array"],
    ["includePayloads=si", 'query parameter includePayloads must be true or false; received "si"'],
  ] as const) {
    it(`refuses ?${query}`, async () => {
      const response = await anHttpApp().inject(`/api/v1/jobs?${query}`);

      assert.equal(problemLine(response), `400 invalid_argument: ${expected}`);
    });
  }

  it("refuses a date without time", async () => {
    const response = await anHttpApp().inject("/api/v1/jobs?createdAfter=2026-11-22");

    assert.match(problemLine(response), /^400 invalid_argument: createdAfter must be .*no offset$/);
  });

  it("shows an invalid cursor as the operation does", async () => {
    const app = anHttpApp({
      jobList: async () => {
        throw new AppError("invalid_cursor", "the cursor is not one of this list");
      },
    });

    const response = await app.inject("/api/v1/jobs?cursor=x");

    assert.equal(problemLine(response), "400 invalid_cursor: the cursor is not one of this list");
  });
});

describe("GET /api/v1/jobs/{id}", () => {
  it("shows the job with payloads as JSON values and its attempts", async () => {
    const app = anHttpApp({
      jobGet: async () =>
        aJob({
          state: "succeeded",
          attempt: 2,
          input: '{"id":12345678901234567890}',
          result: "null",
          progress: '{"done":0.5}',
          finishedAt: END,
        }),
      attemptList: async () => [
        {
          attempt: 1,
          outcome: "retry",
          worker: "w",
          leasedAt: END,
          error: { code: "TypeError", message: "x is not a function", stack: "at run" },
        },
        { attempt: 2, outcome: "succeeded" },
      ],
    });

    const response = await app.inject(JOB);

    assert.equal(response.statusCode, 200);
    assert.match(response.body, /"input":\{"id":12345678901234567890\},"result":null,/);
    const job = response.json<{ progress: unknown; finishedAt: unknown; attempts: unknown }>();
    assert.deepEqual(job.progress, { done: 0.5 });
    assert.equal(job.finishedAt, "2026-11-22T10:00:05.000Z");
    assert.deepEqual(job.attempts, [
      {
        attempt: 1,
        outcome: "retry",
        worker: "w",
        leasedAt: "2026-11-22T10:00:05.000Z",
        startedAt: null,
        finishedAt: null,
        error: { code: "TypeError", message: "x is not a function", stack: "at run" },
      },
      {
        attempt: 2,
        outcome: "succeeded",
        worker: null,
        leasedAt: null,
        startedAt: null,
        finishedAt: null,
        error: null,
      },
    ]);
  });

  it("shows bytes as base64 text", async () => {
    const app = anHttpApp({
      jobGet: async () => aJob({ input: "iVBORw==", inputContentType: "image/png" }),
      attemptList: async () => [],
    });

    const response = await app.inject(JOB);

    const job = response.json<{ input: unknown; inputContentType: unknown }>();
    assert.deepEqual([job.input, job.inputContentType], ["iVBORw==", "image/png"]);
  });

  it("passes on ids as they are in the path", async () => {
    const asked: string[] = [];
    const refuse = async (id: string): Promise<never> => {
      asked.push(id);
      throw new AppError("invalid_argument", "the job's id must be a UUID");
    };
    const app = anHttpApp({ jobGet: refuse, attemptList: refuse });

    const response = await app.inject("/api/v1/jobs/no%2Fuuid");

    assert.equal(problemLine(response), "400 invalid_argument: the job's id must be a UUID");
    assert.deepEqual(asked, ["no/uuid", "no/uuid"]);
  });
});

describe("GET /api/v1/jobs/{id}/result", () => {
  function watched(job: JobView, ...later: readonly JobView[]): Partial<Operations> {
    const feed = aFeed(job, ...later);
    return { jobGet: async () => job, watchJob: (_id, signal) => feed.read(signal) };
  }

  it("answers 200 with the result of a job that succeeded", async () => {
    const app = anHttpApp({ jobGet: async () => aJob({ state: "succeeded", result: "[1.0]" }) });

    const response = await app.inject(`${JOB}/result`);

    assert.equal(response.statusCode, 200);
    assert.equal(
      response.body,
      `{"id":"${JOB_ID}","state":"succeeded","error":null,"result":[1.0]}`,
    );
  });

  it("answers 200 with the error of a job that is dead", async () => {
    const error = { code: "handler_error", message: "no" };
    const app = anHttpApp({ jobGet: async () => aJob({ state: "dead", error }) });

    const response = await app.inject(`${JOB}/result`);

    assert.equal(response.statusCode, 200);
    assert.deepEqual(response.json(), {
      id: JOB_ID,
      state: "dead",
      error: { ...error, stack: null },
    });
  });

  it("answers 202 at once when no wait is asked for", async () => {
    const app = anHttpApp({ jobGet: async () => aJob({ state: "running" }) });

    const response = await app.inject(`${JOB}/result`);

    assert.equal(response.statusCode, 202);
    assert.deepEqual(response.json(), { id: JOB_ID, state: "running", error: null });
  });

  it("waits for the end", async () => {
    const app = anHttpApp({
      jobGet: async () => aJob(),
      watchJob: async function* () {
        yield aJob();
        yield aJob({ state: "succeeded", result: "5" });
      },
    });

    const response = await app.inject(`${JOB}/result?waitMs=60000`);

    assert.equal(response.statusCode, 200);
    assert.equal(response.json<{ result: number }>().result, 5);
  });

  it("answers 202 with the latest state when the wait is over", async () => {
    const app = anHttpApp(watched(aJob(), aJob({ state: "running" })));

    const response = await app.inject(`${JOB}/result?waitMs=5`);

    assert.equal(response.statusCode, 202);
    assert.equal(response.json<{ state: string }>().state, "running");
  });

  it("answers 202 when the server closes", { timeout: TIMEOUT_MS }, async (t) => {
    const feed = aFeed(aJob());
    const isWatched = Promise.withResolvers<void>();
    const [app, origin] = await aListeningHttpApp(t, {
      jobGet: async () => aJob(),
      watchJob: (_id, signal) => {
        isWatched.resolve();
        return feed.read(signal);
      },
    });
    const answer = fetch(`${origin}${JOB}/result?waitMs=60000`);
    await isWatched.promise;

    await app.close();

    assert.equal((await answer).status, 202);
  });

  it("shows an error of the watch", async () => {
    const app = anHttpApp({
      jobGet: async () => aJob(),
      watchJob: async function* () {
        yield aJob();
        throw new AppError("unavailable", "the database is away");
      },
    });

    const response = await app.inject(`${JOB}/result?waitMs=60000`);

    assert.equal(problemLine(response), "503 unavailable: the database is away");
  });

  it("refuses a wait above one minute", async () => {
    const response = await anHttpApp().inject(`${JOB}/result?waitMs=60001`);

    assert.equal(
      problemLine(response),
      "400 invalid_argument: query parameter waitMs must be at most 60000; received 60001",
    );
  });
});

describe("GET /api/v1/jobs/{id}/attempts", () => {
  it("lists the attempts", async () => {
    const app = anHttpApp({ attemptList: async () => [{ attempt: 1, startedAt: END }] });

    const response = await app.inject(`${JOB}/attempts`);

    const { items } = response.json<{ items: { attempt: number; startedAt: string }[] }>();
    assert.deepEqual(
      items.map((item) => [item.attempt, item.startedAt]),
      [[1, "2026-11-22T10:00:05.000Z"]],
    );
  });
});

describe("GET /api/v1/jobs/{id}/logs", () => {
  it("lists lines with their fields and names the next page", async () => {
    const asked: unknown[] = [];
    const app = anHttpApp({
      logList: async (options) => {
        asked.push(options);
        const line = { attempt: 1, at: END, level: "info", message: "hi" } as const;
        return { items: [{ ...line, fields: '{"n":1}' }, line], nextCursor: "next" };
      },
    });

    const response = await app.inject(`${JOB}/logs?attempt=1&limit=2&cursor=c`);

    assert.deepEqual(asked, [{ jobId: JOB_ID, attempt: 1, limit: 2, cursor: "c" }]);
    assert.equal(
      response.headers["link"],
      `<${JOB}/logs?attempt=1&limit=2&cursor=next>; rel="next"`,
    );
    const line = { attempt: 1, at: "2026-11-22T10:00:05.000Z", level: "info", message: "hi" };
    assert.deepEqual(response.json(), {
      items: [{ ...line, fields: { n: 1 } }, line],
      nextCursor: "next",
    });
  });
});
