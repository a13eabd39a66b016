/** The tables that the binlog's row events name, each bound to the readers of its columns once per definition. */
import { bookkeepingFacts, bookkeepingSchema } from './bookkeeping.ts';
import type { Charsets } from './charsets.ts';
import { assertFactsMatch } from './column-facts.ts';
import type { ColumnFacts, TableFacts } from './column-facts.ts';
import { columnReader } from './column-readers.ts';
import type { ValueReader } from './column-readers.ts';
import { columnType } from './event.ts';
import type { BoundTable } from './rows-event.ts';
import { isBefore, isSame } from './known-definitions.ts';
import type { KnownDefinitions, Place } from './known-definitions.ts';
import { keepsDefinitions } from './statement-kind.ts';
import { readTableMap, tableIdOf } from './table-map.ts';
import type { TableMap } from './table-map.ts';
import type { CapturedTable, TableName } from './transaction.ts';
import { MigrationError } from '../../../config/migration-error.ts';

export interface BindingOptions {
  readonly captures: (schema: string, name: string) => boolean;
  readonly facts: TableFacts;
  readonly known: KnownDefinitions;
  readonly charsets: Charsets;
  readonly isMariadb: boolean;
  /** Where the binlog ends now. */
  readonly readEnd: () => Promise<Place>;
}

/** Where the reader is. */
interface ReaderPlace {
  readonly file: string;
  readonly offset: number;
}

interface Entry extends TableName {
  readonly body: Buffer;
  /** Undefined for a table that is not captured. */
  readonly bound: BoundTable | undefined;
}

/** Widths of UUID, INET4 and INET6, which the binlog calls CHAR. */
const disguisedWidths: ReadonlySet<number> = new Set([4, 16]);
/** MariaDB's old times, of which the binlog does not say how many fractional digits they have. */
const oldTimes: ReadonlySet<number> = new Set([columnType.time, columnType.datetime, columnType.timestamp]);
const BINARY_COLLATION = 63;
/** Each such statement gives its tables new numbers; what the old ones meant is not asked for again. */
const MAX_KEPT = 10_000;

/** Read by an answer that is later than its rows are, until the reader has come to that place. */
interface Doubtful {
  readonly table: { -readonly [Key in keyof CapturedTable]: CapturedTable[Key] };
  readonly until: Place;
}

export class TableBindings {
  readonly #options: BindingOptions;
  readonly #entries = new Map<number, Entry>();
  #doubtful: readonly Doubtful[] = [];

  constructor(options: BindingOptions) {
    this.#options = options;
  }

  /** Some statement has come: definitions may be others now. Gives the tables whose rows before it may have been read by the definition that it makes. */
  forget(text: string, database: string, place: ReaderPlace): readonly TableName[] {
    // A fence makes three triggers for each table of its group: asking for all definitions again behind each would hold the stream up.
    if (keepsDefinitions(text)) {
      if (this.#entries.size > MAX_KEPT) this.#entries.clear();
      return [];
    }
    this.#entries.clear();
    const misread = this.#options.known.redefined(text, database, placeOf(place));
    for (const { table } of this.#doubtful) if (misread.some((each) => isSame(each, table))) table.unreadable = otherMoment(table);
    return misread;
  }

  /** True while what has been read may have been read by a definition that came later: whether it was is known at the place where the catalog was asked. */
  isInDoubt(place: ReaderPlace): boolean {
    if (this.#doubtful.length === 0) return false;
    this.#doubtful = this.#doubtful.filter(({ until }) => isBefore(placeOf(place), until));
    return this.#doubtful.length > 0;
  }

  /** Undefined for a table that is not captured. */
  get(tableId: number): BoundTable | undefined {
    const entry = this.#entries.get(tableId);
    if (!entry) throw new RangeError(`rows of table ${tableId}, which nothing has described`);
    return entry.bound;
  }

  /** Until the next statement. */
  replace(bound: BoundTable, by: BoundTable): void {
    for (const [id, entry] of this.#entries) if (entry.bound === bound) this.#entries.set(id, { ...entry, bound: by });
  }

  has(tableId: number): boolean {
    return this.#entries.has(tableId);
  }

  /** A description that has come before is nothing new: each statement repeats those of its tables. */
  map(body: Buffer, place: ReaderPlace): Promise<void> | undefined {
    const id = tableIdOf(body);
    const known = this.#entries.get(id);
    // What was not captured may have become so since.
    if (known?.body.equals(body) === true && (known.bound !== undefined || !this.#captures(known.schema, known.name))) return undefined;
    // The event's memory belongs to a whole chunk of the socket.
    const own = Buffer.from(body);
    const map = readTableMap(own, this.#options.isMariadb);
    const { schema, name } = map;
    if (!this.#captures(schema, name)) {
      this.#entries.set(id, { body: own, schema, name, bound: undefined });
      return undefined;
    }
    return this.#bind(map, placeOf(place))
      .catch((error: unknown) => unreadable(map, error))
      .then((bound) => void this.#entries.set(id, { body: own, schema, name, bound }));
  }

  #captures(schema: string, name: string): boolean {
    return (schema === bookkeepingSchema && bookkeepingFacts(name) !== undefined) || this.#options.captures(schema, name);
  }

  async #bind(map: TableMap, place: Place): Promise<BoundTable> {
    const own = map.schema === bookkeepingSchema ? bookkeepingFacts(map.name) : undefined;
    const facts = own ?? (await this.#factsAt(map, place));
    if (facts) assertFactsMatch(map, facts);
    const readers: ValueReader[] = [];
    for (const index of map.columns.keys()) readers.push(await columnReader(map, index, facts?.[index], this.#options.charsets));
    const names = map.metadata.names.length > 0 ? map.metadata.names : (facts ?? []).map(({ name }) => name);
    const table = { schema: map.schema, name: map.name, columns: names, ...(facts && !own ? { facts } : {}) };
    const until = facts && !own ? this.#options.known.doubtfulUntil(map, place) : undefined;
    if (until) this.#doubtful = [...this.#doubtful, { table, until }];
    return { table, readers };
  }

  /** Undefined where the binlog itself says everything. */
  async #factsAt(map: TableMap, place: Place): Promise<readonly ColumnFacts[] | undefined> {
    const isComplete = map.metadata.names.length > 0;
    const isDisguised = this.#options.isMariadb && map.columns.some(({ type, meta }, index) => (type === columnType.string && disguisedWidths.has(meta) && (map.metadata.collations.get(index) ?? BINARY_COLLATION) === BINARY_COLLATION) || oldTimes.has(type));
    if (isComplete && !isDisguised) return undefined;
    const { known, facts, readEnd } = this.#options;
    const before = known.at(map, place);
    if (before) return before;
    const columns = await facts(map.schema, map.name);
    if (!columns) throw new MigrationError('MIG011', `the catalog does not know ${map.schema}.${map.name}, whose changes are in the binlog`, { tableName: map.name });
    known.note({ schema: map.schema, name: map.name, columns, asked: place, from: placeIn(await readEnd()) });
    return columns;
  }
}

function placeOf({ file, offset }: ReaderPlace): Place {
  return { binlogFile: file, binlogPosition: offset };
}

/** Without what else a position has. */
function placeIn({ binlogFile, binlogPosition }: Place): Place {
  return { binlogFile, binlogPosition };
}

function otherMoment({ schema, name }: TableName, detail?: string): MigrationError {
  return new MigrationError('MIG011', `the definition of ${schema}.${name} is not the one under which its changes were written`, {
    ...(detail === undefined ? {} : { detail }), tableName: name, hint: 'RESYNC MIGRATION FOR TABLE … starts the table again. With binlog_row_metadata = FULL the binlog itself says how each change is to be read.',
  });
}

/** The catalog is that of now, the changes are of then: one table's new definition must not stop the others. Any other error is thrown again. */
export function unreadable({ schema, name }: TableName, error: unknown): BoundTable {
  const known = error instanceof RangeError ? otherMoment({ schema, name }, error.message) : error;
  if (!(known instanceof MigrationError && (known.code === 'MIG011' || known.code === 'MIG012'))) throw error;
  return { table: { schema, name, columns: [], unreadable: known }, readers: [] };
}
