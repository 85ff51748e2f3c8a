import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

import { AppError } from "../errors.ts";
import { errorCode } from "../store/error-code.ts";

const FILE = "baton.json";

/** What `baton.json` holds. */
export interface Secrets {
  readonly password: string;
  /** Only where the data directory's own path is too long for a socket. */
  readonly socketDirectory?: string;
}

/**
 * Reads `baton.json` in a data directory, or makes it. Of two processes that make it at once, one wins and both use
 * its password.
 *
 * @throws AppError data_directory_unusable when there are data but no password for them
 */
export async function readSecrets(directory: string, pgdata: string): Promise<Secrets> {
  const file = path.join(directory, FILE);
  const existing = await readFile(file, "utf8").catch((error: unknown) => {
    if (errorCode(error) !== "ENOENT") throw error;
    return undefined;
  });
  if (existing !== undefined) return parseSecrets(existing, file);

  if (await isFile(path.join(pgdata, "PG_VERSION"))) {
    throw new AppError(
      "data_directory_unusable",
      `${file} is missing, and with it the password of the database in ${pgdata}. Restore the file from a backup ` +
        "of the data directory, or move the directory away to begin with an empty one.",
      { directory },
    );
  }
  await writeSecrets(file, { password: randomBytes(24).toString("base64url") }, link);
  return parseSecrets(await readFile(file, "utf8"), file);
}

function parseSecrets(text: string, file: string): Secrets {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("password" in value)) {
    throw new Error(`${file} must hold an object with a password`);
  }
  const { password } = value;
  if (typeof password !== "string") throw new Error(`the password in ${file} must be a string`);
  return "socketDirectory" in value && typeof value.socketDirectory === "string"
    ? { password, socketDirectory: value.socketDirectory }
    : { password };
}

/** Replaces `baton.json` in a data directory. */
export async function replaceSecrets(directory: string, secrets: Secrets): Promise<void> {
  await writeSecrets(path.join(directory, FILE), secrets, rename);
}

/**
 * Writes the file whole or not at all.
 *
 * @param place `rename` replaces an existing file, `link` leaves it
 */
async function writeSecrets(file: string, secrets: Secrets, place: typeof link): Promise<void> {
  const draft = `${file}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(draft, `${JSON.stringify(secrets, undefined, 2)}\n`, {
    mode: 0o600,
    flush: true,
  });
  try {
    await place(draft, file);
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
