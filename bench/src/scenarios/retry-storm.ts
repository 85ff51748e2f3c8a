import { recordSpeed } from "../meter.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import { endToEnd, jobsOf } from "../throughput.ts";

/** Graphile Worker's delay before a retry is fixed: e^attempts seconds. Waiting would be all that is measured. */
const SYSTEMS_THAT_RETRY_AT_ONCE = SYSTEMS.filter(({ name }) => name !== "graphile-worker");

export const RETRY_STORM: Scenario = {
  name: "retry-storm",
  summary: "every job fails once and is retried at once; end to end",
  systems: SYSTEMS_THAT_RETRY_AT_ONCE,
  quickSystems: SYSTEMS_THAT_RETRY_AT_ONCE.slice(0, 1),
  async run(turn) {
    await using stage = await openStage(turn);
    const jobs = Math.ceil(jobsOf(turn) / 2);
    recordSpeed(turn, await endToEnd(turn, stage, { jobs, failures: 1 }));
  },
};
