import type { TaskDefinition } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { note, writeJson, writeLine } from "../output.ts";
import { sheetText, tableText, type Column } from "../table.ts";
import { commandName, printable, printableLines } from "../terminal.ts";
import { durationText } from "../time-text.ts";
import { taskJson } from "../view-json.ts";

/** `baton tasks` */
export function createCommand(): Command {
  return withClientOptions(
    new Command("tasks")
      .description(
        "Lists the tasks that jobs can be submitted for, or shows one with its input schema.",
      )
      .argument("[task]", "name of a task"),
  ).action(async (name: string | undefined, flags: ClientFlags) => {
    if (name !== undefined) return printTask(name, flags);
    const tasks = await useClient(flags, (client) => client.tasks.list());
    if (flags.json) return writeJson({ items: tasks.map(taskJson) });
    if (tasks.length === 0)
      return note(`No tasks. "${commandName()} worker" starts a worker with some.`);
    await writeLine(tableText(COLUMNS, tasks));
  });
}

async function printTask(name: string, flags: ClientFlags): Promise<void> {
  const task = await useClient(flags, (client) => client.tasks.get(name));
  if (flags.json) return writeJson(taskJson(task));
  const { retry, inputSchema } = task;
  await writeLine(
    sheetText([
      ["task", printable(task.name)],
      ["description", task.description === undefined ? undefined : printable(task.description)],
      ["max attempts", task.maxAttempts?.toString()],
      ["retry", retry === undefined ? undefined : JSON.stringify(retry)],
      ["attempt timeout", limitText(task.attemptTimeoutMs)],
      ["queue timeout", limitText(task.queueTimeoutMs)],
      ["deadline", limitText(task.deadlineMs)],
      ["heartbeat timeout", limitText(task.heartbeatTimeoutMs)],
      ["cancel grace", limitText(task.cancelGraceMs)],
      [
        "input",
        inputSchema === undefined
          ? "any JSON"
          : printableLines(JSON.stringify(inputSchema, undefined, 2)),
      ],
    ]),
  );
}

const COLUMNS: readonly Column<TaskDefinition>[] = [
  { head: "TASK", cell: ({ name }) => name },
  {
    head: "MAX ATTEMPTS",
    cell: ({ maxAttempts }) => maxAttempts?.toString() ?? "default",
    align: "right",
  },
  { head: "DESCRIPTION", cell: ({ description }) => description ?? "", isElastic: true },
];

function limitText(limitMs: number | undefined): string | undefined {
  if (limitMs === undefined) return undefined;
  return limitMs === 0 ? "none" : durationText(limitMs);
}
