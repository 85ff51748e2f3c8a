import assert from "node:assert/strict";
import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { DuckDBInstance } from "@duckdb/node-api";

import { exerciseTask, run } from "../test/exercise-task.ts";
import { endsForGood, transient } from "../test/refusals.ts";
import { temporaryFolder } from "../test/temporary-folder.ts";
import { testContext } from "../test/task-context.ts";
import { dataAnalysisTask } from "./data-analysis.ts";

// Other test files make temporary folders at the same time; these tests look for what is left of their own.
const TEMPORARY = await temporaryFolder();
process.env["TMPDIR"] = TEMPORARY.path;
after(() => TEMPORARY[Symbol.asyncDispose]());

const DATA = fileURLToPath(new URL("../../../examples/data", import.meta.url));
const PEOPLE = "name,age\nAnn,40\nBob,\nCid,25\n";
/** Runs for hours. */
const ENDLESS =
  "select count(*) from range(10000000000) a, range(1000) b where a.range % 7 = b.range % 5";

function aTask(directory: string | undefined = DATA, memoryMegabytesMax = 256) {
  const files = { name: "files", setting: "FILES_SETTING", directory };
  return dataAnalysisTask({ files, memoryMegabytesMax });
}

interface Rows {
  readonly columns: unknown;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly isTruncated: boolean;
}

/** Asks a question of three people. */
async function ask(sql: string, input: object = {}): Promise<Rows> {
  return (await run(aTask(), {
    source: { text: PEOPLE },
    format: "csv",
    sql,
    ...input,
  })) as Rows;
}

exerciseTask("data_analysis", () => {
  const source = { text: PEOPLE };
  const format = "csv";
  return Promise.resolve({
    task: aTask(),
    good: {
      "a summary": { source, format },
      "a question": { source, format, sql: "from data" },
      "a file": { source: { file: "sales.csv" }, sql: "select sum(quantity) from data" },
      "values of every kind": {
        source,
        format,
        sql:
          "select 1::hugeint, 2::decimal(9,2), now(), current_date, [1,2], {'a': 1}, map {'k': 1}, uuid(), " +
          "'x'::blob, interval 1 day, 'nan'::double, 'inf'::double, null, time '10:00', true, '101'::bit",
      },
    },
    bad: {
      nothing: {},
      "no source": { source: {}, format },
      "two sources": { source: { text: "a", file: "sales.csv" }, format },
      "no format": { source },
      "an unknown format": { source, format: "xlsx" },
      "an extension that says nothing": { source: { file: "photo.png" } },
      "a missing file": { source: { file: "none.csv" } },
      "a way out of the folder": { source: { file: "../data/sales.csv" } },
      "an absolute path": { source: { file: "/etc/passwd" }, format },
      "bad SQL": { source, format, sql: "selec * from data" },
      "an unknown column": { source, format, sql: "select wages from data" },
      "an unknown table": { source, format, sql: "from people" },
      "two statements": { source, format, sql: "select 1; select 2" },
      "no statement": { source, format, sql: "-- nothing" },
      "a statement that writes": { source, format, sql: "create table t as from data" },
      "a parameter that is missing": { source, format, sql: "select $a" },
      "a parameter that is not asked for": {
        source,
        format,
        sql: "select 1",
        parameters: { a: 1 },
      },
      "a parameter's name": { source, format, sql: "select 1", parameters: { "a b": 1 } },
      "a delimiter of two characters": { source, format, csv: { delimiter: ";;" } },
      "data of another format": { source, format: "parquet" },
      "no JSON": { source: { text: "{" }, format: "json" },
      "no rows wanted": { source, format, rowsMax: 0 },
      "a field that is unknown": { source, format, table: "x" },
    },
    long: { input: { source, format, sql: ENDLESS } },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});

describe("data_analysis, SQL", () => {
  it("answers a question about a file", async () => {
    const result = await run(aTask(), {
      source: { file: "sales.csv" },
      sql: "select region, count(*) as orders from data group by region order by region",
    });

    assert.partialDeepStrictEqual(result, {
      kind: "rows",
      columns: [
        { name: "region", type: "VARCHAR" },
        { name: "orders", type: "BIGINT" },
      ],
      rows: [
        { region: "east", orders: 103 },
        { region: "north", orders: 165 },
        { region: "south", orders: 127 },
        { region: "west", orders: 85 },
      ],
      rowCount: 4,
      isTruncated: false,
    });
  });

  it("takes values as parameters, whatever is in them", async () => {
    const { rows } = await ask(
      "select $text as text, $number + 1 as number, $flag as flag, $none as none",
      {
        parameters: { text: "'; drop table data; --", number: 1.5, flag: true, none: null },
      },
    );

    assert.deepEqual(rows, [
      { text: "'; drop table data; --", number: 2.5, flag: true, none: null },
    ]);
  });

  const values: readonly (readonly [string, unknown])[] = [
    ["9007199254740991", 9_007_199_254_740_991],
    ["9007199254740993", "9007199254740993"],
    ["(-5)::hugeint", -5],
    ["170141183460469231731687303715884105727::hugeint", "170141183460469231731687303715884105727"],
    ["1.25::decimal(9,2)", 1.25],
    ["-0.5::decimal(4,3)", -0.5],
    ["1234567890123456.78::decimal(18,2)", "1234567890123456.78"],
    ["date '2026-01-31'", "2026-01-31"],
    ["timestamp '2026-01-31 10:20:30.5'", "2026-01-31T10:20:30.5"],
    ["to_timestamp(1700000000.25)", "2023-11-14T22:13:20.250Z"],
    ["make_timestamptz(-1)", "1969-12-31T23:59:59.999999Z"],
    ["'infinity'::timestamptz", "infinity"],
    ["'nan'::double", "NaN"],
    ["[1, 9007199254740993]", [1, "9007199254740993"]],
    ["{'a': 1::hugeint}", { a: 1 }],
    ["'a\\x00b'::blob", "a\\x00b"],
  ];
  for (const [expression, expected] of values) {
    it(`returns ${expression} as ${JSON.stringify(expected)}`, async () => {
      const { rows } = await ask(`select ${expression} as value`);

      assert.deepEqual(rows, [{ value: expected }]);
    });
  }

  it("keeps columns of one name apart", async () => {
    const { rows } = await ask("select 1 as a, 2 as a");

    assert.deepEqual(rows, [{ a: 1, "a:1": 2 }]);
  });

  it("returns as many rows as wanted and says that there are more", async () => {
    const all = await ask("from data", { rowsMax: 3 });
    const some = await ask("from data", { rowsMax: 2 });

    assert.deepEqual([all.rows.length, all.isTruncated], [3, false]);
    assert.deepEqual([some.rows.length, some.isTruncated], [2, true]);
  });

  it("returns no more than a result carries", async () => {
    const { rows, isTruncated } = await ask("select repeat('x', 100000) as text from range(20)", {
      rowsMax: 20,
    });

    assert.deepEqual([rows.length, isTruncated], [7, true]);
  });

  it("runs PIVOT with its values named, DESCRIBE and VALUES", async () => {
    const pivoted = await ask("pivot data on name in ('Ann', 'Cid') using sum(age)");
    const described = await ask("describe data");
    const given = await ask("values (1)");

    assert.deepEqual(pivoted.rows, [{ Ann: 40, Cid: 25 }]);
    assert.deepEqual([described.rows.length, given.rows.length], [2, 1]);
  });
});

describe("data_analysis, summary", () => {
  it("describes every column", async () => {
    const result = await run(aTask(), { source: { text: PEOPLE }, format: "csv" });

    assert.partialDeepStrictEqual(result, {
      kind: "summary",
      rowCount: 3,
      columns: [
        {
          name: "name",
          type: "VARCHAR",
          min: "Ann",
          max: "Cid",
          approximateUniqueCount: 3,
          mean: null,
          standardDeviation: null,
          quartiles: [null, null, null],
          nullPercentage: 0,
        },
        {
          name: "age",
          type: "BIGINT",
          min: 25,
          max: 40,
          approximateUniqueCount: 2,
          mean: 32.5,
          quartiles: [25, 32, 40],
          nullPercentage: 33.33,
        },
      ],
    });
  });

  it("leaves texts that only look like numbers alone", async () => {
    const result = await run(aTask(), {
      source: { text: '[{"id":"007"},{"id":"1e5"}]' },
      format: "json",
    });

    assert.partialDeepStrictEqual(result, { columns: [{ min: "007", max: "1e5" }] });
  });

  it("describes data without rows", async () => {
    const result = await run(aTask(), { source: { text: "a,b\n" }, format: "csv" });

    assert.partialDeepStrictEqual(result, { rowCount: 0, columns: [{ name: "a" }, { name: "b" }] });
  });
});

describe("data_analysis, sources", () => {
  async function rowsOf(input: object, directory?: string) {
    const result = (await run(aTask(directory), { sql: "from data", ...input })) as Rows;
    return result.rows;
  }

  it("reads JSON lines and a JSON list", async () => {
    const expected = [{ a: 1 }, { a: 2 }];

    assert.deepEqual(
      await rowsOf({ source: { text: '{"a":1}\n{"a":2}\n' }, format: "json" }),
      expected,
    );
    assert.deepEqual(
      await rowsOf({ source: { text: '[{"a":1},{"a":2}]' }, format: "json" }),
      expected,
    );
  });

  it("reads base64, and CSV with the delimiter and header that it is told", async () => {
    const base64 = Buffer.from("1|x\n2|y\n").toString("base64");

    const rows = await rowsOf({
      source: { base64 },
      format: "csv",
      csv: { delimiter: "|", hasHeader: false },
    });

    assert.deepEqual(rows, [
      { column0: 1, column1: "x" },
      { column0: 2, column1: "y" },
    ]);
  });

  it("reads Parquet", async () => {
    await using tree = await temporaryFolder();
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    await connection.run(`copy (select 42 as a) to '${tree.path}/a.parquet'`);
    connection.closeSync();
    instance.closeSync();

    assert.deepEqual(await rowsOf({ source: { file: "a.parquet" } }, tree.path), [{ a: 42 }]);
  });

  it("reads compressed files, and files whose names DuckDB would take for patterns", async () => {
    await using tree = await temporaryFolder();
    await writeFile(join(tree.path, "a.csv.gz"), gzipSync("a\n1\n"));
    await writeFile(join(tree.path, "it's [*].csv"), "a\n2\n");
    await writeFile(join(tree.path, "other.csv"), "a\n3\n");

    assert.deepEqual(await rowsOf({ source: { file: "a.csv.gz" } }, tree.path), [{ a: 1 }]);
    assert.deepEqual(await rowsOf({ source: { file: "it's [*].csv" } }, tree.path), [{ a: 2 }]);
  });

  it("refuses a symbolic link out of the files folder", async () => {
    await using tree = await temporaryFolder();
    await symlink("/etc/passwd", join(tree.path, "link.csv"));

    await assert.rejects(
      rowsOf({ source: { file: "link.csv" } }, tree.path),
      endsForGood("path_refused", /leads out/),
    );
  });

  it("leaves no temporary folder behind, whether it succeeds or fails", async () => {
    const before = await temporaryFolders();

    await ask("from data");
    await assert.rejects(
      ask("select nothing from data"),
      endsForGood("analysis_failed", /nothing/),
    );

    assert.deepEqual(await temporaryFolders(), before);
  });
});

async function temporaryFolders(): Promise<readonly string[]> {
  const names = await readdir(tmpdir());
  return names.filter((name) => name.startsWith("baton-analysis-"));
}

describe("data_analysis, locked down", () => {
  const refused = [
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/proc/self/environ')",
    "select * from glob('/*')",
    "from '/etc/passwd'",
    "from 'sales.csv'",
    "select * from read_csv('http://169.254.169.254/')",
    "select * from read_parquet('s3://bucket/a.parquet')",
    "select * from query('copy data to ''/tmp/x.csv''')",
    "select * from duckdb_extensions()",
    "copy data to '/tmp/baton-test-leak.csv'",
    "copy data to '/tmp/baton-test-leak.csv' (use_tmp_file false)",
    "export database '/tmp/baton-test-leak'",
    "attach '/tmp/baton-test-leak.db'",
    "install httpfs",
    "load httpfs",
    "set memory_limit = '100GB'",
    "reset memory_limit",
    "set enable_external_access = true",
    "pragma enable_profiling",
    "call pragma_version()",
    "explain analyze from data",
    "insert into data values ('x', 1)",
    "drop view data",
    "create secret (type s3)",
    "vacuum",
    "checkpoint",
  ];
  for (const sql of refused) {
    it(`refuses: ${sql}`, async () => {
      await assert.rejects(ask(sql), endsForGoodAnyhow);
    });
  }

  it("cannot overwrite its own source", async () => {
    await using tree = await temporaryFolder();
    const file = join(tree.path, "a.csv");
    await writeFile(file, PEOPLE);
    const setting = (await run(aTask(tree.path), {
      source: { file: "a.csv" },
      sql: "select unnest(value::varchar[]) as path from duckdb_settings() where name = 'allowed_paths'",
    })) as Rows;
    const path = String(setting.rows[0]?.["path"]);

    await assert.rejects(
      run(aTask(tree.path), {
        source: { file: "a.csv" },
        sql: `copy (select 1) to '${path}' (use_tmp_file false)`,
      }),
      endsForGoodAnyhow,
    );
    assert.equal(path, file);
    assert.equal(await readFile(file, "utf8"), PEOPLE);
  });

  it("says what is wrong with the SQL in one line", async () => {
    await assert.rejects(
      ask("select wages from data"),
      endsForGood("analysis_failed", /^The SQL cannot be used\. Binder Error: .*"wages".*$/),
    );
    await assert.rejects(ask("drop view data"), endsForGood("sql_refused", /^Expected a SELECT/));
    await assert.rejects(ask("select 1; select 2"), endsForGood("sql_refused", /received 2/));
  });
});

function endsForGoodAnyhow(error: unknown): true {
  assert.match(String(error), /^Fatal: /);
  return true;
}

describe("data_analysis, bounds", () => {
  it("gives up when a question needs more memory than it may have", async () => {
    await assert.rejects(
      ask(
        "select max(length(text)) from (select string_agg(range::varchar, ',') as text from range(60000000))",
      ),
      endsForGood("memory_exceeded", /more than 256 MB of memory.*BATON_TASKS_ANALYSIS_MEMORY_MB/),
    );
  });

  it("ends a question that takes longer than allowed", async () => {
    await assert.rejects(
      ask(ENDLESS, { timeoutMs: 300 }),
      transient(/^The analysis took longer than 300 ms\.$/),
    );
  });

  it("really stops DuckDB when the job is cancelled", async () => {
    const before = await temporaryFolders();
    const controller = new AbortController();
    const context = testContext({ signal: controller.signal });
    const reason = new Error("cancelled by a test");

    const ended = assert.rejects(
      run(aTask(), { source: { text: PEOPLE }, format: "csv", sql: ENDLESS }, context),
      reason,
    );
    await context.underWay;
    controller.abort(reason);
    await ended;

    // The source is removed when the query has ended, and not before.
    while ((await temporaryFolders()).length > before.length) await new Promise(setImmediate);
  });
});
