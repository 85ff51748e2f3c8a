#!/usr/bin/env node
/** The `baton` command. */
import { enableCompileCache } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

// Halves the time until a command does something. Beside the packages, so that only who installed them can write it.
const commander = path.dirname(fileURLToPath(import.meta.resolve("commander")));
enableCompileCache(path.join(path.dirname(commander), ".cache", "baton"));

const { run } = await import("./run.ts");
await run(process.argv.slice(2));
