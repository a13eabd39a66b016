/** The tables of a binlog as the stream knows them: a number and a description for each definition, and how its values become local's. */
import { MigrationError } from '../../config/migration-error.ts';
import type { Relation } from '../change.ts';
import type { BaselineColumn } from '../spool/spool.ts';
import type { TablePlan } from '../table-plan.ts';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { ChangedTable } from './binlog-changes.ts';
import type { EncodedTable } from './change-encoder.ts';
import { asItIs, readSourceColumns } from './source-column.ts';
import type { AskMysql, MapColumn } from './source-column.ts';
import { quoteText } from './quote.ts';

/** Numbers below are of tables of our own. */
const FIRST_TABLE_NUMBER = 100;

export class CapturedTables {
  readonly #ask: AskMysql;
  readonly #mapColumn: (plan: TablePlan) => MapColumn;
  readonly #plans = new Map<string, TablePlan>();
  readonly #numbers = new Map<string, number>();
  /** By the reader's own object, which is another one after every statement. */
  #encoded = new WeakMap<ChangedTable, EncodedTable>();

  constructor(ask: AskMysql, mapColumn: (plan: TablePlan) => MapColumn) {
    this.#ask = ask;
    this.#mapColumn = mapColumn;
  }

  /** Also for a plan that takes another's place. */
  expect(plan: TablePlan): void {
    this.#plans.set(nameKey(plan.source), plan);
    this.#encoded = new WeakMap();
  }

  isExpected(table: QualifiedName): boolean {
    return this.#plans.has(nameKey(table));
  }

  get plans(): readonly TablePlan[] {
    return [...this.#plans.values()];
  }

  numberOf(table: QualifiedName): number {
    const key = nameKey(table);
    const number = this.#numbers.get(key) ?? FIRST_TABLE_NUMBER + this.#numbers.size;
    this.#numbers.set(key, number);
    return number;
  }

  known(table: ChangedTable): EncodedTable | undefined {
    return this.#encoded.get(table);
  }

  /** Reads the server's catalog once per definition. */
  async describe(table: ChangedTable): Promise<EncodedTable | undefined> {
    const plan = this.#plans.get(nameKey(table));
    if (!plan) return undefined;
    const carried = plan.columns.filter((column) => table.columns.includes(column.name)).map((column) => column.name);
    const columns = await readSourceColumns(this.#ask, table, carried, this.#mapColumn(plan)).catch(goneSince);
    const mapped = new Map(columns?.map((column) => [column.name, column]));
    // A description of nothing: the table stops at this change, for its definition is another one.
    const baseline = new Map(columns === undefined ? [] : (await this.readBaseline(table))?.map((column) => [column.name, column]));
    const relation: Relation = {
      oid: this.numberOf(table), schema: table.schema, name: table.name, replicaIdentity: 'default',
      columns: table.columns.map((name) => ({ name, typeOid: baseline.get(name)?.typeOid ?? 0, typmod: baseline.get(name)?.typmod ?? -1, inKey: plan.key.includes(name) })),
    };
    const encoded = {
      relation, toLocal: table.columns.map((name) => (carried.includes(name) ? (mapped.get(name)?.toLocal ?? asItIs) : undefined)),
      keyAt: plan.key.map((name) => table.columns.indexOf(name)).filter((at) => at >= 0),
    };
    this.#encoded.set(table, encoded);
    return encoded;
  }

  /** `typmod` stands for the whole definition of the type, so that any change of it is one; a column of the plan has the plan's type. */
  async readBaseline(table: QualifiedName): Promise<readonly BaselineColumn[] | undefined> {
    const rows = await this.#ask(`SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = ${quoteText(table.schema)} AND TABLE_NAME = ${quoteText(table.name)} ORDER BY ORDINAL_POSITION`);
    if (rows.length === 0) return undefined;
    const planned = new Map(this.#plans.get(nameKey(table))?.columns.map((column) => [column.name, column.typeOid]));
    return rows.map(([name, type, charset]) => ({ name: name ?? '', typeOid: planned.get(name ?? '') ?? 0, typmod: typeNumber(`${type} ${charset}`) }));
  }
}

/** The catalog is that of now, the change of then. */
function goneSince(error: unknown): undefined {
  if (error instanceof MigrationError && (error.code === 'MIG010' || error.code === 'MIG011')) return undefined;
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
