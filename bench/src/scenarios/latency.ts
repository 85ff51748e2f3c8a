import { openStage, type Stage } from "../parties.ts";
import type { Scenario, Turn } from "../scenario.ts";
import { largest, percentile } from "../statistics.ts";
import { SYSTEMS } from "../systems/all.ts";
import { startCrew, submit } from "../throughput.ts";

/** Jobs a second, and for how many seconds. */
const PACES = [
  { perSecond: 100, seconds: 10 },
  { perSecond: 1_000, seconds: 10 },
  { perSecond: 5_000, seconds: 5 },
] as const;
const QUICK_PACES = [{ perSecond: 1_000, seconds: 2 }] as const;
/** A few ready processes and caches; small enough for the slowest system. */
const WARM_UP_JOBS = 1_000;

export const LATENCY: Scenario = {
  name: "latency",
  summary: "from the moment a job was accepted, or due to be sent, until its handler starts",
  systems: SYSTEMS,
  quickSystems: SYSTEMS.slice(0, 2),
  async run(turn) {
    await using stage = await openStage(turn);
    await startCrew(stage);
    await submit(turn, stage, { jobs: WARM_UP_JOBS });
    await stage.crew.finished(WARM_UP_JOBS);
    for (const pace of turn.options.isQuick ? QUICK_PACES : PACES) {
      await measure(turn, stage, pace);
    }
  },
};

async function measure(
  turn: Turn,
  { load, crew }: Stage,
  pace: { readonly perSecond: number; readonly seconds: number },
): Promise<void> {
  const jobs = pace.perSecond * pace.seconds;
  await turn.house.checkpoint();
  await crew.program.ask("watch", { jobs });
  const before = crew.ranCount;
  const sent = await load.ask("pace", { ...pace });
  await crew.finished(before + jobs);
  const started = await crew.program.ask("starts");
  for (const since of ["accepted", "intended"] as const) {
    const waits = waitsMs(sent.get(`${since}Us`), started.get("startUs"));
    const name = `${pace.perSecond.toLocaleString("en")}/s, ${since} to start`;
    const figure = (what: string) => ({ name: `${name}, ${what}`, unit: "ms", isLessBetter: true });
    turn.record(figure("p50"), percentile(waits, 50));
    turn.record(figure("p99"), percentile(waits, 99));
    turn.record(figure("max"), largest(waits));
  }
}

/** A handler may start before its submitter has the answer: then it has not waited. */
function waitsMs(
  since: Float64Array = new Float64Array(0),
  started: Float64Array = new Float64Array(0),
): Float64Array {
  return started.map((startUs, n) => Math.max(0, (startUs - (since[n] ?? Number.NaN)) / 1_000));
}
