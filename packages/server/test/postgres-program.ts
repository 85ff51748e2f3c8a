/**
 * A process that owns an embedded PostgreSQL, as `baton server` does, for tests that kill it. Takes a
 * `PostgresProgramInput` as its argument, writes a `PostgresProgramLine` per line, and stops on SIGTERM.
 */
import { AppError } from "../src/errors.ts";
import { superviseEmbeddedPostgres } from "../src/postgres/supervise.ts";
import type { PostgresProgramInput, PostgresProgramLine } from "./postgres-process.ts";

const input: PostgresProgramInput = JSON.parse(process.argv[2] ?? "{}");
if (input.umask !== undefined) process.umask(input.umask);

function write(line: PostgresProgramLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

try {
  const server = await superviseEmbeddedPostgres({
    ...input,
    onLog: (message) => write({ kind: "log", message }),
  });
  process.once("SIGTERM", () => {
    void server.stop().then(() => write({ kind: "stopped" }));
  });
  void server.failed.then((error) =>
    write({ kind: "failed", code: error.code, message: error.message }),
  );
  write({
    kind: "ready",
    pid: server.pid,
    isAdopted: server.isAdopted,
    connection: server.connection,
  });
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  write({ kind: "failed", code: error.code, message: error.message });
}
