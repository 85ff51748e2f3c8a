/** Completion of commands, options and their choices, from the same definitions that parse them. */
import type { Command, Option } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A command with its words. */
interface Node {
  /** Words after the program's name; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly children: readonly Node[];
  readonly options: readonly Option[];
  /** Choices of the first argument. */
  readonly choices: readonly string[];
}

/** The script for a shell. */
export function completionScript(shell: Shell, program: Command): string {
  const root = nodeOf(program, "");
  switch (shell) {
    case "bash":
      return bashScript(root);
    case "zsh":
      return zshScript(root);
    case "fish":
      return fishScript(root);
  }
}

function nodeOf(command: Command, path: string): Node {
  const children = command.commands.map((child) => nodeOf(child, `${path} ${child.name()}`.trim()));
  return {
    path,
    description: command.description(),
    children,
    options: command.createHelp().visibleOptions(command),
    choices: command.registeredArguments[0]?.argChoices ?? [],
  };
}

function allNodes(node: Node): readonly Node[] {
  return [node, ...node.children.flatMap(allNodes)];
}

function wordsOf(node: Node): readonly string[] {
  return [
    ...node.children.map(({ path }) => lastWord(path)),
    ...node.choices,
    ...node.options.flatMap(({ long }) => long ?? []),
  ];
}

function lastWord(path: string): string {
  return path.split(" ").at(-1) ?? path;
}

function takesFile({ flags }: Option): boolean {
  return /<(path|file|directory)>/.test(flags);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

function bashScript(root: Node): string {
  const nodes = allNodes(root);
  const words = nodes.map((node) => `    "${node.path}") words="${wordsOf(node).join(" ")}" ;;`);
  const values = nodes.flatMap((node) =>
    node.options.filter(takesValue).map((option) => {
      const choices = (option.argChoices ?? []).join(" ");
      const reply = takesFile(option)
        ? 'COMPREPLY=($(compgen -f -- "$current"))'
        : `COMPREPLY=($(compgen -W "${choices}" -- "$current"))`;
      return `    "${node.path} ${option.long}") ${reply}; return ;;`;
    }),
  );
  const paths = nodes.map(({ path }) => `"${path}"`).join("|");
  return `# bash completion of baton
_baton() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in ${paths}) path="\${path:+$path }$word" ;; esac
  done
  COMPREPLY=()
  case "$path $previous" in
${values.join("\n")}
  esac
  case "$path" in
${words.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -o bashdefault -F _baton baton`;
}

function zshScript(root: Node): string {
  const functions = allNodes(root).map((node) => zshFunction(node));
  return `#compdef baton
# zsh completion of baton
${functions.join("\n")}
# Loaded by itself when it is needed first, or sourced.
if [ "$funcstack[1]" = "_baton" ]; then _baton "$@"; else compdef _baton baton; fi`;
}

function zshFunction(node: Node): string {
  const specs = node.options.map((option) => `    ${zshQuote(zshOption(option))}`);
  if (node.choices.length > 0) specs.push(`    ${zshQuote(`1: :(${node.choices.join(" ")})`)}`);
  const name = zshName(node.path);
  if (node.children.length === 0) {
    return `${name}() {\n  _arguments -s \\\n${[...specs, "    '*: :_files'"].join(" \\\n")}\n}`;
  }
  const described = node.children.map(
    (child) => `    ${zshQuote(`${lastWord(child.path)}:${zshEscape(child.description)}`)}`,
  );
  const cases = node.children.map(
    (child) => `    ${lastWord(child.path)}) ${zshName(child.path)} ;;`,
  );
  return `${name}() {
  local -a commands=(
${described.join("\n")}
  )
  local curcontext="$curcontext" state line
  _arguments -C \\
${[...specs, "    '1: :->command'", "    '*:: :->rest'"].join(" \\\n")}
  case $state in
    command) _describe command commands ;;
    rest)
    case $line[1] in
${cases.join("\n")}
    esac ;;
  esac
}`;
}

function zshOption(option: Option): string {
  const description = `[${zshEscape(option.description)}]`;
  if (!takesValue(option)) return `${option.long}${description}`;
  const values = takesFile(option) ? "_files" : `(${(option.argChoices ?? []).join(" ")})`;
  return `${option.long}${description}: :${values}`;
}

function zshName(path: string): string {
  return `_baton${path === "" ? "" : `_${path.replaceAll(/[ -]/g, "_")}`}`;
}

function zshEscape(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, "\\$&");
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishScript(root: Node): string {
  const lines = allNodes(root).flatMap((node) => {
    const condition = fishCondition(node);
    return [
      ...node.children.map(
        (child) =>
          `complete -c baton -n ${condition} -f -a ${lastWord(child.path)} -d ${fishQuote(child.description)}`,
      ),
      ...node.choices.map((choice) => `complete -c baton -n ${condition} -f -a ${choice}`),
      ...node.options.map((option) => fishOption(option, condition)),
    ];
  });
  return `# fish completion of baton
${FISH_AT}
${lines.join("\n")}`;
}

/** Tells whether the words so far, options left away, are exactly those of a command. */
const FISH_AT = `function __baton_at
  set -l words (commandline -opc)
  set -e words[1]
  set -l wanted $argv
  for word in $words
    string match -q -- '-*' $word; and continue
    test (count $wanted) -eq 0; and continue
    test "$word" = "$wanted[1]"; or return 1
    set -e wanted[1]
  end
  test (count $wanted) -eq 0
end
function __baton_at_exactly
  set -l words (commandline -opc | string match -v -- '-*')
  test (count $words) -eq (math (count $argv) + 1); and __baton_at $argv
end`;

function fishCondition(node: Node): string {
  const test =
    node.children.length > 0 || node.choices.length > 0 ? "__baton_at_exactly" : "__baton_at";
  return fishQuote(`${test} ${node.path}`.trim());
}

function fishOption(option: Option, condition: string): string {
  const parts = [`complete -c baton -n ${condition}`, `-l ${option.long?.slice(2)}`];
  if (takesValue(option)) parts.push(takesFile(option) ? "-r -F" : "-x");
  if (option.argChoices !== undefined) parts.push(`-a ${fishQuote(option.argChoices.join(" "))}`);
  return [...parts, `-d ${fishQuote(option.description)}`].join(" ");
}

function fishQuote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
