import { BATON } from "../figures.ts";
import { startLoad } from "../parties.ts";
import type { Scenario, Turn } from "../scenario.ts";
import { SYSTEMS } from "../systems/all.ts";
import type { Door } from "../systems/baton-doors.ts";
import { jobsOf } from "../throughput.ts";

const CONCURRENCIES = [1, 16, 256] as const;

/** Baton's doors below the SDK, and their rows. The empty method is what the transport alone can do. */
const DOORS: readonly (readonly [Door, string])[] = [
  ["baton-empty", `${BATON}, empty gRPC method`],
  ["baton-grpc", `${BATON}, gRPC without the SDK`],
  ["baton-rest", `${BATON}, REST`],
];

export const SINGLE_SUBMIT: Scenario = {
  name: "single-submit",
  summary: "one job a call, 1, 16 and 256 calls at a time, no worker; Baton by SDK, gRPC and REST",
  systems: SYSTEMS,
  quickSystems: SYSTEMS.slice(0, 1),
  async run(turn) {
    await using site = await turn.system.start(turn.house);
    await measure(turn, turn.system.name, site.target);
    if (site.baton === undefined) return;
    for (const [door, row] of DOORS) {
      const target = door === "baton-rest" ? site.baton.origin : site.target;
      await measure(turn, door, target, row);
    }
  },
};

async function measure(turn: Turn, way: string, target: string, row?: string): Promise<void> {
  await using load = startLoad(way, target);
  await load.ready;
  await load.ask("singles", { jobs: Math.ceil(jobsOf(turn) / 20), concurrency: 64 });
  for (const concurrency of turn.options.isQuick ? [256] : CONCURRENCIES) {
    // A second or a few each: one at a time is slow, and waits for the disk.
    const jobs = Math.ceil((jobsOf(turn) * Math.sqrt(concurrency)) / 64);
    const lists = await load.ask("singles", { jobs, concurrency });
    const seconds = lists.get("seconds")?.[0] ?? Number.NaN;
    turn.record({ name: `${concurrency} at a time`, unit: "jobs/s" }, jobs / seconds, row);
  }
}
