import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { anHttpApp, problemLine, send } from "../../../test/http-app.ts";
import type { QueueView } from "../../domain/views.ts";
import { AppError } from "../../errors.ts";

function aQueue(overrides: Partial<QueueView> = {}): QueueView {
  return {
    name: "mail",
    isPaused: false,
    queuedCount: 1,
    scheduledCount: 2,
    runningCount: 3,
    ...overrides,
  };
}
const QUEUE_JSON = {
  name: "mail",
  isPaused: false,
  pausedAt: null,
  pauseReason: null,
  queuedCount: 1,
  scheduledCount: 2,
  runningCount: 3,
  oldestQueuedAt: null,
};

describe("queue routes", () => {
  it("lists queues", async () => {
    const oldestQueuedAt = new Date("2026-11-22T10:00:00Z");
    const app = anHttpApp({ queueList: async () => [aQueue({ oldestQueuedAt })] });

    const response = await app.inject("/api/v1/queues");

    assert.deepEqual(response.json(), {
      items: [{ ...QUEUE_JSON, oldestQueuedAt: "2026-11-22T10:00:00.000Z" }],
    });
  });

  it("pauses a queue with a reason", async () => {
    const app = anHttpApp({
      queuePause: async (name, pauseReason) => aQueue({ name, isPaused: true, pauseReason }),
    });

    const response = await send(app, "POST", "/api/v1/queues/a%2Fb/pause", { reason: "upgrade" });

    assert.deepEqual(response.json(), {
      ...QUEUE_JSON,
      name: "a/b",
      isPaused: true,
      pauseReason: "upgrade",
    });
  });

  it("pauses and resumes without a body", async () => {
    const app = anHttpApp({
      queuePause: async () => aQueue({ isPaused: true }),
      queueResume: async () => aQueue(),
    });

    const paused = await app.inject({ method: "POST", url: "/api/v1/queues/mail/pause" });
    const resumed = await app.inject({ method: "POST", url: "/api/v1/queues/mail/resume" });

    assert.deepEqual(
      [paused.json<QueueView>().isPaused, resumed.json<QueueView>().isPaused],
      [true, false],
    );
  });

  it("passes names of any length on to the operation", async () => {
    const app = anHttpApp({
      queueResume: async (name) => {
        throw new AppError("queue_not_found", `there is no queue of ${name.length} characters`);
      },
    });

    const url = `/api/v1/queues/${"x".repeat(2_000)}/resume`;
    const response = await app.inject({ method: "POST", url });

    assert.equal(
      problemLine(response),
      "404 queue_not_found: there is no queue of 2000 characters",
    );
  });
});
