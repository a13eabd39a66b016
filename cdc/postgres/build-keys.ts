/**
 * Runs a `SchemaPlan` on local. Every step looks first at what exists, so that each function may be called again after a crash
 * in its middle. None may be called inside a transaction.
 */
import type { ClientBase } from 'pg';
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { TablePlan } from '../table-plan.ts';
import { connectServer } from './connect.ts';
import { indexTail } from './read-constraints.ts';
import type { ForeignKeyStep, IndexStep, SchemaPlan, SchemaStep } from './create-schema.ts';
import { diffDefinitions } from './definition-diff.ts';
import { findTable } from './introspect.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';
import { readJson, withQualifiedNames } from './read-json.ts';
import { lockSharedObjectsSql } from './shared-objects.ts';
import type { ServerAddress } from './server-address.ts';
import type { TableDefinition } from './definition.ts';

/** True when the table was made, false when a compatible one was there. Throws MIG011 with every difference when it is not compatible. */
export async function createTable(client: ClientBase, definition: TableDefinition, plan: TablePlan, schema: SchemaPlan): Promise<boolean> {
  const before = await findTable(client, plan.target);
  if (before !== undefined) assertCompatible(definition, before, plan);
  for (const step of schema.preData) await runStep(client, step);
  return before === undefined;
}

export function assertCompatible(definition: TableDefinition, local: TableDefinition, plan: TablePlan): void {
  const differences = diffDefinitions(definition, local, { sameTable: false, target: plan.target, columns: plan.columns.map((column) => column.name) }).filter((difference) => difference.blocking);
  if (differences.length === 0) return;
  const remedies = differences.flatMap((difference) => difference.remedy ?? []);
  throw new MigrationError('MIG011', `table ${quoteTable(plan.target)} on local does not fit ${quoteTable(plan.source)}`, {
    tableName: `${plan.source.schema}.${plan.source.name}`,
    detail: differences.map((difference) => difference.message).join('; '),
    hint: remedies.length > 0 ? `On local: ${remedies.join('; ')}` : 'Drop the table on local, or give another name with OPTIONS (target_table …).',
  });
}

async function runStep(client: ClientBase, step: SchemaStep): Promise<void> {
  const isDone = async (): Promise<boolean> => (await readJson<{ done: boolean }>(client, `SELECT ${step.done} AS done`))[0]?.done === true;
  if (await isDone()) return;
  await inTransaction(client, step.name, async () => {
    await client.query(lockSharedObjectsSql);
    if (!(await isDone())) for (const sql of step.sql) await client.query(sql);
  });
}

async function inTransaction(client: ClientBase, subject: string, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await work();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw schemaError(error, subject);
  }
}

/** What local refuses to create is a schema mismatch with the server's own words; lost connections and lock timeouts pass through. */
function schemaError(error: unknown, subject: string): unknown {
  const state = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(42|0A|22|23|2B|3F)/.test(state) || !(error instanceof Error)) return error;
  const code = state === '42704' ? 'MIG012' : 'MIG011';
  return new MigrationError(code, `cannot create ${subject} on local: ${error.message}`, { cause: error, detail: `SQLSTATE ${state}` });
}

/** The arbiter of upserts (and the replica identity that rests on it). */
export async function buildKey(client: ClientBase, schema: SchemaPlan): Promise<void> {
  for (const index of schema.key) {
    await buildIndex(client, index, false);
    await addConstraint(client, index);
  }
  for (const sql of schema.partitionIdentity) await client.query(sql);
  const identity = schema.replicaIdentity;
  if (identity === undefined) return;
  const key = schema.key[0];
  const name = key === undefined ? undefined : (await findIndex(client, key))?.name;
  await client.query(identity.endsWith('USING INDEX') ? `${identity} ${quoteIdent(name ?? '')}` : identity);
}

export interface BuildIndexesOptions {
  /** Connections that build at the same time. */
  readonly connections: number;
  /** Writers of the table (the applier) go on during the build; not for partitioned tables, which PostgreSQL refuses. */
  readonly concurrently: boolean;
  readonly signal?: AbortSignal;
  readonly onBuilt?: (index: string, finished: number, total: number) => void;
}

/**
 * Secondary indexes in parallel (CONCURRENTLY one by one: two of them on one table deadlock), then the constraints that rest on them, then
 * exclusion constraints; comments and ANALYZE at the end.
 */
export async function buildIndexes(address: ServerAddress, schema: SchemaPlan, options: BuildIndexesOptions): Promise<void> {
  const queue = [...schema.indexes];
  const total = schema.indexes.length + schema.constraints.length;
  let finished = 0;
  const built = (step: IndexStep): void => options.onBuilt?.(step.name, ++finished, total);
  const lanes = options.concurrently ? 1 : Math.max(1, Math.min(options.connections, queue.length));
  const clients = await Promise.all(Array.from({ length: lanes }, () => connectServer(address, { applicationName: 'causeway index build', ...(options.signal === undefined ? {} : { signal: options.signal }) })));
  try {
    await allSettledOrThrow(clients.map(async (client) => {
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
        options.signal?.throwIfAborted();
        await buildIndex(client, step, options.concurrently);
        built(step);
      }
    }));
    const client = clients[0];
    if (client === undefined) return;
    for (const step of schema.indexes) await addConstraint(client, step);
    for (const step of schema.constraints) {
      options.signal?.throwIfAborted();
      await addConstraint(client, step);
      built(step);
    }
    for (const sql of schema.comments) await client.query(sql);
    await client.query(`ANALYZE ${quoteTable(schema.target)}`);
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }
}

/** A lane that fails must not leave another one's statement running on a connection that is being closed. */
async function allSettledOrThrow(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** The index alone; constraints that can only be made whole are left to `addConstraint`. */
async function buildIndex(client: ClientBase, step: IndexStep, concurrently: boolean): Promise<void> {
  if (step.whole !== undefined || (await hasConstraint(client, step))) return;
  const found = await findIndex(client, step);
  if (found?.valid === true) return;
  if (found !== undefined) await client.query(`DROP INDEX ${quoteTable({ schema: step.table.schema, name: found.name })}`);
  const name = await freeName(client, step.table.schema, step.name);
  await runSql(client, `CREATE ${step.unique ? 'UNIQUE ' : ''}INDEX ${concurrently && !step.onPartitioned ? 'CONCURRENTLY ' : ''}${quoteIdent(name)} ON ${quoteTable(step.table)} ${step.tail}`, step.name);
  if (step.comment !== null) await client.query(`COMMENT ON INDEX ${quoteTable({ schema: step.table.schema, name })} IS ${quoteLiteral(step.comment)}`);
}

/** Takes the table for itself: for a moment when the index is there, for the whole build otherwise. */
async function addConstraint(client: ClientBase, step: IndexStep): Promise<void> {
  if (step.constraint === undefined || (await hasConstraint(client, step))) return;
  const table = quoteTable(step.table);
  const { name, clause, timing } = step.constraint;
  if (step.whole !== undefined) {
    const free = await freeName(client, step.table.schema, name);
    return runSql(client, `ALTER TABLE ${table} ADD CONSTRAINT ${quoteIdent(free)} ${step.whole}${step.whole.includes(' DEFERRABLE') ? '' : timing}`, step.name);
  }
  const index = await findIndex(client, step);
  if (index === undefined) throw new MigrationError('MIG090', `index ${step.name} on ${table} was not built`);
  await runSql(client, `ALTER TABLE ${table} ADD CONSTRAINT ${quoteIdent(index.name)} ${clause} USING INDEX ${quoteIdent(index.name)}${timing}`, step.name);
}

async function runSql(client: ClientBase, sql: string, subject: string): Promise<void> {
  try {
    await client.query(sql);
  } catch (error) {
    throw schemaError(error, subject);
  }
}

/** By what it says, not by its name, which may have been taken on local. */
async function hasConstraint(client: ClientBase, step: IndexStep): Promise<boolean> {
  if (step.constraint === undefined) return false;
  const type = step.whole === undefined || step.constraint.clause === 'PRIMARY KEY' ? { 'PRIMARY KEY': 'p', UNIQUE: 'u' }[step.constraint.clause] : '';
  const constraints = await withQualifiedNames(client, () => readJson<{ type: string; definition: string; indexDefinition: string | null }>(client, `
    SELECT c.contype AS type, pg_get_constraintdef(c.oid) AS definition, pg_get_indexdef(nullif(c.conindid, 0)) AS "indexDefinition"
      FROM pg_constraint c WHERE c.conrelid = to_regclass($1) AND c.contype IN ('p', 'u', 'x')`, [quoteTable(step.table)]));
  return constraints.some((each) => (step.whole !== undefined && each.definition === step.whole)
    || (type === each.type && each.indexDefinition !== null && indexTail(each.indexDefinition) === step.tail));
}

async function findIndex(client: ClientBase, step: IndexStep): Promise<{ name: string; valid: boolean } | undefined> {
  const rows = await withQualifiedNames(client, () => readJson<{ name: string; valid: boolean; unique: boolean; definition: string }>(client, `
    SELECT x.relname AS name, i.indisvalid AS valid, i.indisunique AS unique, pg_get_indexdef(i.indexrelid) AS definition
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = to_regclass($1) ORDER BY i.indisvalid DESC`, [quoteTable(step.table)]));
  return rows.find((row) => row.unique === step.unique && indexTail(row.definition) === step.tail);
}

/** Index names share a name space with tables: when another relation has the name, a numbered one is taken. */
async function freeName(client: ClientBase, schema: string, wanted: string): Promise<string> {
  const taken = await readJson<{ name: string }>(client, 'SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND (c.relname = $2 OR c.relname LIKE $3)', [schema, wanted, `${wanted.slice(0, 58).replace(/[\\%_]/g, '\\$&')}%`]);
  const names = new Set(taken.map((row) => row.name));
  if (!names.has(wanted)) return wanted;
  for (let number = 1; ; number += 1) {
    const candidate = `${wanted.slice(0, 58)}_${number}`;
    if (!names.has(candidate)) return candidate;
  }
}

/**
 * Foreign keys whose two ends are on local and, by `isLoaded` (source names), hold their rows: NOT VALID first, which locks for a
 * moment only, then VALIDATE. Returns those left for later.
 */
export async function addForeignKeys(client: ClientBase, steps: readonly ForeignKeyStep[], isLoaded: (source: QualifiedName) => boolean): Promise<readonly ForeignKeyStep[]> {
  const later: ForeignKeyStep[] = [];
  for (const step of steps) {
    if (!isLoaded(step.sourceChild) || !isLoaded(step.sourceParent) || !(await bothExist(client, step))) later.push(step);
    else await addForeignKey(client, step);
  }
  return later;
}

async function bothExist(client: ClientBase, step: ForeignKeyStep): Promise<boolean> {
  const rows = await readJson<{ exists: boolean }>(client, 'SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL AS exists', [quoteTable(step.child), quoteTable(step.parent)]);
  return rows[0]?.exists === true;
}

async function addForeignKey(client: ClientBase, step: ForeignKeyStep): Promise<void> {
  const child = quoteTable(step.child);
  const existing = await withQualifiedNames(client, () => readJson<{ name: string; validated: boolean; columns: string[] }>(client, `
    SELECT c.conname AS name, c.convalidated AS validated,
           (SELECT json_agg(a.attname ORDER BY k.ord) FROM unnest(c.conkey) WITH ORDINALITY k(num, ord) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num) AS columns
      FROM pg_constraint c WHERE c.contype = 'f' AND c.conrelid = to_regclass($1) AND c.confrelid = to_regclass($2)`, [child, quoteTable(step.parent)]));
  const same = existing.find((key) => key.columns.join('\0') === step.columns.join('\0'));
  const partitioned = await isPartitioned(client, step.child);
  if (same === undefined) await runSql(client, `ALTER TABLE ${child} ADD CONSTRAINT ${quoteIdent(step.name)} ${step.definition}${partitioned ? '' : ' NOT VALID'}`, `foreign key ${step.name}`);
  if (step.validate && !partitioned && same?.validated !== true) await runSql(client, `ALTER TABLE ${child} VALIDATE CONSTRAINT ${quoteIdent(same?.name ?? step.name)}`, `foreign key ${step.name}`);
}

async function isPartitioned(client: ClientBase, table: QualifiedName): Promise<boolean> {
  const rows = await readJson<{ kind: string }>(client, 'SELECT relkind AS kind FROM pg_class WHERE oid = to_regclass($1)', [quoteTable(table)]);
  return rows[0]?.kind === 'p';
}
