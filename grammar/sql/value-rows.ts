/**
 * Finds the rows of a VALUES list in the class of a text while it is written, so that a row equal to the one before it can be left
 * out: a thousand rows of the same constants' kinds need no other facts than one.
 *
 * States: *none* (no list at hand), *awaiting a row* (behind VALUES or a comma), *in a row* (deeper than the list), *behind a row*.
 */
const none = -1;

export class ValueRows {
  #depth = 0;
  /** Depth of the list, or `none`. */
  #listDepth = none;
  #awaitsRow = false;
  #start = 0;
  #lastStart = none;
  #lastEnd = none;

  reset(): void {
    this.#depth = 0;
    this.#listDepth = none;
    this.#lastStart = none;
  }

  /** The word VALUES. */
  begin(): void {
    this.#listDepth = this.#depth;
    this.#awaitsRow = true;
    this.#lastStart = none;
  }

  /** Any token but a parenthesis or a comma: on the list's own level it ends the list. */
  other(): void {
    if (this.#listDepth === this.#depth) this.#listDepth = none;
  }

  comma(): void {
    if (this.#listDepth === this.#depth) this.#awaitsRow = true;
  }

  /** `at` is where the parenthesis will be written. */
  open(at: number): void {
    if (this.#listDepth === this.#depth) {
      if (this.#awaitsRow) this.#start = at;
      else this.#listDepth = none;
      this.#awaitsRow = false;
    }
    this.#depth += 1;
  }

  /** Called with what is written, the closing parenthesis included; returns how much of it to keep. */
  close(written: Buffer, length: number): number {
    // A list in parentheses ends with them.
    if (this.#listDepth === this.#depth) this.#listDepth = none;
    this.#depth -= 1;
    if (this.#listDepth !== this.#depth) return length;
    if (this.#lastStart !== none && written.compare(written, this.#start, length, this.#lastStart, this.#lastEnd) === 0) return this.#lastEnd;
    this.#lastStart = this.#start;
    this.#lastEnd = length;
    return length;
  }
}
