import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { KILL_KINDS, planRounds } from "./rounds.ts";

describe("planRounds", () => {
  it("makes the same plan of the same seed", () => {
    assert.deepEqual(planRounds(7, 20, 2), planRounds(7, 20, 2));
    assert.notDeepEqual(planRounds(7, 20, 2), planRounds(8, 20, 2));
  });

  it("kills each kind once before any comes again", () => {
    const kinds = planRounds(7, KILL_KINDS.length, 2).map((round) => round.kind);

    assert.deepEqual([...kinds].sort(), [...KILL_KINDS].sort());
  });

  it("kills what the kind names", () => {
    const rounds = planRounds(7, 60, 2);

    for (const round of rounds) {
      const isAll = round.kind === "all";
      assert.equal(round.isServerKilled, isAll || round.kind.includes("server"));
      assert.equal(round.isPostgresKilled, isAll || round.kind.includes("postgres"));
      assert.equal(round.killedWorkers.length > 0, isAll || round.kind.includes("worker"));
    }
  });
});
