import type { Settings } from "./arguments.ts";
import type { Sample } from "./figures.ts";
import type { OwnedHouse } from "./house.ts";
import type { Scenario, Turn } from "./scenario.ts";
import type { System } from "./systems/system.ts";

const ROUNDS_DEFAULT = 5;
/** A quick run begins no further turn after so long: a turn takes some seconds, and the run less than a minute. */
const QUICK_MS_MAX = 50_000;

export interface ScenarioRun {
  readonly house: OwnedHouse;
  /** Those that can run on this machine. */
  readonly systems: readonly System[];
  readonly settings: Settings;
  readonly say: (line: string) => void;
}

/**
 * Runs scenarios. Within a round the systems take turns (A B C A B C), so that whatever else the machine does meets all
 * alike. A turn that fails is told and leaves no sample.
 */
export async function runScenarios(run: ScenarioRun): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const runStartMs = performance.now();
  for (const scenario of run.settings.scenarios) {
    const startMs = performance.now();
    const rounds = roundsOf(scenario, run.settings);
    for (let round = 1; round <= rounds; round += 1) {
      for (const system of systemsOf(scenario, run)) {
        const place = `${scenario.name} ${round}/${rounds}, ${system.title}`;
        if (run.settings.isQuick && performance.now() - runStartMs > QUICK_MS_MAX) {
          run.say(`${place}: SKIPPED, the minute of a quick run is over`);
          continue;
        }
        run.say(`${place} …`);
        try {
          await scenario.run(turnOf({ ...run, scenario, round, system, place, samples }));
        } catch (error) {
          run.say(`${place}: FAILED: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    }
    run.say(`${scenario.name} took ${Math.round((performance.now() - startMs) / 1_000)} s`);
  }
  return samples;
}

function roundsOf(scenario: Scenario, { rounds, isQuick }: Settings): number {
  return rounds ?? (isQuick ? 1 : (scenario.roundsDefault ?? ROUNDS_DEFAULT));
}

function systemsOf(scenario: Scenario, { settings, systems }: ScenarioRun): readonly System[] {
  const own = settings.isQuick ? (scenario.quickSystems ?? []) : scenario.systems;
  return own
    .filter((system) => settings.systems?.includes(system) ?? true)
    .filter((system) => systems.includes(system));
}

function turnOf({
  scenario,
  system,
  round,
  place,
  samples,
  ...run
}: ScenarioRun & {
  readonly scenario: Scenario;
  readonly system: System;
  readonly round: number;
  readonly place: string;
  readonly samples: Sample[];
}): Turn {
  return {
    system,
    house: run.house,
    options: run.settings,
    record: (figure, value, row = system.title) => {
      const { durability } = system;
      samples.push({ scenario: scenario.name, figure, row, durability, round, value });
    },
    say: (text) => run.say(`${place}: ${text}`),
  };
}
