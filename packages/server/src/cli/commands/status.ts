import { BatonError, type Client } from "@baton/sdk";
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
      .argument("[job]", "id of the job; without it the one that was submitted last"),
  ).action(async (id: string | undefined, flags: ClientFlags) => {
    const job = await useClient(flags, async (client) =>
      client.getJob(id ?? (await latestJobId(client))),
    );
    await (flags.json ? writeJson(jobWithAttemptsJson(job)) : writeLine(jobText(job)));
  });
}

async function latestJobId(client: Client): Promise<string> {
  const { jobs } = await client.listJobs({}, { limit: 1 });
  const [latest] = jobs;
  if (latest !== undefined) return latest.id;
  throw new BatonError("job_not_found", "There are no jobs yet. Submit one: baton submit --help.");
}
