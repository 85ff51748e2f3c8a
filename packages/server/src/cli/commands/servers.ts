import type { ServerView } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { writeJson, writeLine } from "../output.ts";
import { tableText, type Column } from "../table.ts";
import { agoText } from "../time-text.ts";
import { serverJson } from "../view-json.ts";

/** `baton servers` */
export function createCommand(): Command {
  return withClientOptions(
    new Command("servers").description("Lists the servers that share this database."),
  ).action(async (flags: ClientFlags) => {
    const servers = await useClient(flags, (client) => client.servers());
    await (flags.json
      ? writeJson({ items: servers.map(serverJson) })
      : writeLine(tableText(COLUMNS, servers)));
  });
}

const COLUMNS: readonly Column<ServerView>[] = [
  { head: "SERVER", cell: ({ name }) => name },
  { head: "ID", cell: ({ id }) => id },
  {
    head: "STATE",
    cell: ({ isAlive }) => (isAlive ? "alive" : "gone"),
    style: ({ isAlive }) => (isAlive ? "green" : "red"),
  },
  { head: "VERSION", cell: ({ version }) => version },
  { head: "WORKERS", cell: ({ workerCount }) => String(workerCount), align: "right" },
  { head: "STARTED", cell: ({ startedAt }) => agoOrNothing(startedAt) },
  { head: "RENEWED", cell: ({ renewedAt }) => agoOrNothing(renewedAt) },
];

function agoOrNothing(instant: Date | undefined): string {
  return instant === undefined ? "" : agoText(instant);
}
