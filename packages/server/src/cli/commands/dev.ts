import { Command } from "commander";

import { parseOneMore } from "../option-values.ts";
import { runDev } from "../run-dev.ts";
import {
  configOf,
  settingsGiven,
  withSettingOptions,
  type SettingFlags,
} from "../setting-options.ts";

interface Flags {
  readonly tasks?: readonly string[];
  readonly slots?: string;
}

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
    .option("--slots <n>", "jobs that the worker runs at a time");
  return withSettingOptions(command).action(async (flags: Flags & SettingFlags) => {
    process.exitCode = await runDev({
      config: configOf(flags),
      settings: settingsGiven(flags),
      taskFiles: flags.tasks ?? [],
      slots: flags.slots,
    });
  });
}
