import { Command, InvalidArgumentError } from "commander";

import type { Scenario } from "./scenario.ts";
import { SCENARIOS } from "./scenarios/all.ts";
import { SYSTEMS, systemOf } from "./systems/all.ts";
import type { System } from "./systems/system.ts";

export interface Settings {
  readonly scenarios: readonly Scenario[];
  /** Absent: those that each scenario names. */
  readonly systems?: readonly System[];
  readonly isQuick: boolean;
  readonly isList: boolean;
  /** Absent: each scenario's own. */
  readonly rounds?: number;
  readonly jobs: number;
  readonly minutes?: number;
  readonly jsonFile?: string;
}

const JOBS_DEFAULT = 100_000;
const JOBS_QUICK = 4_000;

interface Flags {
  readonly list?: boolean;
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly jobs?: number;
  readonly minutes?: number;
  readonly json?: string;
  readonly systems?: readonly System[];
}

/** What was asked for. Ends the process with 1 and a message when it makes no sense. */
export function parseArguments(args: readonly string[]): Settings {
  const command = new Command("npm run bench --")
    .argument("[scenarios...]", "what to measure (default: everything)")
    .option("--list", "only tell which scenarios there are")
    .option("--quick", "everything that can be quick, in under a minute: proves, measures little")
    .option("--rounds <number>", "times that each system has its turn (default: 5)", positive)
    .option("--jobs <number>", `jobs of a measurement (default: ${JOBS_DEFAULT})`, positive)
    .option("--minutes <number>", "length of what is watched over time", positive)
    .option("--json <file>", "write all samples to a file")
    .option(
      "--systems <names>",
      `only these, separated by commas: ${SYSTEMS.map((system) => system.name).join(", ")}`,
      systemsOf,
    )
    .parse(args, { from: "user" });
  const flags = command.opts<Flags>();
  const names = command.args;
  const unknown = names.find((name) => SCENARIOS.every((scenario) => scenario.name !== name));
  if (unknown !== undefined) {
    command.error(
      `There is no scenario "${unknown}". Scenarios: ${SCENARIOS.map(({ name }) => name).join(", ")}.`,
    );
  }
  const isQuick = flags.quick === true;
  const chosen = SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));
  return {
    scenarios: isQuick ? chosen.filter((scenario) => scenario.quickSystems !== undefined) : chosen,
    isQuick,
    isList: flags.list === true,
    jobs: flags.jobs ?? (isQuick ? JOBS_QUICK : JOBS_DEFAULT),
    ...(flags.systems !== undefined && { systems: flags.systems }),
    ...(flags.rounds !== undefined && { rounds: flags.rounds }),
    ...(flags.minutes !== undefined && { minutes: flags.minutes }),
    ...(flags.json !== undefined && { jsonFile: flags.json }),
  };
}

function positive(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError("Expected a number above 0.");
}

function systemsOf(text: string): readonly System[] {
  try {
    return text.split(",").map(systemOf);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/** What was asked for, for a file of figures. */
export function settingsRecord({ scenarios, systems, ...numbers }: Settings): object {
  return {
    ...numbers,
    scenarios: scenarios.map(({ name }) => name),
    ...(systems !== undefined && { systems: systems.map(({ name }) => name) }),
  };
}
