/** The settings of a server as options: `BATON_HTTP_PORT` is `--http-port`. */
import { Option, type Command } from "commander";

import { readConfig, settingDocs, type Config } from "../config.ts";

/** Options by the names that commander gives them. */
export type SettingFlags = Readonly<Record<string, unknown>>;

/** Heading of the settings in the help. */
export const SETTING_GROUP =
  "Settings, each also by its environment variable (BATON_…, DATABASE_URL):";

/**
 * Adds an option for each setting.
 *
 * @param names variables of those to add @default all
 */
export function withSettingOptions(command: Command, names?: readonly string[]): Command {
  for (const { name, description, defaultText } of settingDocs()) {
    if (names !== undefined && !names.includes(name)) continue;
    const fallback = defaultText === "" ? "" : ` (default: ${defaultText})`;
    const option = new Option(`${flagOf(name)} <${valueOf(name)}>`, `${description}${fallback}`);
    command.addOption(option.helpGroup(SETTING_GROUP));
  }
  return command;
}

/**
 * The settings that options and environment say together; options win.
 *
 * @throws AppError invalid_config
 */
export function configOf(
  flags: SettingFlags,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  return readConfig({ ...environment, ...settingsGiven(flags) });
}

/** The settings among the options, by the names of their variables. */
export function settingsGiven(flags: SettingFlags): Readonly<Record<string, string>> {
  return Object.fromEntries(
    settingDocs().flatMap(({ name }) => {
      const value = flags[new Option(flagOf(name)).attributeName()];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

function flagOf(name: string): string {
  return `--${name
    .replace(/^BATON_/, "")
    .toLowerCase()
    .replaceAll("_", "-")}`;
}

/** What to call the value in the help. */
function valueOf(name: string): string {
  const last = name.toLowerCase().split("_").at(-1) ?? "value";
  return ["directory", "host", "port", "url", "name", "ms", "days"].includes(last) ? last : "value";
}
