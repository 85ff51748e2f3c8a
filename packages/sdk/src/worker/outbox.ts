/** Outcomes on their way: kept until the server has acknowledged them, and sent again on the next stream. */
import type { AttemptRef, Outcome, Outcomes } from "../gen/baton/v1/worker.ts";
import { OUTCOME_BATCH_BYTES_MAX, OUTCOME_BATCH_MAX, OUTCOME_MESSAGES_MAX } from "../limits.ts";

/** In the order in which they came; nothing is lost and nothing is sent twice on one stream. */
export class Outbox {
  /** Not yet sent on this stream. */
  #waiting: Outcome[] = [];
  /** Sent on this stream, by the sequence of their message, oldest first. */
  readonly #sent = new Map<number, readonly Outcome[]>();
  #sequence = 0;
  #count = 0;
  #bytes = 0;

  /** Outcomes that are not acknowledged. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of their results and errors. */
  get bytes(): number {
    return this.#bytes;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(outcome: Outcome): void {
    this.#waiting.push(outcome);
    this.#count += 1;
    this.#bytes += bytesOf(outcome);
  }

  /** The next message; undefined when all are sent, or too many messages are without acknowledgement. */
  take(): Outcomes | undefined {
    if (this.#sent.size >= OUTCOME_MESSAGES_MAX) return undefined;
    const size = this.#nextBatchSize();
    if (size === 0) return undefined;
    const outcomes = this.#waiting;
    this.#waiting = size === outcomes.length ? [] : outcomes.splice(size);
    this.#sequence += 1;
    this.#sent.set(this.#sequence, outcomes);
    return { sequence: this.#sequence, outcomes };
  }

  /** Forgets a message and returns what was in it; nothing when the sequence is not one of this stream's. */
  acknowledge(sequence: number): readonly Outcome[] {
    const outcomes = this.#sent.get(sequence) ?? [];
    this.#sent.delete(sequence);
    for (const outcome of outcomes) this.#forget(outcome);
    return outcomes;
  }

  /** A new stream: everything that is not acknowledged waits again, in the old order; sequences start anew. */
  restart(): void {
    this.#waiting = [...[...this.#sent.values()].flat(), ...this.#waiting];
    this.#sent.clear();
    this.#sequence = 0;
  }

  /** Takes out outcomes that wait, because the server has said that they are this worker's no more. */
  discard(refs: readonly AttemptRef[]): void {
    const stale = new Set(refs.map(keyOf));
    const isStale = (outcome: Outcome) => stale.has(keyOf(outcome));
    this.#waiting.filter(isStale).forEach((outcome) => this.#forget(outcome));
    this.#waiting = this.#waiting.filter((outcome) => !isStale(outcome));
  }

  #nextBatchSize(): number {
    let bytes = 0;
    let size = 0;
    for (const outcome of this.#waiting) {
      bytes += bytesOf(outcome);
      if (size === OUTCOME_BATCH_MAX || (size > 0 && bytes > OUTCOME_BATCH_BYTES_MAX)) return size;
      size += 1;
    }
    return size;
  }

  #forget(outcome: Outcome): void {
    this.#count -= 1;
    this.#bytes -= bytesOf(outcome);
  }
}

function keyOf(ref: { readonly jobId: string; readonly attempt: number }): string {
  return `${ref.jobId}:${ref.attempt}`;
}

function bytesOf(outcome: Outcome): number {
  const { result, error } = outcome;
  if (error === undefined) return result?.length ?? 0;
  return Buffer.byteLength(error.message) + Buffer.byteLength(error.stack);
}
