import { setTimeout as sleep } from "node:timers/promises";

import { memoryMib } from "../cpu.ts";
import { startFlood } from "../flood.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { slope } from "../statistics.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";
import { startCrew, submit } from "../throughput.ts";

/** Of `--jobs`: 1 M queued by default. */
const QUEUED_TIMES = 10;
const MINUTES_DEFAULT = 30;
const SETTLE_MS = 10_000;
const MS_PER_HOUR = 3_600_000;

const MEMORY = { unit: "MiB", isLessBetter: true };

export const MEMORY_OF_SERVER: Scenario = {
  name: "memory",
  summary: "server's memory with 1 M jobs queued, and its rise under load (--minutes, default 30)",
  systems: [BATON_SYSTEM],
  roundsDefault: 1,
  async run(turn) {
    const loadMs = (turn.options.minutes ?? MINUTES_DEFAULT) * 60_000;
    await using stage = await openStage(turn);
    const pid = stage.site.pids.server ?? 0;
    await submit(turn, stage, { jobs: turn.options.jobs * QUEUED_TIMES });
    await sleep(SETTLE_MS);
    const queued = await memoryMib(pid);
    turn.say(`${Math.round(queued)} MiB with all jobs queued`);
    turn.record({ name: "server memory with all jobs queued", ...MEMORY }, queued);

    await startCrew(stage);
    await using _ = await startFlood(turn, stage);
    const points: (readonly [number, number])[] = [];
    const startMs = performance.now();
    while (performance.now() - startMs < loadMs) {
      await sleep(Math.min(5_000, loadMs / 20));
      points.push([(performance.now() - startMs) / MS_PER_HOUR, await memoryMib(pid)]);
    }
    // The heap grows to its working size first; that is no leak.
    const settled = points.slice(Math.floor(points.length / 3));
    turn.record(
      { name: "server memory under load, most", ...MEMORY },
      Math.max(...points.map(([, mib]) => mib)),
    );
    turn.record(
      { name: "rise of server memory under load", unit: "MiB/h", isLessBetter: true },
      slope(settled),
    );
  },
};
