/** Breaks each gate once, in a copy of the clone: a gate that cannot fail guards nothing. */
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";

import { GATES, runGate, type Gate } from "./gates/gates.ts";
import { runTool, type ToolResult } from "./gates/run-tool.ts";

const REPOSITORY = dirname(import.meta.dirname);
const LEFT_OUT = new Set(["node_modules", ".git", ".baton", "dist", "coverage"]);

let clone: string;
before(() => {
  clone = aClone();
});
after(() => rmSync(clone, { recursive: true, force: true }));

/** A copy of the working tree; its packages are the workspaces, everything else is installed. */
function aClone(): string {
  const root = mkdtempSync(join(tmpdir(), "baton-gates-"));
  cpSync(REPOSITORY, root, {
    recursive: true,
    filter: (path) => path === REPOSITORY || !LEFT_OUT.has(basename(path)),
  });
  const installed = join(REPOSITORY, "node_modules");
  mkdirSync(join(root, "node_modules/@baton"), { recursive: true });
  for (const name of readdirSync(installed).filter((entry) => entry !== "@baton")) {
    symlinkSync(join(installed, name), join(root, "node_modules", name));
  }
  for (const name of readdirSync(join(root, "packages"))) {
    symlinkSync(join(root, "packages", name), join(root, "node_modules/@baton", name));
    const own = join("packages", name, "node_modules");
    if (existsSync(join(REPOSITORY, own))) symlinkSync(join(REPOSITORY, own), join(root, own));
  }
  return root;
}

/** New text of a file, a change of its text, or its removal. */
type Planted = Readonly<Record<string, string | ((text: string) => string) | undefined>>;

/** What a gate says of the copy with some files changed; afterwards they are as before. */
async function gateWith(gate: Gate, planted: Planted): Promise<ToolResult> {
  const paths = Object.keys(planted).map((path) => join(clone, path));
  const originals = paths.map((path) => (existsSync(path) ? readFileSync(path) : undefined));
  for (const path of paths) plant(path, planted[relative(clone, path)]);
  const result = await runGate(clone, gate);
  paths.forEach((path, index) => {
    const original = originals[index];
    if (original === undefined) rmSync(path);
    else writeFileSync(path, original);
  });
  return result;
}

function plant(path: string, content: Planted[string]): void {
  if (content === undefined) rmSync(path);
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(
      path,
      typeof content === "string"
        ? content
        : content(existsSync(path) ? readFileSync(path, "utf8") : ""),
    );
  }
}

function theGate(name: (typeof GATES)[number]["name"]): Gate {
  return GATES.find((gate) => gate.name === name) ?? assert.fail(name);
}

/** One planted fault and how the gate must speak of it. */
interface Fault {
  readonly files: Planted;
  readonly says: RegExp;
}

/** Plants all faults together, runs the gate once, and has one test for each fault. */
function proves(gate: Gate, faults: Readonly<Record<string, Fault>>): void {
  describe(`the gate "${gate.name}"`, () => {
    let result: ToolResult;
    before(async () => {
      const files = Object.values(faults).map((fault) => fault.files);
      result = await gateWith(gate, Object.assign({}, ...files));
    });

    it("fails", () => {
      assert.equal(result.isOk, false);
    });
    for (const [name, { says }] of Object.entries(faults)) {
      it(`finds ${name}`, () => {
        assert.match(result.output, says);
      });
    }
  });
}

const SERVER = "packages/server/src";

/** A file of lint's and the rule that must speak of it. */
function breaks(rule: string, path: string, text: string): Fault {
  const escaped = path.replaceAll(/[./]/g, "\\$&");
  return { files: { [path]: text }, says: new RegExp(`^${escaped}:.*\\(${rule}\\)\\]$`, "m") };
}

/** An import that the directions forbid. */
function imports(from: string, to: string): Fault {
  return breaks("no-restricted-imports", `${from}.ts`, `export { a } from "${to}";\n`);
}

const lint = theGate("lint");
proves(
  { ...lint, command: [...lint.command, "--format=unix"] },
  {
    "a floating promise": breaks(
      "no-floating-promises",
      `${SERVER}/zz-floating.ts`,
      "async function work(): Promise<void> {}\nwork();\n",
    ),
    "a promise where none is expected": breaks(
      "no-misused-promises",
      `${SERVER}/zz-misused.ts`,
      "declare const isDone: () => Promise<boolean>;\nif (isDone()) process.exit();\n",
    ),
    "a switch that forgets a member": breaks(
      "switch-exhaustiveness-check",
      `${SERVER}/zz-switch.ts`,
      'export function f(kind: "a" | "b"): number | undefined {\n  switch (kind) {\n    case "a":\n' +
        "      return 1;\n  }\n  return undefined;\n}\n",
    ),
    "an any": breaks("no-explicit-any", `${SERVER}/zz-any.ts`, "export const a: any = 1;\n"),
    "an any that came from outside": breaks(
      "no-unsafe-assignment",
      `${SERVER}/zz-unsafe.ts`,
      'export const a = { b: JSON.parse("1") };\n',
    ),
    "a non-null assertion": breaks(
      "no-non-null-assertion",
      `${SERVER}/zz-non-null.ts`,
      "export const f = (a?: string): string => a!;\n",
    ),
    "a narrowing assertion": breaks(
      "no-unsafe-type-assertion",
      `${SERVER}/zz-as.ts`,
      "export const f = (a: unknown): string => a as string;\n",
    ),
    "a type that is imported as a value": breaks(
      "consistent-type-imports",
      `${SERVER}/zz-import.ts`,
      'import { AppError } from "./errors.ts";\nexport const f = (a: AppError): string => a.code;\n',
    ),
    "a cycle of types": {
      files: {
        [`${SERVER}/zz-cycle-a.ts`]:
          'import type { B } from "./zz-cycle-b.ts";\nexport type A = B | 1;\n',
        [`${SERVER}/zz-cycle-b.ts`]:
          'import type { A } from "./zz-cycle-a.ts";\nexport type B = A | 2;\n',
      },
      says: /zz-cycle-a\.ts:.*\(no-cycle\)\]/,
    },
    "a timer that repeats": breaks(
      "no-restricted-globals",
      `${SERVER}/services/zz-interval.ts`,
      "setInterval(() => undefined, 1_000);\n",
    ),
    "a console in the server": breaks(
      "no-console",
      `${SERVER}/services/zz-console.ts`,
      'console.log("x");\n',
    ),

    "domain that imports store": imports(`${SERVER}/domain/zz-a`, "../store/db.ts"),
    "domain that imports the errors": imports(`${SERVER}/domain/zz-b`, "../errors.ts"),
    "domain that imports a package": imports(`${SERVER}/domain/zz-c`, "pg"),
    "domain that imports the file system": imports(`${SERVER}/domain/zz-d`, "node:fs"),
    "a folder of domain that imports store": imports(`${SERVER}/domain/zz/a`, "../../store/db.ts"),
    "store that imports operations": imports(`${SERVER}/store/zz-a`, "../operations/enqueue.ts"),
    "store that imports the API's package": imports(`${SERVER}/store/zz-b`, "fastify"),
    "operations that import dispatch": imports(
      `${SERVER}/operations/zz-a`,
      "../dispatch/intake.ts",
    ),
    "operations that write SQL": imports(`${SERVER}/operations/zz-b`, "../store/sql.ts"),
    "dispatch that imports the API": imports(`${SERVER}/dispatch/zz-a`, "../api/operations.ts"),
    "dispatch that writes SQL": imports(`${SERVER}/dispatch/zz-b`, "../store/sql.ts"),
    "services that import the API": imports(`${SERVER}/services/zz-a`, "../api/operations.ts"),
    "services that speak to PostgreSQL": imports(`${SERVER}/services/zz-b`, "pg"),
    "the API that imports the CLI": imports(`${SERVER}/api/zz-a`, "../cli/baton.ts"),
    "a door that writes SQL": imports(`${SERVER}/api/doors/zz-a`, "../../store/sql.ts"),
    "postgres that imports the API": imports(`${SERVER}/postgres/zz-a`, "../api/operations.ts"),
    "postgres that uses the store's SQL": imports(`${SERVER}/postgres/zz-b`, "../store/sql.ts"),
    "the CLI that imports operations": imports(`${SERVER}/cli/zz-a`, "../operations/enqueue.ts"),
    "the CLI that reads the store": imports(`${SERVER}/cli/zz-b`, "../store/job-read.ts"),
    "main's neighbours that import the CLI": imports(`${SERVER}/zz-cli`, "./cli/baton.ts"),
    "the SDK that imports the server": imports("packages/sdk/src/zz-a", "@baton/server"),
    "the SDK that imports tasks": imports("packages/sdk/src/zz-b", "../../tasks/src/index.ts"),
    "tasks that import the server": imports("packages/tasks/src/zz-a", "@baton/server"),
    "tasks that reach into the SDK": imports("packages/tasks/src/zz-b", "../../sdk/src/client.ts"),
    "an import from a barrel": imports("packages/sdk/src/zz-c", "./index.ts"),
  },
);

describe('the gate "lint"', () => {
  it("lets tests of node:test stand without await", async () => {
    const path = `${SERVER}/domain/zz.test.ts`;
    const text =
      'import { describe, it, test } from "node:test";\n\n' +
      'describe("a", () => {\n  it("b", async () => {});\n});\ntest("c", async () => {});\n';

    const { output } = await gateWith({ ...lint, command: ["oxlint", path] }, { [path]: text });

    assert.doesNotMatch(output, /floating/);
  });
});

const typeError = (name: string, text: string, code: string): Fault => ({
  files: { [`${SERVER}/domain/zz-${name}.ts`]: `${text}\n` },
  says: new RegExp(`zz-${name}\\.ts.*${code}`),
});
proves(theGate("types"), {
  "a wrong type": typeError("type", 'export const a: number = "b";', "TS2322"),
  "an index that may find nothing": typeError(
    "index",
    "export const f = (a: readonly string[]): string => a[0];",
    "TS2322",
  ),
  "an optional property that is set to undefined": typeError(
    "optional",
    "export const a: { readonly b?: string } = { b: undefined };",
    "TS2375",
  ),
  "an enum, which Node cannot run": typeError("enum", "export enum A {\n  B,\n}", "TS1294"),
  "a type error in a script of the house": {
    files: { "scripts/zz.ts": "export const a: number = process.argv;\n" },
    says: /scripts\/zz\.ts.*TS2322/,
  },
});

proves(theGate("format"), {
  "an unformatted file": {
    files: { [`${SERVER}/zz-format.ts`]: "export const a = {b:1}\n" },
    says: /zz-format\.ts/,
  },
});

proves(theGate("unused code"), {
  "an export that nobody imports": {
    files: { [`${SERVER}/domain/limits.ts`]: (text) => `${text}export const ZZ_UNUSED_MAX = 1;\n` },
    says: /ZZ_UNUSED_MAX/,
  },
  "a file that nobody imports": {
    files: { [`${SERVER}/zz-unused.ts`]: "export {};\n" },
    says: /zz-unused\.ts/,
  },
  "a dependency that nobody imports": {
    files: {
      "packages/sdk/package.json": (text) =>
        text.replace('"dependencies": {', '"dependencies": {\n    "zz-unused": "1.0.0",'),
    },
    says: /zz-unused\s+packages\/sdk\/package\.json/,
  },
});

const GENERATED = "packages/sdk/src/gen/baton/v1";
proves(theGate("generated code"), {
  "an edited file": {
    files: { [`${GENERATED}/job.ts`]: (text) => `${text}// edited\n` },
    says: /sdk\/src\/gen\/baton\/v1\/job\.ts differs/,
  },
  "a missing file": {
    files: { [`${GENERATED}/admin.ts`]: undefined },
    says: /sdk\/src\/gen\/baton\/v1\/admin\.ts is missing/,
  },
  "a file without a contract": {
    files: { [`${GENERATED}/zz.ts`]: "export {};\n" },
    says: /sdk\/src\/gen\/baton\/v1\/zz\.ts comes from no contract/,
  },
});

proves(theGate("contracts"), {
  "a contract in the wrong folder": {
    files: { "proto/baton/v1/zz.proto": 'syntax = "proto3";\npackage baton.v2;\nmessage Zz {}\n' },
    says: /zz\.proto.*baton\.v2/,
  },
});

proves(theGate("lock file"), {
  "a package of another platform that has no entry": {
    files: {
      "package-lock.json": (text) =>
        text.replace('"node_modules/@bufbuild/buf-darwin-x64"', '"node_modules/zz"'),
    },
    says: /no entry for node_modules\/@bufbuild\/buf-darwin-x64/,
  },
});

proves(theGate("schema"), {
  "a dump that is not what the migrations give": {
    files: { "docs/schema.sql": (text) => `${text}create table zz ();\n` },
    says: /schema\.sql/,
  },
});

const fenced = (info: string, text: string): string => `\n\`\`\`${info}\n${text}\n\`\`\`\n`;
const document = (name: string, text: string, says: RegExp): Fault => ({
  files: { [`docs/zz-${name}.md`]: `# Zz\n\n${text}\n` },
  says,
});
proves(theGate("docs"), {
  "a link to no file": document("link", "[a](nothing.md)", /zz-link\.md:3: .*leads to no file/),
  "a link to no heading": document(
    "anchor",
    "[a](errors.md#nothing)",
    /zz-anchor\.md:3: .*leads to no heading/,
  ),
  "a path that does not exist": document(
    "path",
    "`packages/server/src/nothing.ts`",
    /zz-path\.md:3: .*does not exist/,
  ),
  "a code block without a word": document("word", fenced("ts", "1;"), /zz-word\.md:4: .*must say/),
  "a code block in another name of its language": document(
    "alias",
    fenced("bash", "ls"),
    /zz-alias\.md:4: .*expected ts, js or sh/,
  ),
  "JSON that is none": document("json", fenced("json", "{,}"), /zz-json\.md:4: .*is no JSON/),
  "a shell block that calls no script": document(
    "script",
    fenced("sh check", "npm run nothing"),
    /zz-script\.md:4: .*npm run nothing/,
  ),
  "a shell block that is no script": document(
    "shell",
    fenced("sh check", "if then"),
    /zz-shell\.md:4: .*no shell script/,
  ),
  "a shell block that fails": document(
    "fails",
    fenced("sh run", "false"),
    /zz-fails\.md:4: .*fails/,
  ),
  "TypeScript that does not type-check": document(
    "types",
    fenced("ts check", 'const a: number = "b";'),
    /zz-types\.md-4\.ts\(5,7\): error TS2322/,
  ),
  "JavaScript that does not type-check": document(
    "js",
    fenced("js check", "Math.nothing();"),
    /zz-js\.md-4\.mjs\(5,6\): error TS2339/,
  ),
  "TypeScript that fails": document(
    "boom",
    fenced("ts run", 'throw new Error("boom");'),
    /zz-boom\.md:4: .*fails:[\s\S]*Error: boom/,
  ),
  "a code without a heading, and a heading without a code": {
    files: {
      "docs/errors.md": (text) => text.replace("### `job_not_found`", "### `job_not_there`"),
    },
    says: /job_not_there has a heading[\s\S]*job_not_found of errors\.ts has no heading/,
  },
  "another status than the code has": {
    files: { [`${SERVER}/errors.ts`]: (text) => text.replace("http: 503", "http: 500") },
    says: /errors\.md:\d+: expected "HTTP 500 · gRPC UNAVAILABLE/,
  },
  "a diagram that is not what the table says": {
    files: {
      [`${SERVER}/domain/job.ts`]: (text) => text.replace('dead: ["queued"],', "dead: [],"),
    },
    says: /concepts\.md: state-diagram is not what/,
  },
});

proves(theGate("house rules"), {
  "a file name that says nothing": {
    files: { [`${SERVER}/api/utils.ts`]: "export {};\n" },
    says: /api\/utils\.ts: name the file/,
  },
  "a file name in another case": {
    files: { [`${SERVER}/zzFile.ts`]: "export {};\n" },
    says: /zzFile\.ts: file names are kebab-case/,
  },
  "an index inside a package": {
    files: { [`${SERVER}/api/index.ts`]: "export {};\n" },
    says: /api\/index\.ts: index files/,
  },
  "an export of everything": {
    files: { [`${SERVER}/zz-star.ts`]: 'export * from "./errors.ts";\n' },
    says: /zz-star\.ts: line 1: export by name/,
  },
  "a test that hides the others": {
    files: { [`${SERVER}/zz.test.ts`]: ["it", 'only("a", () => {});\n'].join(".") },
    says: /zz\.test\.ts: line 1: a test with "only"/,
  },
  "a to-do without an issue": {
    files: { [`${SERVER}/zz-todo.ts`]: ["// TO", "DO: later\n"].join("") },
    says: /zz-todo\.ts: line 1: name the issue/,
  },
  "a path of somebody's machine": {
    files: { "docs/zz.md": ["See /home", "somebody", "baton.\n"].join("/") },
    says: /zz\.md: line 1: a path of somebody/,
  },
  "white space at the end of a line": {
    files: { "proto/zz.proto": "// a \n" },
    says: /zz\.proto: line 1: white space/,
  },
  "a merge conflict": {
    files: { "docs/zz-conflict.md": `${"<".repeat(7)} ours\n` },
    says: /zz-conflict\.md: line 1: a merge conflict/,
  },
  "a file without a new line at its end": {
    files: { "docs/zz-end.md": "a" },
    says: /zz-end\.md: a file ends with one new line/,
  },
  "a lock that names a registry": {
    files: {
      "package-lock.json": (text) =>
        text.replace('"packages": {', '"packages": {\n"a": { "resolved": "https://b/c" },'),
    },
    says: /package-lock\.json: line \d+: the address of a registry/,
  },
  "a changelog without news": {
    files: { "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n\n- a\n" },
    says: /CHANGELOG\.md: say under Unreleased/,
  },
});

describe("npm test", () => {
  const cases = {
    "a failing test": {
      text: 'import { it } from "node:test";\nit("fails", () => {\n  throw new Error("boom");\n});\n',
      says: /fail 1/,
    },
    "a file without a test": { text: "export {};\n", says: /found none in .*zz-planted/ },
    "nothing to run": { text: undefined, says: /No test file matches zz-planted/ },
  };
  for (const [name, { text, says }] of Object.entries(cases)) {
    it(`fails for ${name}`, async () => {
      const path = join(clone, SERVER, "zz-planted.test.ts");
      if (text !== undefined) writeFileSync(path, text);
      const runner = "env -u NODE_TEST_CONTEXT node --conditions=source scripts/test.ts zz-planted";

      const result = await runTool(clone, ["sh", "-c", runner]);

      rmSync(path, { force: true });
      assert.equal(result.isOk, false);
      assert.match(result.output, says);
    });
  }
});
