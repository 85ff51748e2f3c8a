/** Checks of the shape of requests by JSON Schema, and messages that name the field and what came. */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { cutText } from "../../domain/cut-text.ts";
import { AppError } from "../../errors.ts";

const OPTIONS = {
  // Known only from `verbose`: what was received, and which properties there are.
  verbose: true,
  // One mistake is enough, and a body cannot make the server collect a million of them.
  allErrors: false,
  removeAdditional: false,
  useDefaults: false,
  allowUnionTypes: true,
  validateFormats: false,
} as const;

// A body says what it means: "5" is not a number. A query string can only hold text.
const bodies = new Ajv({ ...OPTIONS, coerceTypes: false });
const queries = new Ajv({ ...OPTIONS, coerceTypes: "array" });

/** The part of a request that a schema is about, as Fastify names it. */
export type RequestPart = "body" | "querystring" | "params" | "headers";

/** Makes a check of one shape. It tells whether a value has it; `shapeError` says why not. */
export function compileShape<Shape>(
  schema: object,
  part: RequestPart = "body",
): ValidateFunction<Shape> {
  return (part === "body" ? bodies : queries).compile<Shape>(schema);
}

/** Fastify's validator compiler: every shape mistake becomes `invalid_argument`. */
export function validatorCompiler(route: {
  readonly schema: object;
  readonly httpPart?: string | undefined;
}): (value: unknown) => true | { readonly error: AppError } {
  const part = asPart(route.httpPart);
  const check = compileShape(route.schema, part);
  return (value) => check(value) || { error: shapeError(check.errors, part) };
}

/** The mistake that a check found. */
export function shapeError(
  errors: readonly ErrorObject[] | null | undefined,
  part: RequestPart = "body",
): AppError {
  const error = errors?.[0];
  if (error === undefined) return new AppError("invalid_argument", `the ${part} has a wrong shape`);
  const field = fieldOf(error, part);
  return new AppError("invalid_argument", describe(error, field, part), { field });
}

function describe(error: ErrorObject, field: string, part: RequestPart): string {
  const name = nameOf(field, part);
  // Fastify shows a body that is not there as null.
  const isMissing = error.data === null && field === "" && part === "body";
  const received = isMissing ? "none" : show(error.data);
  switch (error.keyword) {
    case "type":
      return `${name} must be ${describeTypes(error.params["type"])}; received ${received}`;
    case "enum":
      return `${name} must be one of ${listOf(error.params["allowedValues"])}; received ${received}`;
    case "required":
      return `${name} is required; received ${part === "body" ? "an object" : "a query"} without it`;
    case "additionalProperties": {
      const known = keysOf(error.parentSchema?.["properties"]);
      const kind = part === "querystring" ? "" : "property ";
      return `unknown ${kind}${name}; known are ${known}`;
    }
    case "minItems":
    case "maxItems": {
      const bound = error.keyword === "minItems" ? "at least" : "at most";
      const count = Array.isArray(error.data) ? error.data.length : 0;
      return `${name} must hold ${bound} ${error.params["limit"]} items; received ${count}`;
    }
    case "minimum":
      return `${name} must be at least ${error.params["limit"]}; received ${received}`;
    case "maximum":
      return `${name} must be at most ${error.params["limit"]}; received ${received}`;
    default:
      return `${name} ${error.message ?? "has a wrong shape"}; received ${received}`;
  }
}

/** `/tags/3` → `tags[3]`; the property itself where it is missing or unknown; "" is the whole. */
function fieldOf(error: ErrorObject, part: RequestPart): string {
  const segments = error.instancePath.split("/").slice(1).map(unescapePointer);
  const property: unknown = error.params["missingProperty"] ?? error.params["additionalProperty"];
  if (typeof property === "string")
    segments.push(cutText(property, SHOWN_CHARACTERS_MAX).toWellFormed());
  // A parameter that may be repeated is an array only after coercion.
  if (part === "querystring") return segments[0] ?? "";
  return segments.reduce(
    (path, segment) => (/^\d+$/.test(segment) ? `${path}[${segment}]` : join(path, segment)),
    "",
  );
}

function unescapePointer(segment: string): string {
  return segment.replaceAll("~1", "/").replaceAll("~0", "~");
}

function join(path: string, member: string): string {
  return path === "" ? member : `${path}.${member}`;
}

function nameOf(field: string, part: RequestPart): string {
  if (part === "querystring") return field === "" ? "the query" : `query parameter ${field}`;
  return field === "" ? `the ${part}` : field;
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  object: "an object",
  array: "an array",
};

/** Optional properties also take null; a message that says so each time would hide what is wanted. */
function describeTypes(types: unknown): string {
  const names = (Array.isArray(types) ? types : String(types).split(",")).map(String);
  const wanted = names.filter((name) => name !== "null").map((name) => TYPES[name] ?? name);
  return wanted.length === 0 ? "null" : wanted.join(" or ");
}

function keysOf(properties: unknown): string {
  return typeof properties === "object" && properties !== null
    ? Object.keys(properties).join(", ")
    : "none";
}

function listOf(values: unknown): string {
  if (!Array.isArray(values)) return String(values);
  return values.filter((value) => value !== null).join(", ");
}

const SHOWN_CHARACTERS_MAX = 80;
const DOUBLE_MAX = "1.8e308";

/** A value that came, short enough for a message. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  // What JSON.parse makes of 1e400. Its text is not known here, and JSON.stringify would call it null.
  if (value === Infinity) return `a number above ${DOUBLE_MAX}`;
  if (value === -Infinity) return `a number below -${DOUBLE_MAX}`;
  return cutText(JSON.stringify(value) ?? "nothing", SHOWN_CHARACTERS_MAX);
}

const PARTS: readonly RequestPart[] = ["body", "querystring", "params", "headers"];

function asPart(httpPart: string | undefined): RequestPart {
  return PARTS.find((part) => part === httpPart) ?? "body";
}
