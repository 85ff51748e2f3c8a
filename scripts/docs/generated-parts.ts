import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { commandReference, exitCodeTable } from "./command-reference.ts";
import { settingsTable } from "./settings-table.ts";
import { stateDiagram } from "./state-diagram.ts";

/** What stands in documents between `<!-- name:begin -->` and `<!-- name:end -->`, and the code that it comes from. */
const PARTS = [
  { file: "docs/concepts.md", name: "state-diagram", source: "domain/job.ts", make: stateDiagram },
  { file: "docs/operations.md", name: "settings", source: "config.ts", make: settingsTable },
  { file: "docs/cli.md", name: "exit-codes", source: "cli/exit-codes.ts", make: exitCodeTable },
  { file: "docs/cli.md", name: "commands", source: "cli/commands", make: commandReference },
] as const;

/** Writes the generated parts of the documents anew. */
export function writeGeneratedParts(root: string): void {
  for (const part of PARTS) {
    const path = join(root, part.file);
    writeFileSync(path, withPart(readFileSync(path, "utf8"), part));
  }
}

/** Names the generated parts that are not what the code gives. */
export function stalePartProblems(root: string): readonly string[] {
  return PARTS.flatMap((part) => {
    const text = readFileSync(join(root, part.file), "utf8");
    if (withPart(text, part) === text) return [];
    return [`${part.file}: ${part.name} is not what ${part.source} says; run npm run docs`];
  });
}

function withPart(text: string, { file, name, make }: (typeof PARTS)[number]): string {
  const begin = `<!-- ${name}:begin -->`;
  const end = `<!-- ${name}:end -->`;
  const [before, inside, ...more] = text.split(begin);
  const [, after, ...rest] = inside?.split(end) ?? [];
  if (after === undefined || more.length + rest.length > 0) {
    throw new Error(`Expected ${begin} and ${end} in ${file}, each once and in this order.`);
  }
  return `${before}${begin}\n\n${make()}\n\n${end}${after}`;
}
