import { BATON } from "../figures.ts";
import { recordSpeed } from "../meter.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { BATON_SYSTEM, LANE_QUEUES, LANE_TASKS } from "../systems/baton.ts";
import { endToEnd, jobsOf } from "../throughput.ts";

export const MANY_LANES: Scenario = {
  name: "many-lanes",
  summary: "jobs spread evenly over 100 queues × 50 tasks, beside all in one; end to end",
  systems: [BATON_SYSTEM],
  quickSystems: [BATON_SYSTEM],
  async run(turn) {
    const jobs = jobsOf(turn);
    const lanes = { queues: LANE_QUEUES, tasks: LANE_TASKS };
    {
      await using stage = await openStage(turn);
      recordSpeed(turn, await endToEnd(turn, stage, { jobs, lanes }));
    }
    if (turn.options.isQuick) return;
    await using stage = await openStage(turn);
    recordSpeed(turn, await endToEnd(turn, stage, { jobs }), `${BATON}, one lane`);
  },
};
