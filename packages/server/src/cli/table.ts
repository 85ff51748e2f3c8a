/** Tables without lines around every cell: they can be read by people, and cut up by other programs. */
import CliTable3 from "cli-table3";

import { columnsOf, paint, printable, type Style } from "./terminal.ts";

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  readonly style?: (row: Row) => Style | undefined;
  readonly align?: "left" | "right";
  /** Gives way, down to 12 characters, when the terminal is too narrow. */
  readonly isElastic?: boolean;
}

const GAP = 2;
const ELASTIC_CHARACTERS_MIN = 12;
const NO_LINES = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "",
} as const;

/** Rows under their heads. On a terminal the table fits its width; elsewhere nothing is cut. */
export function tableText<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => printable(column.cell(row))));
  const available = columnsOf(process.stdout);
  const table = new CliTable3({
    head: columns.map(({ head }) => paint("bold", head)),
    chars: NO_LINES,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": GAP },
    colAligns: columns.map(({ align }) => align ?? "left"),
    ...(available !== undefined && { colWidths: fittedWidths(columns, cells, available) }),
    truncate: "…",
  });
  for (const [index, row] of rows.entries()) {
    table.push(
      columns.map((column, at) => {
        const text = cells[index]?.[at] ?? "";
        const style = column.style?.(row);
        return style === undefined || text === "" ? text : paint(style, text);
      }),
    );
  }
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Pairs of a name and a value, one below the other; values of several lines are indented. */
export function sheetText(pairs: readonly (readonly [string, string | undefined])[]): string {
  const shown = pairs.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...shown.map(([name]) => name.length)) + GAP;
  return shown
    .map(([name, value = ""]) => {
      const lines = value.split("\n").join(`\n${" ".repeat(width)}`);
      return `${paint("dim", name.padEnd(width))}${lines}`;
    })
    .join("\n");
}

function fittedWidths<Row>(
  columns: readonly Column<Row>[],
  cells: readonly (readonly string[])[],
  available: number,
): number[] {
  const widths = columns.map(({ head }, at) =>
    Math.max(head.length, ...cells.map((row) => characters(row[at] ?? ""))),
  );
  let excess = widths.reduce((sum, width) => sum + width + GAP, 0) - available;
  for (const [at, column] of columns.entries()) {
    if (column.isElastic !== true || excess <= 0) continue;
    const width = widths[at] ?? 0;
    const given = Math.max(0, Math.min(excess, width - ELASTIC_CHARACTERS_MIN));
    widths[at] = width - given;
    excess -= given;
  }
  return widths.map((width) => width + GAP);
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\p{Emoji_Presentation}]/u;

/** Wide characters count twice, as terminals show them. */
function characters(text: string): number {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? 2 : 1;
  return width;
}
