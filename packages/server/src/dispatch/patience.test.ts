import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { once, patiently, persistently } from "./patience.ts";

const away = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
const badData = Object.assign(new Error("invalid byte sequence"), { code: "22021" });

/** Work that fails with these errors in turn, then succeeds. */
function failing(...errors: readonly Error[]): () => Promise<string> {
  const left = [...errors];
  return async () => {
    const error = left.shift();
    if (error !== undefined) throw error;
    return "done";
  };
}

const patient = (): { readonly abandoned: AbortSignal } => ({
  abandoned: new AbortController().signal,
});

describe("patiently", () => {
  it("repeats while the database is away", async () => {
    assert.equal(await patiently(patient(), failing(away, away)), "done");
  });

  it("says unavailable when the database stays away for too long", async () => {
    await assert.rejects(patiently(patient(), failing(away, away), 10), { code: "unavailable" });
  });

  it("does not repeat what would fail again", async () => {
    await assert.rejects(patiently(patient(), failing(badData)), badData);
  });

  it("says unavailable at once when the database is abandoned", async () => {
    const abandonment = new AbortController();
    const waiting = patiently(
      { abandoned: abandonment.signal },
      () => Promise.reject(away),
      Number.POSITIVE_INFINITY,
    );

    abandonment.abort();

    await assert.rejects(waiting, { code: "unavailable" });
  });
});

describe("once", () => {
  it("repeats what a deadlock undid", async () => {
    const deadlock = Object.assign(new Error("deadlock detected"), { code: "40P01" });

    assert.equal(await once(patient(), failing(deadlock)), "done");
  });

  it("says unavailable, and does not repeat what may have been done", async () => {
    await assert.rejects(once(patient(), failing(away)), { code: "unavailable" });
  });
});

describe("persistently", () => {
  it("goes on after failures that may pass, and tells of them", async () => {
    const full = Object.assign(new Error("no space left on device"), { code: "53100" });
    const told: unknown[] = [];

    const result = await persistently(patient(), failing(full, away), (error) => told.push(error));

    assert.deepEqual([result, told], ["done", [full]]);
  });

  it("gives up on a data error", async () => {
    await assert.rejects(
      persistently(patient(), failing(badData), () => undefined),
      badData,
    );
  });

  it("gives up when the database is abandoned", async () => {
    const abandonment = new AbortController();
    const waiting = persistently(
      { abandoned: abandonment.signal },
      () => Promise.reject(away),
      () => undefined,
    );

    abandonment.abort();

    await assert.rejects(waiting, { code: "unavailable" });
  });
});
