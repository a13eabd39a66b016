/** The tables that the binlog's row events name, each bound to the readers of its columns once per definition. */
import { bookkeepingFacts, bookkeepingSchema } from './bookkeeping.ts';
import type { Charsets } from './charsets.ts';
import { assertFactsMatch } from './column-facts.ts';
import type { ColumnFacts, TableFacts } from './column-facts.ts';
import { columnReader } from './column-readers.ts';
import type { ValueReader } from './column-readers.ts';
import { columnType } from './event.ts';
import type { BoundTable } from './rows-event.ts';
import { readTableMap, tableIdOf } from './table-map.ts';
import type { TableMap } from './table-map.ts';
import { MigrationError } from '../../../config/migration-error.ts';

export interface BindingOptions {
  readonly captures: (schema: string, name: string) => boolean;
  readonly facts: TableFacts;
  readonly charsets: Charsets;
  readonly isMariadb: boolean;
}

interface Entry {
  readonly body: Buffer;
  readonly schema: string;
  readonly name: string;
  /** Undefined for a table that is not captured. */
  readonly bound: BoundTable | undefined;
}

/** Widths of UUID, INET4 and INET6, which the binlog calls CHAR. */
const disguisedWidths: ReadonlySet<number> = new Set([4, 16]);

export class TableBindings {
  readonly #options: BindingOptions;
  readonly #entries = new Map<number, Entry>();

  constructor(options: BindingOptions) {
    this.#options = options;
  }

  /** Some statement has come: definitions may be others now. */
  clear(): void {
    this.#entries.clear();
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
    // What was not captured when it came by first may be captured now.
    if (known?.body.equals(body) === true && (known.bound !== undefined || !this.#options.captures(known.schema, known.name))) return undefined;
    // The event's memory belongs to a whole chunk of the socket.
    const own = Buffer.from(body);
    const map = readTableMap(own, this.#options.isMariadb);
    const isOurs = map.schema === bookkeepingSchema && bookkeepingFacts(map.name) !== undefined;
    if (!isOurs && !this.#options.captures(map.schema, map.name)) {
      this.#entries.set(id, { body: own, schema: map.schema, name: map.name, bound: undefined });
      return undefined;
    }
    return this.#bind(map)
      .catch((error: unknown) => unreadable(map, error))
      .then((bound) => void this.#entries.set(id, { body: own, schema: map.schema, name: map.name, bound }));
  }

  async #bind(map: TableMap): Promise<BoundTable> {
    const facts = await this.#factsOf(map);
    const readers: ValueReader[] = [];
    for (const index of map.columns.keys()) readers.push(await columnReader(map, index, facts?.[index], this.#options.charsets));
    const names = map.metadata.names.length > 0 ? map.metadata.names : (facts ?? []).map(({ name }) => name);
    return { table: { schema: map.schema, name: map.name, columns: names }, readers };
  }

  async #factsOf(map: TableMap): Promise<readonly ColumnFacts[] | undefined> {
    const isComplete = map.metadata.names.length > 0;
    const isDisguised = this.#options.isMariadb && map.columns.some(({ type, meta }) => type === columnType.string && disguisedWidths.has(meta));
    if (isComplete && !isDisguised) return undefined;
    const facts = (map.schema === bookkeepingSchema ? bookkeepingFacts(map.name) : undefined) ?? (await this.#options.facts(map.schema, map.name));
    if (!facts) throw new MigrationError('MIG011', `the catalog does not know ${map.schema}.${map.name}, whose changes are in the binlog`, { tableName: map.name });
    assertFactsMatch(map, facts);
    return facts;
  }
}

/** The catalog is that of now, the changes are of then: one table's new definition must not stop the others. */
function unreadable({ schema, name }: TableMap, error: unknown): BoundTable {
  if (!(error instanceof MigrationError && error.code === 'MIG011')) throw error;
  return { table: { schema, name, columns: [], unreadable: error }, readers: [] };
}
