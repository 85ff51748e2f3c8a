import { Fatal, task } from "@baton/sdk";
import type { DuckDBPreparedStatement, Json } from "@duckdb/node-api";
import { z } from "zod";

import { fatal } from "./faults.ts";
import { jsonConverter } from "./analysis/json-values.ts";
import {
  AnalysisSession,
  DATA_FORMATS,
  interruptedBy,
  type DataFormat,
} from "./analysis/session.ts";
import { placeSource, type SourceFile } from "./analysis/source-file.ts";
import { summarize } from "./analysis/summarize.ts";
import { PATH_CHARACTERS_MAX, type AllowedFolder } from "./files/allowed-folder.ts";
import { Places } from "./places.ts";
import { untilAborted } from "./until-aborted.ts";

const SQL_CHARACTERS_MAX = 64 * 1024;
const PARAMETERS_MAX = 100;
const ROWS_MAX_DEFAULT = 1_000;
const ROWS_MAX = 100_000;
/** Fits into a result of the default size, 1 MiB, with room for what surrounds the rows. */
const ROWS_CHARACTERS_MAX = 700 * 1024;
const TIMEOUT_MS_DEFAULT = 60_000;
const TIMEOUT_MS_MAX = 60 * 60_000;
/** The job's own timeout ends the analysis; the attempt's, which would say less, comes after it. */
const OVERHEAD_MS = 60_000;
export const ANALYSIS_MEGABYTES_MAX_DEFAULT = 512;
/** At the same time; each may use all of its memory. */
const ANALYSES_MAX = 2;

const source = z
  .strictObject({
    file: z.string().min(1).max(PATH_CHARACTERS_MAX).optional(),
    text: z.string().optional(),
    base64: z.base64().optional(),
  })
  .refine(
    (given) => Object.values(given).filter((each) => each !== undefined).length === 1,
    "expected exactly one of file, text, base64",
  );
const input = z
  .strictObject({
    source: source.describe(
      "Exactly one of file (below the worker's files folder; may be compressed, .gz or .zst), text, base64.",
    ),
    format: z
      .enum(DATA_FORMATS)
      .optional()
      .describe("Absent: by the file's extension (.csv, .tsv, .json, .jsonl, .ndjson, .parquet)."),
    csv: z
      .strictObject({
        delimiter: z.string().length(1).optional(),
        hasHeader: z.boolean().optional(),
      })
      .default({})
      .describe("For csv: { delimiter?, hasHeader? }. Absent parts are found out from the data."),
    sql: z
      .string()
      .min(1)
      .max(SQL_CHARACTERS_MAX)
      .optional()
      .describe(
        "One SELECT in DuckDB's SQL over the table data. Absent: a summary of each column.",
      ),
    parameters: z
      .record(
        z
          .string()
          .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, "expected a name of letters, digits and _"),
        z.union([z.string(), z.number(), z.boolean(), z.null()]),
      )
      .refine((given) => Object.keys(given).length <= PARAMETERS_MAX, `at most ${PARAMETERS_MAX}`)
      .default({})
      .describe(
        "Values of $name in the SQL, at most 100. Values from outside belong here, not into the SQL.",
      ),
    rowsMax: z
      .int()
      .min(1)
      .max(ROWS_MAX)
      .default(ROWS_MAX_DEFAULT)
      .describe(
        "Rows returned, at most 100,000 and 700 KiB of JSON; isTruncated says that there are more.",
      ),
    timeoutMs: z
      .int()
      .min(1)
      .max(TIMEOUT_MS_MAX)
      .default(TIMEOUT_MS_DEFAULT)
      .describe("For everything; at most one hour."),
  })
  .refine(
    ({ source: { file }, format }) =>
      format !== undefined || formatOfName(file ?? "") !== undefined,
    "format is needed when the source is no file, or its extension names none",
  );
type Input = z.output<typeof input>;

export interface DataAnalysisOptions {
  readonly files: AllowedFolder;
  /** Memory of one run, in megabytes; two run at a time. @default 512 */
  readonly memoryMegabytesMax?: number | undefined;
}

/** Runs SQL over CSV, JSON or Parquet data, or summarises it, by DuckDB. */
export function dataAnalysisTask(options: DataAnalysisOptions) {
  const places = new Places(ANALYSES_MAX);
  return task({
    name: "data_analysis",
    description: "Runs SQL over CSV, JSON or Parquet data, or summarises its columns.",
    attemptTimeoutMs: TIMEOUT_MS_MAX + OVERHEAD_MS,
    input,
    async run(request, ctx) {
      const deadline = AbortSignal.timeout(request.timeoutMs);
      const signal = AbortSignal.any([ctx.signal, deadline]);
      try {
        // DuckDB is interrupted too; it may need a moment, which the job does not wait for.
        const onStart = () => ctx.progress({ step: "running" });
        const work = places.use(signal, () => analyse(options, request, signal, onStart));
        return await untilAborted(work, signal);
      } catch (error) {
        ctx.signal.throwIfAborted();
        if (deadline.aborted) {
          throw new Error(`The analysis took longer than ${request.timeoutMs} ms.`, {
            cause: error,
          });
        }
        throw classified(error, request, options);
      }
    },
  });
}

async function analyse(
  options: DataAnalysisOptions,
  request: Input,
  signal: AbortSignal,
  onStart: () => void,
) {
  const startedAtMs = performance.now();
  await using file = await placeSource(options.files, request.source);
  signal.throwIfAborted();
  using session = await openSession(options, request, file);
  onStart();
  const result = await interruptedBy(session.connection, signal, answer(session, request, signal));
  return { ...result, durationMs: Math.round(performance.now() - startedAtMs) };
}

function openSession(options: DataAnalysisOptions, request: Input, file: SourceFile) {
  const format = request.format ?? formatOfName(request.source.file ?? "") ?? "csv";
  return AnalysisSession.open(
    { file: file.path, format, csv: request.csv },
    options.memoryMegabytesMax ?? ANALYSIS_MEGABYTES_MAX_DEFAULT,
  );
}

async function answer(session: AnalysisSession, request: Input, signal: AbortSignal) {
  if (request.sql === undefined) {
    return { kind: "summary" as const, ...(await summarize(session)) };
  }
  const statement = await session.prepare(request.sql, request.parameters);
  signal.throwIfAborted();
  return {
    kind: "rows" as const,
    ...(await readRows(session, statement, request.rowsMax, signal)),
  };
}

async function readRows(
  session: AnalysisSession,
  statement: DuckDBPreparedStatement,
  rowsMax: number,
  signal: AbortSignal,
) {
  const result = await statement.stream();
  const columns = result.deduplicatedColumnNames().map((name, index) => ({
    name,
    type: result.columnType(index).toString(),
  }));
  const rows: Readonly<Record<string, Json>>[] = [];
  let characters = 0;
  for await (const chunk of result.yieldConvertedRowObjects(jsonConverter(session.duckdb))) {
    for (const row of chunk) {
      characters += JSON.stringify(row).length;
      if (rows.length >= rowsMax || characters > ROWS_CHARACTERS_MAX) {
        return { columns, rows, rowCount: rows.length, isTruncated: true };
      }
      rows.push(row);
    }
    signal.throwIfAborted();
  }
  return { columns, rows, rowCount: rows.length, isTruncated: false };
}

const EXTENSIONS: Readonly<Record<string, DataFormat>> = {
  csv: "csv",
  tsv: "csv",
  json: "json",
  jsonl: "json",
  ndjson: "json",
  parquet: "parquet",
};

function formatOfName(file: string): DataFormat | undefined {
  return EXTENSIONS[/\.([a-z]+)(\.gz|\.zst)?$/.exec(file.toLowerCase())?.[1] ?? ""];
}

/** What DuckDB says of the data or the SQL will not change, so it is Fatal; trouble with the disk may pass. */
function classified(error: unknown, request: Input, options: DataAnalysisOptions): unknown {
  if (error instanceof Fatal || !(error instanceof Error)) return error;
  const [kind = ""] = error.message.split(":", 1);
  if (kind === "IO Error" || "code" in error) return error;
  if (kind === "Out of Memory Error") {
    const megabytes = options.memoryMegabytesMax ?? ANALYSIS_MEGABYTES_MAX_DEFAULT;
    return fatal(
      "memory_exceeded",
      `The analysis needs more than ${megabytes} MB of memory. Ask for less at a time; whoever runs the worker can ` +
        "allow more by BATON_TASKS_ANALYSIS_MEMORY_MB.",
      { cause: error },
    );
  }
  const [message = ""] = error.message.split("\n", 1);
  const isOfSql = request.sql !== undefined && error.message.includes("LINE ");
  return fatal(
    "analysis_failed",
    `${isOfSql ? "The SQL" : "The data or the SQL"} cannot be used. ${message}`,
    { cause: error },
  );
}
