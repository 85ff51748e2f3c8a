/**
 * A rolling restart under load: workers and servers that are asked to stop (SIGTERM) and are started again. Nobody is
 * killed, so nothing may be lost, not even an attempt.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { aStage } from "../stage.ts";
import { checkHistory } from "./history.ts";
import { aLoadedSite } from "./loaded-site.ts";

const SEED = 7;

test("a rolling restart under load", async (t) => {
  const site = await aLoadedSite(aStage(t), { seed: SEED, ratePerSecond: 500, workerCount: 2 });
  site.load.start();

  for (const worker of site.workers) {
    // Load before and after, so that there is something to lose.
    await sleep(1_000);
    await worker.end("SIGTERM");
    worker.start();
    await worker.connected();
  }
  await sleep(1_000);
  await site.server.stop();
  await site.server.start();
  await sleep(1_000);
  const history = await site.settle();

  await t.test("breaks no promise", () => {
    assert.deepEqual(checkHistory(history), []);
  });

  await t.test("loses no attempt", () => {
    assert.deepEqual(
      history.attempts.filter((attempt) => attempt.outcome === "lost"),
      [],
    );
  });
});
