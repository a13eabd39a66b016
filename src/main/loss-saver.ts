/** Carries what a ledger of loss has counted to the catalog: a kind that is new at once, before its value can be on local; all others in batches. */
import type { NewTypeLoss } from '../../catalog/records.ts';
import { LossLedger } from '../../cdc/mysql/loss-ledger.ts';
import type { LossCount } from '../../cdc/mysql/loss-ledger.ts';
import type { LossBook } from '../migrate/loss-book.ts';

export class LossSaver implements LossBook {
  readonly ledger: LossLedger;
  readonly #record: (losses: readonly NewTypeLoss[]) => Promise<void>;
  /** One at a time, in order. */
  #last: Promise<void> = Promise.resolve();

  /** `onFailed`: of what no one waits for; it is tried again with the next batch. */
  constructor(record: (losses: readonly NewTypeLoss[]) => Promise<void>, onFailed: (error: unknown) => void) {
    this.#record = record;
    this.ledger = new LossLedger(() => void this.save().catch(onFailed));
  }

  save(): Promise<void> {
    const saving = this.#last.then(() => this.#saveNow());
    this.#last = saving.catch(() => undefined);
    return saving;
  }

  forget(tableId: string): void {
    this.ledger.forget(tableId);
  }

  async #saveNow(): Promise<void> {
    const counts = this.ledger.take();
    if (counts.length === 0) return;
    try {
      await this.#record(counts.map(newLoss));
    } catch (error) {
      this.ledger.putBack(counts);
      throw error;
    }
  }
}

function newLoss({ direction, ...count }: LossCount): NewTypeLoss {
  return { ...count, direction: direction === 'toLocal' ? 'to_local' : 'to_source' };
}
