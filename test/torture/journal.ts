/**
 * What handlers did, written down outside of Baton: an append-only file for each worker process, a line for each fact. A
 * line is written by one system call before the handler goes on, so that `kill -9` takes nothing that was written.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import path from "node:path";

/**
 * Of a handler: started, then returned, threw, or aborted because it was told to stop. Of its worker: connected to a
 * server, disconnected, lease_lost when it gave everything up because it had been out of contact for too long.
 */
export const ENTRY_KINDS = [
  "started",
  "returned",
  "threw",
  "aborted",
  "connected",
  "disconnected",
  "lease_lost",
] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

export interface JournalEntry {
  /** Milliseconds since 1970, by the clock of the machine. */
  readonly atMs: number;
  readonly kind: EntryKind;
  readonly pid: number;
  /** "" for a fact of the worker. */
  readonly jobId: string;
  /** 0 for a fact of the worker. */
  readonly attempt: number;
}

/** Writes one process's journal. */
export class JournalWriter {
  readonly #file: number;

  /** @param directory of all journals */
  constructor(directory: string) {
    this.#file = openSync(path.join(directory, `${process.pid}.journal`), "a");
  }

  write(kind: EntryKind, jobId = "", attempt = 0): void {
    writeSync(this.#file, `${Date.now()} ${kind} ${process.pid} ${attempt} ${jobId}\n`);
  }
}

/** Follows the journals of a directory. */
export class JournalReader {
  readonly #directory: string;
  readonly #files = new Map<string, { readonly file: number; rest: string }>();
  readonly #buffer = Buffer.alloc(1024 * 1024);

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** What was written since the last call; of each process in its order. */
  read(): JournalEntry[] {
    const entries: JournalEntry[] = [];
    for (const name of this.#names()) {
      const journal = this.#files.get(name) ?? {
        file: openSync(path.join(this.#directory, name), "r"),
        rest: "",
      };
      this.#files.set(name, journal);
      for (;;) {
        const length = readSync(journal.file, this.#buffer);
        if (length === 0) break;
        const lines = `${journal.rest}${this.#buffer.toString("latin1", 0, length)}`.split("\n");
        journal.rest = lines.pop() ?? "";
        entries.push(...lines.map(parseEntry));
      }
    }
    return entries;
  }

  close(): void {
    for (const { file } of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  #names(): string[] {
    if (!existsSync(this.#directory)) return [];
    return readdirSync(this.#directory).filter((name) => name.endsWith(".journal"));
  }
}

function parseEntry(line: string): JournalEntry {
  const [atMs = "", word = "", pid = "", attempt = "", jobId = ""] = line.split(" ");
  const kind = ENTRY_KINDS.find((candidate) => candidate === word);
  if (kind === undefined) throw new Error(`expected a line of a journal, received ${line}`);
  return { atMs: Number(atMs), kind, pid: Number(pid), attempt: Number(attempt), jobId };
}
