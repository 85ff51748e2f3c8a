/**
 * A rolling restart under load: workers and servers that are asked to stop (SIGTERM) and are started again. Nobody is
 * killed, so nothing may be lost, not even an attempt.
 */
import assert from "node:assert/strict";
import { test } from "node:test";

import { aStage } from "../stage.ts";
import { until } from "../until.ts";
import { checkHistory } from "./history.ts";
import { aLoadedSite, type LoadedSite } from "./loaded-site.ts";

const SEED = 7;
const RATE_PER_SECOND = 500;
/** More than a restart of the server takes on the slowest machine: what is lost here, somebody has lost. */
const LEASE_MS = 30_000;

test("a rolling restart under load", async (t) => {
  const site = await aLoadedSite(aStage(t), {
    seed: SEED,
    ratePerSecond: RATE_PER_SECOND,
    workerCount: 2,
    leaseMs: LEASE_MS,
  });
  site.load.start();

  for (const worker of site.workers) {
    // Load before and after, so that there is something to lose.
    await moreLoad(site);
    await worker.end("SIGTERM");
    worker.start();
    await worker.connected();
  }
  await moreLoad(site);
  await site.server.stop();
  await site.server.start();
  await moreLoad(site);
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

/** Resolves when a second's load more was accepted than now. */
async function moreLoad({ load }: LoadedSite): Promise<void> {
  const target = load.acknowledged.length + RATE_PER_SECOND;
  await until("accepted jobs", 30_000, () => load.acknowledged.length >= target || undefined);
}
