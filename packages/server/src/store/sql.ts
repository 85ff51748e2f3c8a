/**
 * SQL as tagged templates: values become parameters, fragments nest, nothing else is ever interpolated.
 */

/** A statement or fragment. Recognised by its class: a JSON payload of the same shape must never become SQL. */
export class Statement {
  readonly #strings: readonly string[];
  readonly #values: readonly unknown[];

  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.#strings = strings;
    this.#values = values;
  }

  /** The text with `$n` placeholders and its parameters. */
  compile(): { readonly text: string; readonly values: readonly unknown[] } {
    const values: unknown[] = [];
    return { text: this.#append(values), values };
  }

  #append(values: unknown[]): string {
    let text = this.#strings[0] ?? "";
    this.#values.forEach((value, index) => {
      if (value instanceof Statement) {
        text += value.#append(values);
      } else {
        values.push(value);
        text += `$${values.length}`;
      }
      text += this.#strings[index + 1] ?? "";
    });
    return text;
  }
}

/** Builds a statement; nested statements are spliced in, every other value becomes a parameter. */
export function sql(strings: TemplateStringsArray, ...values: readonly unknown[]): Statement {
  return new Statement(strings, values);
}
