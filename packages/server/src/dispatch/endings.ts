import { fenceOf, type AttemptRef } from "../domain/job.ts";

/** Attempts of one worker whose outcome is on its way into the table. Each is known by its object, which is cheap. */
export class Endings {
  readonly #attempts = new Set<AttemptRef>();
  /** Those that arrived there while somebody read the table: what was read may be older. */
  #arrived: Set<AttemptRef> | undefined;

  get size(): number {
    return this.#attempts.size;
  }

  add(attempt: AttemptRef): void {
    this.#attempts.add(attempt);
  }

  /** Its outcome stands in the table. */
  delete(attempt: AttemptRef): void {
    this.#attempts.delete(attempt);
    this.#arrived?.add(attempt);
  }

  /** Begins a reading of the table: until the next one, what ends now counts as ending. */
  beginReading(): void {
    this.#arrived = new Set();
  }

  endReading(): void {
    this.#arrived = undefined;
  }

  /** The fences of all of them. */
  fences(): ReadonlySet<string> {
    const attempts = [...this.#attempts, ...(this.#arrived ?? [])];
    return new Set(attempts.map(({ jobId, attempt }) => fenceOf(jobId, attempt)));
  }
}
