import { randomBytes } from "node:crypto";
import { link, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

import { AppError } from "../errors.ts";
import { errorCode } from "../store/error-code.ts";

const FILE = "baton.json";

/**
 * Reads the superuser's password from `baton.json` in a data directory, or makes one. Of two processes that make it at
 * once, one wins and both use its password.
 *
 * @throws AppError data_directory_unusable when there are data but no password for them
 */
export async function readPassword(directory: string, pgdata: string): Promise<string> {
  const file = path.join(directory, FILE);
  const existing = await readFile(file, "utf8").catch((error: unknown) => {
    if (errorCode(error) !== "ENOENT") throw error;
    return undefined;
  });
  if (existing !== undefined) return parsePassword(existing, file);

  if (await isFile(path.join(pgdata, "PG_VERSION"))) {
    throw new AppError(
      "data_directory_unusable",
      `${file} is missing, and with it the password of the database in ${pgdata}. Restore the file from a backup ` +
        "of the data directory, or move the directory away to begin with an empty one.",
      { directory },
    );
  }
  await writeOnce(file, { password: randomBytes(24).toString("base64url") });
  return parsePassword(await readFile(file, "utf8"), file);
}

function parsePassword(text: string, file: string): string {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("password" in value)) {
    throw new Error(`${file} must hold an object with a password`);
  }
  if (typeof value.password !== "string") {
    throw new Error(`the password in ${file} must be a string`);
  }
  return value.password;
}

/** Writes the file whole, and only if it is not there: a link is refused where a file is. */
async function writeOnce(file: string, content: object): Promise<void> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const text = `${JSON.stringify(content, undefined, 2)}\n`;
  await writeFile(draft, text, { mode: 0o600, flush: true });
  try {
    await link(draft, file);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function isFile(name: string): Promise<boolean> {
  return stat(name).then(
    (entry) => entry.isFile(),
    () => false,
  );
}
