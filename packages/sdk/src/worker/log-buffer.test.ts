import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";

import { aLeasedJob, jobId } from "../../test/fake-server.ts";
import { Attempt } from "./attempt.ts";
import { LogBuffer } from "./log-buffer.ts";

const attempt = new Attempt(aLeasedJob());

describe("LogBuffer", () => {
  it("takes anything as message and fields, even what throws when it is looked at", () => {
    const buffer = new LogBuffer();
    const fail = () => {
      throw new Error("not shown");
    };
    const trap = new Proxy({}, { getPrototypeOf: fail, ownKeys: fail });
    const toJSON = () => {
      // oxlint-disable-next-line typescript/only-throw-error -- what handlers throw need not be one
      throw trap;
    };

    buffer.add(attempt, "info", { [inspect.custom]: fail }, trap);
    buffer.add(attempt, "info", trap, { value: { toJSON } });

    const entries = buffer.take()?.entries ?? [];
    assert.deepEqual(
      entries.map(({ message, fields }) => [message, fields.toString()]),
      [
        [
          "a value that cannot be shown",
          '{"note":"fields were left out, they are not JSON: not shown"}',
        ],
        [
          "a value that cannot be shown",
          '{"note":"fields were left out, they are not JSON: an error that cannot be read"}',
        ],
      ],
    );
  });

  it("sends lines in batches of 1,000", () => {
    const buffer = new LogBuffer();
    for (let n = 0; n < 2_100; n += 1) buffer.add(attempt, "info", `line ${n}`, undefined);

    const sizes = takeAll(buffer).map(({ entries }) => entries.length);

    assert.deepEqual(sizes, [1_000, 1_000, 100]);
  });

  it("sends batches of 1 MiB, whatever the characters", () => {
    const buffer = new LogBuffer();
    // 3 bytes each in UTF-8.
    const message = "漢".repeat(5_000);
    for (let n = 0; n < 100; n += 1) buffer.add(attempt, "info", message, undefined);

    const sizes = takeAll(buffer).map(({ entries }) => entries.length);

    assert.deepEqual(sizes, [69, 31]);
  });

  it("keeps 16 MiB of one attempt, whatever the characters", () => {
    const buffer = new LogBuffer();
    const message = "漢".repeat(5_000);
    for (let n = 0; n < 3_000; n += 1) buffer.add(attempt, "info", message, undefined);

    const entries = takeAll(buffer).flatMap((batch) => batch.entries);

    const bytes = entries.reduce((sum, entry) => sum + Buffer.byteLength(entry.message), 0);
    assert.ok(Math.abs(bytes - 16 * 1024 * 1024) < 15_000 + 100, `${bytes} bytes`);
  });

  it("cuts a message over 16 KiB and says so", () => {
    const buffer = new LogBuffer();

    buffer.add(attempt, "info", "x".repeat(20_000), undefined);

    const [entry] = buffer.take()?.entries ?? [];
    assert.equal(Buffer.byteLength(entry?.message ?? ""), 16 * 1024);
    assert.match(entry?.message ?? "", /… \[cut, 20000 bytes\]$/);
  });

  it("keeps 10,000 lines of one attempt and says where and how many are missing", () => {
    const buffer = new LogBuffer();
    for (let n = 0; n < 10_250; n += 1) buffer.add(attempt, "debug", "x", undefined);

    const entries = takeAll(buffer).flatMap((batch) => batch.entries);

    assert.equal(entries.length, 10_001);
    assert.match(entries.at(-1)?.message ?? "", /^250 log lines are missing here/);
    assert.equal(entries.at(-1)?.level, "warn");
    assert.equal(buffer.hasWaiting, false);
  });

  it("keeps every line of quiet attempts beside noisy ones", () => {
    const buffer = new LogBuffer();
    const noisy = [1, 2, 3].map((n) => anAttempt(n));
    const quiet = [4, 5, 6].map((n) => anAttempt(n));
    for (let n = 0; n < 30_000; n += 1) {
      for (const each of noisy) buffer.add(each, "debug", "x".repeat(1_000), undefined);
    }
    for (let n = 0; n < 100; n += 1) {
      for (const each of quiet) buffer.add(each, "info", "mine", undefined);
    }

    const entries = takeAll(buffer).flatMap((batch) => batch.entries);

    const countOf = ({ job }: Attempt) =>
      entries.filter((entry) => entry.jobId === job.jobId).length;
    assert.deepEqual(quiet.map(countOf), [100, 100, 100]);
    // Alike, to a line: each has a fourth of the room, and a fourth is left for who comes next.
    const counts = noisy.map(countOf);
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join(", "));
    assert.ok(Math.min(...counts) > 4_900, counts.join(", "));
  });

  it("says once for each gap, at its place, that lines are missing", () => {
    const buffer = new LogBuffer();
    const add = (count: number) => {
      for (let n = 0; n < count; n += 1) buffer.add(attempt, "debug", "x", undefined);
    };
    add(10_010);
    const first = takeAll(buffer).flatMap((batch) => batch.entries);
    add(1);
    const second = takeAll(buffer).flatMap((batch) => batch.entries);

    assert.deepEqual(
      first.flatMap(({ message }, at) => (message === "x" ? [] : [[at, message.slice(0, 28)]])),
      [[10_000, "10 log lines are missing her"]],
    );
    assert.deepEqual(
      second.map(({ message }) => message),
      ["x"],
    );
  });

  it("is bounded with any number of attempts", () => {
    const buffer = new LogBuffer();
    for (let n = 0; n < 2_000; n += 1) {
      const each = anAttempt(n);
      for (let line = 0; line < 50; line += 1) buffer.add(each, "debug", "x", undefined);
    }

    const entries = takeAll(buffer).flatMap((batch) => batch.entries);

    const kept = entries.filter(({ level }) => level === "debug");
    assert.equal(kept.length, 20_000);
    assert.equal(new Set(entries.map((entry) => entry.jobId)).size, 2_000);
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

function anAttempt(n: number): Attempt {
  return new Attempt(aLeasedJob({ jobId: jobId(n) }));
}

function takeAll(buffer: LogBuffer) {
  const batches = [];
  for (let batch = buffer.take(); batch !== undefined; batch = buffer.take()) batches.push(batch);
  return batches;
}
