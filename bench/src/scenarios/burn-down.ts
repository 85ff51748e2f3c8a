import { recordSpeed } from "../meter.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import { burnDown, jobsOf } from "../throughput.ts";

export const BURN_DOWN: Scenario = {
  name: "burn-down",
  summary: "all no-op jobs are queued before the worker starts",
  systems: SYSTEMS,
  quickSystems: SYSTEMS.slice(0, 2),
  async run(turn) {
    await using stage = await openStage(turn);
    recordSpeed(turn, await burnDown(turn, stage, { jobs: jobsOf(turn) }));
  },
};
