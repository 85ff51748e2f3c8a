// @ts-check
/**
 * What every npm script calls: `node scripts/launch.mjs <command> [arguments]`.
 *
 * Plain JavaScript for the Node that happens to be on the machine (20 or newer): it installs what is missing, finds
 * the Node 24 that came as an npm package, and runs the command's TypeScript file with it.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 20;
const BATON = "packages/server/src/cli/baton.ts";

/** @type {Record<string, { file: string, arguments?: string[], runsWhereTyped?: boolean }>} */
const COMMANDS = {
  dev: { file: BATON, arguments: ["dev"] },
  // Paths that a user types are relative to where they type them; npm moves to the root and keeps that in INIT_CWD.
  baton: { file: BATON, runsWhereTyped: true },
  bench: { file: "bench/src/bench.ts" },
  demo: { file: "scripts/demo.ts" },
  test: { file: "scripts/test.ts" },
  verify: { file: "scripts/verify.ts" },
  gen: { file: "scripts/gen.ts" },
  docs: { file: "scripts/docs.ts" },
  format: { file: "scripts/format.ts" },
  lock: { file: "scripts/lock.ts" },
  build: { file: "scripts/build.ts" },
  "schema-dump": { file: "scripts/schema-dump.ts" },
};

const [name = "", ...rest] = process.argv.slice(2);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  fail(`Node ${NODE_MAJOR_MIN} or newer is needed to start; this is ${process.versions.node}.`);
} else if (command === undefined) {
  fail(`Expected one of ${Object.keys(COMMANDS).join(", ")}; received "${name}".`);
} else {
  // Imported late, so that an old Node reaches the message above before it meets syntax that it does not know.
  const { ensureInstalled, LaunchError } = await import("./launch/install.mjs");
  const { findNode } = await import("./launch/runtime.mjs");
  const { stopWithNpm } = await import("./launch/npm-watch.mjs");
  const { supervise } = await import("./launch/supervise.mjs");
  stopWithNpm();
  try {
    await ensureInstalled(root);
    const typedIn = process.env["INIT_CWD"];
    await supervise(findNode(root), {
      root,
      file: join(root, command.file),
      arguments: [...(command.arguments ?? []), ...rest],
      directory:
        command.runsWhereTyped && typedIn !== undefined && existsSync(typedIn)
          ? typedIn
          : process.cwd(),
    });
  } catch (error) {
    if (!(error instanceof LaunchError)) throw error;
    fail(error.message);
  }
}

/** @param {string} message */
function fail(message) {
  process.stderr.write(`baton: ${message}\n`);
  process.exitCode = 1;
}
