import { recordSpeed } from "../meter.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import { endToEnd, jobsOf } from "../throughput.ts";

export const END_TO_END: Scenario = {
  name: "end-to-end",
  summary: "no-op jobs are submitted and run together",
  systems: SYSTEMS,
  quickSystems: SYSTEMS.slice(0, -1),
  async run(turn) {
    await using stage = await openStage(turn);
    recordSpeed(turn, await endToEnd(turn, stage, { jobs: jobsOf(turn) }));
  },
};
