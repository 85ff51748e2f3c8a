import assert from "node:assert/strict";
import { get, type IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { aFeed, openEventStream } from "../../../test/event-stream.ts";
import { aJob, anEvent, JOB_ID } from "../../../test/fake-operations.ts";
import { aListeningHttpApp, anHttpApp, problemLine } from "../../../test/http-app.ts";
import type { JobEventView, JobFilter, JobView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";

/** Where a mistake would make a test wait for ever. */
const TIMEOUT_MS = 10_000;
/** Where a mistake would make a source go on for ever: it never waits, so that no timeout could end it. */
const EVENTS_MAX = 1_000;

const JOB_EVENTS = `/api/v1/jobs/${JOB_ID}/events`;

async function* only<Item>(...items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

describe("GET /api/v1/jobs/{id}/events", { timeout: TIMEOUT_MS }, () => {
  it("sends the present shape, then each change, and ends after the last", async (t) => {
    const [, origin] = await aListeningHttpApp(t, {
      watchJob: () =>
        only(
          aJob({ input: '{"a":1}' }),
          aJob({ state: "running", attempt: 1 }),
          aJob({ state: "succeeded", attempt: 1, result: "[12345678901234567890]" }),
        ),
    });

    const stream = await openEventStream(t, origin + JOB_EVENTS);

    assert.equal(stream.status, 200);
    assert.equal(stream.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(await stream.next(), "retry: 2000");
    const blocks = [await stream.next(), await stream.next(), await stream.next()];
    assert.deepEqual(
      blocks.map((block) => block?.split("\n").slice(0, 2)),
      [
        ["event: job", "id: 0.queued"],
        ["event: job", "id: 1.running"],
        ["event: job", "id: 1.succeeded"],
      ],
    );
    assert.match(blocks[0] ?? "", /\ndata: \{"id":"0190a6b2.*"input":\{"a":1\}\}$/);
    assert.match(blocks[2] ?? "", /"result":\[12345678901234567890\]\}$/);
    assert.equal(await stream.next(), undefined);
  });

  it("keeps a payload with line breaks in one event", async (t) => {
    const [, origin] = await aListeningHttpApp(t, {
      watchJob: () => only(aJob({ input: '{\n  "a": 1\r\n}' })),
    });

    const stream = await openEventStream(t, origin + JOB_EVENTS);
    const block = await stream.nextEvent();

    const data = block?.split("\n").filter((line) => line.startsWith("data: "));
    const json: unknown = JSON.parse(data?.map((line) => line.slice(6)).join("\n") ?? "");
    assert.deepEqual(Object.getOwnPropertyDescriptor(json, "input")?.value, { a: 1 });
  });

  it("answers an unknown job with a problem, not with a stream", async () => {
    const app = anHttpApp({
      watchJob: async function* (): AsyncGenerator<JobView> {
        yield* only<JobView>();
        throw new AppError("job_not_found", "there is no job x");
      },
    });

    const response = await app.inject(JOB_EVENTS);

    assert.equal(problemLine(response), "404 job_not_found: there is no job x");
  });

  it("tells a browser that reconnects after the end to stop", async () => {
    const app = anHttpApp({ watchJob: () => only(aJob({ state: "dead", attempt: 3 })) });

    const response = await app.inject({ url: JOB_EVENTS, headers: { "last-event-id": "3.dead" } });

    assert.equal(response.statusCode, 204);
  });

  it("goes on for a browser whose job was redriven in between", async (t) => {
    const [, origin] = await aListeningHttpApp(t, {
      watchJob: () => only(aJob({ state: "dead", attempt: 4 })),
    });

    const stream = await openEventStream(t, origin + JOB_EVENTS, { "last-event-id": "3.dead" });

    assert.equal(stream.status, 200);
  });

  it("shows life while nothing happens", async (t) => {
    const feed = aFeed(aJob());
    const [, origin] = await aListeningHttpApp(
      t,
      { watchJob: (_id, signal) => feed.read(signal) },
      { heartbeatMs: 1 },
    );

    const stream = await openEventStream(t, origin + JOB_EVENTS);
    await stream.nextEvent();

    assert.equal(await stream.next(), ": heartbeat");
    assert.equal(await stream.next(), ": heartbeat");
  });

  it("stops watching when the client is gone", { timeout: TIMEOUT_MS }, async (t) => {
    const feed = aFeed(aJob());
    const [, origin] = await aListeningHttpApp(t, {
      watchJob: (_id, signal) => feed.read(signal),
    });
    const stream = await openEventStream(t, origin + JOB_EVENTS);
    await stream.nextEvent();

    stream.close();

    await feed.stopped;
  });

  it(
    "stops watching when the client goes before the first event",
    { timeout: TIMEOUT_MS },
    async (t) => {
      const feed = aFeed<JobView>();
      const watched = Promise.withResolvers<void>();
      const [, origin] = await aListeningHttpApp(t, {
        watchJob: (_id, signal) => {
          watched.resolve();
          return feed.read(signal);
        },
      });
      const request = get(origin + JOB_EVENTS);
      request.on("error", () => undefined);
      await watched.promise;

      request.destroy();

      await feed.stopped;
    },
  );

  it("ends every stream when the server closes", { timeout: TIMEOUT_MS }, async (t) => {
    const feed = aFeed(aJob());
    const [app, origin] = await aListeningHttpApp(t, {
      watchJob: (_id, signal) => feed.read(signal),
    });
    const stream = await openEventStream(t, origin + JOB_EVENTS);
    await stream.nextEvent();

    const closed = app.close();

    assert.equal(await stream.next(), undefined);
    await closed;
  });

  it("refuses one stream more than the bound, until one ends", async (t) => {
    const feed = aFeed(aJob());
    const [, origin] = await aListeningHttpApp(
      t,
      { watchJob: (_id, signal) => feed.read(signal) },
      { longRequestsMax: 1 },
    );
    const first = await openEventStream(t, origin + JOB_EVENTS);

    const refused = await fetch(origin + JOB_EVENTS);
    feed.end();
    await first.rest();
    feed.push(aJob());
    const accepted = await openEventStream(t, origin + JOB_EVENTS);

    assert.equal(refused.status, 429);
    assert.match(await refused.text(), /"code":"resource_exhausted"/);
    assert.equal(accepted.status, 200);
  });
});

describe("GET /api/v1/events", { timeout: TIMEOUT_MS }, () => {
  /** A watch that remembers what it was asked for. */
  function remember(...events: readonly JobEventView[]): {
    asked: { filter: JobFilter; afterSequence: number | undefined }[];
    watchEvents: (
      filter: JobFilter,
      afterSequence: number | undefined,
    ) => AsyncIterable<JobEventView>;
  } {
    const asked: { filter: JobFilter; afterSequence: number | undefined }[] = [];
    return {
      asked,
      watchEvents: (filter, afterSequence) => {
        asked.push({ filter, afterSequence });
        return only(...events);
      },
    };
  }

  it("sends each change with its sequence as the event's id", async (t) => {
    const { watchEvents } = remember(anEvent(7), anEvent(9, { state: "running", attempt: 1 }));
    const [, origin] = await aListeningHttpApp(t, { watchEvents });

    const stream = await openEventStream(t, `${origin}/api/v1/events`);

    assert.equal(
      await stream.rest(),
      "retry: 2000\n\n" +
        `event: job\nid: 7\ndata: {"sequence":7,"at":"2026-11-22T10:00:00.000Z","jobId":"${JOB_ID}",` +
        '"task":"echo","queue":"default","state":"queued","attempt":0}\n\n' +
        `event: job\nid: 9\ndata: {"sequence":9,"at":"2026-11-22T10:00:00.000Z","jobId":"${JOB_ID}",` +
        '"task":"echo","queue":"default","state":"running","attempt":1}\n\n',
    );
  });

  it("passes on the filter and the sequence", async (t) => {
    const { watchEvents, asked } = remember();
    const [, origin] = await aListeningHttpApp(t, { watchEvents });
    const query = "state=dead&state=queued&queue=q&task=t&tag=a%20b&afterSequence=5";

    await (await openEventStream(t, `${origin}/api/v1/events?${query}`)).rest();

    assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
      {
        filter: { states: ["dead", "queued"], queue: "q", task: "t", tag: "a b" },
        afterSequence: 5,
      },
    ]);
  });

  it("goes on after Last-Event-ID rather than after the query's sequence", async (t) => {
    const { watchEvents, asked } = remember();
    const [, origin] = await aListeningHttpApp(t, { watchEvents });

    const url = `${origin}/api/v1/events?afterSequence=5`;
    await (await openEventStream(t, url, { "last-event-id": "8" })).rest();

    assert.equal(asked[0]?.afterSequence, 8);
  });

  for (const id of ["x", "-1", "1.5", "99999999999999999", "9007199254740993"]) {
    it(`refuses Last-Event-ID ${id}`, async () => {
      const app = anHttpApp();

      const response = await app.inject({
        url: "/api/v1/events",
        headers: { "last-event-id": id },
      });

      assert.equal(
        problemLine(response),
        `400 invalid_argument: Last-Event-ID must be the sequence number of an event; received "${id}"`,
      );
    });
  }

  it("ends with a problem event when the source fails", async (t) => {
    const feed = aFeed(anEvent(1));
    feed.fail(new AppError("resource_exhausted", "the reader is too slow"));
    const [, origin] = await aListeningHttpApp(t, {
      watchEvents: (_filter, _after, signal) => feed.read(signal),
    });

    const stream = await openEventStream(t, `${origin}/api/v1/events`);
    await stream.nextEvent();
    const last = await stream.nextEvent();

    assert.match(
      last ?? "",
      /^event: problem\ndata: \{.*"status":429,"detail":"the reader is too slow"/,
    );
    assert.equal(await stream.next(), undefined);
  });

  it(
    "cuts off a reader that takes nothing, and reads no more than the socket holds",
    { timeout: TIMEOUT_MS },
    async (t) => {
      const stopped = Promise.withResolvers<number>();
      const [, origin] = await aListeningHttpApp(
        t,
        {
          watchEvents: async function* (): AsyncGenerator<JobEventView> {
            let count = 0;
            try {
              for (; count < EVENTS_MAX; count += 1)
                yield anEvent(count, { task: "x".repeat(100_000) });
            } finally {
              stopped.resolve(count);
            }
          },
        },
        { stallMsMax: 20 },
      );

      const opened = Promise.withResolvers<IncomingMessage>();
      const request = get(`${origin}/api/v1/events`, (response) =>
        opened.resolve(response.pause()),
      );
      t.after(() => request.destroy());
      const response = await opened.promise;

      const count = await stopped.promise;
      const end = Promise.withResolvers<string>();
      response.on("end", () => end.resolve("a whole answer"));
      response.on("error", (error) => end.resolve(error.message));
      response.resume();

      assert.ok(
        count < EVENTS_MAX,
        `${count} events of 100 kB were read for a reader that took none`,
      );
      assert.equal(await end.promise, "aborted");
    },
  );
});
