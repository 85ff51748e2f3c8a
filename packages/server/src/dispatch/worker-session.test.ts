import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { aDelivery, aLoneLane, aSession } from "../../test/a-session.ts";

/** 2 s of lease make 6 s for a worker that holds nothing. */
const LEASE_MS = 2_000;
const IDLE_MS_MAX = 6_000;

const lane = aLoneLane();
const anIdleSession = () => aSession({ leaseMs: LEASE_MS, slots: 10 }).session;
type Session = ReturnType<typeof anIdleSession>;
const give = (session: Session, nowMs: number) => session.hold(aDelivery(lane), nowMs);

describe("the silence of a worker", () => {
  const cases: Readonly<
    Record<string, { readonly until: (session: Session) => void; readonly silentAfterMs: number }>
  > = {
    "that holds nothing": { until: () => undefined, silentAfterMs: IDLE_MS_MAX },
    "that holds a job": { until: (session) => give(session, 0), silentAfterMs: LEASE_MS },
    "that was heard of since it holds a job": {
      until: (session) => {
        give(session, 0);
        session.heard(1_500);
      },
      silentAfterMs: 1_500 + LEASE_MS,
    },
    "that was given a job after it had rested": {
      until: (session) => give(session, 5_000),
      silentAfterMs: 5_000 + LEASE_MS,
    },
    "that was given a second job": {
      until: (session) => {
        give(session, 5_000);
        give(session, 6_000);
      },
      silentAfterMs: 5_000 + LEASE_MS,
    },
    "whose job the server ended itself": {
      until: (session) => session.letGo(give(session, 1_000), 2_000),
      silentAfterMs: 1_000 + LEASE_MS,
    },
    "that never answers, and is given another job when the server ended the first": {
      until: (session) => {
        session.letGo(give(session, 1_000), 2_000);
        give(session, 2_500);
      },
      silentAfterMs: 1_000 + LEASE_MS,
    },
    "that has said how its job ended": {
      until: (session) => {
        const held = give(session, 1_000);
        session.heard(2_000);
        session.letGo(held, 2_000);
      },
      silentAfterMs: 2_000 + IDLE_MS_MAX,
    },
  };
  for (const [what, { until, silentAfterMs }] of Object.entries(cases)) {
    it(`${what} is too long after ${silentAfterMs} ms`, () => {
      const session = anIdleSession();

      until(session);

      assert.deepEqual(
        [session.isSilent(silentAfterMs), session.isSilent(silentAfterMs + 1)],
        [false, true],
      );
    });
  }

  it("counts from when it was given something, so that its lease is over when it is booked out", () => {
    const session = anIdleSession();

    give(session, 5_000);

    assert.equal(session.silentMs(7_001), 2_001);
  });
});
