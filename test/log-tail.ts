/** What the processes of a test write. */
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";

import type { Stage } from "./stage.ts";

const LINES = 60;

/**
 * Where a process shall write.
 *
 * @param directory of the test, removed in its end; BATON_TORTURE_LOGS names another one, whose files stay
 */
export async function logFile(directory: string, name: string): Promise<string> {
  const kept = process.env["BATON_TORTURE_LOGS"];
  if (kept === undefined) return path.join(directory, name);
  await mkdir(kept, { recursive: true });
  return path.join(kept, `${process.pid}-${name}`);
}

/** When the test has failed, shows the end of a file. */
export async function tellLogOnFailure(stage: Stage, file: string): Promise<void> {
  if (!stage.hasFailed) return;
  const text = await readFile(file, "utf8").catch(() => "");
  for (const line of text.trimEnd().split("\n").slice(-LINES)) stage.diagnostic(line);
}
