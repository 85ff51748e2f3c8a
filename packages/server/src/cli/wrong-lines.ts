/** Lines of a file that are no jobs: all are counted, and the first are told. */
import { countText } from "./count-text.ts";
import { CliError } from "./failure.ts";

/** Lines that an error names. */
const NAMED_MAX = 100;

export class WrongLines {
  readonly #named: { readonly line: number; readonly error: CliError }[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(line: number, error: CliError): void {
    this.#count += 1;
    if (this.#named.length < NAMED_MAX) this.#named.push({ line, error });
  }

  /** @throws CliError of the only wrong line, or one that has them in `details.items` */
  throwIfAny(): void {
    const [only] = this.#named;
    if (only === undefined) return;
    if (this.#count === 1) throw only.error;
    throw new CliError("invalid_argument", `${countText(this.#count, "line")} are no jobs.`, {
      itemCount: this.#count,
      items: this.#named.map(({ line, error: { code, message } }) => ({ line, code, message })),
    });
  }
}
