/** How far a load is: rows, bytes, share of the ring, rate of late, and what is left of the time at that rate. */
import type { Clock } from '../../../config/runtime.ts';
import { printTable } from '../table.ts';
import type { TableName } from '../table.ts';
import { shareOfRing } from '../ring-share.ts';
import type { LedgerRange, RangeTally } from './load-ledger.ts';
import type { TokenRange } from '../../../grammar/cql/token-range.ts';

export type TableLoadState = 'waiting' | 'loading' | 'done' | 'incomplete';

export interface TableProgress {
  readonly table: string;
  readonly state: TableLoadState;
  readonly rows: number;
  readonly bytes: number;
  readonly refused: number;
  readonly rangesDone: number;
  readonly rangesTotal: number;
  /** 0 to 1: how much of the ring has been read. Tokens are spread evenly, so rows are about as many. */
  readonly share: number;
  readonly error: string | undefined;
}

export interface LoadProgress {
  readonly tables: readonly TableProgress[];
  readonly rows: number;
  readonly bytes: number;
  readonly refused: number;
  readonly share: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly elapsedMs: number;
  /** Undefined as long as nothing can be said. */
  readonly remainingMs: number | undefined;
}

const WINDOW_MS = 10_000;

export class TableTally {
  readonly table: TableName;
  state: TableLoadState = 'waiting';
  error: string | undefined;
  #finished: RangeTally = { rows: 0, bytes: 0, refused: 0 };
  /** Of ranges that are not finished: they count as read, and are forgotten when the range begins again. */
  #underWay = new Map<bigint, RangeTally>();
  #done: TokenRange[] = [];
  #ranges = 0;

  constructor(table: TableName) {
    this.table = table;
  }

  restore(ranges: readonly LedgerRange[]): void {
    this.#ranges = ranges.length;
    for (const range of ranges) if (range.state === 'done') this.finish(range, range);
  }

  page(range: TokenRange, tally: RangeTally): void {
    this.#underWay.set(range.after, tally);
  }

  drop(range: TokenRange, parts = 1): void {
    this.#underWay.delete(range.after);
    this.#ranges += parts - 1;
  }

  finish(range: TokenRange, tally: RangeTally): void {
    this.#underWay.delete(range.after);
    this.#done.push({ after: range.after, upTo: range.upTo });
    this.#finished = sum(this.#finished, tally);
  }

  progress(): TableProgress {
    const { rows, bytes, refused } = [...this.#underWay.values()].reduce(sum, this.#finished);
    return { table: printTable(this.table), state: this.state, rows, bytes, refused, rangesDone: this.#done.length, rangesTotal: this.#ranges, share: this.state === 'done' ? 1 : shareOfRing(this.#done), error: this.error };
  }
}

export class LoadTally {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly tables: readonly TableTally[];
  #samples: { readonly atMs: number; readonly rows: number; readonly bytes: number }[] = [];
  /** What was there before this process does not count for its rate. */
  #startShare: number | undefined;

  constructor(clock: Clock, tables: readonly TableName[]) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.tables = tables.map((table) => new TableTally(table));
  }

  progress(): LoadProgress {
    const tables = this.tables.map((table) => table.progress());
    const total = tables.reduce(sum, { rows: 0, bytes: 0, refused: 0 });
    const share = tables.length === 0 ? 1 : tables.reduce((shares, table) => shares + table.share, 0) / tables.length;
    const nowMs = this.#clock.monotonicMs();
    this.#startShare ??= share;
    this.#samples.push({ atMs: nowMs, rows: total.rows, bytes: total.bytes });
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) this.#samples.shift();
    const [first] = this.#samples;
    const seconds = first === undefined ? 0 : (nowMs - first.atMs) / 1000;
    const elapsedMs = nowMs - this.#startedMs;
    const gained = share - this.#startShare;
    return {
      tables, ...total, share, elapsedMs,
      rowsPerSecond: seconds > 0 && first !== undefined ? Math.max(0, (total.rows - first.rows) / seconds) : 0,
      bytesPerSecond: seconds > 0 && first !== undefined ? Math.max(0, (total.bytes - first.bytes) / seconds) : 0,
      remainingMs: share >= 1 ? 0 : gained > 0 ? Math.round((elapsedMs / gained) * (1 - share)) : undefined,
    };
  }
}

function sum(a: RangeTally, b: RangeTally): RangeTally {
  return { rows: a.rows + b.rows, bytes: a.bytes + b.bytes, refused: a.refused + b.refused };
}
