import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { isTask, type Task } from "@baton/sdk";

const CHECK_MS_MAX = 10_000;

/** A file of tasks that cannot be used. The message names the file, what is wrong and what to do. */
export class TasksNotLoaded extends Error {
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`The tasks of ${path} cannot be loaded: ${problem}`, options);
    this.name = "TasksNotLoaded";
  }
}

/**
 * Loads one's own tasks from a module: TypeScript (types are stripped, as Node does) or JavaScript. Taken are the
 * default export and all named exports that are tasks or arrays of tasks; other exports are left alone.
 *
 * @param path relative to the working directory, or absolute
 * @throws TasksNotLoaded when there is no such file, it cannot be run, exports no task, or two tasks of one name
 */
export async function loadTasks(path: string): Promise<readonly Task[]> {
  const file = resolve(path);
  await assertFile(path, file);
  const tasks = exportedTasks(path, await importModule(path, file));
  if (tasks.length === 0) {
    throw new TasksNotLoaded(
      path,
      "it exports no task. Export what task({ name, run }) of @baton/sdk returns, by name, as default, or in an array.",
    );
  }
  const names = tasks.map(({ name }) => name);
  const duplicate = names.find((name, index) => names.indexOf(name) !== index);
  if (duplicate === undefined) return tasks;
  throw new TasksNotLoaded(
    path,
    `it exports two tasks of the name "${duplicate}". Rename one of them.`,
  );
}

async function assertFile(path: string, file: string): Promise<void> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new TasksNotLoaded(path, `there is no such file (${file}).`, { cause });
  });
  if (!found.isFile()) {
    throw new TasksNotLoaded(path, "it is no file. Name the module that exports the tasks.");
  }
}

async function importModule(path: string, file: string): Promise<object> {
  try {
    const module: unknown = await import(pathToFileURL(file).href);
    assert(typeof module === "object" && module !== null, "import() returns a namespace");
    return module;
  } catch (cause) {
    throw new TasksNotLoaded(path, await importProblem(file, cause), { cause });
  }
}

async function importProblem(file: string, cause: unknown): Promise<string> {
  if (!(cause instanceof Error)) return `it threw ${String(cause)}.`;
  const code = "code" in cause ? String(cause.code) : "";
  switch (code) {
    case "ERR_MODULE_NOT_FOUND":
      return `${cause.message}. Relative imports need their extension; packages must be installed where the file is.`;
    case "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX":
      return (
        `${cause.message}${inParentheses(placeOf(cause))}. Types are stripped, not compiled: enum, namespace and ` +
        "parameter properties are not possible."
      );
    case "ERR_UNKNOWN_FILE_EXTENSION":
      return `${cause.message}. Expected .ts, .mts, .js, .mjs or .cjs.`;
    case "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING":
      return "TypeScript below node_modules is not run by Node. Compile it to JavaScript.";
    default:
      return cause instanceof SyntaxError
        ? `syntax error: ${cause.message}${inParentheses(placeOf(cause) ?? (await placeOfSyntaxError(file)))}`
        : `it threw ${cause.name}: ${cause.message}${inParentheses(placeOf(cause))}`;
  }
}

function inParentheses(place: string | undefined): string {
  return place === undefined ? "" : ` (${place})`;
}

/** The first place outside of Node that a stack names; for syntax errors in TypeScript it is the very first line. */
function placeOf({ stack = "" }: { readonly stack?: string }): string | undefined {
  return /(?:^|[ (])(?:file:\/\/)?(\/[^\s()]+:\d+(?::\d+)?)/m.exec(stack)?.[1];
}

/** Node keeps the place of a syntax error in JavaScript to itself, until it prints it. */
async function placeOfSyntaxError(file: string): Promise<string | undefined> {
  const check = promisify(execFile)(process.execPath, ["--check", file], { timeout: CHECK_MS_MAX });
  const stderr = await check.then(
    () => "",
    (error: unknown) =>
      error instanceof Error && "stderr" in error && typeof error.stderr === "string"
        ? error.stderr
        : "",
  );
  return placeOf({ stack: stderr });
}

function exportedTasks(path: string, module: object): readonly Task[] {
  const found = new Set<Task>();
  for (const name of Object.keys(module)) {
    const value: unknown = Reflect.get(module, name);
    const candidates: readonly unknown[] = Array.isArray(value) ? value : [value];
    const tasks = candidates.filter(isTask);
    if (tasks.length > 0 && tasks.length < candidates.length) {
      throw new TasksNotLoaded(
        path,
        `its export "${name}" holds tasks beside other things. Pass each one through task({ name, run }).`,
      );
    }
    for (const task of tasks) found.add(task);
  }
  return [...found];
}
