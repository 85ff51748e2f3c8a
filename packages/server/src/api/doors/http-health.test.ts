import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { anHttpApp } from "../../../test/http-app.ts";

describe("the health door", () => {
  it("answers /health without looking at anything", async () => {
    const response = await anHttpApp().inject("/health");

    assert.equal(response.statusCode, 200);
    assert.equal(response.body, "OK");
    assert.equal(response.headers["content-type"], "text/plain; charset=utf-8");
  });

  for (const [isReady, status, body] of [
    [true, 200, "READY"],
    [false, 503, "NOT READY"],
  ] as const) {
    it(`answers /ready with ${status} ${body}`, async () => {
      const app = anHttpApp({ isReady: async () => isReady });

      const response = await app.inject("/ready");

      assert.deepEqual([response.statusCode, response.body], [status, body]);
    });
  }

  it("is not ready when that cannot be found out", async () => {
    const app = anHttpApp({
      isReady: async () => {
        throw new Error("no database");
      },
    });

    const response = await app.inject("/ready");

    assert.deepEqual([response.statusCode, response.body], [503, "NOT READY"]);
  });

  it("answers HEAD, which probes use", async () => {
    const app = anHttpApp({ isReady: async () => true });

    const health = await app.inject({ method: "HEAD", url: "/health" });
    const ready = await app.inject({ method: "HEAD", url: "/ready" });

    assert.deepEqual([health.statusCode, health.body, ready.statusCode], [200, "", 200]);
  });
});
