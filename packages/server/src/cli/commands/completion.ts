import { Argument, Command } from "commander";

import { completionScript, SHELLS, type Shell } from "../completion-script.ts";
import { writeLine } from "../output.ts";

/** `baton completion` */
export function createCommand(): Command {
  return new Command("completion")
    .description("Prints a script that teaches a shell to complete this command.")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .addHelpText(
      "after",
      `
Examples:
  bash   source <(baton completion bash)               in ~/.bashrc
  zsh    baton completion zsh > "\${fpath[1]}/_baton"   then start a new shell
  fish   baton completion fish > ~/.config/fish/completions/baton.fish`,
    )
    .action(async (shell: Shell, _flags: unknown, command: Command) => {
      await writeLine(completionScript(shell, command.parent ?? command));
    });
}
