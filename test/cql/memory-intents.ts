/** An intent log in memory, for tests that look at what the proxy does with it: what is "written" can be held back. */
import { REFUSED } from '../../src/cql/intents/intent-log.ts';
import type { Intent, IntentLog, IntentLogState, IntentOrigin, IntentStatement, LogRefusal } from '../../src/cql/intents/intent-log.ts';

export class MemoryIntents implements IntentLog {
  onWritten: () => void = () => undefined;
  onReleased: (from: number) => void = () => undefined;
  readonly open = new Map<number, Intent>();
  readonly released = new Map<number, Intent>();
  readonly ended: { readonly ticket: number; readonly how: 'settled' | 'cancelled' }[] = [];
  writtenUpTo = 0;
  cancelledUpTo = 0;
  refusal: LogRefusal | undefined;
  /** Nothing reaches the disk while this is set. */
  isHeld = false;
  #tickets = 0;
  #cancellations = 0;
  #scheduled = false;

  append(origin: IntentOrigin, opcode: number, owes: number, order: number, atMs: number, statements: readonly IntentStatement[], body: Buffer, from = 0, end = body.length): number {
    if (this.refusal) return REFUSED;
    const ticket = this.#tickets += 1;
    this.open.set(ticket, { ticket, opcode, owes, order, atMs, origin, statements: [...statements], body: Buffer.from(body.subarray(from, end)) });
    this.#schedule();
    return ticket;
  }

  /** What is written when is the test's to say. */
  flush(): void {}

  settle(ticket: number): void {
    this.#end(ticket, 'settled');
  }

  cancel(ticket: number): number {
    this.#end(ticket, 'cancelled');
    this.#schedule();
    return this.#cancellations += 1;
  }

  release(ticket: number, owes: number): void {
    const intent = this.open.get(ticket) ?? this.released.get(ticket);
    if (!intent) throw new Error(`ticket ${ticket} has ended`);
    this.open.delete(ticket);
    this.released.set(ticket, { ...intent, owes });
    this.onReleased(ticket);
  }

  nextReleased(after: number): number {
    return Math.min(...[...this.released.keys()].filter((ticket) => ticket > after), Infinity) === Infinity ? -1 : Math.min(...[...this.released.keys()].filter((ticket) => ticket > after));
  }

  read(ticket: number): Intent | undefined {
    return this.released.get(ticket) ?? this.open.get(ticket);
  }

  owes(ticket: number): number {
    return this.read(ticket)?.owes ?? 0;
  }

  state(): IntentLogState {
    return { depth: this.open.size + this.released.size, released: this.released.size, bytes: 0, maxBytes: 0, segments: 1, oldestAtMs: undefined };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What was held back is written. */
  write(): void {
    this.isHeld = false;
    this.writtenUpTo = this.#tickets;
    this.cancelledUpTo = this.#cancellations;
    this.onWritten();
  }

  #end(ticket: number, how: 'settled' | 'cancelled'): void {
    if (!this.open.delete(ticket) && !this.released.delete(ticket)) throw new Error(`ticket ${ticket} has ended before`);
    this.ended.push({ ticket, how });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.isHeld) this.write();
    });
  }
}
