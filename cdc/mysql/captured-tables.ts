/** The tables of a binlog as the stream knows them: a number and a description for each definition, and how its values become local's. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Relation } from '../change.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { TablePlan } from '../table-plan.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { ColumnFacts } from './binlog/column-facts.ts';
import type { CapturedTable } from './binlog/transaction.ts';
import type { EncodedTable } from './change-encoder.ts';
import { parseColumnType } from './column-type.ts';
import type { AskMysql } from './connect.ts';
import { keepText } from './conversion.ts';
import { mysqlLiteral } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { findMysqlTable, readMysqlServer } from './introspect.ts';
import { makeSourceColumns, readSourceColumns } from './source-column.ts';
import type { SourceColumn, TypeRules } from './source-column.ts';

/** Numbers below are of tables of our own. */
const FIRST_TABLE_NUMBER = 100;

interface Planned {
  readonly plan: TablePlan;
  /** By the definition that they were made from, the last ones of it. */
  readonly columns: Map<string, readonly SourceColumn[]>;
}

/** Rows of the definition before are read again after a statement, if only to be passed over. */
const DEFINITIONS_KEPT = 4;
const ATTEMPTS = 5;

export interface TableSource {
  readonly ask: AskMysql;
  readonly query: MysqlQuery;
  readonly types: TypeRules;
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

  /** Also for a plan that takes another's place. */
  expect(plan: TablePlan): void {
    this.#planned.set(nameKey(plan.source), { plan, columns: new Map() });
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

  /** By the definition that its rows were read by; where the binlog itself says how they are to be read, by that of now. Undefined for a table that nobody waits for. */
  async describe(table: CapturedTable): Promise<EncodedTable | undefined> {
    const planned = this.#planned.get(nameKey(table));
    if (!planned) return undefined;
    const catalog = table.unreadable === undefined ? (table.facts ?? (await this.#readCatalog(table))) : undefined;
    const encoded = await this.#encode(planned, table, catalog);
    this.#encoded.set(table, encoded);
    return encoded;
  }

  /** The table as the catalog has it now. */
  async describeNow(table: QualifiedName): Promise<EncodedTable | undefined> {
    const planned = this.#planned.get(nameKey(table));
    if (!planned) return undefined;
    const catalog = await this.#readCatalog(table);
    return this.#encode(planned, { schema: table.schema, name: table.name, columns: (catalog ?? []).map(({ name }) => name) }, catalog);
  }

  /** A description of nothing: a change under it stops the table, for its definition is another one. */
  describeOther(table: QualifiedName): EncodedTable {
    return { relation: { oid: this.numberOf(table), schema: table.schema, name: table.name, replicaIdentity: 'default', columns: [] }, toLocal: [], keyAt: [] };
  }

  async #encode(planned: Planned, table: CapturedTable, catalog: readonly ColumnFacts[] | undefined): Promise<EncodedTable> {
    const { plan } = planned;
    const columns = catalog && (await this.#columnsOf(planned, catalog));
    // The catalog is that of now, the change of then.
    if (!catalog || !columns) return this.describeOther(plan.source);
    const carried = new Map(columns.map((column) => [column.name, column]));
    const baseline = new Map(baselineOf(plan, catalog).map((column) => [column.name, column]));
    const relation: Relation = {
      oid: this.numberOf(plan.source), schema: table.schema, name: table.name, replicaIdentity: 'default',
      columns: table.columns.map((name) => ({ name, typeOid: baseline.get(name)?.typeOid ?? 0, typmod: baseline.get(name)?.typmod ?? -1, inKey: plan.key.includes(name) })),
    };
    return {
      relation, toLocal: table.columns.map((name) => carried.get(name)?.toLocal),
      keyAt: plan.key.map((name) => table.columns.indexOf(name)).filter((at) => at >= 0),
    };
  }

  /** Most statements change no definition: the conversions stand as long as it is the same. Undefined where the definition is that of another moment than now, of which nobody has asked. */
  async #columnsOf({ plan, columns }: Planned, catalog: readonly ColumnFacts[]): Promise<readonly SourceColumn[] | undefined> {
    const from = definitionOf(catalog);
    const known = columns.get(from);
    if (known) return known;
    const all = await this.#readConversions(plan, catalog).catch(goneSince);
    if (!all) return undefined;
    const [oldest] = columns.keys();
    if (columns.size >= DEFINITIONS_KEPT && oldest !== undefined) columns.delete(oldest);
    columns.set(from, all);
    return all;
  }

  async #readConversions(plan: TablePlan, catalog: readonly ColumnFacts[]): Promise<readonly SourceColumn[] | undefined> {
    const { query, types } = this.#source;
    const described = catalog.flatMap((column) => column.described ?? []);
    if (described.length === catalog.length) return makeSourceColumns(described, await readMysqlServer(query), plan, types);
    const all = await readSourceColumns(query, plan, types);
    const now = await this.#readCatalog(plan.source);
    return now && definitionOf(now) === definitionOf(catalog) ? all : undefined;
  }

  /** `typmod` stands for the whole definition of the type, so that any change of it is one; a column of the plan has the plan's type. */
  baselineOf(table: QualifiedName, catalog: readonly ColumnFacts[]): readonly BaselineColumn[] {
    return baselineOf(this.#planned.get(nameKey(table))?.plan, catalog);
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

function baselineOf(plan: TablePlan | undefined, catalog: readonly ColumnFacts[]): readonly BaselineColumn[] {
  const planned = new Map(plan?.columns.map((column) => [column.name, column.typeOid]));
  return catalog.map(({ name, definition }) => ({ name, typeOid: planned.get(name) ?? 0, typmod: typeNumber(definition) }));
}

function definitionText(type: string | null | undefined, charset: string | null | undefined): string {
  return `${type} ${charset}`;
}

function definitionOf(catalog: readonly ColumnFacts[]): string {
  return JSON.stringify(catalog.map(({ name, definition }) => [name, definition]));
}

function goneSince(error: unknown): undefined {
  if (error instanceof MigrationError && ['MIG010', 'MIG011', 'MIG012', 'MIG071'].includes(error.code)) return undefined;
  throw error;
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
