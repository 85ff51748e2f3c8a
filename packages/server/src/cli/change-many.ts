/** Cancel and redrive of many jobs by filter: how many, really, and then in bounded steps with progress. */
import { createInterface } from "node:readline/promises";

import type { Client, JobFilter } from "@baton/sdk";
import type { Command } from "commander";

import { usageError } from "./failure.ts";
import { filterText, isFiltered, type FilterFlags } from "./filter-options.ts";
import { parseInteger } from "./option-values.ts";
import { note } from "./output.ts";
import { openProgress } from "./progress.ts";

/** Options of {@link withManyOptions}. */
export interface ManyFlags {
  readonly all?: true;
  readonly yes?: true;
  readonly limit: number;
}

const LIMIT_DEFAULT = 10_000;
const LIMIT_MAX = 10_000_000;
/** Jobs changed by one call: short transactions, and progress that moves. */
export const STEP_JOBS = 1_000;
/** Counting goes on for so many jobs before the question is asked. */
const COUNT_MAX = 10_000;

/** Adds `--all`, `--yes` and `--limit`. */
export function withManyOptions(command: Command): Command {
  return command
    .option("--all", "every job that the command can be applied to, instead of a filter")
    .option("--yes", "do not ask")
    .option(
      "--limit <n>",
      `most jobs to change, 1 to ${LIMIT_MAX}`,
      parseInteger(1, LIMIT_MAX),
      LIMIT_DEFAULT,
    );
}

/** What {@link changeMany} needs to know of a command. */
export interface ManyChange {
  readonly verb: string;
  /** Example: `dead`, for `dead jobs of queue mail`. */
  readonly kind: string;
  /** Example: `redriven`, for `12 of 40 jobs redriven`. */
  readonly done: string;
  readonly filter: JobFilter;
  /** Changes some jobs, at most so many. */
  readonly step: (
    jobsMax: number,
  ) => Promise<{ readonly changedCount: number; readonly hasMore: boolean }>;
}

/** What came of it. */
export interface ManyResult {
  readonly changedCount: number;
  /** Jobs that match are left, because of `--limit`. */
  readonly hasMore: boolean;
}

/**
 * Counts, asks, and changes jobs step by step. Never changes more jobs than there were at the beginning, so that jobs
 * that come to match meanwhile do not keep it going for ever.
 *
 * @returns undefined when the answer was no
 */
export async function changeMany(
  client: Client,
  flags: FilterFlags & ManyFlags,
  change: ManyChange,
): Promise<ManyResult | undefined> {
  requireScope(flags, change.verb);
  const counted = await countJobs(client, change.filter);
  if (counted === 0) return { changedCount: 0, hasMore: false };
  if (!(await isConfirmed(flags, change, counted))) return undefined;
  const most = counted < COUNT_MAX ? Math.min(flags.limit, counted) : flags.limit;
  const progress = openProgress({
    label: change.done,
    unit: "jobs",
    total: counted < COUNT_MAX ? most : undefined,
  });
  let changedCount = 0;
  let hasMore = true;
  try {
    while (hasMore && changedCount < most) {
      const step = await change.step(most - changedCount);
      changedCount += step.changedCount;
      hasMore = step.hasMore;
      progress.update(changedCount);
    }
  } finally {
    progress.end();
  }
  return { changedCount, hasMore: hasMore && changedCount >= flags.limit };
}

function requireScope(flags: FilterFlags & ManyFlags, verb: string): void {
  if (flags.all && isFiltered(flags)) {
    throw usageError(`Expected either --all or a filter to ${verb} by; received both.`);
  }
  if (flags.all || isFiltered(flags)) return;
  throw usageError(
    `Expected the id of a job, a filter such as --queue or --task, or --all; received none of them, ` +
      `and will not ${verb} everything by accident.`,
  );
}

async function countJobs(client: Client, filter: JobFilter): Promise<number> {
  let count = 0;
  let cursor: string | undefined;
  do {
    const page = await client.listJobs(filter, { limit: STEP_JOBS, cursor });
    count += page.jobs.length;
    cursor = page.nextCursor;
  } while (cursor !== undefined && count < COUNT_MAX);
  return count;
}

async function isConfirmed(
  flags: FilterFlags & ManyFlags,
  change: ManyChange,
  counted: number,
): Promise<boolean> {
  const what = `${change.verb} ${filterText(flags, change.kind)} (${atMost(Math.min(counted, flags.limit))})`;
  if (flags.yes) return true;
  if (!process.stdin.isTTY) {
    throw usageError(`This would ${what}. Expected --yes, because nobody can be asked here.`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${what[0]?.toUpperCase()}${what.slice(1)}? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return true;
    note("Nothing was changed.");
    return false;
  } finally {
    terminal.close();
  }
}

function atMost(count: number): string {
  return count >= COUNT_MAX ? `${COUNT_MAX} or more` : String(count);
}
