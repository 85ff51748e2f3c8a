import type { Client, Job, JobFilter } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { filterOf, JOB_STATES, withFilterOptions, type FilterFlags } from "../filter-options.ts";
import { jobsText } from "../job-text.ts";
import { parseInteger } from "../option-values.ts";
import { note, writeJson, writeJsonLine, writeLine } from "../output.ts";
import { commandName } from "../terminal.ts";
import { jobJson } from "../view-json.ts";

/** Options of {@link withPageOptions}. */
export interface PageFlags {
  readonly limit: number;
  readonly cursor?: string;
  readonly all?: true;
  readonly payloads?: true;
}

const LIMIT_DEFAULT = 50;
/** What a server puts on one page at most. */
const PAGE_JOBS_MAX = 1_000;
/** Rows that are laid out together when there is no end in sight. */
const BLOCK_JOBS = 200;

/** `baton list` */
export function createCommand(): Command {
  const command = new Command("list").description("Lists jobs, newest first.");
  withPageOptions(withClientOptions(withFilterOptions(command, JOB_STATES)));
  return command.action(async (flags: ClientFlags & FilterFlags & PageFlags) => {
    await useClient(flags, (client) => printJobs(client, filterOf(flags), flags, jobsText));
  });
}

/** Adds `--limit`, `--cursor`, `--all` and `--payloads`. */
export function withPageOptions(command: Command): Command {
  return command
    .option(
      "--limit <n>",
      `most jobs to show, 1 to ${PAGE_JOBS_MAX}`,
      parseInteger(1, PAGE_JOBS_MAX),
      LIMIT_DEFAULT,
    )
    .option("--cursor <cursor>", "go on where an earlier list ended")
    .option("--all", "show all jobs; with --json a line for each")
    .option("--payloads", "with --json: inputs and results too");
}

/** Prints one page of jobs, or all of them. */
export async function printJobs(
  client: Client,
  filter: JobFilter,
  flags: ClientFlags & PageFlags,
  text: (jobs: readonly Job[]) => string,
): Promise<void> {
  const includePayloads = flags.payloads ?? false;
  if (flags.all) {
    const jobs = client.jobs(filter, { includePayloads });
    return flags.json ? printLines(jobs) : printBlocks(jobs, text);
  }
  const { limit, cursor } = flags;
  const page = await client.listJobs(filter, { limit, cursor, includePayloads });
  if (flags.json) {
    return writeJson({ items: page.jobs.map(jobJson), nextCursor: page.nextCursor ?? null });
  }
  if (page.jobs.length === 0) return note("No jobs.");
  await writeLine(text(page.jobs));
  if (page.nextCursor !== undefined) {
    note(`There are more: add --all, or --cursor ${page.nextCursor}`);
  }
}

async function printLines(jobs: AsyncIterable<Job>): Promise<void> {
  for await (const job of jobs) await writeJsonLine(jobJson(job));
}

async function printBlocks(
  jobs: AsyncIterable<Job>,
  text: (jobs: readonly Job[]) => string,
): Promise<void> {
  let block: Job[] = [];
  let count = 0;
  for await (const job of jobs) {
    block.push(job);
    count += 1;
    if (block.length < BLOCK_JOBS) continue;
    await writeLine(text(block));
    block = [];
  }
  if (block.length > 0) await writeLine(text(block));
  note(count === 0 ? "No jobs." : `${count} jobs. "${commandName()} status <job>" shows one.`);
}
