/** All commands, put together. */
import { Command } from "commander";

import { VERSION } from "../version.ts";
import { EXIT_MEANINGS } from "./exit-codes.ts";
import { paint } from "./terminal.ts";

interface CommandModule {
  readonly createCommand: () => Command;
}

/** In the order of the help. Each is loaded only when it is needed: a client command needs no server. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  dev: () => import("./commands/dev.ts"),
  server: () => import("./commands/server.ts"),
  worker: () => import("./commands/worker.ts"),
  migrate: () => import("./commands/migrate.ts"),
  submit: () => import("./commands/submit.ts"),
  status: () => import("./commands/status.ts"),
  list: () => import("./commands/list.ts"),
  watch: () => import("./commands/watch.ts"),
  logs: () => import("./commands/logs.ts"),
  cancel: () => import("./commands/cancel.ts"),
  dlq: () => import("./commands/dlq.ts"),
  queues: () => import("./commands/queues.ts"),
  tasks: () => import("./commands/tasks.ts"),
  workers: () => import("./commands/workers.ts"),
  servers: () => import("./commands/servers.ts"),
  completion: () => import("./commands/completion.ts"),
};

const GROUPS: Readonly<Record<string, string>> = {
  dev: "Run:",
  server: "Run:",
  worker: "Run:",
  migrate: "Run:",
  completion: "Other:",
};

/**
 * Makes the program.
 *
 * @param argv arguments after the program's name. When they begin with a command that needs no other, only that one is
 *   loaded
 */
export async function createProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command("baton")
    .description("Baton: jobs that are run for sure, by workers anywhere.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({
      styleTitle: (text) => paint("bold", text),
      styleSubcommandTerm: (text) => paint("cyan", text),
      styleOptionTerm: (text) => paint("cyan", text),
    })
    .addHelpText("after", () => `\n${exitCodesText()}`);
  const isAlone = argv[0] !== "completion" && Object.hasOwn(COMMANDS, argv[0] ?? "");
  for (const [name, load] of Object.entries(COMMANDS)) {
    if (isAlone && argv[0] !== name) continue;
    const { createCommand } = await load();
    const command = createCommand();
    command.helpGroup(GROUPS[name] ?? "Use:");
    inherit(command, program);
    program.addCommand(command);
  }
  const help = new Command("help").argument("[command]").description("Prints help for a command.");
  return program.addHelpCommand(help.helpOption(false).helpGroup("Other:"));
}

/** Commander does so itself only for commands that are made by `program.command()`. */
function inherit(command: Command, from: Command): void {
  command.copyInheritedSettings(from).helpOption("-h, --help", "print help").helpCommand(false);
  for (const child of command.commands) inherit(child, command);
}

function exitCodesText(): string {
  const lines = EXIT_MEANINGS.map(([code, meaning]) => `  ${String(code).padEnd(4)}${meaning}`);
  return [paint("bold", "Exit codes:"), ...lines].join("\n");
}
