import { lstat, readFile, symlink } from "node:fs/promises";
import path from "node:path";

import { errorCode } from "../store/error-code.ts";

/** Makes the links between shared libraries that the package's install script would make. */
export async function linkLibraries(native: string): Promise<void> {
  const text = await readFile(path.join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of parseLinks(text)) {
    // Both names begin with "native/".
    const link = path.resolve(native, "..", target);
    const isThere = await lstat(link).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    await symlink(path.relative(path.dirname(target), source), link).catch((error: unknown) => {
      // Another process makes the same links at the same time.
      if (errorCode(error) !== "EEXIST") throw error;
    });
  }
}

function parseLinks(text: string): readonly { readonly source: string; readonly target: string }[] {
  const links: unknown = JSON.parse(text);
  if (!Array.isArray(links)) return [];
  return links.flatMap((link: unknown) =>
    typeof link === "object" &&
    link !== null &&
    "source" in link &&
    "target" in link &&
    typeof link.source === "string" &&
    typeof link.target === "string"
      ? [{ source: link.source, target: link.target }]
      : [],
  );
}
