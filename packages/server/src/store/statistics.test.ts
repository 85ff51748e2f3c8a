import assert from "node:assert/strict";
import { it } from "node:test";

import { aDatabase } from "../../test/database.ts";
import { sql } from "./sql.ts";

/** Of 100, which is usual: a sample has 300 pages for each. */
const TARGET_MAX = 10;

it("the table of live jobs is sampled by a tenth: no column and no index expression asks for more", async (t) => {
  const db = await aDatabase(t);

  const greedy = await db.query(sql`
    select attrelid::regclass::text as relation, attname as name
      from pg_attribute
     where (attrelid = 'baton.job'::regclass
            or attrelid in (select indexrelid from pg_index
                             where indrelid = 'baton.job'::regclass and indkey[attnum - 1] = 0))
       and attnum > 0
       and not attisdropped
       and coalesce(attstattarget, 100) not between 0 and ${TARGET_MAX}`);

  assert.deepEqual(greedy, []);
});
