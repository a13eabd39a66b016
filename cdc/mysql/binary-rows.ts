/**
 * Rows as `COPY` binary: local then neither looks for tabs and escapes nor reads digits and dates, which is half of what a load costs it. What a
 * column's conversion makes of a value is written from that text.
 *
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
import type { WireType } from '../postgres/row-writer-format.ts';
import { BinaryValues, valueKind, valueKindOf } from './binary-values.ts';
import { isByteType, isCharacterType } from './column-type.ts';
import { isPlainDate, SHORT_BYTES } from './copy-encoder.ts';
import { keepsAll } from './source-column.ts';
import type { SourceColumn } from './source-column.ts';

/** Which bytes of a column need no conversion before they are written. */
const way = {
  all: 0,
  /** Those without a NUL. */
  text: 1,
  /** Those of an ordinary date. */
  date: 2,
  /** `0` and `1`. */
  flag: 3,
  /** Those that fill the column. */
  full: 4,
  /** All but the empty one, which stands for a label that MySQL refused. */
  filled: 5,
  none: 6,
} as const;

const SIGNATURE = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const END = Buffer.from([0xff, 0xff]);
const ZERO = 0x30;

function wayOf(column: SourceColumn, kind: number): number {
  const { type } = column;
  const isKept = keepsAll(column);
  if (type.name === 'bit') return way.none;
  if (isByteType(type)) {
    if (kind !== valueKind.raw) return way.none;
    return isKept ? way.all : type.name === 'binary' ? way.full : way.none;
  }
  if (isKept || column.keepsOrdinary) {
    if (/^(?:date|datetime|timestamp)$/.test(type.name)) return way.date;
    if (isCharacterType(type)) return way.text;
  }
  if (kind === valueKind.labels) return way.all;
  if (isKept) return way.all;
  if (type.name === 'enum') return way.filled;
  return kind === valueKind.bool ? way.flag : way.none;
}

export class BinaryRows extends BinaryValues {
  readonly #kinds: Uint8Array;
  readonly #ways: Uint8Array;
  #hasBegun = false;

  private constructor(columns: readonly SourceColumn[], kinds: readonly number[]) {
    super(columns);
    this.#kinds = Uint8Array.from(kinds);
    this.#ways = Uint8Array.from(columns, (column, at) => wayOf(column, kinds[at] ?? 0));
  }

  /** Undefined where a column's type on local has no binary form here. */
  static of(columns: readonly SourceColumn[], target: ReadonlyMap<string, WireType>): BinaryRows | undefined {
    const kinds = columns.map((column) => valueKindOf(column.type, target.get(column.name)));
    return kinds.every((kind) => kind !== undefined) ? new BinaryRows(columns, kinds) : undefined;
  }

  override begin(): void {
    super.begin();
    this.#hasBegun = false;
  }

  override end(): void {
    this.addFrame(this.#hasBegun ? END : Buffer.concat([SIGNATURE, END]));
  }

  protected override row(from: Buffer, at: number): void {
    const isFirst = !this.#hasBegun;
    this.reserve(SIGNATURE.length + 2);
    if (isFirst) this.at += SIGNATURE.copy(this.out, this.at);
    this.int16(this.columns.length);
    super.row(from, at);
    this.#hasBegun = true;
  }

  protected nothing(): void {
    this.reserve(4);
    this.int32(-1);
  }

  protected value(column: number, from: Buffer, at: number, end: number): void {
    const kind = this.#kinds[column] as number;
    if (kind === valueKind.raw && this.#ways[column] === way.text) {
      const begin = this.at;
      this.length(end - at);
      if (this.copyWithoutNul(from, at, end)) return;
      this.at = begin;
      this.#convert(column, kind, from, at, end);
    } else if (this.#needsNone(this.#ways[column] as number, column, from, at, end)) this.write(kind, from, at, end);
    else this.#convert(column, kind, from, at, end);
  }

  #needsNone(kind: number, column: number, from: Buffer, at: number, end: number): boolean {
    switch (kind) {
      case way.all: return true;
      case way.text: return !hasNul(from, at, end);
      case way.date: return isPlainDate(from, at);
      case way.flag: return end - at === 1 && ((from[at] as number) | 1) === (ZERO | 1);
      case way.filled: return end > at;
      case way.full: return end - at === this.columns[column]?.type.length;
      default: return false;
    }
  }

  #convert(column: number, kind: number, from: Buffer, at: number, end: number): void {
    const value = this.converted(this.columns[column] as SourceColumn, from, at, end);
    if (value === null) this.nothing();
    else if (kind === valueKind.raw && isByteType((this.columns[column] as SourceColumn).type)) this.writeWhole(valueKind.raw, Buffer.from(value.slice(2), 'hex'));
    else this.writeWhole(kind, Buffer.from(value));
  }
}

function hasNul(from: Buffer, at: number, end: number): boolean {
  if (end - at > SHORT_BYTES) {
    const next = from.indexOf(0, at);
    return next >= 0 && next < end;
  }
  for (let next = at; next < end; next += 1) if (from[next] === 0) return true;
  return false;
}
