import { Command } from "commander";

import { parseInteger, parseOneMore } from "../option-values.ts";
import { runDev } from "../run-dev.ts";
import {
  configOf,
  settingsGiven,
  withSettingOptions,
  type SettingFlags,
} from "../setting-options.ts";

interface Flags {
  readonly tasks?: readonly string[];
  readonly slots?: number;
}

const SLOTS_MAX = 10_000;

/** `baton dev` */
export function createCommand(): Command {
  const command = new Command("dev")
    .description(
      "Runs everything on this machine until Ctrl-C: a server, and one worker with the built-in tasks.",
    )
    .option(
      "--tasks <file>",
      "a module with tasks of your own for the worker; may be given several times",
      parseOneMore,
    )
    .option(
      "--slots <n>",
      "jobs that the worker runs at a time (default: 10)",
      parseInteger(1, SLOTS_MAX),
    );
  return withSettingOptions(command).action(async (flags: Flags & SettingFlags) => {
    process.exitCode = await runDev({
      config: configOf(flags),
      settings: settingsGiven(flags),
      taskFiles: flags.tasks ?? [],
      slots: flags.slots,
    });
  });
}
