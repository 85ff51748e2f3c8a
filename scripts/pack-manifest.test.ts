import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";

import { publishedManifest } from "./pack-manifest.mjs";

const ROOT = dirname(import.meta.dirname);

describe("publishedManifest", () => {
  for (const name of ["sdk", "tasks", "server"]) {
    const text = readFileSync(join(ROOT, "packages", name, "package.json"), "utf8");

    it(`points to nothing that is not in the package of @baton/${name}`, () => {
      const manifest: unknown = JSON.parse(publishedManifest(text));

      const packed = ["./package.json", ...textsIn(manifest, "files").map((file) => `./${file}/`)];
      const targets = [...textsIn(manifest, "exports"), ...textsIn(manifest, "bin")];
      assert.notEqual(targets.length, 0);
      assert.deepEqual(
        targets.filter((target) => !packed.some((place) => target.startsWith(place))),
        [],
      );
    });

    it(`keeps everything else of @baton/${name}`, () => {
      const lines = text.split("\n").filter((line) => !line.includes('"source":'));

      assert.equal(publishedManifest(text), lines.join("\n"));
    });
  }
});

/** All texts below a member. */
function textsIn(manifest: unknown, member: string): readonly string[] {
  if (typeof manifest !== "object" || manifest === null) return [];
  return leaves(Reflect.get(manifest, member));
}

function leaves(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(leaves);
}
