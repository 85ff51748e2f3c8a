import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import fc from "fast-check";

import { aDatabase } from "../../test/database.ts";
import { suiteCleanup } from "../../test/suite.ts";
import { bigintArray, integerArray, textArray, uuidArray } from "./array-parameter.ts";
import type { Database } from "./db.ts";
import { sql, type Statement } from "./sql.ts";

describe("array parameters", () => {
  const cleanup = suiteCleanup();
  let db: Database;
  before(async () => {
    db = await aDatabase(cleanup);
  });
  const read = async (array: Statement): Promise<unknown> =>
    (await db.query<{ value: unknown }>(sql`select ${array} as value`))[0]?.value;
  const arrives = async <Value>(
    values: fc.Arbitrary<Value>,
    statement: (values: readonly Value[]) => Statement,
    expected: (value: Value) => unknown = (value) => value,
  ): Promise<void> =>
    fc.assert(
      fc.asyncProperty(fc.array(values), async (given) => {
        assert.deepEqual(await read(statement(given)), given.map(expected));
      }),
      { numRuns: 30 },
    );

  it("bring any UUIDs", () => arrives(fc.uuid(), (ids) => sql`${uuidArray(ids)}::uuid[]`));

  it("bring any integers", () =>
    arrives(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      (values) => sql`${integerArray(values)}::integer[]`,
    ));

  it("bring any whole numbers that JavaScript has, and nulls", () =>
    arrives(
      fc.option(fc.maxSafeNat(), { nil: undefined }),
      (values) => sql`${bigintArray(values)}::bigint[]::text[]`,
      (value) => (value === undefined ? null : String(value)),
    ));

  it("bring any text that PostgreSQL can keep, and nulls", () =>
    arrives(
      fc.option(
        fc.string({ unit: "binary" }).filter((text) => !text.includes("\0") && text.isWellFormed()),
        { nil: undefined },
      ),
      (values) => sql`${textArray(values)}::text[]`,
      (value) => value ?? null,
    ));

  it("may be empty", async () => {
    const arrays = [
      sql`${uuidArray([])}::uuid[]`,
      sql`${integerArray([])}::integer[]`,
      sql`${bigintArray([])}::bigint[]`,
      sql`${textArray([])}::text[]`,
    ];

    assert.deepEqual(await Promise.all(arrays.map(read)), [[], [], [], []]);
  });

  it("refuse what is no UUID", () => {
    assert.throws(() => uuidArray(["0199-nonsense"]), /expected UUIDs/);
  });

  it("leave it to PostgreSQL to refuse text that it cannot keep", async () => {
    await assert.rejects(read(sql`${textArray(["\0"])}::text[]`), { code: "22021" });
  });
});
