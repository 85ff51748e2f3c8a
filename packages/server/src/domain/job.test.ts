import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  canTransition,
  FINAL_STATES,
  isFinal,
  JOB_STATES,
  LIVE_STATES,
  TRANSITIONS,
} from "./job.ts";

describe("transitions of a job", () => {
  for (const from of JOB_STATES) {
    for (const to of JOB_STATES) {
      const isAllowed = TRANSITIONS[from].some((state) => state === to);
      it(`${from} → ${to} is ${isAllowed ? "allowed" : "refused"}`, () => {
        assert.equal(canTransition(from, to), isAllowed);
      });
    }
  }

  it("leave a final state only by redriving a dead job", () => {
    const leaving = FINAL_STATES.filter((state) => TRANSITIONS[state].length > 0);

    assert.deepEqual(leaving, ["dead"]);
    assert.deepEqual(TRANSITIONS.dead, ["queued"]);
  });

  it("lead from every live state to an end", () => {
    const reaches = (state: (typeof JOB_STATES)[number], seen: ReadonlySet<string>): boolean =>
      isFinal(state) ||
      TRANSITIONS[state].some((next) => !seen.has(next) && reaches(next, new Set([...seen, next])));

    assert.deepEqual(
      LIVE_STATES.filter((state) => !reaches(state, new Set([state]))),
      [],
    );
  });

  it("divide the states into live and final ones", () => {
    assert.deepEqual([...LIVE_STATES, ...FINAL_STATES].sort(), [...JOB_STATES].sort());
  });
});
