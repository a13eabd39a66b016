/**
 * Takes the rows of a RETURNING that the gateway has put behind a client's statement out of its answer.
 *
 * Each statement has a RowDescription of its own in front of its rows, asked for by the gateway in the extended protocol. Those that the client
 * has asked for itself are answered as for a statement that gives no rows.
 */
import type { MarkableTable } from '../../../catalog/routing-snapshot.ts';
import { readColumnNames, readDataRow } from '../../wire/backend-messages.ts';
import { CUT, WHOLE } from '../../wire/framing.ts';
import type { ImageTaker } from '../../execute/segment.ts';
import type { RowImages } from '../../execute/row-images.ts';

export interface ImagesOf {
  readonly tableId: string;
  readonly table: MarkableTable;
  /** A DELETE gives the rows that are gone. */
  readonly isDelete: boolean;
}

export class ImageReader implements ImageTaker {
  readonly #images: RowImages;
  /** RowDescriptions to come, in order; undefined: the client's. */
  readonly #expected: (ImagesOf | undefined)[] = [];
  #of: ImagesOf | undefined;
  /** Places in the row of the table's columns, and of the key among these. */
  #places: readonly number[] = [];
  #keyPlaces: readonly number[] = [];
  #isFirstRow = false;

  constructor(images: RowImages) {
    this.#images = images;
  }

  expect(of: ImagesOf | undefined): void {
    this.#expected.push(of);
  }

  /** False for one that the client has asked for. */
  described(buffer: Buffer, start: number): boolean {
    const of = this.#expected.shift();
    if (!of) return false;
    this.#of = of;
    this.#isFirstRow = true;
    const names = readColumnNames(buffer, start);
    this.#places = of.table.columns.map(({ name }) => names.indexOf(name));
    this.#keyPlaces = of.table.key.map((name) => of.table.columns.findIndex((column) => column.name === name));
    // The table has changed since its route was made.
    if (this.#places.includes(-1)) this.#images.lose();
    return true;
  }

  row(buffer: Buffer, start: number, length: number): typeof CUT | typeof WHOLE {
    const images = this.#images;
    if (!this.#of || !images.takes(length)) {
      images.lose();
      return CUT;
    }
    if (start + length > buffer.length) return WHOLE;
    const values = readDataRow(buffer, start);
    const xid = values.at(-1) ?? undefined;
    if (xid === undefined || (images.xid !== undefined && images.xid !== xid)) images.lose();
    images.xid = xid;
    if (this.#isFirstRow) images.statementsWithRows += 1;
    this.#isFirstRow = false;
    images.add(this.#of.tableId, this.#of.table, this.#keyPlaces, this.#places.map((place) => values[place] ?? null), this.#of.isDelete, length);
    return CUT;
  }
}
