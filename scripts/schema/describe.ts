/**
 * A database's schema as text, from PostgreSQL's catalogs: what docs/schema.sql holds.
 *
 * The text runs: on an empty database it makes the same schema again. The order is fixed by names, so that the text
 * changes only where the schema does. An object of a kind that is not described here is an error rather than left out.
 */
import type { Database, Db } from "../../packages/server/src/store/db.ts";
import { sql } from "../../packages/server/src/store/sql.ts";
import { tables } from "./tables.ts";

const HEADER = `-- The schema after all migrations, for reading and for reviews. Written by npm run schema:dump: do not edit.
-- Left out: partitions of single days, which are made at run time, and rows.
`;

/** Describes the schema `baton` of a migrated database. */
export async function describeSchema(database: Database): Promise<string> {
  return database.transaction(async (tx) => {
    // PostgreSQL leaves out schemas of the path, and a user called baton has the schema baton in theirs.
    await tx.query(sql`select set_config('search_path', 'pg_catalog', true)`);
    return describe(tx);
  });
}

async function describe(db: Db): Promise<string> {
  await refuseUnknown(db);
  const parts = [
    HEADER,
    "create schema baton;\n-- Functions come before the tables that they use.\nset check_function_bodies = off;\n",
    ...(await enums(db)),
    ...(await functions(db)),
    ...(await tables(db)),
    ...(await views(db)),
    ...(await triggers(db)),
  ];
  return parts.join("\n");
}

interface Named {
  readonly name: string;
  readonly text: string;
}

async function enums(db: Db): Promise<readonly string[]> {
  const rows = await db.query<Named>(sql`
    select pg_type.oid::regtype::text as name,
           string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) as text
      from pg_enum
      join pg_type on pg_type.oid = pg_enum.enumtypid
     where typnamespace = 'baton'::regnamespace
     group by pg_type.oid
     order by 1`);
  return rows.map(({ name, text }) => `create type ${name} as enum (${text});\n`);
}

async function functions(db: Db): Promise<readonly string[]> {
  const rows = await db.query<Named>(sql`
    select oid::regprocedure::text as name, pg_get_functiondef(oid) as text
      from pg_proc
     where pronamespace = 'baton'::regnamespace
       and prokind in ('f', 'p')
     order by 1`);
  return rows.map(({ text }) => `${text.trim()};\n`);
}

async function views(db: Db): Promise<readonly string[]> {
  const rows = await db.query<Named>(sql`
    select oid::regclass::text as name, pg_get_viewdef(oid, true) as text
      from pg_class
     where relnamespace = 'baton'::regnamespace
       and relkind = 'v'
     order by 1`);
  return rows.map(({ name, text }) => `create view ${name} as\n${text.trim()}\n`);
}

async function triggers(db: Db): Promise<readonly string[]> {
  const rows = await db.query<Named>(sql`
    select tgrelid::regclass || ' ' || tgname as name, pg_get_triggerdef(pg_trigger.oid) as text
      from pg_trigger
      join pg_class on pg_class.oid = tgrelid
     where relnamespace = 'baton'::regnamespace
       and not tgisinternal
       and tgparentid = 0
     order by 1`);
  return rows.map(({ text }) => `${text};\n`);
}

/** Better no text than one that looks whole and is not. */
async function refuseUnknown(db: Db): Promise<void> {
  const rows = await db.query<{ object: string }>(sql`
    select 'relation ' || oid::regclass || ' of kind ' || relkind::text as object
      from pg_class
     where relnamespace = 'baton'::regnamespace
       and relkind not in ('r', 'p', 'i', 'I', 'v', 'S', 't')
     union all
    -- A sequence that belongs to no identity column.
    select 'sequence ' || oid::regclass
      from pg_class
     where relnamespace = 'baton'::regnamespace
       and relkind = 'S'
       and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'i')
     union all
    select 'type ' || oid::regtype
      from pg_type
     where typnamespace = 'baton'::regnamespace
       and typtype not in ('e', 'c')
       and typelem = 0
     union all
    select 'function ' || oid::regprocedure || ' of kind ' || prokind::text
      from pg_proc
     where pronamespace = 'baton'::regnamespace
       and prokind not in ('f', 'p')
     union all
    select 'policy ' || polname || ' on ' || polrelid::regclass
      from pg_policy
      join pg_class on pg_class.oid = polrelid
     where relnamespace = 'baton'::regnamespace
     union all
    select 'rule ' || rulename || ' on ' || ev_class::regclass
      from pg_rewrite
      join pg_class on pg_class.oid = ev_class
     where relnamespace = 'baton'::regnamespace
       and rulename <> '_RETURN'
     union all
    select 'replica identity of ' || oid::regclass || ' by an index'
      from pg_class
     where relnamespace = 'baton'::regnamespace
       and relreplident = 'i'
     union all
    select 'statistics ' || stxname
      from pg_statistic_ext
     where stxnamespace = 'baton'::regnamespace
     union all
    select 'extension ' || extname
      from pg_extension
     where extname <> 'plpgsql'
     order by 1`);
  if (rows.length === 0) return;
  throw new Error(
    `scripts/schema does not describe: ${rows.map(({ object }) => object).join(", ")}. Teach it to.`,
  );
}
