/**
 * What is known of the definitions that a binlog's rows were written under, where the binlog itself does not say: the catalog gives the definition of now, a
 * row is of then. An answer of the catalog holds from where the binlog ended behind it, until the next statement that may redefine the table has
 * been read. It is kept across restarts: rows that are read again are read by the definition that they were read by before.
 *
 * Rows between `asked` and `from` are read by an answer that is later than they are. A statement that lies between proves them misread.
 */
import { compareBinlogPlaces } from '../position.ts';
import type { ColumnFacts } from './column-facts.ts';
import { mayRedefine } from './statement-kind.ts';
import type { TableName } from './transaction.ts';

export interface Place {
  readonly binlogFile: string;
  readonly binlogPosition: number;
}

export interface KnownDefinition extends TableName {
  readonly columns: readonly ColumnFacts[];
  /** Rows from here on are read by this definition. */
  readonly asked: Place;
  /** What is behind it was written under this definition. */
  readonly from: Place;
  /** A statement that may have redefined the table. */
  readonly until?: Place;
}

/** All of one table, none when nothing is known of it any more; durable when it returns. */
export type SaveDefinitions = (table: TableName, definitions: readonly KnownDefinition[]) => void;

export class KnownDefinitions {
  #all: readonly KnownDefinition[];
  readonly #save: SaveDefinitions;
  /** The last statement that was read and that may have redefined any table. */
  #lastStatement: Place | undefined;

  constructor(saved: readonly KnownDefinition[] = [], save: SaveDefinitions = () => undefined) {
    this.#all = saved;
    this.#save = save;
  }

  /** Those by which a row at this place is read; undefined where the catalog has to be asked. */
  at(table: TableName, place: Place): readonly ColumnFacts[] | undefined {
    const own = this.#all.filter((each) => isSame(each, table));
    // What was written before the table began to migrate is applied to nothing, however it is read.
    return (this.#fitting(own, place) ?? (own.every(({ asked }) => isBefore(place, asked)) ? own[0] : undefined))?.columns;
  }

  /** Where it will be known whether a row at this place is read by the right one; undefined where it is. */
  doubtfulUntil(table: TableName, place: Place): Place | undefined {
    const from = this.#fitting(this.#all.filter((each) => isSame(each, table)), place)?.from;
    return from && isBefore(place, from) ? from : undefined;
  }

  #fitting(own: readonly KnownDefinition[], place: Place): KnownDefinition | undefined {
    const fits = own.filter(({ asked, until }) => (isBefore(asked, place) || isAt(asked, place)) && (until === undefined || isBefore(place, until)));
    return fits.find(({ from }) => isBefore(from, place)) ?? fits.at(-1);
  }

  /** The catalog's answer to a question that was put at `asked`, with the binlog's end behind the answer. */
  note(definition: Omit<KnownDefinition, 'until'>): void {
    this.#change([...this.#all, definition]);
  }

  /** The same for a table of which nothing is known yet, asked while the reader may be anywhere. */
  noteFirst(definition: Omit<KnownDefinition, 'until'>): void {
    if (this.#all.some((each) => isSame(each, definition))) return;
    if (this.#lastStatement !== undefined && !isBefore(this.#lastStatement, definition.asked)) return;
    this.note(definition);
  }

  /** A statement has been read. Gives the tables whose rows before it were read by a definition that it, or one behind it, has made. */
  redefined(text: string, database: string, at: Place): readonly TableName[] {
    this.#lastStatement = at;
    const misread: TableName[] = [];
    const isOpen = ({ asked, until }: KnownDefinition): boolean => isBefore(asked, at) && (until === undefined || !isBefore(until, at));
    const met = this.#all.filter((each) => isOpen(each) && mayRedefine(text, database, each.schema, each.name));
    for (const each of met) if (!isBefore(each.from, at) && !misread.some((other) => isSame(other, each))) misread.push({ schema: each.schema, name: each.name });
    if (met.some(({ until }) => until === undefined)) this.#change(this.#all.map((each) => (met.includes(each) ? { ...each, until: at } : each)));
    return misread;
  }

  /** The table migrates no more, or begins anew. */
  forget(table: TableName): void {
    if (this.#all.some((each) => isSame(each, table))) this.#change(this.#all.filter((each) => !isSame(each, table)));
  }

  clear(): void {
    this.#change([]);
  }

  /** Nothing before the place is read again. */
  prune(resume: Place): void {
    const kept = this.#all.filter(({ until }) => until === undefined || !isBefore(until, resume));
    if (kept.length < this.#all.length) this.#change(kept);
  }

  #change(all: readonly KnownDefinition[]): void {
    const changed = [...all.filter((each) => !this.#all.includes(each)), ...this.#all.filter((each) => !all.includes(each))];
    const tables = changed.filter((each, index) => changed.findIndex((other) => isSame(each, other)) === index);
    for (const table of tables) this.#save(table, all.filter((each) => isSame(each, table)));
    this.#all = all;
  }
}

export function isSame(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.name === b.name;
}

/** False also for places of two servers. */
export function isBefore(a: Place, b: Place): boolean {
  return compareBinlogPlaces(a, b) === -1;
}

function isAt(a: Place, b: Place): boolean {
  return compareBinlogPlaces(a, b) === 0;
}
