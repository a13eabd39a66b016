/** A transaction whose end has not come, and the parts of it that have been given out already. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { CapturedTable, Marker, Origin, Row, RowsChange, TransactionPart } from './transaction.ts';

interface GrowingChange extends RowsChange {
  readonly old: Row[];
  readonly new: Row[];
}

/** How much there was: changes, and the rows of the last one. */
interface Savepoint {
  readonly changes: number;
  readonly old: number;
  readonly new: number;
  readonly part: number;
}

export class OpenTransaction {
  /** Held until XA commits it, so never given out in parts. */
  readonly isPrepared: boolean;
  bytes = 0;
  givenBytes = 0;
  #changes: GrowingChange[] = [];
  #markers: Marker[] = [];
  #appliedBy: string | undefined;
  #parts = 0;
  /** Few transactions have any. */
  #savepoints: Map<string, Savepoint> | undefined;

  constructor(isPrepared: boolean) {
    this.isPrepared = isPrepared;
  }

  get isGiven(): boolean {
    return this.#parts > 0;
  }

  get isEmpty(): boolean {
    return this.#changes.length === 0 && this.#markers.length === 0;
  }

  addBookkeeping(markers: readonly Marker[] | undefined, appliedBy: string | undefined): void {
    if (markers) this.#markers.push(...markers);
    this.#appliedBy ??= appliedBy;
  }

  /** Where the next rows go: behind those before them, when they are of the same kind. */
  rowsOf(op: RowsChange['op'], table: CapturedTable): GrowingChange {
    const last = this.#changes.at(-1);
    if (last?.op === op && last.table === table) return last;
    const change: GrowingChange = { op, table, old: [], new: [] };
    this.#changes.push(change);
    return change;
  }

  savepoint(name: string): void {
    const last = this.#changes.at(-1);
    this.#savepoints ??= new Map();
    this.#savepoints.set(name, { changes: this.#changes.length, old: last?.old.length ?? 0, new: last?.new.length ?? 0, part: this.#parts });
  }

  /** A server logs what it has rolled back when tables without transactions were changed too. */
  rollbackTo(name: string): void {
    const savepoint = this.#savepoints?.get(name);
    if (!savepoint || savepoint.part !== this.#parts) {
      throw new MigrationError('MIG021', 'a large transaction was logged with changes that it rolled back to a savepoint', {
        detail: name, hint: 'Tables without transactions in the same transaction cause it; raise the limit, or RESYNC MIGRATION FOR TABLE ….',
      });
    }
    this.#changes.length = savepoint.changes;
    const last = this.#changes.at(-1);
    if (!last) return;
    last.old.length = savepoint.old;
    last.new.length = savepoint.new;
  }

  /** What has come since the part before. */
  part(end: TransactionPart['end'], origin: Origin): TransactionPart {
    const part: TransactionPart = {
      kind: 'transaction', isFirst: this.#parts === 0, end, changes: this.#changes, markers: this.#markers, appliedBy: this.#appliedBy, ...origin,
    };
    this.#changes = [];
    this.#markers = [];
    this.#parts += 1;
    this.givenBytes = this.bytes;
    return part;
  }
}
