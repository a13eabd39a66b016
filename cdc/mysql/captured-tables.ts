/** The tables of a binlog as the stream knows them: a number and a description for each definition, and how its values become local's. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Relation } from '../change.ts';
import { BY_DEFINITION } from '../spool/spool.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { TablePlan } from '../table-plan.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { ColumnFacts } from './binlog/column-facts.ts';
import type { Place } from './binlog/known-definitions.ts';
import type { CapturedTable } from './binlog/transaction.ts';
import type { EncodedTable } from './change-encoder.ts';
import { parseColumnType } from './column-type.ts';
import type { AskMysql } from './connect.ts';
import type { MysqlCapabilities } from './capabilities.ts';
import { keepText } from './conversion.ts';
import type { ConvertText } from './conversion.ts';
import { mysqlLiteral } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { findMysqlTable, readMysqlServer } from './introspect.ts';
import type { TypeRules } from './source-column.ts';
import { makeConversion, mapColumn } from './type-map.ts';

/** Numbers below are of tables of our own. */
const FIRST_TABLE_NUMBER = 100;

interface Planned {
  readonly plan: TablePlan;
  /** What the source's table had when the plan was made; undefined where that is not known. */
  readonly before: ReadonlySet<string> | undefined;
  /** By the definition that they were made from, the last ones of it. */
  readonly conversions: Map<string, Conversions>;
}

/** By column; those that are not carried have none. */
type Conversions = ReadonlyMap<string, ConvertText>;

/** Rows of the definition before are read again after a statement, if only to be passed over. */
const DEFINITIONS_KEPT = 4;
const ATTEMPTS = 5;

export interface TableSource {
  readonly ask: AskMysql;
  readonly query: MysqlQuery;
  readonly types: TypeRules;
  /** Under which definition a row at this place was written, where that is known. */
  readonly definitionAt: (table: QualifiedName, place: Place) => readonly ColumnFacts[] | undefined;
}

export class CapturedTables {
  readonly #source: TableSource;
  readonly #planned = new Map<string, Planned>();
  readonly #numbers = new Map<string, number>();
  /** By the reader's own object, which is another one after every statement. */
  #encoded = new WeakMap<CapturedTable, EncodedTable>();
  /** The server finds names under any spelling (`lower_case_table_names`). */
  foldsCase = false;

  constructor(source: TableSource) {
    this.#source = source;
  }

  /** Also for a plan that takes another's place. `before`: see `Planned`. */
  expect(plan: TablePlan, before?: readonly BaselineColumn[]): void {
    this.#planned.set(nameKey(plan.source), { plan, before: before && new Set(before.map(({ name }) => name)), conversions: new Map() });
    this.#encoded = new WeakMap();
  }

  release(plan: TablePlan): void {
    this.#planned.delete(nameKey(plan.source));
    this.#encoded = new WeakMap();
  }

  isExpected(schema: string, name: string): boolean {
    return this.#planned.has(nameKey({ schema, name }));
  }

  /** Plans of the tables that a statement names. */
  named(tables: readonly QualifiedName[]): readonly TablePlan[] {
    return this.plans.filter(({ source }) => tables.some((table) => this.#isSame(table.schema, source.schema) && this.#isSame(table.name, source.name)));
  }

  inSchema(schema: string): readonly TablePlan[] {
    return this.plans.filter(({ source }) => this.#isSame(schema, source.schema));
  }

  get plans(): readonly TablePlan[] {
    return [...this.#planned.values()].map(({ plan }) => plan);
  }

  #isSame(a: string, b: string): boolean {
    return a === b || (this.foldsCase && a.toLowerCase() === b.toLowerCase());
  }

  numberOf(table: QualifiedName): number {
    const key = nameKey(table);
    const number = this.#numbers.get(key) ?? FIRST_TABLE_NUMBER + this.#numbers.size;
    this.#numbers.set(key, number);
    return number;
  }

  known(table: CapturedTable): EncodedTable | undefined {
    return this.#encoded.get(table);
  }

  /** For the reader: what the catalog says of a table. */
  async facts(schema: string, name: string): Promise<readonly ColumnFacts[] | undefined> {
    let catalog = await this.#readCatalog({ schema, name });
    // Redefined in between, both answers have to be of one definition.
    for (let attempt = 0; catalog && attempt < ATTEMPTS; attempt += 1) {
      const table = await findMysqlTable(this.#source.query, { schema, name });
      const described = catalog.flatMap((column): readonly ColumnFacts[] => {
        const found = table?.columns.find((each) => each.name === column.name && definitionText(each.typeText, each.charset) === column.definition);
        return found ? [{ ...column, described: found }] : [];
      });
      if (described.length === catalog.length) return described;
      catalog = await this.#readCatalog({ schema, name });
    }
    return catalog;
  }

  /**
   * By the definition that its rows were read by. Where the binlog itself says how they are to be read, by that which is known of the place, or else by that of
   * now. Undefined for a table that nobody waits for.
   */
  async describe(table: CapturedTable, place: Place): Promise<EncodedTable | undefined> {
    const planned = this.#planned.get(nameKey(table));
    if (!planned) return undefined;
    const catalog = table.unreadable === undefined ? (table.facts ?? this.#definitionThen(table, place) ?? (await this.#definitionNow(planned, table))) : undefined;
    const encoded = await this.#encode(planned, table, catalog);
    this.#encoded.set(table, encoded);
    return encoded;
  }

  /** The table as the catalog has it now. */
  async describeNow(table: QualifiedName): Promise<EncodedTable | undefined> {
    const planned = this.#planned.get(nameKey(table));
    if (!planned) return undefined;
    const catalog = await this.#definitionNow(planned, table);
    return this.#encode(planned, { schema: table.schema, name: table.name, columns: (catalog ?? []).map(({ name }) => name) }, catalog);
  }

  /** A description of nothing: a change under it stops the table, for its definition is another one. */
  describeOther(table: QualifiedName): EncodedTable {
    return { relation: { oid: this.numberOf(table), schema: table.schema, name: table.name, replicaIdentity: 'default', columns: [] }, toLocal: [], keyAt: [] };
  }

  #definitionThen(table: CapturedTable, place: Place): readonly ColumnFacts[] | undefined {
    const known = this.#source.definitionAt(table, place);
    return known?.map(({ name }) => name).join('\0') === table.columns.join('\0') ? known : undefined;
  }

  /** With all that makes conversions, unless they are there. */
  async #definitionNow({ conversions }: Planned, table: QualifiedName): Promise<readonly ColumnFacts[] | undefined> {
    const catalog = await this.#readCatalog(table);
    return catalog && !conversions.has(definitionOf(catalog)) ? this.facts(table.schema, table.name) : catalog;
  }

  async #encode(planned: Planned, table: CapturedTable, catalog: readonly ColumnFacts[] | undefined): Promise<EncodedTable> {
    const { plan } = planned;
    const conversions = catalog && (await this.#conversionsOf(planned, catalog));
    if (!catalog || !conversions) return this.describeOther(plan.source);
    const definitions = new Map(catalog.map(({ name, definition }) => [name, definition]));
    const relation: Relation = {
      oid: this.numberOf(plan.source), schema: table.schema, name: table.name, replicaIdentity: 'default',
      columns: table.columns.map((name) => ({ name, ...(conversions.has(name) ? typeOf(definitions.get(name) ?? '') : notCarried), inKey: plan.key.includes(name) })),
    };
    return {
      relation, toLocal: table.columns.map((name) => conversions.get(name)),
      keyAt: plan.key.map((name) => table.columns.indexOf(name)).filter((at) => at >= 0),
    };
  }

  /** Undefined where a carried column cannot be converted any more. */
  async #conversionsOf(planned: Planned, catalog: readonly ColumnFacts[]): Promise<Conversions | undefined> {
    const { plan, conversions } = planned;
    const key = definitionOf(catalog);
    const known = conversions.get(key);
    if (known) return known;
    const made = this.#makeConversions(planned, catalog, await readMysqlServer(this.#source.query));
    const [oldest] = conversions.keys();
    if (conversions.size >= DEFINITIONS_KEPT && oldest !== undefined) conversions.delete(oldest);
    if (made && this.#planned.get(nameKey(plan.source)) === planned) conversions.set(key, made);
    return made;
  }

  #makeConversions({ plan, before }: Planned, catalog: readonly ColumnFacts[], server: MysqlCapabilities): Conversions | undefined {
    const { types } = this.#source;
    const overrides = types.overridesOf(plan);
    const made = new Map<string, ConvertText>();
    for (const { name, described } of catalog) {
      const isPlanned = plan.columns.some((column) => column.name === name);
      // A plan that is made for the definition of then will have a column that has come since; what it leaves out on purpose was there before.
      if (!isPlanned && (before === undefined || before.has(name) || described?.generated != null)) continue;
      if (!described) return undefined;
      try {
        made.set(name, makeConversion(mapColumn(described, server, overrides), (loss) => types.onLoss(plan, loss)).toLocal);
      } catch (error) {
        if (!(error instanceof MigrationError)) throw error;
        if (isPlanned) return undefined;
      }
    }
    return made;
  }

  async readBaseline(table: QualifiedName): Promise<readonly BaselineColumn[] | undefined> {
    return (await this.#readCatalog(table))?.map(({ name, definition }) => ({ name, ...typeOf(definition) }));
  }

  async #readCatalog(table: QualifiedName): Promise<readonly ColumnFacts[] | undefined> {
    const rows = await this.#source.ask(`SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = ${mysqlLiteral(table.schema)} AND TABLE_NAME = ${mysqlLiteral(table.name)} ORDER BY ORDINAL_POSITION`);
    if (rows.length === 0) return undefined;
    return rows.map(([name, type, charset]) => ({ name: name ?? '', type: parseColumnType(type ?? ''), charset: charset ?? undefined, definition: definitionText(type, charset) }));
  }
}

/** For rows of tables of our own. */
export function ownTable(oid: number, schema: string, name: string, columns: readonly string[]): EncodedTable {
  const relation: Relation = { oid, schema, name, replicaIdentity: 'default', columns: columns.map((column, at) => ({ name: column, typeOid: 25, typmod: -1, inKey: at === 0 })) };
  return { relation, toLocal: columns.map(() => keepText), keyAt: [0] };
}

/** `typmod` stands for the whole definition of the type, so that any change of it is one. */
function typeOf(definition: string): Pick<BaselineColumn, 'typeOid' | 'typmod'> {
  return { typeOid: BY_DEFINITION, typmod: typeNumber(definition) };
}

const notCarried = { typeOid: 0, typmod: -1 };

function definitionText(type: string | null | undefined, charset: string | null | undefined): string {
  return `${type} ${charset}`;
}

function definitionOf(catalog: readonly ColumnFacts[]): string {
  return JSON.stringify(catalog.map(({ name, definition }) => [name, definition]));
}

function nameKey(table: QualifiedName): string {
  return JSON.stringify([table.schema, table.name]);
}

/** FNV-1a, in 31 bits: it has to be the same in every process, and no secret. */
function typeNumber(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash & 0x7fff_ffff;
}
