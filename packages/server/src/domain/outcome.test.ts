import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { canTransition, OUTCOMES } from "./job.ts";
import { ATTEMPTS_MAX, LOST_ATTEMPTS_MAX } from "./limits.ts";
import { decideOutcome, type EndedAttempt } from "./outcome.ts";

const FIRST: EndedAttempt = {
  attempt: 1,
  failureCount: 0,
  lostCount: 0,
  maxAttempts: 3,
  isCancelRequested: false,
  retry: { strategy: "fixed", baseMs: 500, jitter: "none" },
};

const attempts = fc.record({
  attempt: fc.integer({ min: 1, max: ATTEMPTS_MAX }),
  failureCount: fc.integer({ min: 0, max: 1_000 }),
  lostCount: fc.integer({ min: 0, max: LOST_ATTEMPTS_MAX }),
  maxAttempts: fc.integer({ min: 1, max: 1_000 }),
  isCancelRequested: fc.boolean(),
  deadlineInMs: fc.option(fc.integer({ min: -1_000, max: 100_000 }), { nil: undefined }),
  retry: fc.constant({}),
});
const reports = fc.record({
  kind: fc.constantFrom(...OUTCOMES),
  delayMs: fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }),
});
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("decideOutcome", () => {
  it("ends a job that succeeded", () => {
    const { kind, ...decision } = decideOutcome(FIRST, { kind: "succeeded" }, 0);

    assert.equal(kind, "finish");
    assert.deepEqual(decision, {
      state: "succeeded",
      outcome: "succeeded",
      failureCount: 0,
      lostCount: 0,
      error: undefined,
    });
  });

  it("tries a failed job again after what its policy says", () => {
    assert.deepEqual(
      decideOutcome(FIRST, { kind: "retry", error: { code: "Error", message: "no" } }, 0),
      {
        kind: "reschedule",
        outcome: "retry",
        delayMs: 500,
        failureCount: 1,
        lostCount: 0,
        error: { code: "Error", message: "no" },
      },
    );
  });

  it("waits as long as the handler asked instead of what the policy says", () => {
    const decision = decideOutcome(FIRST, { kind: "retry", delayMs: 9_000 }, 0);

    assert.deepEqual(
      [decision.kind, "delayMs" in decision && decision.delayMs],
      ["reschedule", 9_000],
    );
  });

  it("gives up after maxAttempts failures", () => {
    const decision = decideOutcome({ ...FIRST, attempt: 3, failureCount: 2 }, { kind: "retry" }, 0);

    assert.deepEqual([decision.kind, "state" in decision && decision.state], ["finish", "dead"]);
  });

  it("gives up at once when the error is fatal", () => {
    const decision = decideOutcome(FIRST, { kind: "failed" }, 0);

    assert.deepEqual([decision.kind, "state" in decision && decision.state], ["finish", "dead"]);
  });

  it("does not count a snooze as a failure", () => {
    const decision = decideOutcome(FIRST, { kind: "snoozed", delayMs: 60_000 }, 0);

    assert.deepEqual([decision.kind, decision.failureCount], ["reschedule", 0]);
  });

  it("queues a lost attempt's job at once, and gives up when too many were lost", () => {
    const once = decideOutcome(FIRST, { kind: "lost" }, 0);
    const often = decideOutcome(
      { ...FIRST, lostCount: LOST_ATTEMPTS_MAX - 1 },
      { kind: "lost" },
      0,
    );

    assert.deepEqual(
      [once.kind, "delayMs" in once && once.delayMs, once.failureCount],
      ["reschedule", 0, 0],
    );
    assert.deepEqual([often.kind, often.error?.code], ["finish", "lost_too_often"]);
  });

  it("does not start another attempt behind the deadline", () => {
    const decision = decideOutcome({ ...FIRST, deadlineInMs: 400 }, { kind: "retry" }, 0);

    assert.deepEqual([decision.kind, decision.error?.code], ["finish", "deadline_exceeded"]);
  });

  it("says why it gave up, and what the last error was", () => {
    const error = { code: "worker_lost", message: "gone" };
    const lost = { ...FIRST, lostCount: LOST_ATTEMPTS_MAX - 1 };

    const decision = decideOutcome(lost, { kind: "lost", error }, 0);

    assert.equal(decision.error?.code, "lost_too_often");
    assert.match(decision.error.message, /The last error was worker_lost: gone$/);
  });

  it("ends every succeeded attempt as succeeded, whatever else is the case", () => {
    fc.assert(
      fc.property(attempts, chance, (ended, random) => {
        const decision = decideOutcome(ended, { kind: "succeeded" }, random);

        assert.deepEqual(
          [decision.kind, "state" in decision && decision.state],
          ["finish", "succeeded"],
        );
      }),
    );
  });

  it("never tries a job again whose cancellation was requested", () => {
    fc.assert(
      fc.property(attempts, reports, chance, (ended, reported, random) => {
        const decision = decideOutcome({ ...ended, isCancelRequested: true }, reported, random);

        assert.equal(decision.kind, "finish");
      }),
    );
  });

  it("leads only where the table of transitions allows, and never forgets a failure", () => {
    fc.assert(
      fc.property(attempts, reports, chance, (ended, reported, random) => {
        const decision = decideOutcome(ended, reported, random);
        const states = { finish: [], reschedule: ["queued", "scheduled"] } as const;
        const next = decision.kind === "finish" ? [decision.state] : states.reschedule;

        assert.ok(next.every((state) => canTransition("running", state)));
        assert.ok(
          decision.failureCount >= ended.failureCount && decision.lostCount >= ended.lostCount,
        );
      }),
    );
  });

  it("ends every job after a bounded number of failures and losses", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("retry", "timed_out", "lost"), {
          minLength: 1_100,
          maxLength: 1_100,
        }),
        (kinds) => {
          let ended: EndedAttempt = { ...FIRST, maxAttempts: 1_000 };
          const over = kinds.find((kind) => {
            const decision = decideOutcome(ended, { kind }, 0.5);
            ended = { ...ended, ...decision, attempt: ended.attempt + 1 };
            return decision.kind === "finish";
          });

          assert.notEqual(over, undefined);
        },
      ),
      { numRuns: 20 },
    );
  });
});
