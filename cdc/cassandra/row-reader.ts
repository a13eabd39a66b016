/** The SELECTs of a table, and their answers as rows of cells. */
import { readCells } from './cells.ts';
import type { Cell } from './cells.ts';
import type { BoundStatement } from './cluster.ts';
import { readBigint, writeBigint } from './raw-values.ts';
import { quoteName, quoteTable } from './table.ts';
import type { CassandraColumn, CassandraTable } from './table.ts';
import type { TokenRange } from '../../grammar/cql/token-range.ts';

/** Static columns belong to a partition and not to its rows: they are read once per partition, also where there is no row. */
export type RowPart = 'rows' | 'statics';

export interface TableRow {
  readonly part: RowPart;
  readonly token: bigint;
  readonly partitionKey: readonly Buffer[];
  /** Empty for `statics`. */
  readonly clustering: readonly Buffer[];
  /** Live cells; a row without any exists by its marker alone. */
  readonly cells: readonly Cell[];
  /** When the answer came, on the clock that never goes back: times to live count from here. */
  readonly readAtMs: number;
  readonly bytes: number;
}

export class RowReader {
  readonly table: CassandraTable;
  readonly part: RowPart;
  readonly columns: readonly CassandraColumn[];
  readonly #keys: readonly CassandraColumn[];
  readonly #hasTimes: readonly boolean[];
  readonly #select: string;
  readonly #token: string;

  /** `tellsElementTimes`: the cluster answers WRITETIME and TTL of collections. */
  constructor(table: CassandraTable, part: RowPart, tellsElementTimes: boolean) {
    this.table = table;
    this.part = part;
    this.columns = part === 'rows' ? table.regulars : table.statics;
    this.#keys = part === 'rows' ? [...table.partitionKey, ...table.clustering] : table.partitionKey;
    this.#hasTimes = this.columns.map(({ shape }) => shape === 'plain' || (shape !== 'counter' && tellsElementTimes));
    this.#token = `token(${table.partitionKey.map(({ name }) => quoteName(name)).join(', ')})`;
    const selected = [this.#token, ...this.#keys.map(({ name }) => quoteName(name))];
    this.columns.forEach(({ name }, index) => {
      const column = quoteName(name);
      selected.push(column);
      if (this.#hasTimes[index] === true) selected.push(`WRITETIME(${column})`, `TTL(${column})`);
    });
    // Numbered, since a column may be called anything.
    this.#select = `SELECT ${part === 'statics' ? 'DISTINCT ' : ''}${selected.map((what, index) => `${what} AS "c${index}"`).join(', ')} FROM ${quoteTable(table)}`;
  }

  inRange({ after, upTo }: TokenRange): BoundStatement {
    return { text: `${this.#select} WHERE ${this.#token} > ? AND ${this.#token} <= ?`, values: [writeBigint(after), writeBigint(upTo)] };
  }

  byKey(partitionKey: readonly Buffer[], clustering: readonly Buffer[] = []): BoundStatement {
    const names = this.#keys.slice(0, partitionKey.length + clustering.length);
    return { text: `${this.#select} WHERE ${names.map(({ name }) => `${quoteName(name)} = ?`).join(' AND ')}`, values: [...partitionKey, ...clustering] };
  }

  /** Undefined for what is no row of this part: a partition that has only static columns among the rows, one without any among the statics. */
  parse(answer: readonly (Buffer | null)[], readAtMs: number): TableRow | undefined {
    const keys: Buffer[] = [];
    let bytes = 0;
    for (let at = 1; at <= this.#keys.length; at += 1) {
      const key = answer[at] ?? null;
      if (key === null) return undefined;
      keys.push(key);
      bytes += key.length;
    }
    const cells: Cell[] = [];
    let at = 1 + this.#keys.length;
    this.columns.forEach((column, index) => {
      const value = answer[at] ?? null;
      const hasTimes = this.#hasTimes[index] === true;
      readCells(column, value, hasTimes ? answer[at + 1] ?? null : null, hasTimes ? answer[at + 2] ?? null : null, cells);
      bytes += (value?.length ?? 0) + (hasTimes ? 12 : 0);
      at += hasTimes ? 3 : 1;
    });
    if (this.part === 'statics' && cells.length === 0) return undefined;
    const token = answer[0];
    if (!token) throw new RangeError('a row without a token');
    const inPartitionKey = this.table.partitionKey.length;
    return { part: this.part, token: readBigint(token), partitionKey: keys.slice(0, inPartitionKey), clustering: keys.slice(inPartitionKey), cells, readAtMs, bytes };
  }
}

/** Static columns first: a reader of the target sees them no later than the rows. */
export function readersOf(table: CassandraTable, tellsElementTimes: boolean): readonly RowReader[] {
  return [...(table.statics.length > 0 ? [new RowReader(table, 'statics', tellsElementTimes)] : []), new RowReader(table, 'rows', tellsElementTimes)];
}
