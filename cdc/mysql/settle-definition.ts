/**
 * A converted definition as local itself would spell it. Defaults, checks, generated columns and indexes are tried one by one on a temporary table,
 * in a transaction that is rolled back: what local refuses becomes a finding and is left out, what it takes is read back in its own words,
 * by which it is recognised when the migration comes by again.
 */
import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import { truncateName } from '../../grammar/names.ts';
import type { ColumnDefinition, ConstraintDefinition, IndexDefinition, TableDefinition } from '../postgres/definition.ts';
import type { Finding } from '../postgres/finding.ts';
import { introspectTable } from '../postgres/introspect.ts';
import { createType } from '../postgres/schema-clauses.ts';
import { quoteIdent, quoteLiteral, quoteTable } from '../postgres/quote.ts';
import { readJson } from '../postgres/read-json.ts';
import { lockSharedObjectsSql } from '../postgres/shared-objects.ts';
import { collationSteps } from './create-schema.ts';
import type { ConvertedTable } from './create-schema.ts';

/** What local has said of the parts of a definition that it spells. */
interface Spelled {
  readonly columns: readonly ColumnDefinition[];
  readonly constraints: readonly ConstraintDefinition[];
  readonly indexes: readonly IndexDefinition[];
}

/** What local has taken whole, by what it was asked: a schema of many tables is read for each of them again. What it has refused it may take later. */
export class KnownSpellings {
  readonly #spelled = new Map<string, Spelled>();

  get(key: string): Spelled | undefined {
    return this.#spelled.get(key);
  }

  set(key: string, spelled: Spelled): void {
    const [oldest] = this.#spelled.keys();
    if (this.#spelled.size >= MAX_KNOWN && oldest !== undefined) this.#spelled.delete(oldest);
    this.#spelled.set(key, spelled);
  }
}

const MAX_KNOWN = 2_000;

/** Changes nothing on local. Not inside a transaction. `known`: of the same local. */
export async function settleDefinition(local: ClientBase, converted: ConvertedTable, known?: KnownSpellings): Promise<ConvertedTable> {
  const { definition, collations } = converted;
  const asked = [definition.schema, definition.name, definition.columns, definition.constraints, definition.indexes, definition.requiredTypes, collations];
  const key = known === undefined ? '' : createHash('sha256').update(JSON.stringify(asked)).digest('base64');
  const before = known?.get(key);
  if (before !== undefined) return { ...converted, definition: { ...definition, ...before } };
  const findings: Finding[] = [];
  const spelled = await inTrial(local, () => settle(local, converted, findings));
  if (findings.length === 0) known?.set(key, spelled);
  return { ...converted, findings: [...converted.findings, ...findings], definition: { ...definition, ...spelled } };
}

async function inTrial<T>(local: ClientBase, work: () => Promise<T>): Promise<T> {
  await local.query('BEGIN');
  try {
    return await work();
  } finally {
    await local.query('ROLLBACK');
  }
}

async function settle(local: ClientBase, converted: ConvertedTable, findings: Finding[]): Promise<Spelled> {
  const { definition } = converted;
  const table = quoteIdent(definition.name);
  const trial = new Trial(local, definition, findings);
  await local.query('SET LOCAL search_path = pg_catalog, pg_temp');
  await local.query(lockSharedObjectsSql);
  for (const step of collationSteps(converted.collations)) {
    if (!(await isDone(local, step.done))) for (const sql of step.sql) await local.query(sql);
  }
  for (const schema of new Set(definition.requiredTypes.map((type) => type.schema))) await local.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdent(schema)}`);
  for (const type of definition.requiredTypes) {
    if (!(await isDone(local, `to_regtype(${quoteLiteral(quoteTable(type))}) IS NOT NULL`))) for (const sql of createType(type)) await local.query(sql);
  }
  const plain = definition.columns.filter((column) => column.generated === null);
  await local.query(`CREATE TEMPORARY TABLE ${table} (${plain.map((column) => `${quoteIdent(column.name)} ${column.type}${column.collation === null ? '' : ` COLLATE ${quoteTable(column.collation)}`}`).join(', ')})`);
  const generated = await trial.generatedColumns(definition.columns.filter((column) => column.generated !== null));
  const defaults = await trial.defaults(plain);
  const checks = await trial.checks(definition.constraints.filter((constraint) => constraint.type === 'check'));
  const indexes = await trial.indexes(definition.indexes);
  const spelled = await readTrial(local, definition.name);
  const spelledColumns = new Map(spelled.columns.map((column) => [column.name, column]));
  const spelledChecks = new Map(spelled.constraints.map((constraint) => [constraint.name, constraint.definition]));
  const spelledTails = new Map(spelled.indexes.map((index) => [index.name, index.tail]));
  return {
    columns: definition.columns.filter((column) => column.generated === null || generated.has(column.name)).map((column) => ({
      ...column, type: spelledColumns.get(column.name)?.type ?? column.type, typeOid: column.typeKind === 'e' ? column.typeOid : spelledColumns.get(column.name)?.typeOid ?? 0, typmod: spelledColumns.get(column.name)?.typmod ?? -1,
      default: column.generated !== null || defaults.has(column.name) ? spelledColumns.get(column.name)?.default ?? null : null,
      collation: spelledColumns.get(column.name)?.collation ?? column.collation,
    })),
    constraints: definition.constraints.filter((each) => each.type !== 'check' || checks.has(each.name)).map((each) => (each.type === 'check' ? { ...each, definition: spelledChecks.get(each.name) ?? each.definition } : each)),
    indexes: definition.indexes.filter((index) => indexes.has(index.name)).map((index) => ({ ...index, tail: spelledTails.get(trialName(index)) ?? index.tail })),
  };
}

async function isDone(local: ClientBase, condition: string): Promise<boolean> {
  return (await readJson<{ done: boolean }>(local, `SELECT ${condition} AS done`))[0]?.done === true;
}

/** In a name space of its own, so that no name of local is in the way. */
function trialName(index: IndexDefinition): string {
  return truncateName(`trial_${index.name}`);
}

async function readTrial(local: ClientBase, name: string): Promise<TableDefinition> {
  const [row] = await readJson<{ schema: string }>(local, 'SELECT nspname AS schema FROM pg_namespace WHERE oid = pg_my_temp_schema()');
  return introspectTable(local, { schema: row?.schema ?? '', name });
}

class Trial {
  readonly #local: ClientBase;
  readonly #definition: TableDefinition;
  readonly #findings: Finding[];
  readonly #table: string;

  constructor(local: ClientBase, definition: TableDefinition, findings: Finding[]) {
    this.#local = local;
    this.#definition = definition;
    this.#findings = findings;
    this.#table = `pg_temp.${quoteIdent(definition.name)}`;
  }

  generatedColumns(columns: readonly ColumnDefinition[]): Promise<ReadonlySet<string>> {
    return this.#each(columns, 'generated_column', 'error', ({ name, type, default: expression, collation }) =>
      `ALTER TABLE ${this.#table} ADD COLUMN ${quoteIdent(name)} ${type}${collation === null ? '' : ` COLLATE ${quoteTable(collation)}`} GENERATED ALWAYS AS (${expression ?? 'NULL'}) STORED`);
  }

  defaults(columns: readonly ColumnDefinition[]): Promise<ReadonlySet<string>> {
    return this.#each(columns.filter((column) => column.default !== null), 'default', 'warning', ({ name, default: expression }) => `ALTER TABLE ${this.#table} ALTER COLUMN ${quoteIdent(name)} SET DEFAULT ${expression ?? 'NULL'}`);
  }

  checks(checks: readonly ConstraintDefinition[]): Promise<ReadonlySet<string>> {
    return this.#each(checks, 'check', 'warning', ({ name, definition }) => `ALTER TABLE ${this.#table} ADD CONSTRAINT ${quoteIdent(name)} ${definition}`);
  }

  indexes(indexes: readonly IndexDefinition[]): Promise<ReadonlySet<string>> {
    return this.#each(indexes, 'index', 'warning', (index) => `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${quoteIdent(trialName(index))} ON ${this.#table} ${index.tail}`, (index) => index.unique);
  }

  /** Names of those that local took. */
  async #each<Thing extends { readonly name: string }>(things: readonly Thing[], code: string, severity: Finding['severity'], sqlOf: (thing: Thing) => string, isNeeded: (thing: Thing) => boolean = () => false): Promise<ReadonlySet<string>> {
    const taken = new Set<string>();
    for (const thing of things) {
      await this.#local.query('SAVEPOINT trial');
      try {
        await this.#local.query(sqlOf(thing));
        taken.add(thing.name);
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error) || !/^(?:0A|22|2B|42|54)/.test(String(error.code))) throw error;
        await this.#local.query('ROLLBACK TO SAVEPOINT trial');
        const isError = severity === 'error' || isNeeded(thing);
        this.#findings.push({
          code, severity: isError ? 'error' : severity, subject: `${quoteTable(this.#definition)} ${thing.name}`, message: `local refuses it: ${error.message}`,
          remedy: 'Make it on local by hand, in words that it takes.', ...(isError ? { errorCode: 'MIG011' as const } : {}),
        });
      }
    }
    return taken;
  }
}
