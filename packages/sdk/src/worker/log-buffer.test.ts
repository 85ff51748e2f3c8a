import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { aLeasedJob } from "../../test/fake-server.ts";
import { Attempt } from "./attempt.ts";
import { LogBuffer } from "./log-buffer.ts";

const attempt = new Attempt(aLeasedJob());

describe("LogBuffer", () => {
  it("sends lines in batches of 1,000", () => {
    const buffer = new LogBuffer();
    for (let n = 0; n < 2_100; n += 1) buffer.add(attempt, "info", `line ${n}`, undefined);

    const sizes = takeAll(buffer).map(({ entries }) => entries.length);

    assert.deepEqual(sizes, [1_000, 1_000, 100]);
  });

  it("cuts a message over 16 KiB and says so", () => {
    const buffer = new LogBuffer();

    buffer.add(attempt, "info", "x".repeat(20_000), undefined);

    const [entry] = buffer.take()?.entries ?? [];
    assert.equal(Buffer.byteLength(entry?.message ?? ""), 16 * 1024);
    assert.match(entry?.message ?? "", /… \[cut, 20000 bytes\]$/);
  });

  it("says how many lines are missing when more come than it keeps", () => {
    const buffer = new LogBuffer();
    for (let n = 0; n < 10_250; n += 1) buffer.add(attempt, "debug", "x", undefined);

    const entries = takeAll(buffer).flatMap((batch) => batch.entries);

    assert.equal(entries.length, 10_001);
    assert.match(entries.at(-1)?.message ?? "", /^250 log lines are missing/);
    assert.equal(buffer.hasWaiting, false);
  });

  it("leaves out fields that are too large or no JSON, with a note", () => {
    const buffer = new LogBuffer();
    buffer.add(attempt, "info", "large", { text: "x".repeat(20_000) });
    buffer.add(attempt, "info", "big", { n: 1n });

    const notes = (buffer.take()?.entries ?? []).map((entry) => entry.fields.toString());

    assert.match(notes[0] ?? "", /"note":"fields of 20011 bytes were left out/);
    assert.match(notes[1] ?? "", /"note":"fields were left out, they are not JSON: .*BigInt/);
  });

  it("takes anything that plain JavaScript passes as a message", () => {
    const buffer = new LogBuffer();
    const log: (message: unknown) => void = (message) =>
      buffer.add(attempt, "info", message, undefined);

    for (const message of [undefined, null, 3, { a: 1 }, Object.create(null)]) log(message);

    assert.deepEqual(
      buffer.take()?.entries.map((entry) => entry.message),
      ["undefined", "null", "3", "{ a: 1 }", "[Object: null prototype] {}"],
    );
  });
});

function takeAll(buffer: LogBuffer) {
  const batches = [];
  for (let batch = buffer.take(); batch !== undefined; batch = buffer.take()) batches.push(batch);
  return batches;
}
