import type * as DuckDb from "@duckdb/node-api";
import type { DuckDBType, DuckDBValue, DuckDBValueConverter, Json } from "@duckdb/node-api";

/**
 * DuckDB's values as JSON that loses nothing: integers and decimals are numbers where a double holds them exactly, else
 * text; instants are ISO 8601, in UTC when they have a zone; what JSON has no word for is text.
 */
export function jsonConverter(duckdb: typeof DuckDb): DuckDBValueConverter<Json> {
  return (value: DuckDBValue, type: DuckDBType, converter: DuckDBValueConverter<Json>) => {
    if (typeof value === "bigint") return exactNumber(value.toString());
    if (value instanceof duckdb.DuckDBDecimalValue) return exactNumber(value.toString());
    if (value instanceof duckdb.DuckDBTimestampTZValue) return utcInstant(value.micros);
    if (
      value instanceof duckdb.DuckDBTimestampValue ||
      value instanceof duckdb.DuckDBTimestampSecondsValue ||
      value instanceof duckdb.DuckDBTimestampMillisecondsValue ||
      value instanceof duckdb.DuckDBTimestampNanosecondsValue
    ) {
      return value.toString().replace(" ", "T");
    }
    return duckdb.JsonDuckDBValueConverter(value, type, converter);
  };
}

/** A double holds every decimal number of so many digits exactly. */
const EXACT_DIGITS_MAX = 15;

function exactNumber(text: string): number | string {
  const value = Number(text);
  const hasFraction = text.includes(".");
  const isExact = hasFraction
    ? text.replaceAll(/\D/g, "").length <= EXACT_DIGITS_MAX
    : Number.isSafeInteger(value);
  return isExact ? value : text;
}

const MICROS_PER_MS = 1_000n;
/** The range of ECMAScript's Date. DuckDB's own reaches further, and has infinities. */
const DATE_MS_MAX = 8_640_000_000_000_000;

function utcInstant(micros: bigint): string {
  const remainder = ((micros % MICROS_PER_MS) + MICROS_PER_MS) % MICROS_PER_MS;
  const ms = Number((micros - remainder) / MICROS_PER_MS);
  if (Math.abs(ms) > DATE_MS_MAX) return micros < 0n ? "-infinity" : "infinity";
  const text = new Date(ms).toISOString();
  return remainder === 0n ? text : `${text.slice(0, -1)}${String(remainder).padStart(3, "0")}Z`;
}
