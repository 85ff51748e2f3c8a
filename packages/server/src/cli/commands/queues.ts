import type { QueueView } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { note, writeJson, writeLine } from "../output.ts";
import { tableText, type Column } from "../table.ts";
import { printable } from "../terminal.ts";
import { agoText } from "../time-text.ts";
import { queueJson } from "../view-json.ts";

/** `baton queues` */
export function createCommand(): Command {
  return new Command("queues")
    .description("Lists queues, and pauses and resumes them.")
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(pauseCommand())
    .addCommand(resumeCommand());
}

function listCommand(): Command {
  return withClientOptions(new Command("list").description("Lists queues.")).action(
    async (flags: ClientFlags) => {
      const queues = await useClient(flags, (client) => client.queues.list());
      if (flags.json) return writeJson({ items: queues.map(queueJson) });
      if (queues.length === 0) return note("No queues. The first job of a queue makes it.");
      await writeLine(tableText(COLUMNS, queues));
    },
  );
}

function pauseCommand(): Command {
  return withClientOptions(
    new Command("pause")
      .description(
        "Stops a queue from starting jobs; running jobs go on. Makes the queue if it is new.",
      )
      .argument("<queue>", "name of the queue")
      .option("--reason <text>", "shown with the queue"),
  ).action(async (name: string, flags: ClientFlags & { readonly reason?: string }) => {
    const queue = await useClient(flags, (client) => client.queues.pause(name, flags.reason));
    if (flags.json) return writeJson(queueJson(queue));
    await writeLine(
      `Queue ${printable(name)} is paused. Running jobs go on: ${upTo(queue.runningCount)}; ` +
        `waiting: ${upTo(queue.queuedCount)}.`,
    );
  });
}

function resumeCommand(): Command {
  return withClientOptions(
    new Command("resume")
      .description("Lets a paused queue start jobs again.")
      .argument("<queue>", "name of the queue"),
  ).action(async (name: string, flags: ClientFlags) => {
    const queue = await useClient(flags, (client) => client.queues.resume(name));
    if (flags.json) return writeJson(queueJson(queue));
    await writeLine(
      `Queue ${printable(name)} starts jobs again; waiting: ${upTo(queue.queuedCount)}.`,
    );
  });
}

const COUNT_MAX = 10_000;

const COLUMNS: readonly Column<QueueView>[] = [
  { head: "QUEUE", cell: ({ name }) => name },
  {
    head: "STATE",
    cell: ({ isPaused }) => (isPaused ? "paused" : "open"),
    style: ({ isPaused }) => (isPaused ? "yellow" : "green"),
  },
  { head: "QUEUED", cell: ({ queuedCount }) => upTo(queuedCount), align: "right" },
  { head: "SCHEDULED", cell: ({ scheduledCount }) => upTo(scheduledCount), align: "right" },
  { head: "RUNNING", cell: ({ runningCount }) => upTo(runningCount), align: "right" },
  {
    head: "OLDEST QUEUED",
    cell: ({ oldestQueuedAt }) => (oldestQueuedAt === undefined ? "" : agoText(oldestQueuedAt)),
  },
  { head: "REASON", cell: ({ pauseReason }) => pauseReason ?? "", isElastic: true },
];

/** Servers count no further. */
function upTo(count: number): string {
  return count >= COUNT_MAX ? `${COUNT_MAX}+` : String(count);
}
