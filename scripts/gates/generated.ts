/** The code in the `gen` folders of the packages, generated from proto/. */
import { globSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import { runTool } from "./run-tool.ts";

const TEMPLATES = "proto/buf.gen*.yaml";
const GENERATED = "packages/*/src/gen";

/** Writes the generated code of a clone anew; files that no contract gives any more go away. */
export async function writeGenerated(root: string): Promise<void> {
  await withFresh(root, async (fresh) => {
    for (const folder of globSync(GENERATED, { cwd: fresh })) {
      await rm(join(root, folder), { recursive: true, force: true });
      await cp(join(fresh, folder), join(root, folder), { recursive: true });
    }
  });
}

/** Compares the generated code of a clone with what its contracts give. */
export async function generatedDifferences(root: string): Promise<readonly string[]> {
  return withFresh(root, (fresh) => {
    const before = generatedFiles(root);
    const now = generatedFiles(fresh);
    return [...new Set([...before.keys(), ...now.keys()])]
      .filter((file) => before.get(file) !== now.get(file))
      .map((file) => {
        if (!before.has(file)) return `${file} is missing`;
        return now.has(file) ? `${file} differs` : `${file} comes from no contract`;
      });
  });
}

/** Generates into a directory of its own, shaped like the clone. */
async function withFresh<Result>(
  root: string,
  work: (fresh: string) => Result | Promise<Result>,
): Promise<Result> {
  const fresh = await mkdtemp(join(tmpdir(), "baton-gen-"));
  try {
    await Promise.all(
      globSync(TEMPLATES, { cwd: root }).map((file) => generate(root, file, fresh)),
    );
    return await work(fresh);
  } finally {
    await rm(fresh, { recursive: true });
  }
}

async function generate(root: string, template: string, fresh: string): Promise<void> {
  const folder = dirname(template);
  // Outputs in the templates are relative to their folder.
  const target = join(fresh, folder);
  const { isOk, output } = await runTool(
    root,
    ["buf", "generate", "--template", basename(template), "--output", target],
    { directory: join(root, folder) },
  );
  if (!isOk) throw new Error(`buf generate failed for ${template}:\n${output}`);
}

function generatedFiles(root: string): ReadonlyMap<string, string> {
  const files = globSync(`${GENERATED}/**/*.ts`, { cwd: root });
  return new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
}
