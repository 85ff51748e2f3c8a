/** `npm run build`: compiles the packages into their `dist`, each after those that it imports. */
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";

import { runTool } from "./gates/run-tool.ts";

const PACKAGES = ["sdk", "tasks", "server"];

const root = dirname(import.meta.dirname);
for (const name of PACKAGES) {
  const folder = join("packages", name);
  await rm(join(root, folder, "dist"), { recursive: true, force: true });
  const { isOk, output } = await runTool(root, ["tsc", "-p", join(folder, "tsconfig.build.json")]);
  if (!isOk) {
    console.error(output);
    process.exitCode = 1;
    break;
  }
  console.log(`${folder}/dist is built`);
}
