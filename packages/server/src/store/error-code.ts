/** The code that an error of the system (`ENOENT`) or of PostgreSQL (`55P03`) carries; empty when it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "";
}
