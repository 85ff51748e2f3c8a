import { Command } from "commander";

import { createLogger } from "../log.ts";
import { runServer } from "../run-server.ts";
import { configOf, withSettingOptions, type SettingFlags } from "../setting-options.ts";

/** `baton server` */
export function createCommand(): Command {
  return withSettingOptions(
    new Command("server").description(
      "Runs a server until Ctrl-C: PostgreSQL, the engine, HTTP and gRPC.",
    ),
  ).action(async (flags: SettingFlags) => {
    const config = configOf(flags);
    process.exitCode = await runServer(config, createLogger(config.logLevel));
  });
}
