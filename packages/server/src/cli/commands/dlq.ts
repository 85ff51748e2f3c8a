import type { Client } from "@baton/sdk";
import { Command } from "commander";

import { changeMany, STEP_JOBS, withManyOptions, type ManyFlags } from "../change-many.ts";
import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { countText } from "../count-text.ts";
import { usageError } from "../failure.ts";
import { filterOf, isFiltered, withFilterOptions, type FilterFlags } from "../filter-options.ts";
import { deadJobsText } from "../job-text.ts";
import { note, writeJson, writeLine } from "../output.ts";
import { printJobs, withPageOptions, type PageFlags } from "./list.ts";

/** `baton dlq` */
export function createCommand(): Command {
  return new Command("dlq")
    .description("The dead-letter queue: lists dead jobs, and puts them back to their queues.")
    .addCommand(listCommand())
    .addCommand(redriveCommand());
}

function listCommand(): Command {
  const command = new Command("list").description("Lists dead jobs and why they died.");
  withPageOptions(withClientOptions(withFilterOptions(command, [])));
  return command.action(async (flags: ClientFlags & FilterFlags & PageFlags) => {
    const filter = { ...filterOf(flags), states: ["dead"] } as const;
    await useClient(flags, (client) => printJobs(client, filter, flags, deadJobsText));
  });
}

type RedriveFlags = ClientFlags & FilterFlags & ManyFlags;

function redriveCommand(): Command {
  const command = new Command("redrive")
    .description(
      "Puts a dead job, or all that match a filter, back to its queue with fresh attempts.",
    )
    .argument("[job]", "id of the job");
  withClientOptions(withManyOptions(withFilterOptions(command, [])));
  return command.action(async (id: string | undefined, flags: RedriveFlags) => {
    if (id !== undefined && (flags.all || isFiltered(flags))) {
      throw usageError("Expected either the id of a job, or a filter or --all; received both.");
    }
    await useClient(flags, (client) =>
      id === undefined ? redriveMany(client, flags) : redriveOne(client, id, flags),
    );
  });
}

async function redriveOne(client: Client, id: string, flags: RedriveFlags): Promise<void> {
  await client.redrive(id);
  await (flags.json
    ? writeJson({ redrivenCount: 1, hasMore: false })
    : writeLine(`Job ${id} is back in its queue.`));
}

async function redriveMany(client: Client, flags: RedriveFlags): Promise<void> {
  const filter = { ...filterOf(flags), states: ["dead"] } as const;
  const result = await changeMany(client, flags, {
    verb: "redrive",
    kind: "dead",
    done: "redriven",
    filter,
    step: async (jobsMax) => {
      const limit = Math.min(STEP_JOBS, jobsMax);
      const { redrivenCount, hasMore } = await client.redriveMany(filter, { limit });
      return { changedCount: redrivenCount, hasMore };
    },
  });
  if (result === undefined) return;
  const { changedCount: redrivenCount, hasMore } = result;
  if (flags.json) return writeJson({ redrivenCount, hasMore });
  await writeLine(`Redriven: ${countText(redrivenCount, "job")}.`);
  if (hasMore) note("There are more that match: repeat the command, or set a higher --limit.");
}
