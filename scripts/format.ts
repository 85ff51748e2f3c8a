/** `npm run format`: formats the clone, or the given files. */
import { dirname } from "node:path";

import { runTool } from "./gates/run-tool.ts";

const paths = process.argv.slice(2);
const { isOk, output } = await runTool(dirname(import.meta.dirname), [
  "oxfmt",
  ...(paths.length === 0 ? ["."] : paths),
]);
process.stdout.write(output);
if (!isOk) process.exitCode = 1;
