import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { FAULT_CODES } from "../src/faults.ts";
import { optionsFromEnvironment } from "../src/options.ts";
import { builtInTasks } from "../src/registry.ts";
import { EXAMPLE_DATA, salesCsv } from "./example-data.ts";
import { run } from "./exercise-task.ts";
import { localServer } from "./local-server.ts";
import { TASKS_DOCUMENT, withTables } from "./schema-table.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { testContext } from "./task-context.ts";

describe("docs/tasks.md", () => {
  it("has the tables that the schemas make", async () => {
    const document = await readFile(TASKS_DOCUMENT, "utf8");

    assert.equal(document, withTables(document), "run packages/tasks/test/schema-table.ts");
  });

  it("names every environment variable that is read, and no other", async () => {
    const document = await readFile(TASKS_DOCUMENT, "utf8");
    const read = new Set<string>();
    const environment = new Proxy(
      { BATON_TASKS_SHELL_COMMANDS: "true" },
      {
        get: (target, name) => {
          read.add(String(name));
          return Reflect.get(target, name);
        },
      },
    );
    optionsFromEnvironment(environment);

    const named = new Set(document.match(/BATON_TASKS_[A-Z_]+/g));

    assert.deepEqual([...named].sort(), [...read].sort());
  });

  it("explains every code that a task fails with", async () => {
    const document = await readFile(TASKS_DOCUMENT, "utf8");
    const rows = document.matchAll(/^\| `([a-z_]+)` \| [^|]+ \|$/gm);

    const explained = [...rows].map((row) => row[1] ?? "");

    assert.deepEqual(explained, FAULT_CODES);
  });

  it("shows inputs that run, and results that they give", async () => {
    const document = await readFile(TASKS_DOCUMENT, "utf8");
    const page = await readFile(new URL("page.html", EXAMPLE_DATA));
    await using output = await temporaryFolder();
    await using server = await localServer((request, response) => {
      if (request.url === "/robots.txt") response.writeHead(404).end();
      else if (request.url === "/page.html") {
        response.setHeader("content-type", "text/html; charset=utf-8").end(page);
      } else response.setHeader("content-type", "application/json").end('{"id":7}');
    });
    const tasks = builtInTasks({
      filesDirectory: fileURLToPath(EXAMPLE_DATA),
      outputDirectory: output.path,
      network: { allowPrivateAddresses: true },
      shell: { allowedCommands: ["git", "echo"] },
    });
    const examples = [
      ...document.matchAll(/^```json input ([a-z_]+)\n(.*?)^```\n+```json result\n(.*?)^```$/gms),
    ];

    assert.deepEqual(
      [...new Set(examples.map((example) => example[1]))],
      tasks.map(({ name }) => name),
    );
    for (const [, name, input = "", result = ""] of examples) {
      const task = tasks.find((each) => each.name === name);
      assert.ok(task !== undefined);
      const sent: unknown = JSON.parse(input.replaceAll("https://shop.example", server.origin));
      const received = await run(task, sent, testContext());
      const text = JSON.stringify(received).replaceAll(server.origin, "https://shop.example");
      // A document cannot know how long something takes, nor what a server's clock says.
      assert.partialDeepStrictEqual(timeless(JSON.parse(text)), timeless(JSON.parse(result)), name);
    }
  });
});

describe("examples/data", () => {
  it("holds what its generator makes", async () => {
    assert.equal(await readFile(new URL("sales.csv", EXAMPLE_DATA), "utf8"), salesCsv());
  });
});

function timeless(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key: string, each: unknown) =>
      key.endsWith("Ms") && typeof each === "number" ? 0 : each,
    ),
  );
}
