/** What a scenario is, and what it gets. */
import type { Figure } from "./figures.ts";
import type { OwnedHouse } from "./house.ts";
import type { System } from "./systems/system.ts";

export interface Options {
  /** Jobs of one measurement; scenarios with larger jobs or states of their own scale from it. */
  readonly jobs: number;
  /** How long scenarios that watch something over time take. Absent: their own default. */
  readonly minutes?: number;
  /** Everything as short as it can be: proves that it works, measures little. */
  readonly isQuick: boolean;
}

/** One system's turn in one round of a scenario. */
export interface Turn {
  readonly system: System;
  readonly house: OwnedHouse;
  readonly options: Options;
  /**
   * Keeps a number.
   *
   * @param row what was measured, where that is not simply the system
   */
  record(figure: Figure, value: number, row?: string): void;
  /** A line for who waits. */
  say(text: string): void;
}

export interface Scenario {
  readonly name: string;
  /** One line for `--list`. */
  readonly summary: string;
  /** Who takes turns within a round. */
  readonly systems: readonly System[];
  /** Who does so with `--quick`; absent: nobody, it cannot be quick. */
  readonly quickSystems?: readonly System[];
  /** Absent: 5, or what `--rounds` says. For what takes many minutes. */
  readonly roundsDefault?: number;
  run(turn: Turn): Promise<void>;
}

/** Jobs that the disk has taken when the clock stops, each second. */
export const THROUGHPUT: Figure = { name: "throughput", unit: "jobs/s" };
/** Of all processes that take part. */
export const CPU_TIME: Figure = { name: "CPU time", unit: "µs a job", isLessBetter: true };
