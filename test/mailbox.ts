/** Values that wait for whoever asks for them. */
export class Mailbox<Value> {
  readonly #values: Value[] = [];
  readonly #askers: PromiseWithResolvers<Value>[] = [];
  #closed: Error | undefined;

  put(value: Value): void {
    const asker = this.#askers.shift();
    if (asker === undefined) this.#values.push(value);
    else asker.resolve(value);
  }

  /** The oldest value that nobody has taken. Fails when the mailbox was closed and is empty. */
  take(): Promise<Value> {
    const [value] = this.#values.splice(0, 1);
    if (value !== undefined) return Promise.resolve(value);
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const asker = Promise.withResolvers<Value>();
    this.#askers.push(asker);
    return asker.promise;
  }

  /** No more values will come. */
  close(reason: Error): void {
    this.#closed ??= reason;
    for (const asker of this.#askers.splice(0)) asker.reject(reason);
  }
}
