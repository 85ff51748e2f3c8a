/**
 * What is left of a value after `JSON.parse(JSON.stringify(value))`: what a handler returns as `Date` arrives as
 * `string`, what it returns as `undefined` arrives as `null`.
 */
export type JsonOf<Value> = unknown extends Value
  ? Value
  : Value extends string | number | boolean | null
    ? Value
    : Value extends undefined | void
      ? null
      : Value extends { toJSON(...parameters: never[]): infer Json }
        ? JsonOf<Json>
        : Value extends bigint | symbol | Callable
          ? never
          : Value extends readonly unknown[]
            ? { [Key in keyof Value]: JsonOf<Value[Key]> }
            : {
                [
                  Key in keyof Value as Value[Key] extends symbol | Callable ? never : Key
                ]: JsonOfProperty<Value[Key]>;
              };

type Callable = (...parameters: never[]) => unknown;
/** JSON leaves an undefined property out, where it writes null for an undefined element. */
type JsonOfProperty<Value> = Value extends undefined ? undefined : JsonOf<Value>;
