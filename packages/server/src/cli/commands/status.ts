import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { jobText } from "../job-text.ts";
import { writeJson, writeLine } from "../output.ts";
import { jobWithAttemptsJson } from "../view-json.ts";

/** `baton status` */
export function createCommand(): Command {
  return withClientOptions(
    new Command("status")
      .description("Shows a job with all its attempts and how each ended.")
      .argument("<job>", "id of the job"),
  ).action(async (id: string, flags: ClientFlags) => {
    const job = await useClient(flags, (client) => client.getJob(id));
    await (flags.json ? writeJson(jobWithAttemptsJson(job)) : writeLine(jobText(job)));
  });
}
