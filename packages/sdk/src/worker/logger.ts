/** Where a worker says what happens to itself (not to its jobs): contact lost, lease lost, attempts abandoned. */
export interface WorkerLogger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Warnings and errors on stderr, one line each; the rest nowhere. */
export const stderrLogger: WorkerLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message, fields) => void process.stderr.write(line("warn", message, fields)),
  error: (message, fields) => void process.stderr.write(line("error", message, fields)),
};

function line(
  level: string,
  message: string,
  fields: Readonly<Record<string, unknown>> | undefined,
): string {
  return `baton worker ${level}: ${message}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}\n`;
}
