import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { freePort } from "../free-port.ts";
import type { Scenario } from "../scenario.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";
import { startServer } from "../systems/baton-server.ts";

const READY_MS_MAX = 60_000;

/** With the embedded PostgreSQL and from the sources, as `npm start` does it. */
export const START: Scenario = {
  name: "start",
  summary: "baton server on an existing data directory until /ready answers 200",
  systems: [BATON_SYSTEM],
  quickSystems: [BATON_SYSTEM],
  async run(turn) {
    const directory = join(await turn.house.createDirectory("start"), "data");
    const environment = {
      BATON_DATA_DIRECTORY: directory,
      BATON_HTTP_PORT: String(await freePort()),
    };
    // Makes the directory and the database in it.
    await (await startServer(environment))[Symbol.asyncDispose]();

    const startMs = performance.now();
    const started = startServer(environment);
    try {
      await ready(`http://127.0.0.1:${environment.BATON_HTTP_PORT}/ready`);
      const seconds = (performance.now() - startMs) / 1_000;
      turn.record({ name: "until /ready answers", unit: "s", isLessBetter: true }, seconds);
    } finally {
      await (await started)[Symbol.asyncDispose]();
    }
  },
};

async function ready(url: string): Promise<void> {
  const deadlineMs = performance.now() + READY_MS_MAX;
  while (performance.now() < deadlineMs) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.status === 200) return;
    await sleep(5);
  }
  throw new Error(`${url} did not answer 200 within ${READY_MS_MAX} ms`);
}
