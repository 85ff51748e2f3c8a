import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { isTask } from "@baton/sdk";

import { run } from "../test/exercise-task.ts";
import { temporaryFolder } from "../test/temporary-folder.ts";
import { loadTasks, TasksNotLoaded } from "./load-tasks.ts";

const EXAMPLES = fileURLToPath(new URL("../../../examples/hello-task", import.meta.url));
const NODE_MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));

/** A project with one module in which @baton/sdk is installed. */
async function aProject(name: string, source: string) {
  const folder = await temporaryFolder();
  await mkdir(join(folder.path, "node_modules"));
  await symlink(join(NODE_MODULES, "@baton"), join(folder.path, "node_modules", "@baton"));
  await writeFile(join(folder.path, "package.json"), '{"type":"module"}');
  const file = join(folder.path, name);
  await writeFile(file, source);
  return Object.assign(folder, { file });
}

async function namesOf(name: string, source: string): Promise<readonly string[]> {
  await using project = await aProject(name, source);
  return (await loadTasks(project.file)).map((task) => task.name);
}

/** Why the module cannot be loaded. */
async function problemOf(name: string, source: string): Promise<string> {
  await using project = await aProject(name, source);
  const error: unknown = await loadTasks(project.file).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TasksNotLoaded, `expected TasksNotLoaded, received ${String(error)}`);
  const start = `The tasks of ${project.file} cannot be loaded: `;
  assert.ok(error.message.startsWith(start), error.message);
  return error.message.slice(start.length);
}

const IMPORT = 'import { task } from "@baton/sdk";\n';
const one = (name: string) => `task({ name: "${name}", run: () => null })`;

describe("loadTasks", () => {
  it("loads the TypeScript example, whose tasks run", async () => {
    const tasks = await loadTasks(join(EXAMPLES, "my-tasks.ts"));

    const hello = tasks.find(({ name }) => name === "hello");
    assert.deepEqual(tasks.map(({ name }) => name).sort(), ["countdown", "hello"]);
    assert.ok(isTask(hello));
    assert.deepEqual(await run(hello, { name: "Ada", times: 2 }), {
      greeting: "Hello, Ada! Hello, Ada!",
    });
  });

  it("loads the JavaScript example, whose task runs", async () => {
    const [hello] = await loadTasks(join(EXAMPLES, "my-tasks.mjs"));

    assert.ok(isTask(hello));
    assert.deepEqual(await run(hello, { name: "Ada" }), { greeting: "Hello, Ada!" });
    await assert.rejects(run(hello, {}), /^Fatal: Expected an input/);
  });

  it("takes a path relative to the working directory", async () => {
    const path = relative(process.cwd(), join(EXAMPLES, "my-tasks.mjs"));

    assert.equal((await loadTasks(path)).length, 1);
  });

  const sources: readonly (readonly [string, string, string, readonly string[]])[] = [
    ["a default export", "a.ts", `${IMPORT}export default ${one("a")};`, ["a"]],
    ["a default array", "a.ts", `${IMPORT}export default [${one("a")}, ${one("b")}];`, ["a", "b"]],
    [
      "named exports",
      "a.mts",
      `${IMPORT}export const a = ${one("a")}; export const b = ${one("b")};`,
      ["a", "b"],
    ],
    ["a named array", "a.mjs", `${IMPORT}export const all = [${one("a")}];`, ["a"]],
    [
      "a task beside other things",
      "a.js",
      `${IMPORT}export const a = ${one("a")}; export const n = 5; export const f = () => {}; export const list = [1];`,
      ["a"],
    ],
    [
      "a task exported twice",
      "a.js",
      `${IMPORT}const a = ${one("a")}; export { a }; export default a;`,
      ["a"],
    ],
    [
      "types",
      "a.ts",
      `${IMPORT}interface Input { readonly n: number }\nexport const a = task<Input>({ name: "a", run: ({ n }) => n satisfies number });`,
      ["a"],
    ],
    [
      "a module that waits",
      "a.js",
      `${IMPORT}await Promise.resolve(); export const a = ${one("a")};`,
      ["a"],
    ],
    [
      "CommonJS",
      "a.cjs",
      `const { task } = require("@baton/sdk"); exports.a = ${one("a")};`,
      ["a"],
    ],
  ];
  for (const [what, name, source, names] of sources) {
    it(`takes ${what}`, async () => {
      assert.deepEqual(await namesOf(name, source), names);
    });
  }
});

describe("loadTasks, clear errors", () => {
  it("names a file that is missing, with its whole path", async () => {
    await assert.rejects(loadTasks("no/such-tasks.ts"), {
      name: "TasksNotLoaded",
      message: `The tasks of no/such-tasks.ts cannot be loaded: there is no such file (${join(process.cwd(), "no/such-tasks.ts")}).`,
    });
  });

  it("refuses a folder", async () => {
    await assert.rejects(loadTasks(EXAMPLES), /it is no file\. Name the module/);
  });

  it("explains TypeScript in an installed package", async () => {
    await using project = await aProject("unused.ts", "");
    const file = join(project.path, "node_modules", "installed.ts");
    await writeFile(file, "export default 1;");

    await assert.rejects(
      loadTasks(file),
      /TypeScript below node_modules is not run by Node\. Compile/,
    );
  });

  const sources: readonly (readonly [string, string, string, RegExp])[] = [
    ["no export", "a.js", "const a = 1;", /^it exports no task\. Export what task/],
    [
      "an object that is no task",
      "a.js",
      'export default { name: "a", run() {} };',
      /^it exports no task/,
    ],
    ["an empty array", "a.js", "export default [];", /^it exports no task/],
    [
      "things among tasks",
      "a.js",
      `${IMPORT}export const all = [${one("a")}, { name: "b" }];`,
      /^its export "all" holds tasks beside other things/,
    ],
    [
      "two tasks of one name",
      "a.js",
      `${IMPORT}export const a = ${one("same")}; export const b = ${one("same")};`,
      /^it exports two tasks of the name "same"\. Rename/,
    ],
    ["a syntax error", "a.js", "export const a = ;", /^syntax error: .*\(\/.*a\.js:1\)$/],
    [
      "a syntax error in TypeScript",
      "a.ts",
      "export const a: = 5;",
      /^syntax error: .*\(\/.*a\.ts:1\)$/s,
    ],
    [
      "TypeScript that must be compiled",
      "a.ts",
      "export enum Colour { Red }",
      /enum .* \(\/.*a\.ts:1\)\. Types are stripped, not compiled/s,
    ],
    [
      "a package that is missing",
      "a.js",
      'import "no-such-package-of-baton";',
      /Cannot find package 'no-such-package-of-baton'.*must be installed where the file is/,
    ],
    [
      "a file that is missing",
      "a.ts",
      'import "./other";',
      /Cannot find module .*other.*Relative imports need their extension/,
    ],
    [
      "an export that is missing",
      "a.js",
      'import { nothing } from "@baton/sdk";',
      /^syntax error: .*nothing/,
    ],
    [
      "a module that throws",
      "a.js",
      'throw new TypeError("not today");',
      /^it threw TypeError: not today \(\/.*a\.js:1:7\)$/,
    ],
    ["a module that throws no error", "a.js", 'throw "text";', /^it threw text\.$/],
    [
      "a bad task",
      "a.js",
      `${IMPORT}export const a = task({ name: "a b", run() {} });`,
      /^it threw BatonError: a task's name is/,
    ],
    ["another kind of file", "a.txt", "hello", /Expected \.ts, \.mts, \.js, \.mjs or \.cjs\.$/],
  ];
  for (const [what, name, source, expected] of sources) {
    it(`explains ${what}`, async () => {
      assert.match(await problemOf(name, source), expected);
    });
  }
});
