/**
 * Takes the rows that the gateway has put behind a client's statement out of its answer; of a statement that has a RETURNING of its own, the client gets
 * the columns in front of them.
 *
 * Each statement has a RowDescription of its own in front of its rows, asked for by the gateway in the extended protocol. Those that the client
 * has asked for itself tell it what it would be told of its own statement.
 */
import type { MarkableTable } from '../../../catalog/routing-snapshot.ts';
import type { ImageTaker } from '../../execute/segment.ts';
import type { RowImages } from '../../execute/row-images.ts';
import { firstColumns, firstValues, noData, readColumnNames, readDataRow } from '../../wire/backend-messages.ts';
import { CUT, WHOLE } from '../../wire/framing.ts';
import { XID_COLUMN } from './returning.ts';

const ROW = 0x44;

export interface ImagesOf {
  readonly tableId: string;
  readonly table: MarkableTable;
  /** A DELETE gives the rows that are gone. */
  readonly isDelete: boolean;
  /** The client gets rows, too. */
  readonly hasReturning: boolean;
  /** What it tells its client may come from other rows than those that it writes. */
  readonly tellsMore: boolean;
}

export class ImageReader implements ImageTaker {
  readonly #images: RowImages;
  readonly #toClient: (bytes: Buffer) => void;
  /** RowDescriptions to come, in order, and whether the client has asked. */
  readonly #expected: { readonly of: ImagesOf; readonly isAsked: boolean; readonly isRun: boolean }[] = [];
  #of: ImagesOf | undefined;
  /** Columns in front of those that were added. */
  #own = 0;
  /** Places in the row of the table's columns, and of the key among these. */
  #places: readonly number[] = [];
  #keyPlaces: readonly number[] = [];
  #isFirstRow = false;

  constructor(images: RowImages, toClient: (bytes: Buffer) => void) {
    this.#images = images;
    this.#toClient = toClient;
  }

  /** `asked`: the client gets the description; `run`: rows follow. */
  expect(of: ImagesOf, asked: boolean, run: boolean): void {
    this.#expected.push({ of, isAsked: asked, isRun: run });
  }

  take(type: number, buffer: Buffer, start: number, length: number): typeof CUT | typeof WHOLE {
    if (type === ROW) return this.#row(buffer, start, length);
    this.#described(buffer, start);
    return CUT;
  }

  #described(buffer: Buffer, start: number): void {
    const next = this.#expected.shift();
    const names = readColumnNames(buffer, start);
    const own = names.indexOf(XID_COLUMN);
    if (!next || own < 0) return this.#images.lose();
    const { of } = next;
    if (next.isAsked && of.hasReturning) this.#toClient(firstColumns(buffer, start, own));
    // A Query without rows has no description at all.
    else if (next.isAsked && !next.isRun) this.#toClient(noData);
    if (!next.isRun) return;
    this.#of = of;
    this.#own = own;
    this.#isFirstRow = true;
    this.#places = of.table.columns.map(({ name }) => names.indexOf(name, own + 1));
    this.#keyPlaces = of.table.key.map((name) => of.table.columns.findIndex((column) => column.name === name));
    // The table has changed since its route was made.
    if (this.#places.includes(-1)) this.#images.lose();
  }

  #row(buffer: Buffer, start: number, length: number): typeof CUT | typeof WHOLE {
    const images = this.#images;
    const of = this.#of;
    if (!of || !images.takes(length)) images.lose();
    if (!of || (images.isLost && !of.hasReturning)) return CUT;
    if (start + length > buffer.length) return WHOLE;
    if (of.hasReturning) this.#toClient(firstValues(buffer, start, this.#own));
    if (!images.isLost) this.#keep(of, readDataRow(buffer, start), length);
    return CUT;
  }

  #keep(of: ImagesOf, values: readonly (string | null)[], bytes: number): void {
    const images = this.#images;
    const xid = values[this.#own] ?? undefined;
    if (xid === undefined || (images.xid !== undefined && images.xid !== xid)) images.lose();
    images.xid = xid;
    if (this.#isFirstRow && !of.tellsMore) images.statementsWithRows += 1;
    this.#isFirstRow = false;
    images.add(of.tableId, of.table, this.#keyPlaces, this.#places.map((place) => values[place] ?? null), of.isDelete, bytes);
  }
}
