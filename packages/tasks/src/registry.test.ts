import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";

import { builtInTasks } from "./registry.ts";

const ALWAYS = [
  "echo",
  "test_sleep",
  "http",
  "image_processing",
  "web_scraping",
  "data_analysis",
] as const;

describe("builtInTasks", () => {
  const names = (options?: Parameters<typeof builtInTasks>[0]) =>
    builtInTasks(options).map(({ name }) => name);

  it("lists all tasks but shell", () => {
    assert.deepEqual(names(), ALWAYS);
  });

  it("adds shell when its commands are allowed", () => {
    assert.deepEqual(names({ shell: { allowedCommands: ["true"] } }), [...ALWAYS, "shell"]);
  });

  it("refuses addresses that are none when it is made, not when a job runs", () => {
    assert.throws(
      () => builtInTasks({ network: { allowedAddresses: ["home"] } }),
      /received "home"/,
    );
  });

  it("loads no heavy library before a job needs it", async () => {
    const program = `
      const { builtInTasks } = await import(${JSON.stringify(new URL("./registry.ts", import.meta.url))});
      builtInTasks({ shell: { allowedCommands: "all" } });
      const { createRequire } = await import("node:module");
      const loaded = Object.keys(createRequire(import.meta.url).cache).join();
      const native = process.report.getReport().sharedObjects.join();
      const heavy = ["/sharp/", "/undici/", "/iconv-lite/", "duckdb", "libvips"];
      console.log(JSON.stringify(heavy.filter((name) => (loaded + native).includes(name))));`;

    const { stdout } = await promisify(execFile)(process.execPath, [
      "--conditions=source",
      "--input-type=module",
      "--eval",
      program,
    ]);

    assert.deepEqual(JSON.parse(stdout), []);
  });
});
