/** Machine and versions that figures belong to. */
import { readFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";

import type { OwnedHouse } from "./house.ts";
import type { System } from "./systems/system.ts";

export interface Surroundings {
  readonly date: string;
  readonly machine: string;
  /** Processes that want to run, over the last minute, before the run: other work makes figures worthless. */
  readonly load: string;
  readonly versions: Readonly<Record<string, string>>;
  /** PostgreSQL's settings that decide durability. */
  readonly durability: string;
}

/** @param redis version, if there is one */
export async function surroundings(
  house: OwnedHouse,
  systems: readonly System[],
  redis: string | undefined,
): Promise<Surroundings> {
  const names = [...new Set(systems.map((system) => system.packageName))];
  const versions = await Promise.all(
    names.map(async (name) => [name, await packageVersion(name)] as const),
  );
  const settings = ["fsync", "synchronous_commit", "full_page_writes"];
  const values: string[] = [];
  for (const name of settings) values.push(`${name}=${await house.setting(name)}`);
  return {
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: (await readFile("/proc/loadavg", "utf8").catch(() => ""))
      .split(" ")
      .slice(0, 2)
      .join(" "),
    versions: {
      ...Object.fromEntries(versions),
      Node: process.versions.node,
      PostgreSQL: house.postgresVersion,
      Redis: redis ?? "none",
    },
    durability: values.join(", "),
  };
}

export function surroundingsText(of: Surroundings): string {
  return [
    `${of.date}; ${of.machine}; load before the run ${of.load || "unknown"}`,
    Object.entries(of.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    `PostgreSQL: ${of.durability}. Load generator, server, worker and database share the machine.`,
  ].join("\n");
}

async function packageVersion(name: string): Promise<string> {
  let directory = new URL("./", import.meta.resolve(name));
  // A package need not export its package.json, so it is looked for above the entry.
  while (directory.pathname !== "/") {
    const text = await readFile(new URL("package.json", directory), "utf8").catch(() => "{}");
    const manifest: unknown = JSON.parse(text);
    if (
      typeof manifest === "object" &&
      manifest !== null &&
      "name" in manifest &&
      manifest.name === name &&
      "version" in manifest
    ) {
      return String(manifest.version);
    }
    directory = new URL("../", directory);
  }
  return "unknown";
}
