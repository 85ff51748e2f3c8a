/** Which jobs: options of every command that takes a filter. */
import type { JobFilter, JobState } from "@baton/sdk";
import type { Command } from "commander";

import { parseChoices, parseInstantOrAge } from "./option-values.ts";

export const JOB_STATES: readonly JobState[] = [
  "waiting",
  "scheduled",
  "queued",
  "running",
  "succeeded",
  "dead",
  "cancelled",
];

/** Options of {@link withFilterOptions}. */
export interface FilterFlags {
  readonly state?: readonly JobState[];
  readonly queue?: string;
  readonly task?: string;
  readonly tag?: string;
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
}

/**
 * Adds the options of a filter.
 *
 * @param states those that make sense; empty: the command itself decides on the state
 */
export function withFilterOptions(command: Command, states: readonly JobState[]): Command {
  if (states.length > 0) {
    command.option(
      "--state <states>",
      `only jobs in one of these states, separated by commas: ${states.join(", ")}`,
      parseChoices(states),
    );
  }
  return command
    .option("--queue <name>", "only jobs of this queue")
    .option("--task <name>", "only jobs of this task")
    .option("--tag <tag>", "only jobs with this tag")
    .option(
      "--created-after <time>",
      "only jobs accepted after this instant, or within this age such as 15m",
      parseInstantOrAge,
    )
    .option(
      "--created-before <time>",
      "only jobs accepted before this instant, or longer ago than this age",
      parseInstantOrAge,
    );
}

/** The filter that the options say. */
export function filterOf(flags: FilterFlags): JobFilter {
  return {
    states: flags.state,
    queue: flags.queue,
    task: flags.task,
    tag: flags.tag,
    createdAfter: flags.createdAfter,
    createdBefore: flags.createdBefore,
  };
}

/** Whether the options leave any job out. */
export function isFiltered(flags: FilterFlags): boolean {
  return Object.values(filterOf(flags)).some((value) => value !== undefined);
}

/** The filter for people, for example `dead jobs of queue mail`. */
export function filterText(flags: FilterFlags, kind: string): string {
  const parts = [`${flags.state === undefined ? kind : flags.state.join(" or ")} jobs`];
  if (flags.task !== undefined) parts.push(`of task ${flags.task}`);
  if (flags.queue !== undefined) parts.push(`of queue ${flags.queue}`);
  if (flags.tag !== undefined) parts.push(`with tag ${flags.tag}`);
  if (flags.createdAfter !== undefined) {
    parts.push(`accepted after ${flags.createdAfter.toISOString()}`);
  }
  if (flags.createdBefore !== undefined) {
    parts.push(`accepted before ${flags.createdBefore.toISOString()}`);
  }
  return parts.join(" ");
}
