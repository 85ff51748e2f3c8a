import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { existingFile, type AllowedFolder } from "../files/allowed-folder.ts";

/** Where the data of a job comes from; exactly one is given. */
export interface AnalysisSource {
  readonly file?: string | undefined;
  readonly text?: string | undefined;
  readonly base64?: string | undefined;
}

/** The data as a file of a temporary folder, which is removed when the scope ends. */
export interface SourceFile extends AsyncDisposable {
  readonly path: string;
}

/**
 * Puts the data where DuckDB may read it. A file of the files folder is linked rather than named: DuckDB takes `*`, `?`
 * and `[` in a name for a pattern.
 *
 * @throws Fatal when the file does not exist or leads out of the folder
 */
export async function placeSource(
  files: AllowedFolder,
  { file, text, base64 }: AnalysisSource,
): Promise<SourceFile> {
  const original = file === undefined ? undefined : await existingFile(files, file);
  const directory = await mkdtemp(join(tmpdir(), "baton-analysis-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    // The end of the name tells DuckDB about compression.
    const path = join(directory, `data${/\.(gz|zst)$/.exec(original ?? "")?.[0] ?? ""}`);
    if (original !== undefined) await symlink(original, path, "file");
    else if (text !== undefined) await writeFile(path, text);
    else await writeFile(path, base64 ?? "", "base64");
    return { path, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
