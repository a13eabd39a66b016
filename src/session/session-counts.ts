/** What one session has done so far, as plain numbers on the way of every answer. A block counts as one transaction, and so does each unit outside one. */
import type { TransactionStatus } from '../wire/backend-messages.ts';

export class SessionCounts {
  units = 0;
  unitMs = 0;
  transactions = 0;
  transactionMs = 0;
  /** When the last unit was handed to its leg. */
  lastRequestMs: number;
  #blockSinceMs: number | undefined;

  constructor(nowMs: number) {
    this.lastRequestMs = nowMs;
  }

  unitEnded(status: TransactionStatus, startedAtMs: number, nowMs: number): void {
    this.units += 1;
    this.unitMs += nowMs - startedAtMs;
    this.lastRequestMs = startedAtMs;
    if (status !== 'I') this.#blockSinceMs ??= startedAtMs;
    else this.blockEnded(startedAtMs, nowMs);
  }

  /** Also for a block that the gateway ends by itself on its legs. */
  blockEnded(startedAtMs: number, nowMs: number): void {
    this.transactions += 1;
    this.transactionMs += nowMs - (this.#blockSinceMs ?? startedAtMs);
    this.#blockSinceMs = undefined;
  }
}
