/**
 * Microseconds since 1970 for writes whose client gave none: strictly rising in a process, so that of two writes the later one wins. On a tie the larger value would.
 * A number holds them exactly until the year 2255.
 */
import type { Clock } from '../../config/runtime.ts';

const TWO_32 = 2 ** 32;

export class Timestamps {
  readonly #clock: Pick<Clock, 'now'>;
  #last = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  next(): number {
    this.#last = Math.max(this.#last + 1, this.#clock.now() * 1000);
    return this.#last;
  }
}

/** As a [long], without a bigint. */
export function writeTimestamp(out: Buffer, at: number, micros: number): void {
  out.writeUInt32BE(Math.floor(micros / TWO_32), at);
  out.writeUInt32BE(micros % TWO_32, at + 4);
}
