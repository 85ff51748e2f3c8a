/**
 * Files that jobs name. Guarantees that a path in a job leads to a regular file below the one folder that the worker's
 * owner allowed: not above it, not through a symbolic link out of it, not to a device or a pipe. Who can change links
 * inside the folder while a task runs has the worker's own rights already and is not defended against.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";

import { fatal } from "../faults.ts";

export const PATH_CHARACTERS_MAX = 1_024;

/** One folder of the worker that jobs may name files in. */
export interface AllowedFolder {
  /** For messages, for example "files". */
  readonly name: string;
  /** The option that sets it, for messages. */
  readonly setting: string;
  /** Absent: jobs may not use it. */
  readonly directory: string | undefined;
}

/**
 * Where an existing regular file below the folder really is.
 *
 * @throws Fatal when there is none, or the path leads out of the folder
 */
export async function existingFile(folder: AllowedFolder, path: string): Promise<string> {
  const root = await rootOf(folder);
  const file = await realpathBelow(folder, root, path);
  if (!(await stat(file)).isFile()) {
    throw fatal(
      "file_unusable",
      `Expected a regular file in the ${folder.name} folder; "${path}" is none.`,
    );
  }
  return file;
}

/**
 * Where an existing folder below the folder really is; "." is the folder itself.
 *
 * @throws Fatal when there is none, or the path leads out of the folder
 */
export async function existingDirectory(folder: AllowedFolder, path: string): Promise<string> {
  const root = await rootOf(folder);
  const directory = await realpathBelow(folder, root, path);
  if (!(await stat(directory)).isDirectory()) {
    throw fatal(
      "file_unusable",
      `Expected a folder in the ${folder.name} folder; "${path}" is none.`,
    );
  }
  return directory;
}

/**
 * Reads an existing file below the folder.
 *
 * @throws Fatal when there is none, the path leads out of the folder, or it is larger than `bytesMax`
 */
export async function readFileBelow(
  folder: AllowedFolder,
  path: string,
  options: { readonly bytesMax: number; readonly signal: AbortSignal },
): Promise<Buffer> {
  await using handle = await open(
    await existingFile(folder, path),
    // The last link was resolved; one that appears now is not followed.
    constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0),
  );
  const { size } = await handle.stat();
  if (size > options.bytesMax) {
    throw fatal(
      "file_too_large",
      `Expected a file of at most ${options.bytesMax} bytes; "${path}" has ${size} bytes.`,
    );
  }
  return await handle.readFile({ signal: options.signal });
}

/**
 * Writes a file below the folder, making folders on the way. Appears whole or not at all, and replaces one of that
 * name: a job that runs again writes the same file again.
 *
 * @throws Fatal when the path leads out of the folder or is a folder
 */
export async function writeFileBelow(
  folder: AllowedFolder,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const root = await rootOf(folder);
  const target = join(root, relativePath(folder, path));
  const parent = dirname(target);
  // mkdir would follow a link out of the folder, so what exists already is looked at first.
  await assertBelow(folder, root, await nearestExisting(parent), path);
  await mkdir(parent, { recursive: true }).catch(refuseUnusable(folder, path));
  await assertBelow(folder, root, parent, path);
  const temporary = join(parent, `.${randomUUID()}.part`);
  try {
    await using handle: FileHandle = await open(temporary, "wx", 0o644);
    await handle.writeFile(bytes);
    // The job's success becomes durable right after; its file must be too.
    await handle.sync();
    await rename(temporary, target).catch(refuseUnusable(folder, path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function rootOf(folder: AllowedFolder): Promise<string> {
  if (folder.directory === undefined) {
    throw fatal(
      "folder_not_configured",
      `This worker has no ${folder.name} folder. Whoever runs the worker sets one by ${folder.setting}.`,
    );
  }
  try {
    return await realpath(folder.directory);
  } catch (cause) {
    throw fatal(
      "folder_not_configured",
      `The ${folder.name} folder of this worker cannot be used. Look at ${folder.setting}.`,
      { cause },
    );
  }
}

async function realpathBelow(folder: AllowedFolder, root: string, path: string): Promise<string> {
  const target = join(root, relativePath(folder, path));
  const real = await realpath(target).catch(refuseUnusable(folder, path));
  refuseOutside(folder, root, real, path);
  return real;
}

async function assertBelow(
  folder: AllowedFolder,
  root: string,
  existing: string,
  path: string,
): Promise<void> {
  refuseOutside(folder, root, await realpath(existing), path);
}

function refuseOutside(folder: AllowedFolder, root: string, real: string, path: string): void {
  const prefix = root.endsWith(sep) ? root : root + sep;
  if (real === root || real.startsWith(prefix)) return;
  throw fatal("path_refused", `"${path}" leads out of the ${folder.name} folder.`);
}

/** The path, proved to be relative and without a way up by itself. */
function relativePath(folder: AllowedFolder, path: string): string {
  const isUsable =
    path !== "" &&
    path.length <= PATH_CHARACTERS_MAX &&
    !path.includes("\0") &&
    !isAbsolute(path) &&
    // Elsewhere a colon is an ordinary character.
    !(IS_WINDOWS && path.includes(":")) &&
    !path.split(/[\\/]/).includes("..");
  if (isUsable) return path;
  throw fatal(
    "path_refused",
    `Expected a path relative to the ${folder.name} folder, without ".." or a leading slash, of at most ` +
      `${PATH_CHARACTERS_MAX} characters; received ${JSON.stringify(path.slice(0, 200))}.`,
  );
}

async function nearestExisting(path: string): Promise<string> {
  for (let candidate = resolve(path); ; candidate = dirname(candidate)) {
    const found = await realpath(candidate).catch(() => undefined);
    if (found !== undefined || candidate === dirname(candidate)) return candidate;
  }
}

const IS_WINDOWS = sep === "\\";
const FAULTS_OF_THE_PATH: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is no folder",
  EISDIR: "it is a folder",
  ENOTEMPTY: "it is a folder",
  EEXIST: "a part of the path is no folder",
  ELOOP: "its symbolic links go round in circles",
  EACCES: "the worker has no permission",
  EPERM: "the worker has no permission",
  EROFS: "the folder is read-only",
  ENAMETOOLONG: "the name is too long",
};

/** Tells what is wrong with the path from what may pass, a full disk for example. */
function refuseUnusable(folder: AllowedFolder, path: string): (error: unknown) => never {
  return (error) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const fault = FAULTS_OF_THE_PATH[code];
    if (fault === undefined) throw error;
    throw fatal(
      "file_unusable",
      `"${path}" in the ${folder.name} folder cannot be used: ${fault}.`,
      { cause: error },
    );
  };
}
