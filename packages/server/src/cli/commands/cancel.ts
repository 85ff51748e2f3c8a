import type { Client, JobState } from "@baton/sdk";
import { Command } from "commander";

import { changeMany, STEP_JOBS, withManyOptions, type ManyFlags } from "../change-many.ts";
import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { countText } from "../count-text.ts";
import { usageError } from "../failure.ts";
import {
  filterOf,
  isFiltered,
  JOB_STATES,
  withFilterOptions,
  type FilterFlags,
} from "../filter-options.ts";
import { note, writeJson, writeLine } from "../output.ts";

type Flags = ClientFlags & FilterFlags & ManyFlags & { readonly reason?: string };

const UNFINISHED = JOB_STATES.slice(0, 4);
/** What a server changes by one call. */
const CALL_JOBS_MAX = 10_000;

/** `baton cancel` */
export function createCommand(): Command {
  const command = new Command("cancel")
    .description(
      "Cancels a job, or all unfinished jobs that match a filter. Running jobs are told to stop.",
    )
    .argument("[job]", "id of the job")
    .option("--reason <text>", "shown with the jobs");
  withClientOptions(withManyOptions(withFilterOptions(command, UNFINISHED)));
  return command.action(async (id: string | undefined, flags: Flags) => {
    if (id !== undefined && (flags.all || isFiltered(flags))) {
      throw usageError("Expected either the id of a job, or a filter or --all; received both.");
    }
    await useClient(flags, (client) =>
      id === undefined ? cancelMany(client, flags) : cancelOne(client, id, flags),
    );
  });
}

async function cancelOne(client: Client, id: string, flags: Flags): Promise<void> {
  const state = await client.job(id).cancel(flags.reason);
  if (flags.json) return writeJson({ id, state });
  await writeLine(
    state === "cancelled"
      ? `Job ${id} is cancelled.`
      : `Job ${id} is running; its worker was told to stop.`,
  );
}

async function cancelMany(client: Client, flags: Flags): Promise<void> {
  const states = flags.state ?? UNFINISHED;
  const told = { cancelledCount: 0, requestedCount: 0, hasMore: false };
  const cancel = async (chosen: readonly JobState[], limit: number) => {
    const filter = { ...filterOf(flags), states: chosen };
    const step = await client.cancelMany(filter, { limit, reason: flags.reason });
    told.cancelledCount += step.cancelledCount;
    told.requestedCount += step.requestedCount;
    return { changedCount: step.cancelledCount + step.requestedCount, hasMore: step.hasMore };
  };
  const pending = states.filter((state) => state !== "running");
  let isPendingLeft = pending.length > 0;
  const result = await changeMany(client, flags, {
    verb: "cancel",
    kind: "unfinished",
    done: "cancelled",
    filter: { ...filterOf(flags), states },
    step: async (jobsMax) => {
      if (isPendingLeft) {
        const step = await cancel(pending, Math.min(STEP_JOBS, jobsMax));
        isPendingLeft = step.hasMore;
        return { ...step, hasMore: step.hasMore || states.includes("running") };
      }
      // In one step: running jobs that were told to stop match until they have stopped.
      const step = await cancel(["running"], Math.min(CALL_JOBS_MAX, jobsMax));
      told.hasMore = step.hasMore;
      return { ...step, hasMore: false };
    },
  });
  if (result === undefined) return;
  const { cancelledCount, requestedCount } = told;
  const hasMore = told.hasMore || result.hasMore;
  if (flags.json) return writeJson({ cancelledCount, requestedCount, hasMore });
  await writeLine(`Cancelled: ${countText(cancelledCount, "job")}.`);
  if (requestedCount > 0) {
    await writeLine(`Told to stop: ${countText(requestedCount, "running job")}.`);
  }
  if (hasMore) note("There are more that match: repeat the command, or set a higher --limit.");
}
