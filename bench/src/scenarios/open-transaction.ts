import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { BATON } from "../figures.ts";
import { startFlood } from "../flood.ts";
import { recordSpeed, shownSpeed } from "../meter.ts";
import { openStage } from "../parties.ts";
import type { Scenario } from "../scenario.ts";
import { BATON_SYSTEM } from "../systems/baton.ts";
import { startCrew } from "../throughput.ts";

const MINUTES_DEFAULT = 10;
const WARM_UP_MS_MAX = 20_000;
const WINDOW_MS_MAX = 60_000;
/** The bar: full speed within so long after the transaction's end. */
const RECOVERY_MS_MAX = 60_000;

/**
 * Somebody's snapshot keeps PostgreSQL from removing dead rows. What that costs grows with time, so "during" is the last
 * minute of it.
 */
export const OPEN_TRANSACTION: Scenario = {
  name: "open-transaction",
  summary:
    "full load before, during and 60 s after a transaction held open (--minutes, default 10)",
  systems: [BATON_SYSTEM],
  roundsDefault: 1,
  async run(turn) {
    const heldMs = (turn.options.minutes ?? MINUTES_DEFAULT) * 60_000;
    const windowMs = Math.min(WINDOW_MS_MAX, heldMs / 2);
    await using stage = await openStage(turn);
    await startCrew(stage);
    await using flood = await startFlood(turn, stage);
    const record = async (when: string): Promise<void> => {
      const speed = await flood.speed(windowMs, sleep);
      turn.say(`${when}: ${shownSpeed(speed)}`);
      recordSpeed(turn, speed, `${BATON}, ${when}`);
    };
    await sleep(Math.min(WARM_UP_MS_MAX, heldMs));
    await record("before");
    {
      await using _ = await holdTransaction(stage.site.baton?.databaseUrl);
      await sleep(heldMs - windowMs);
      await record("during");
    }
    await sleep(Math.min(RECOVERY_MS_MAX, heldMs));
    await record("60 s after");
  },
};

/** Holds a snapshot, as a long report or a forgotten console does, until it is disposed of. */
async function holdTransaction(connectionString: string | undefined): Promise<AsyncDisposable> {
  if (connectionString === undefined) throw new Error("only Baton's database is known");
  const client = new pg.Client({ connectionString });
  await client.connect();
  // The embedded PostgreSQL ends forgotten transactions after a minute; others do not.
  await client.query("set idle_in_transaction_session_timeout = 0");
  await client.query("begin isolation level repeatable read");
  await client.query("select count(*) from baton.queue");
  return { [Symbol.asyncDispose]: () => client.end() };
}
