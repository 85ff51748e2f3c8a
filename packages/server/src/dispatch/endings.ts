/** Attempts, named by their fences, whose outcome is on its way into the table. */
export class Endings {
  readonly #fences = new Set<string>();
  /** Those that arrived there while somebody read the table: what was read may be older. */
  #arrived: Set<string> | undefined;

  get size(): number {
    return this.#fences.size;
  }

  add(fence: string): void {
    this.#fences.add(fence);
  }

  /** Its outcome stands in the table. */
  delete(fence: string): void {
    this.#fences.delete(fence);
    this.#arrived?.add(fence);
  }

  /** Begins a reading of the table: until the next one, what ends now counts as ending. */
  beginReading(): void {
    this.#arrived = new Set();
  }

  endReading(): void {
    this.#arrived = undefined;
  }

  has(fence: string): boolean {
    return this.#fences.has(fence) || this.#arrived?.has(fence) === true;
  }
}
