import { BatonError } from "./errors.ts";

/** What closing a client must end: grpc-js would let open calls go on, and the process with them. */
export class OpenCalls {
  readonly #calls = new Set<{ cancel(): void }>();
  #isClosed = false;

  /** Counts a call as open until the returned function is called. */
  track(call: { cancel(): void }): () => void {
    this.#calls.add(call);
    return () => this.#calls.delete(call);
  }

  /** @throws BatonError connection_failed after `close` */
  checkOpen(): void {
    if (this.#isClosed) throw new BatonError("connection_failed", "the client was closed");
  }

  /** Cancels all calls; further ones are refused. */
  close(): void {
    this.#isClosed = true;
    for (const call of this.#calls) call.cancel();
    this.#calls.clear();
  }
}
