import type { WorkerView } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { note, writeJson, writeLine } from "../output.ts";
import { tableText, type Column } from "../table.ts";
import { commandName, type Style } from "../terminal.ts";
import { agoText } from "../time-text.ts";
import { workerJson } from "../view-json.ts";

/** `baton workers` */
export function createCommand(): Command {
  return withClientOptions(
    new Command("workers").description("Lists workers: what they can run and what they are doing."),
  ).action(async (flags: ClientFlags) => {
    const workers = await useClient(flags, (client) => client.workers());
    if (flags.json) return writeJson({ items: workers.map(workerJson) });
    if (workers.length === 0) return note(`No workers. "${commandName()} worker" starts one.`);
    await writeLine(tableText(COLUMNS, workers));
  });
}

const COLUMNS: readonly Column<WorkerView>[] = [
  { head: "WORKER", cell: ({ name }) => name },
  { head: "STATE", cell: ({ state }) => state, style: ({ state }) => STYLE_OF_STATE[state] },
  {
    head: "RUNNING",
    cell: ({ runningCount, slots }) => `${runningCount}/${slots}`,
    align: "right",
  },
  { head: "QUEUES", cell: ({ queues }) => queues.join(", "), isElastic: true },
  { head: "TASKS", cell: ({ tasks }) => tasks.join(", "), isElastic: true },
  { head: "LABELS", cell: ({ labels }) => pairsText(labels), isElastic: true },
  { head: "PID", cell: ({ pid }) => String(pid), align: "right" },
  { head: "HOST", cell: ({ host }) => host },
  { head: "SEEN", cell: ({ seenAt }) => (seenAt === undefined ? "" : agoText(seenAt)) },
];

const STYLE_OF_STATE: Readonly<Record<WorkerView["state"], Style>> = {
  active: "green",
  draining: "yellow",
  detached: "red",
  gone: "dim",
};

function pairsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}
