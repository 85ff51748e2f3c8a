import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import type { Outcome } from "../gen/baton/v1/worker.ts";
import { jobId } from "../../test/fake-server.ts";
import { Outbox } from "./outbox.ts";

describe("Outbox", () => {
  it("sends everything once, in order, numbered from 1", () => {
    const outbox = new Outbox();
    for (let n = 0; n < 2_500; n += 1) outbox.add(anOutcome(n));

    const messages = takeAll(outbox);

    assert.deepEqual(
      messages.map(({ sequence, outcomes }) => [sequence, outcomes.length]),
      [
        [1, 1_000],
        [2, 1_000],
        [3, 500],
      ],
    );
    assert.deepEqual(
      messages.flatMap(({ outcomes }) => outcomes.map((outcome) => outcome.jobId)),
      Array.from({ length: 2_500 }, (_, n) => jobId(n)),
    );
  });

  it("splits messages at 4 MiB, and lets a larger outcome travel alone", () => {
    const outbox = new Outbox();
    const mebibyte = 1024 * 1024;
    for (const size of [1, 3, 1, 5, 1]) {
      outbox.add({ ...anOutcome(size), result: Buffer.alloc(size * mebibyte) });
    }

    const sizes = takeAll(outbox).map(({ outcomes }) => outcomes.length);

    assert.deepEqual(sizes, [2, 1, 1, 1]);
  });

  it("forgets what is acknowledged, by the message's sequence", () => {
    const outbox = new Outbox();
    outbox.add(anOutcome(1));
    const first = outbox.take();
    outbox.add(anOutcome(2));
    outbox.take();

    const acknowledged = outbox.acknowledge(first?.sequence ?? 0);

    assert.deepEqual(
      acknowledged.map((outcome) => outcome.jobId),
      [jobId(1)],
    );
    assert.equal(outbox.count, 1);
  });

  it("has at most 16 messages without acknowledgement, and gathers the rest", () => {
    const outbox = new Outbox();
    for (let n = 0; n < 20; n += 1) {
      outbox.add(anOutcome(n));
      outbox.take();
    }
    assert.equal(outbox.take(), undefined);

    outbox.acknowledge(7);

    const next = outbox.take();
    assert.deepEqual([next?.sequence, next?.outcomes.length], [17, 4]);
  });

  it("ignores an acknowledgement of a message that it did not send", () => {
    const outbox = new Outbox();
    outbox.add(anOutcome(1));

    assert.deepEqual(outbox.acknowledge(1), []);
    assert.equal(outbox.count, 1);
  });

  it("drops what is stale before it is sent again", () => {
    const outbox = new Outbox();
    outbox.add(anOutcome(1));
    outbox.add(anOutcome(2));
    outbox.take();
    outbox.restart();

    outbox.discard([
      { jobId: jobId(1), attempt: 1 },
      { jobId: jobId(2), attempt: 7 },
    ]);

    assert.deepEqual(
      outbox.take()?.outcomes.map((outcome) => outcome.jobId),
      [jobId(2)],
    );
    assert.equal(outbox.count, 1);
  });

  it("loses nothing, whatever the order of sending, answers and reconnects", () => {
    const step = fc.oneof(
      fc.constant({ kind: "add" as const }),
      fc.constant({ kind: "take" as const }),
      fc.constant({ kind: "restart" as const }),
      fc.record({ kind: fc.constant("ack" as const), sequence: fc.integer({ min: 1, max: 8 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const outbox = new Outbox();
        const acknowledged: string[] = [];
        let added = 0;
        for (const action of steps) {
          if (action.kind === "add") outbox.add(anOutcome((added += 1)));
          if (action.kind === "take") outbox.take();
          if (action.kind === "restart") outbox.restart();
          if (action.kind === "ack") {
            acknowledged.push(...outbox.acknowledge(action.sequence).map(({ jobId: id }) => id));
          }
        }
        outbox.restart();
        const left = takeAll(outbox).flatMap(({ outcomes }) => outcomes.map(({ jobId: id }) => id));

        assert.deepEqual(
          [...acknowledged, ...left].toSorted(),
          Array.from({ length: added }, (_, n) => jobId(n + 1)).toSorted(),
        );
        assert.equal(outbox.count, left.length);
        assert.deepEqual(left, left.toSorted());
      }),
    );
  });
});

function takeAll(outbox: Outbox) {
  const messages = [];
  for (let message = outbox.take(); message !== undefined; message = outbox.take()) {
    messages.push(message);
  }
  return messages;
}

function anOutcome(n: number): Outcome {
  return {
    jobId: jobId(n),
    attempt: 1,
    kind: "succeeded",
    result: Buffer.from("null"),
    error: undefined,
    delayMs: undefined,
    durationMs: 0,
  };
}
