import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { anHttpApp } from "../../../test/http-app.ts";

const at = new Date("2026-11-22T10:00:00.000Z");
const time = "2026-11-22T10:00:00.000Z";

describe("GET /api/v1/workers", () => {
  it("lists workers", async () => {
    const worker = {
      id: "w1",
      name: "worker-1",
      state: "active",
      server: "s",
      host: "h",
      pid: 7,
      sdk: "baton-node/0.1.0",
      slots: 10,
      runningCount: 2,
      tasks: ["echo"],
      queues: ["default"],
      labels: { zone: "a" },
    } as const;
    const app = anHttpApp({
      workerList: async () => [{ ...worker, connectedAt: at, seenAt: at }],
    });

    const response = await app.inject("/api/v1/workers");

    assert.deepEqual(response.json(), { items: [{ ...worker, connectedAt: time, seenAt: time }] });
  });
});

describe("GET /api/v1/servers", () => {
  it("lists servers", async () => {
    const server = { id: "s1", name: "s", version: "0.1.0", workerCount: 1, isAlive: true };
    const app = anHttpApp({
      serverList: async () => [{ ...server, startedAt: at, renewedAt: at }],
    });

    const response = await app.inject("/api/v1/servers");

    assert.deepEqual(response.json(), { items: [{ ...server, startedAt: time, renewedAt: time }] });
  });
});
