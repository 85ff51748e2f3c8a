/** What happened: the last thing that the demo shows. */
import CliTable3 from "cli-table3";

import { columnsOf, paint, printable } from "../../packages/server/src/cli/terminal.ts";
import { durationText } from "../../packages/server/src/cli/time-text.ts";
import type { ActResult } from "./play.ts";

const COLUMNS_DEFAULT = 140;
const COLUMNS_MIN = 80;
const NAME_COLUMNS = 20;
const TOOK_COLUMNS = 10;
/** How what, expected and came out share what the others and the lines leave. */
const SHARES = [0.34, 0.3, 0.36] as const;
const LINES = 6;

/** The table, a sentence on the whole, and what to do next. */
export function resultText(results: readonly ActResult[]): string {
  const width = Math.max(
    COLUMNS_MIN,
    Math.min(columnsOf(process.stdout) ?? COLUMNS_DEFAULT, COLUMNS_DEFAULT),
  );
  const table = new CliTable3({
    head: ["", "WHAT", "EXPECTED", "CAME OUT", "TOOK"].map((text) => paint("bold", text)),
    colWidths: [
      NAME_COLUMNS,
      ...SHARES.map((share) => Math.floor(share * (width - NAME_COLUMNS - TOOK_COLUMNS - LINES))),
      TOOK_COLUMNS,
    ],
    colAligns: ["left", "left", "left", "left", "right"],
    style: { head: [], border: [], compact: true },
    wordWrap: true,
  });
  for (const { act, isGood, came, tookMs } of results) {
    table.push([
      `${isGood ? paint("green", "✔") : paint("red", "✘")} ${act.name}`,
      act.what,
      act.expected,
      isGood ? printable(came) : paint("red", printable(came)),
      durationText(tookMs),
    ]);
  }
  return `${table.toString()}\n\n${summary(results)}\n\n`;
}

function summary(results: readonly ActResult[]): string {
  const bad = results.filter(({ isGood }) => !isGood);
  if (bad.length > 0) {
    const names = bad.map(({ act }) => act.name).join(", ");
    return `  ${paint("red", `Not as it should be: ${names}.`)}`;
  }
  return (
    `  ${paint("green", `All ${results.length} came out as they should.`)} The data are gone; nothing was left behind.\n\n` +
    `  Next: ${paint("cyan", "npm start")} runs Baton for you to try.`
  );
}
