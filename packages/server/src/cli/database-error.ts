/** What PostgreSQL or the way to it says becomes an error for the person who set DATABASE_URL. */
import { CliError } from "./failure.ts";

/**
 * Runs `work`.
 *
 * @throws CliError database_unusable in place of what the driver throws; everything else as it is
 */
export async function explainingDatabaseErrors<Result>(
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    throw new CliError(
      "database_unusable",
      `The database cannot be used: ${reason}. Check DATABASE_URL, and that PostgreSQL runs there and lets this user in.`,
      {},
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string | undefined {
  // A name with several addresses: one error for each.
  if (error instanceof AggregateError) {
    const reasons = error.errors.map(reasonOf);
    return reasons.includes(undefined) ? undefined : reasons.join(", ");
  }
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") {
    return undefined;
  }
  const isSqlState = /^[0-9A-Z]{5}$/.test(error.code) && "severity" in error;
  const isNetwork =
    "syscall" in error && (error.syscall === "connect" || error.syscall === "getaddrinfo");
  return isSqlState || isNetwork ? error.message : undefined;
}
