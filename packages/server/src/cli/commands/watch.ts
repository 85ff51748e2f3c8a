import type { Client, Job, JobEvent } from "@baton/sdk";
import { JobFailedError } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { usageError } from "../failure.ts";
import {
  filterOf,
  isFiltered,
  JOB_STATES,
  withFilterOptions,
  type FilterFlags,
} from "../filter-options.ts";
import { progressText, stateText } from "../job-text.ts";
import { parseInteger } from "../option-values.ts";
import { note, writeJsonLine, writeLine } from "../output.ts";
import { printable } from "../terminal.ts";
import { clockText } from "../time-text.ts";
import { eventJson, jobJson } from "../view-json.ts";

type Flags = ClientFlags & FilterFlags & { readonly after?: number };

/** `baton watch` */
export function createCommand(): Command {
  const command = new Command("watch")
    .description(
      "Follows one job to its end, or every change of state of jobs that match, until Ctrl-C.",
    )
    .argument("[job]", "id of the job; without it all jobs, or those of the filter")
    .option(
      "--after <sequence>",
      "for a filter: begin with what came after this event",
      parseInteger(0, Number.MAX_SAFE_INTEGER),
    );
  withClientOptions(withFilterOptions(command, JOB_STATES));
  return command.action(async (id: string | undefined, flags: Flags) => {
    if (id !== undefined && (isFiltered(flags) || flags.after !== undefined)) {
      throw usageError("Expected either the id of a job, or a filter or --after; received both.");
    }
    await useClient(flags, (client) =>
      id === undefined ? watchAll(client, flags) : watchOne(client, id, flags),
    );
  });
}

/** Ends as the job ends. */
async function watchOne(client: Client, id: string, flags: Flags): Promise<void> {
  // A watch waits for minutes for a server to come; a person should hear at once that there is none.
  await client.getJob(id);
  let last: Job | undefined;
  let shown = "";
  for await (const job of client.job(id).watch()) {
    last = job;
    const line = jobLine(job);
    if (flags.json) await writeJsonLine(jobJson(job));
    else if (line !== shown) await writeLine(`${clockText(new Date())}  ${line}`);
    shown = line;
  }
  if (last?.state === "dead" || last?.state === "cancelled") throw new JobFailedError(last);
}

function jobLine(job: Job): string {
  const attempt = `attempt ${job.attempt}`;
  const progress = job.progress === undefined ? "" : `  ${progressText(job.progress)}`;
  return `${stateText(job.state)}  ${printable(job.task)}  ${attempt}${progress}`;
}

async function watchAll(client: Client, flags: Flags): Promise<void> {
  await client.listJobs({}, { limit: 1 });
  if (!flags.json) note("Watching; Ctrl-C ends it.");
  for await (const event of client.watch(filterOf(flags), { afterSequence: flags.after })) {
    await (flags.json ? writeJsonLine(eventJson(event)) : writeLine(eventLine(event)));
  }
}

const STATE_CHARACTERS = 9;

function eventLine({ at, job }: JobEvent): string {
  const state = stateText(job.state) + " ".repeat(Math.max(0, STATE_CHARACTERS - job.state.length));
  const place = `${printable(job.task)} in ${printable(job.queue)}`;
  return `${clockText(at)}  ${job.id}  ${state}  ${place}, attempt ${job.attempt}`;
}
