import { join } from "node:path";

import { runTool, type ToolResult } from "./run-tool.ts";

/** A check of the whole clone that is not a test: one program that ends with 0 when all is well. */
export interface Gate {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** Where it runs, below the clone. */
  readonly directory?: string;
}

/** The gates of `npm run verify`, slow ones first. gates.test.ts breaks each of them once. */
export const GATES = [
  { name: "unused code", command: ["knip", "--no-progress"] },
  { name: "lint", command: ["oxlint"] },
  { name: "schema", command: ["node", "--conditions=source", "scripts/schema-dump.ts", "--check"] },
  { name: "types", command: ["tsc", "--noEmit", "-p", "."] },
  { name: "generated code", command: ["node", "--conditions=source", "scripts/gen.ts", "--check"] },
  { name: "docs", command: ["node", "--conditions=source", "scripts/docs-check.ts"] },
  { name: "house rules", command: ["node", "scripts/house-check.ts"] },
  { name: "lock file", command: ["node", "scripts/lock.ts", "--check"] },
  { name: "format", command: ["oxfmt", "--check", "."] },
  { name: "contracts", command: ["buf", "lint"], directory: "proto" },
] as const satisfies readonly Gate[];

/** Runs one gate in a clone. */
export function runGate(root: string, { command, directory = "." }: Gate): Promise<ToolResult> {
  return runTool(root, command, { directory: join(root, directory) });
}
