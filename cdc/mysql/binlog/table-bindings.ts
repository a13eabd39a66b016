/** The tables that the binlog's row events name, each bound to the readers of its columns once per definition. */
import { bookkeepingFacts, bookkeepingSchema } from './bookkeeping.ts';
import type { Charsets } from './charsets.ts';
import { assertFactsMatch } from './column-facts.ts';
import type { ColumnFacts, TableFacts } from './column-facts.ts';
import { columnReader } from './column-readers.ts';
import type { ValueReader } from './column-readers.ts';
import { columnType } from './event.ts';
import type { BoundTable } from './rows-event.ts';
import { keepsDefinitions, mayRedefine } from './statement-kind.ts';
import { readTableMap, tableIdOf } from './table-map.ts';
import type { TableMap } from './table-map.ts';
import type { TableName } from './transaction.ts';
import { compareBinlogPlaces } from '../position.ts';
import { MigrationError } from '../../../config/migration-error.ts';

export interface BindingOptions {
  readonly captures: (schema: string, name: string) => boolean;
  readonly facts: TableFacts;
  readonly charsets: Charsets;
  readonly isMariadb: boolean;
  /** Where the binlog ends now. */
  readonly readEnd: () => Promise<Place>;
}

interface Asked extends TableName {
  /** Where the binlog ended after the catalog had been asked: a statement that lies before may have made the definition that it gave. */
  readonly at: Place;
}

interface Place {
  readonly binlogFile: string;
  readonly binlogPosition: number;
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

export class TableBindings {
  readonly #options: BindingOptions;
  readonly #entries = new Map<number, Entry>();
  /** Tables that the catalog was asked about, until all that was logged by then has been read. */
  readonly #asked = new Map<string, Asked>();

  constructor(options: BindingOptions) {
    this.#options = options;
  }

  /** Some statement has come: definitions may be others now. Gives the tables whose rows before it may have been read by the definition that it makes. */
  forget(text: string, database: string, { file, offset }: { readonly file: string; readonly offset: number }): readonly TableName[] {
    // A fence makes three triggers for each table of its group: asking for all definitions again behind each would hold the stream up.
    if (keepsDefinitions(text)) {
      if (this.#entries.size > MAX_KEPT) this.#entries.clear();
      return [];
    }
    const here = { binlogFile: file, binlogPosition: offset };
    const misread: TableName[] = [];
    for (const [key, { schema, name, at }] of this.#asked) {
      if (compareBinlogPlaces(here, at) === 1) this.#asked.delete(key);
      else if (mayRedefine(text, database, schema, name)) misread.push({ schema, name });
    }
    this.#entries.clear();
    return misread;
  }

  /** Undefined for a table that is not captured. */
  get(tableId: number): BoundTable | undefined {
    const entry = this.#entries.get(tableId);
    if (!entry) throw new RangeError(`rows of table ${tableId}, which nothing has described`);
    return entry.bound;
  }

  has(tableId: number): boolean {
    return this.#entries.has(tableId);
  }

  /** A description that has come before is nothing new: each statement repeats those of its tables. */
  map(body: Buffer): Promise<void> | undefined {
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
    return this.#bind(map)
      .catch((error: unknown) => unreadable(map, error))
      .then((bound) => void this.#entries.set(id, { body: own, schema, name, bound }));
  }

  #captures(schema: string, name: string): boolean {
    return (schema === bookkeepingSchema && bookkeepingFacts(name) !== undefined) || this.#options.captures(schema, name);
  }

  async #bind(map: TableMap): Promise<BoundTable> {
    const own = map.schema === bookkeepingSchema ? bookkeepingFacts(map.name) : undefined;
    const facts = own ?? (await this.#askedFacts(map));
    if (facts) assertFactsMatch(map, facts);
    if (facts && !own) this.#asked.set(JSON.stringify([map.schema, map.name]), { schema: map.schema, name: map.name, at: await this.#options.readEnd() });
    const readers: ValueReader[] = [];
    for (const index of map.columns.keys()) readers.push(await columnReader(map, index, facts?.[index], this.#options.charsets));
    const names = map.metadata.names.length > 0 ? map.metadata.names : (facts ?? []).map(({ name }) => name);
    return { table: { schema: map.schema, name: map.name, columns: names }, readers };
  }

  /** Undefined where the binlog itself says everything. */
  async #askedFacts(map: TableMap): Promise<readonly ColumnFacts[] | undefined> {
    const isComplete = map.metadata.names.length > 0;
    const isDisguised = this.#options.isMariadb && map.columns.some(({ type, meta }, index) => (type === columnType.string && disguisedWidths.has(meta) && (map.metadata.collations.get(index) ?? BINARY_COLLATION) === BINARY_COLLATION) || oldTimes.has(type));
    if (isComplete && !isDisguised) return undefined;
    const facts = await this.#options.facts(map.schema, map.name);
    if (!facts) throw new MigrationError('MIG011', `the catalog does not know ${map.schema}.${map.name}, whose changes are in the binlog`, { tableName: map.name });
    return facts;
  }
}

/** The catalog is that of now, the changes are of then: one table's new definition must not stop the others. */
function unreadable({ schema, name }: TableMap, error: unknown): BoundTable {
  if (!(error instanceof MigrationError && (error.code === 'MIG011' || error.code === 'MIG012'))) throw error;
  return { table: { schema, name, columns: [], unreadable: error }, readers: [] };
}
