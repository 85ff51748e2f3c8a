/** What is measured, and the table of it. */
import Table from "cli-table3";

import { median } from "./statistics.ts";

/** One kind of number that a scenario measures. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  /** Absent: more is better. */
  readonly isLessBetter?: boolean;
}

/** One number, of one system in one round. */
export interface Sample {
  readonly scenario: string;
  readonly figure: Figure;
  /** The system, or the way that a system is used. */
  readonly row: string;
  readonly durability: string;
  /** From 1. */
  readonly round: number;
  readonly value: number;
}

/** The row that ratios are made to. */
export const BATON = "Baton";

/** Median of one row of one figure; `undefined` when it was not measured. */
export function medianOf(
  samples: readonly Sample[],
  where: { readonly scenario: string; readonly figure: string; readonly row: string },
): number | undefined {
  const values = samples
    .filter(
      (sample) =>
        sample.scenario === where.scenario &&
        sample.figure.name === where.figure &&
        sample.row === where.row,
    )
    .map((sample) => sample.value);
  return values.length === 0 ? undefined : median(values);
}

/**
 * One table a scenario, with a row for each figure and system. Ratios are Baton's median to the row's, whichever way is
 * better.
 */
export function figureTables(samples: readonly Sample[]): string {
  const scenarios = [...new Set(samples.map(({ scenario }) => scenario))];
  return scenarios
    .map((scenario) => {
      const table = new Table({
        head: ["figure", "system", "median", "min – max", "rounds", "Baton / it", "durability"],
        colAligns: ["left", "left", "right", "right", "right", "right", "left"],
        style: { head: [], border: [], compact: true },
      });
      const own = samples.filter((sample) => sample.scenario === scenario);
      for (const name of new Set(own.map((sample) => sample.figure.name))) {
        table.push(...rowsOf(own.filter((sample) => sample.figure.name === name)));
      }
      return `${scenario}\n${table.toString()}`;
    })
    .join("\n\n");
}

/** Rows of one figure; only the first one names it. */
function rowsOf(samples: readonly Sample[]): readonly string[][] {
  const [first] = samples;
  if (first === undefined) return [];
  const { scenario, figure } = first;
  const baton = medianOf(samples, { scenario, figure: figure.name, row: BATON });
  const title = `${figure.name}, ${figure.unit}${figure.isLessBetter === true ? " (less is better)" : ""}`;
  return [...new Set(samples.map((sample) => sample.row))].map((row, index) => {
    const own = samples.filter((sample) => sample.row === row);
    const values = own.map((sample) => sample.value);
    const middle = median(values);
    return [
      index === 0 ? title : "",
      row,
      shown(middle),
      `${shown(Math.min(...values))} – ${shown(Math.max(...values))}`,
      String(values.length),
      row === BATON || baton === undefined || middle === 0 ? "" : `${shown(baton / middle)} ×`,
      own[0]?.durability ?? "",
    ];
  });
}

/** A number with three digits that matter, or all digits before the point: 12,345 · 123 · 12.3 · 0.123 */
export function shown(value: number): string {
  if (value !== 0 && Math.abs(value) < 100) return String(Number(value.toPrecision(3)));
  return Math.round(value).toLocaleString("en");
}
