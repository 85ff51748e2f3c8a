import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import { jobsOf, submit } from "../throughput.ts";

export const BULK_SUBMIT: Scenario = {
  name: "bulk-submit",
  summary: "many jobs a call, no worker",
  systems: SYSTEMS,
  async run(turn) {
    await using stage = await openStage(turn);
    const jobs = jobsOf(turn);
    await submit(turn, stage, { jobs: Math.ceil(jobs / 5) });
    await turn.house.checkpoint();
    const seconds = await submit(turn, stage, { jobs });
    turn.record({ name: "submitted", unit: "jobs/s" }, jobs / seconds);
  },
};
