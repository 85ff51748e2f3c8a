import type { ServerResponse } from "node:http";
import { AppError } from "../errors.ts";

/** A request that may last: its signal aborts when its client is gone or the server stops. */
export interface LongRequest extends Disposable {
  readonly signal: AbortSignal;
}

/** Counts the requests that last (event streams, waits for results), bounds them, and ends them all at a stop. */
export class LongRequests {
  readonly #countMax: number;
  readonly #open = new Set<AbortController>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#open.size;
  }

  /** @throws AppError resource_exhausted */
  open(response: ServerResponse): LongRequest {
    if (this.#open.size >= this.#countMax) {
      throw new AppError(
        "resource_exhausted",
        `this server serves at most ${this.#countMax} event streams and waits at a time; ` +
          "received one more",
        { countMax: this.#countMax },
      );
    }
    const controller = new AbortController();
    this.#open.add(controller);
    const abort = (): void => controller.abort();
    response.once("close", abort);
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        response.off("close", abort);
        this.#open.delete(controller);
      },
    };
  }

  /** Aborts every open request's signal. */
  abortAll(): void {
    for (const controller of this.#open) controller.abort();
  }
}
