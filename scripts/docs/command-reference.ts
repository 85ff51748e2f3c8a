/** The reference of the `baton` command, from the definitions that parse it. */
import type { Argument, Command, Option } from "commander";

import { EXIT_MEANINGS } from "../../packages/server/src/cli/exit-codes.ts";
import { SETTING_GROUP } from "../../packages/server/src/cli/setting-options.ts";
import { createProgram } from "../../packages/server/src/cli/program.ts";

const program = await createProgram([]);

/** A section for each command: what it does, its arguments and its options. */
export function commandReference(): string {
  return program.commands.flatMap((command) => sectionsOf(command, "baton")).join("\n\n");
}

/** The table of exit codes. */
export function exitCodeTable(): string {
  const rows = EXIT_MEANINGS.map(([code, meaning]) => `| ${code} | ${meaning} |`);
  return ["| code | meaning |", "|---:|---|", ...rows].join("\n");
}

function sectionsOf(command: Command, parent: string): readonly string[] {
  const name = `${parent} ${command.name()}`;
  if (command.commands.length > 0) {
    const children = command.commands.flatMap((child) => sectionsOf(child, name));
    return [`### ${name}\n\n${command.description()}`, ...children];
  }
  const level = parent === "baton" ? "###" : "####";
  const options = command.options.filter(({ hidden }) => !hidden);
  const groups = Map.groupBy(options, (option) => option.helpGroupHeading ?? "");
  return [
    [
      `${level} ${name}`,
      command.description(),
      `\`${name} ${command.usage()}\``,
      ...argumentTable(command.registeredArguments),
      ...[...groups].map(([group, members]) => optionTable(group, members)),
    ].join("\n\n"),
  ];
}

function argumentTable(list: readonly Argument[]): readonly string[] {
  if (list.length === 0) return [];
  const rows = list.map((argument) => {
    const choices = argument.argChoices === undefined ? "" : `: ${argument.argChoices.join(", ")}`;
    return `| \`${argument.name()}\` | ${cell(argument.description + choices)} |`;
  });
  return [["| argument | meaning |", "|---|---|", ...rows].join("\n")];
}

function optionTable(group: string, options: readonly Option[]): string {
  if (group === SETTING_GROUP) {
    const names = options.map((option) => `\`${option.long}\``).join(", ");
    return `Settings, as their variables in [operations.md](operations.md#settings) say: ${names}.`;
  }
  const rows = options.map((option) => `| \`${option.flags}\` | ${cell(meaningOf(option))} |`);
  const head = group === "" ? "option" : group.replace(/:$/, "");
  return [`| ${cell(head)} | meaning |`, "|---|---|", ...rows].join("\n");
}

function meaningOf(option: Option): string {
  const choices = option.argChoices === undefined ? "" : `: ${option.argChoices.join(", ")}`;
  const fallback: unknown = option.negate ? undefined : option.defaultValue;
  const hasDefault = typeof fallback === "string" || typeof fallback === "number";
  const variable = option.envVar === undefined ? "" : `; also \`${option.envVar}\``;
  return `${option.description}${choices}${hasDefault ? ` (default: ${fallback})` : ""}${variable}`;
}

/** One cell of a table. What stands in angle brackets would be taken for HTML. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}
