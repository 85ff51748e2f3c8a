import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";

import { VERSION } from "./version.ts";

it("VERSION is that of package.json", () => {
  const path = new URL("../package.json", import.meta.url);
  const manifest: unknown = JSON.parse(readFileSync(path, "utf8"));

  assert.equal(Object(manifest).version, VERSION);
});
