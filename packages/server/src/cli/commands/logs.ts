import { setTimeout as sleep } from "node:timers/promises";

import type { Client, LogLevel, LogLine } from "@baton/sdk";
import { Command } from "commander";

import { useClient, withClientOptions, type ClientFlags } from "../client.ts";
import { parseInteger } from "../option-values.ts";
import { note, writeJsonLine, writeLine } from "../output.ts";
import { paint, printable, printableLines, type Style } from "../terminal.ts";
import { clockText } from "../time-text.ts";
import { logLineJson } from "../view-json.ts";

type Flags = ClientFlags & { readonly follow?: true; readonly attempt?: number };

const ATTEMPT_MAX = 100_000;
const LOOK_MS = 500;
/** The pause is so many times as long as the last look took, so that following a long log stays cheap. */
const LOOK_PAUSE_FACTOR = 5;

/** `baton logs` */
export function createCommand(): Command {
  return withClientOptions(
    new Command("logs")
      .description("Prints what a job's attempts have logged, oldest first.")
      .argument("<job>", "id of the job")
      .option("-f, --follow", "go on until the job has ended")
      .option("--attempt <n>", "only this attempt", parseInteger(1, ATTEMPT_MAX)),
  ).action(async (id: string, flags: Flags) => {
    await useClient(flags, async (client) => {
      const count = await (flags.follow
        ? follow(client, id, flags)
        : printNew(client, id, flags, 0));
      if (count === 0 && !flags.json) note("No log lines.");
    });
  });
}

/** Lines of a job are only ever added, so the ones after those that were printed are new. */
async function follow(client: Client, id: string, flags: Flags): Promise<number> {
  let printedCount = 0;
  for (;;) {
    // Asked before the lines are read: lines of an ended job are complete.
    const { state } = await client.getJob(id);
    const startedAtMs = performance.now();
    printedCount += await printNew(client, id, flags, printedCount);
    if (state === "succeeded" || state === "dead" || state === "cancelled") return printedCount;
    await sleep(Math.max(LOOK_MS, LOOK_PAUSE_FACTOR * (performance.now() - startedAtMs)));
  }
}

/** Prints all lines but the first `skipCount`; returns how many. */
async function printNew(
  client: Client,
  id: string,
  flags: Flags,
  skipCount: number,
): Promise<number> {
  let seenCount = 0;
  for await (const line of client.logs(id, { attempt: flags.attempt })) {
    seenCount += 1;
    if (seenCount <= skipCount) continue;
    await (flags.json ? writeJsonLine(logLineJson(line)) : writeLine(lineText(line)));
  }
  return Math.max(0, seenCount - skipCount);
}

const STYLE_OF_LEVEL: Readonly<Record<LogLevel, Style>> = {
  debug: "dim",
  info: "green",
  warn: "yellow",
  error: "red",
};
const LEVEL_CHARACTERS = 5;

function lineText({ at, attempt, level, message, fields }: LogLine): string {
  const head = `${paint("dim", clockText(at))}  ${paint("dim", `#${attempt}`)}`;
  const name = paint(STYLE_OF_LEVEL[level], level.padEnd(LEVEL_CHARACTERS));
  const rest = fields === undefined ? "" : `  ${paint("dim", printable(JSON.stringify(fields)))}`;
  return `${head}  ${name}  ${printableLines(message)}${rest}`;
}
