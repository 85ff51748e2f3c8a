/** A load that never ends: always some thousand jobs unfinished, so that the system is never idle and never drowns. */
import { startMeter, type Speed } from "./meter.ts";
import type { Stage } from "./parties.ts";
import type { Turn } from "./scenario.ts";

const BACKLOG = 10_000;

export interface Flood extends AsyncDisposable {
  /** How fast jobs run from now for so long. */
  speed(forMs: number, sleep: (ms: number) => Promise<unknown>): Promise<Speed>;
}

/** Begins; the worker must have been started. Disposing of it stops the load and waits until all is finished. */
export async function startFlood(turn: Turn, stage: Stage): Promise<Flood> {
  const { load, crew } = stage;
  const before = crew.ranCount;
  // A load generator that ends says so by itself.
  crew.onRan((count) => void load.ask("ran", { count: count - before }).catch(() => undefined));
  await load.ask("flood", { ...turn.system.bulk, backlog: BACKLOG });
  return {
    speed: async (forMs, sleep) => {
      const ranBefore = crew.ranCount;
      const end = await startMeter(stage);
      await sleep(forMs);
      return end(crew.ranCount - ranBefore);
    },
    [Symbol.asyncDispose]: async () => {
      await load.ask("calm");
      await crew.finished(0);
    },
  };
}
