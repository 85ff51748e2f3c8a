import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";

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

    it(`finds the licence in the folder of @baton/${name}, where npm looks for it`, () => {
      const licence = readFileSync(join(ROOT, "packages", name, "LICENSE"), "utf8");

      assert.equal(licence, readFileSync(join(ROOT, "LICENSE"), "utf8"));
    });
  }

  it("takes nothing out but the condition in exports", () => {
    const manifest = {
      source: "src/index.ts",
      config: { source: 1 },
      exports: { ".": [{ source: "./src/a.ts" }] },
    };

    const published: unknown = JSON.parse(publishedManifest(JSON.stringify(manifest)));

    assert.deepEqual(published, { ...manifest, exports: { ".": [{}] } });
  });
});

describe("pack-manifest", () => {
  const original = `${JSON.stringify({ name: "p", exports: { source: "./a.ts" } }, null, 2)}\n`;

  it("puts the manifest back as it was", (t) => {
    const { run, manifest, kept } = aPackage(t);

    run("--strip");
    const packed = readFileSync(manifest, "utf8");
    run("--restore");

    assert.equal(packed, publishedManifest(original));
    assert.equal(readFileSync(manifest, "utf8"), original);
    assert.equal(existsSync(kept), false);
  });

  it("goes on where a pack failed midway", (t) => {
    const { run, manifest } = aPackage(t);

    run("--strip");
    run("--strip");
    run("--restore");

    assert.equal(readFileSync(manifest, "utf8"), original);
  });

  for (const step of ["--strip", "--restore"]) {
    it(`refuses ${step} when the manifest was edited after a pack that failed midway`, (t) => {
      const { run, manifest, kept } = aPackage(t);
      run("--strip");
      writeFileSync(manifest, '{ "name": "edited" }');

      const { status, stderr } = run(step);

      assert.equal(status, 1);
      assert.match(stderr, /package\.json was edited after a pack/);
      assert.equal(readFileSync(manifest, "utf8"), '{ "name": "edited" }');
      assert.equal(readFileSync(kept, "utf8"), original);
    });
  }

  function aPackage(t: TestContext) {
    const folder = mkdtempSync(join(tmpdir(), "baton-pack-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const manifest = join(folder, "package.json");
    writeFileSync(manifest, original);
    const script = join(import.meta.dirname, "pack-manifest.mjs");
    const run = (step: string) =>
      spawnSync(process.execPath, [script, step], { cwd: folder, encoding: "utf8" });
    return { run, manifest, kept: join(folder, "package.json.kept") };
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
