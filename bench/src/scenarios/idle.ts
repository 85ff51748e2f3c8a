import { setTimeout as sleep } from "node:timers/promises";

import { cpuSince, cpuUsed } from "../cpu.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";
import { startCrew, submit } from "../throughput.ts";

const WARM_UP_JOBS = 1_000;
const SHARE = { unit: "% of a core", isLessBetter: true };

export const IDLE: Scenario = {
  name: "idle",
  summary: "CPU of server, worker and PostgreSQL without work, 30 s",
  systems: [BATON_SYSTEM],
  quickSystems: [BATON_SYSTEM],
  roundsDefault: 3,
  async run(turn) {
    const [settleMs, watchMs] = turn.options.isQuick ? [500, 2_000] : [10_000, 30_000];
    await using stage = await openStage(turn);
    // After work, not before: what a server begins when it is used must end too.
    await startCrew(stage);
    await submit(turn, stage, { jobs: WARM_UP_JOBS });
    await stage.crew.finished(WARM_UP_JOBS);
    await sleep(settleMs);
    const before = await cpuUsed(stage);
    const startMs = performance.now();
    await sleep(watchMs);
    const used = await cpuSince(stage, before);
    const seconds = (performance.now() - startMs) / 1_000;
    const { server = 0, worker = 0, database = 0 } = used;
    turn.record({ name: "server and worker", ...SHARE }, ((server + worker) / seconds) * 100);
    turn.record({ name: "server", ...SHARE }, (server / seconds) * 100);
    turn.record({ name: "database", ...SHARE }, (database / seconds) * 100);
  },
};
