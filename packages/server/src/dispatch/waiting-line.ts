/** Few that left are not worth a cleaning. */
const LEFT_MIN = 1_024;

/**
 * A line of those who wait for their turn, of which any may leave. A `Set` would do, but finding its first member costs a step
 * for each that left from its head since it last grew.
 */
export class WaitingLine<Member> {
  readonly #stillWaits: (member: Member) => boolean;
  #members: Member[] = [];
  #head = 0;
  #cleanAt = LEFT_MIN;

  /** @param stillWaits false for those who left */
  constructor(stillWaits: (member: Member) => boolean) {
    this.#stillWaits = stillWaits;
  }

  push(member: Member): void {
    this.#members.push(member);
    if (this.#members.length < this.#cleanAt) return;
    this.#clean();
    this.#cleanAt = 2 * this.#members.length + LEFT_MIN;
  }

  /** Takes the first that still waits out of the line. */
  shift(): Member | undefined {
    while (this.#head < this.#members.length) {
      const member = this.#members[this.#head];
      this.#head += 1;
      if (this.#head > LEFT_MIN && 2 * this.#head > this.#members.length) this.#clean();
      if (member !== undefined && this.#stillWaits(member)) return member;
    }
    this.#members = [];
    this.#head = 0;
    return undefined;
  }

  #clean(): void {
    this.#members = this.#members.slice(this.#head).filter(this.#stillWaits);
    this.#head = 0;
  }
}
