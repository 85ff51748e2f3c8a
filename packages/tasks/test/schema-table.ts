/**
 * The tables of docs/tasks.md, made from the schemas. A test keeps both equal; after a change of a schema run
 *
 *     node --conditions=source packages/tasks/test/schema-table.ts
 */
import { readFile, writeFile } from "node:fs/promises";

import type { Task } from "@baton/sdk";
import { z } from "zod";

import { builtInTasks } from "../src/registry.ts";

export const TASKS_DOCUMENT = new URL("../../../docs/tasks.md", import.meta.url);

const jsonSchema = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
});
type JsonSchema = z.output<typeof jsonSchema>;

/** The document with every table as its schema says. */
export function withTables(document: string): string {
  const tasks = builtInTasks({ shell: { allowedCommands: [] } });
  return tasks.reduce((text, task) => {
    const start = `<!-- input of ${task.name} -->\n`;
    const end = "<!-- end -->";
    const from = text.indexOf(start);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`docs/tasks.md has no table "${start.trim()}"`);
    return `${text.slice(0, from)}${start}\n${tableOf(task)}\n${text.slice(to)}`;
  }, document);
}

function tableOf(task: Task): string {
  const { properties, required = [], description } = jsonSchema.parse(task.inputSchema);
  if (properties === undefined) return `${description ?? ""}\n`;
  const rows = Object.entries(properties).map(([name, value]) => {
    const schema = jsonSchema.parse(value);
    return `| \`${name}\` | ${typeOf(schema)} | ${defaultOf(schema, required.includes(name))} | ${schema.description ?? ""} |`;
  });
  return ["| field | type | default | what |", "|---|---|---|---|", ...rows, ""].join("\n");
}

function typeOf({ type, enum: members, minimum, maximum }: JsonSchema): string {
  if (members !== undefined) return members.map((member) => `\`${String(member)}\``).join(", ");
  if (type === undefined) return "any JSON";
  if (type === "integer")
    return `${minimum?.toLocaleString("en")} to ${maximum?.toLocaleString("en")}`;
  return Array.isArray(type) ? type.join(" or ") : type;
}

function defaultOf(schema: JsonSchema, isRequired: boolean): string {
  if (isRequired) return "required";
  return schema.default === undefined ? "" : `\`${JSON.stringify(schema.default)}\``;
}

if (import.meta.main) {
  await writeFile(TASKS_DOCUMENT, withTables(await readFile(TASKS_DOCUMENT, "utf8")));
}
