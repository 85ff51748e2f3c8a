import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";

const MIB = 2 ** 20;

/** Makes objects that live for a while, as jobs on their way do, and prints the greatest capacity of the young generation. */
const PROGRAM = `
  import { setImmediate } from "node:timers/promises";
  import { getHeapSpaceStatistics } from "node:v8";
  if (process.argv.includes("bounded")) {
    const { boundHeap } = await import(${JSON.stringify(new URL("bound-heap.ts", import.meta.url).href)});
    boundHeap();
  }
  const living = [];
  let most = 0;
  for (let round = 0; round < 600; round += 1) {
    living.push(Array.from({ length: 10_000 }, (_, index) => ({ round, index })));
    if (living.length > 50) living.shift();
    await setImmediate();
    const young = getHeapSpaceStatistics().find((space) => space.space_name === "new_space");
    most = Math.max(most, young.space_used_size + young.space_available_size);
  }
  console.log(most);
`;

describe("boundHeap", () => {
  it("ends the growth of the young generation at 16 MiB", async () => {
    const bytes = await youngest(["bounded"]);

    assert.ok(bytes > 13 * MIB && bytes <= 16 * MIB, `${bytes} bytes`);
  });

  it("lets a size stand that was given to Node", async () => {
    const bytes = await youngest(["bounded"], ["--max-semi-space-size=64"]);

    assert.ok(bytes > 27 * MIB, `${bytes} bytes`);
  });

  it("changes what Node does by itself", async () => {
    const bytes = await youngest([]);

    assert.ok(bytes > 27 * MIB, `${bytes} bytes`);
  });
});

async function youngest(args: readonly string[], options: readonly string[] = []): Promise<number> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=source", ...options, "--input-type=module", "--eval", PROGRAM, "--", ...args],
    { env: { ...process.env, NODE_OPTIONS: "" } },
  );
  return Number(stdout);
}
