import assert from "node:assert/strict";
import {
  type Static,
  type TOptional,
  type TSchema,
  type TUnsafe,
  Type,
} from "@fastify/type-provider-typebox";

/** A property that may be left out or be null; both mean absent. For schemas with one `type`. */
export function optional<Schema extends TSchema>(
  schema: Schema,
): TOptional<TUnsafe<Static<Schema> | null>> {
  return Type.Optional(orNull(schema));
}

/** A property that is always there and null when absent: the way of responses. */
export function orNull<Schema extends TSchema>(schema: Schema): TUnsafe<Static<Schema> | null> {
  const values: readonly unknown[] | undefined =
    "enum" in schema && Array.isArray(schema.enum) ? schema.enum : undefined;
  return Type.Unsafe<Static<Schema> | null>({
    ...schema,
    type: ["type" in schema ? schema.type : "string", "null"],
    ...(values === undefined ? {} : { enum: [...values, null] }),
  });
}

/** A schema that the app knows by its `$id`, so that the OpenAPI document names it once. */
export function refTo<Schema extends TSchema>(schema: Schema): TUnsafe<Static<Schema>> {
  return Type.Unsafe<Static<Schema>>({ $ref: `${idOf(schema)}#` });
}

/** A response whose handler sends JSON text of the schema's shape, because it holds JSON text. */
export function textOf(schema: TSchema): TUnsafe<string> {
  return Type.Unsafe<string>({ $ref: `${idOf(schema)}#` });
}

function idOf(schema: TSchema): string {
  assert("$id" in schema && typeof schema.$id === "string", "only a schema with an $id is shared");
  return schema.$id;
}
