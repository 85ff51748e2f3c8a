/**
 * Now in microseconds, on a clock that all processes of this machine share: the system's monotonic one, which Node reads
 * on Linux and macOS alike. Its origin means nothing; differences do.
 */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
