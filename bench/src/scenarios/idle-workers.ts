import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { cpuSeconds, memoryMib } from "../cpu.ts";
import { Program } from "../program.ts";
import type { Scenario } from "../scenario.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";

const WORKERS = 1_000;
const FILE = fileURLToPath(new URL("../idle-workers-process.ts", import.meta.url));
const SHARE = { unit: "% of a core", isLessBetter: true };

export const IDLE_WORKERS: Scenario = {
  name: "idle-workers",
  summary: "CPU of the server and of a process with 1,000 workers' streams without work, 30 s",
  systems: [BATON_SYSTEM],
  roundsDefault: 3,
  async run(turn) {
    await using site = await turn.system.start(turn.house);
    const server = site.pids.server ?? 0;
    await using crowd = new Program(FILE, [site.target], () => undefined);
    await crowd.ready;
    await crowd.ask("start", { workers: WORKERS });
    turn.say(`${WORKERS} workers are connected`);
    await sleep(10_000);
    const used = async (): Promise<readonly [number, number]> => [
      await cpuSeconds(server),
      await cpuSeconds(crowd.pid),
    ];
    const before = await used();
    const startMs = performance.now();
    await sleep(30_000);
    const after = await used();
    const percent = 100 / ((performance.now() - startMs) / 1_000);
    const ofServer = (after[0] - before[0]) * percent;
    const ofWorkers = (after[1] - before[1]) * percent;
    turn.record({ name: "server and workers", ...SHARE }, ofServer + ofWorkers);
    turn.record({ name: "server", ...SHARE }, ofServer);
    turn.record(
      { name: "server memory", unit: "MiB", isLessBetter: true },
      await memoryMib(server),
    );
  },
};
