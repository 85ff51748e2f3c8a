/** Inputs and the validators that people bring along: zod, valibot, arktype, anything of Standard Schema v1. */
import type { StandardSchemaV1 } from "@standard-schema/spec";

import { BatonError } from "./errors.ts";

/** What a validator said. */
export type Validation<Value = unknown> =
  | { readonly kind: "valid"; readonly value: Value }
  | { readonly kind: "invalid"; readonly issues: readonly StandardSchemaV1.Issue[] };

/** One complaint about an input. */
export interface InputIssue {
  /** From the root of the input, e.g. `["items", 3, "name"]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Asks a validator. Answers at once unless the validator is asynchronous, so that hot paths save a turn. */
export function validate<Schema extends StandardSchemaV1>(
  schema: Schema,
  value: unknown,
):
  | Validation<StandardSchemaV1.InferOutput<Schema>>
  | Promise<Validation<StandardSchemaV1.InferOutput<Schema>>> {
  const result = schema["~standard"].validate(value);
  return result instanceof Promise ? result.then(toValidation) : toValidation(result);
}

function toValidation<Value>(result: StandardSchemaV1.Result<Value>): Validation<Value> {
  return result.issues === undefined
    ? { kind: "valid", value: result.value }
    : { kind: "invalid", issues: result.issues };
}

/** Issues as the error that a caller sees: `invalid_input`, all issues in `details.issues`. */
export function invalidInput(
  task: string,
  issues: readonly StandardSchemaV1.Issue[],
  details: Readonly<Record<string, unknown>> = {},
): BatonError {
  const all = issues.map(toIssue);
  const shown = all.slice(0, ISSUES_SHOWN_MAX).map(issueText);
  const more = all.length > shown.length ? `; and ${all.length - shown.length} more` : "";
  return new BatonError(
    "invalid_input",
    `input of task "${task}" does not fit its schema: ${shown.join("; ")}${more}`,
    { ...details, task, issues: all.slice(0, ISSUES_KEPT_MAX) },
  );
}

/**
 * The JSON Schema of a validator's input, if it can tell (Standard JSON Schema: zod 4, arktype, valibot through
 * `toStandardJsonSchema`). Undefined when it cannot, for instance because of a transformation.
 */
export function jsonSchemaOf(
  schema: StandardSchemaV1,
): Readonly<Record<string, unknown>> | undefined {
  const properties: object = schema["~standard"];
  if (!("jsonSchema" in properties) || !isConverter(properties.jsonSchema)) return undefined;
  try {
    return properties.jsonSchema.input({ target: "draft-2020-12" });
  } catch {
    // The specification lets a converter throw for what JSON Schema cannot say; the task works without.
    return undefined;
  }
}

/** Narrows a value to a Standard Schema; arktype's are functions. */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  if (value === null || (typeof value !== "object" && typeof value !== "function")) return false;
  if (!("~standard" in value)) return false;
  const properties = value["~standard"];
  return (
    typeof properties === "object" &&
    properties !== null &&
    "validate" in properties &&
    typeof properties.validate === "function"
  );
}

const ISSUES_SHOWN_MAX = 5;
const ISSUES_KEPT_MAX = 100;

interface Converter {
  readonly input: (options: { readonly target: string }) => Record<string, unknown>;
}

function isConverter(value: unknown): value is Converter {
  return (
    typeof value === "object" &&
    value !== null &&
    "input" in value &&
    typeof value.input === "function"
  );
}

function toIssue(issue: StandardSchemaV1.Issue): InputIssue {
  const path = (issue.path ?? []).map((part) => {
    const key = typeof part === "object" ? part.key : part;
    return typeof key === "symbol" ? String(key) : key;
  });
  return { path, message: issue.message };
}

function issueText(issue: InputIssue): string {
  return issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`;
}
