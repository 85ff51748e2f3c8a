/** `npm run gen`: writes the code generated from proto/; `--check` only compares and names what differs. */
import { dirname } from "node:path";

import { generatedDifferences, writeGenerated } from "./gates/generated.ts";

const root = dirname(import.meta.dirname);

if (process.argv.includes("--check")) {
  const differences = await generatedDifferences(root);
  for (const difference of differences) console.error(difference);
  if (differences.length > 0) {
    console.error("Run npm run gen, and never edit generated files.");
    process.exitCode = 1;
  }
} else {
  await writeGenerated(root);
}
