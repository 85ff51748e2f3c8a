import type { Json } from "@duckdb/node-api";

import type { AnalysisSession } from "./session.ts";

/** One column of the data. Values that are no numbers are text as DuckDB writes it; null where they make no sense. */
export interface ColumnSummary {
  readonly name: string;
  readonly type: string;
  readonly min: Json;
  readonly max: Json;
  /** By HyperLogLog, a few percent off. */
  readonly approximateUniqueCount: Json;
  readonly mean: Json;
  readonly standardDeviation: Json;
  readonly quartiles: readonly [Json, Json, Json];
  readonly nullPercentage: Json;
}

export interface Summary {
  readonly rowCount: number;
  readonly columns: readonly ColumnSummary[];
}

/** Describes every column of the data. */
export async function summarize(session: AnalysisSession): Promise<Summary> {
  const reader = await session.connection.runAndReadAll("summarize data");
  const rows = reader.getRowObjectsJson();
  return {
    rowCount: Number(rows[0]?.["count"] ?? 0),
    columns: rows.map((row) => ({
      name: textOf(row["column_name"]),
      type: textOf(row["column_type"]),
      min: numberOrText(row["min"]),
      max: numberOrText(row["max"]),
      approximateUniqueCount: numberOrText(row["approx_unique"]),
      mean: numberOrText(row["avg"]),
      standardDeviation: numberOrText(row["std"]),
      quartiles: [numberOrText(row["q25"]), numberOrText(row["q50"]), numberOrText(row["q75"])],
      nullPercentage: numberOrText(row["null_percentage"]),
    })),
  };
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** SUMMARIZE writes every value as text. Only texts that come back the same are turned into numbers. */
function numberOrText(value: Json | undefined): Json {
  if (typeof value !== "string") return value ?? null;
  const number = Number(value);
  const isPlain = /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(value) && Number.isFinite(number);
  return isPlain ? number : value;
}
