/** What a validation or a scan has found, table by table. */
import type { Clock } from '../../../config/runtime.ts';
import type { RowPart } from '../row-reader.ts';
import { printTable } from '../table.ts';
import type { CassandraTable } from '../table.ts';
import { shareOfRing } from '../ring-share.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';
import { discrepancyTypes, printDifference } from './discrepancy.ts';
import type { Discrepancy, DiscrepancyType, RowDifference } from './discrepancy.ts';
import type { Reconciled } from './reconciler.ts';
import type { Settled } from './settle-differences.ts';

export type DiscrepancyCounts = Readonly<Record<DiscrepancyType, number>>;

export interface TableComparison {
  readonly table: string;
  /** Static columns of a partition count as a row. */
  readonly rowsSource: number;
  readonly rowsTarget: number;
  /** Rows that have this difference; one row may have several. */
  readonly counts: DiscrepancyCounts;
  readonly rowsDifferent: number;
  /** Different at first, and the same when read again. */
  readonly transient: number;
  /** Rows that changed at every reading. */
  readonly unsettled: number;
  readonly repaired: number;
  /** Rows that are different after the repair. */
  readonly notRepaired: number;
  readonly shareOfRing: number;
  /** The first of them. */
  readonly discrepancies: readonly Discrepancy[];
  /** Why everything was read although a log of keys was to tell what. */
  readonly wholeBecause: string | undefined;
  /** Why the comparison did not come to its end. */
  readonly error: string | undefined;
}

export interface ComparisonReport {
  readonly mode: string;
  readonly startedAt: string;
  readonly elapsedMs: number;
  readonly tables: readonly TableComparison[];
  readonly counts: DiscrepancyCounts;
  readonly rowsCompared: number;
  readonly rowsDifferent: number;
  readonly repaired: number;
  readonly unsettled: number;
  /** Nothing differs, or all of it was repaired; nothing is unsettled; every table was compared to its end. */
  readonly passed: boolean;
}

export type DiscrepancySink = (discrepancy: Discrepancy) => Promise<void>;

export class ComparisonTally {
  readonly #clock: Clock;
  readonly #table: CassandraTable;
  readonly #mostListed: number;
  readonly #sink: DiscrepancySink | undefined;
  readonly #counts = Object.fromEntries(discrepancyTypes.map((type) => [type, 0])) as Record<DiscrepancyType, number>;
  readonly #listed: Discrepancy[] = [];
  readonly #ranges: TokenRange[] = [];
  #rowsSource = 0;
  #rowsTarget = 0;
  #different = 0;
  #transient = 0;
  #unsettled = 0;
  #repaired = 0;
  #notRepaired = 0;
  error: string | undefined;
  wholeBecause: string | undefined;

  /** Every discrepancy goes to `sink`, the first `mostListed` into the report. */
  constructor(clock: Clock, table: CassandraTable, mostListed: number, sink: DiscrepancySink | undefined) {
    this.#clock = clock;
    this.#table = table;
    this.#mostListed = mostListed;
    this.#sink = sink;
  }

  compared(_part: RowPart, onSource: boolean, onTarget: boolean): void {
    if (onSource) this.#rowsSource += 1;
    if (onTarget) this.#rowsTarget += 1;
  }

  settled({ transient, unsettled }: Settled): void {
    this.#transient += transient;
    this.#unsettled += unsettled.length;
  }

  async found(difference: RowDifference): Promise<void> {
    this.#different += 1;
    for (const type of difference.types) this.#counts[type] += 1;
    if (this.#sink === undefined && this.#listed.length >= this.#mostListed) return;
    const printed = printDifference(this.#table, difference, this.#clock.now());
    if (this.#listed.length < this.#mostListed) this.#listed.push(printed);
    await this.#sink?.(printed);
  }

  /** What a repair has shown to be a deletion is counted as one. */
  reconciled({ repaired, remaining, hiddenByDeletion }: Reconciled): void {
    this.#repaired += repaired;
    this.#notRepaired += remaining.length;
    this.#counts.MissingInTarget -= hiddenByDeletion;
    this.#counts.TombstoneMismatch += hiddenByDeletion;
  }

  rangeDone(range: TokenRange): void {
    this.#ranges.push(range);
  }

  result(): TableComparison {
    return {
      table: printTable(this.#table), rowsSource: this.#rowsSource, rowsTarget: this.#rowsTarget, counts: { ...this.#counts }, rowsDifferent: this.#different, transient: this.#transient, unsettled: this.#unsettled,
      repaired: this.#repaired, notRepaired: this.#notRepaired, shareOfRing: shareOfRing(this.#ranges), discrepancies: [...this.#listed], wholeBecause: this.wholeBecause, error: this.error,
    };
  }
}

export function reportOf(mode: string, startedAtMs: number, elapsedMs: number, tables: readonly TableComparison[]): ComparisonReport {
  const total = (of: (table: TableComparison) => number): number => tables.reduce((sum, table) => sum + of(table), 0);
  const rowsDifferent = total((table) => table.rowsDifferent);
  const repaired = total((table) => table.repaired);
  const unsettled = total((table) => table.unsettled);
  return {
    mode, startedAt: new Date(startedAtMs).toISOString(), elapsedMs, tables, rowsCompared: total((table) => Math.max(table.rowsSource, table.rowsTarget)), rowsDifferent, repaired, unsettled,
    counts: Object.fromEntries(discrepancyTypes.map((type) => [type, total((table) => table.counts[type])])) as Record<DiscrepancyType, number>,
    passed: rowsDifferent === repaired && unsettled === 0 && tables.every(({ error }) => error === undefined),
  };
}
