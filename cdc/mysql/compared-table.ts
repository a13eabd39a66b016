/** A table of MySQL beside its copy on PostgreSQL, as the two sides of a comparison. */
import type { ClientBase } from 'pg';
import { MigrationError } from '../../config/migration-error.ts';
import { formatPosition } from '../change.ts';
import { pinSession } from '../postgres/checksum.ts';
import { comparedTable } from '../postgres/compared-table.ts';
import { fieldDigestTable } from '../postgres/field-digest.ts';
import { quoteTable } from '../postgres/quote.ts';
import type { TablePlan } from '../table-plan.ts';
import type { ComparedTables } from '../validate/compared-table.ts';
import { checksumBuckets, checksumChunk, lookUpRows, mysqlDigestTable, nextBound, readDigests, readRows } from './checksum.ts';
import { readSize } from './chunk-reader.ts';
import type { MysqlClient } from './mysql-client.ts';
import { mysqlTableName } from './query.ts';
import { readServerPosition, streamPosition } from './read-position.ts';
import { readSourceColumns } from './source-column.ts';
import type { TypeRules } from './source-column.ts';

/** `local`: its settings are changed, and not put back. */
export async function compareWithMysql(source: MysqlClient, local: ClientBase, plan: TablePlan, types: TypeRules): Promise<ComparedTables> {
  await pinSession(local);
  const query = (sql: string): ReturnType<MysqlClient['query']> => source.query(sql);
  const ask = (sql: string): ReturnType<MysqlClient['ask']> => source.ask(sql);
  const there = mysqlDigestTable(plan, await readSourceColumns(query, plan, types));
  const here = fieldDigestTable(plan, there.forms);
  if (plan.where !== undefined) await assertPredicate(source, local, plan, plan.where);
  // A predicate may not mean the same to both engines: it says which rows are looked at, and what they are is asked by their keys.
  const [thereByKey, hereByKey] = [{ ...there, where: undefined }, comparedTable(local, { ...here, where: undefined })];
  return {
    source: {
      columns: plan.columns.map(({ name }) => name),
      estimateRows: async () => (await readSize(ask, plan.source)).rows, readPosition: async () => formatPosition(streamPosition(await readServerPosition(query))), checksumChunk: (range) => checksumChunk(ask, there, range),
      checksumBuckets: (of) => checksumBuckets(ask, there, of), nextBound: (range, rows) => nextBound(ask, there, range, rows), readDigests: (ranges) => readDigests(ask, there, ranges),
      lookUpRows: (keys) => lookUpRows(ask, thereByKey, keys), readRows: (keys) => readRows(ask, thereByKey, keys),
    },
    local: { ...comparedTable(local, here), lookUpRows: hereByKey.lookUpRows, readRows: hereByKey.readRows }, isOrdered: there.isOrdered,
  };
}

/** Both engines have to be able to read it. */
async function assertPredicate(source: MysqlClient, local: ClientBase, plan: TablePlan, where: string): Promise<void> {
  const refused = (side: string) => (error: unknown): never => {
    if (error instanceof MigrationError) throw error;
    throw new MigrationError('MIG071', `the predicate cannot be read on ${side}`, { detail: error instanceof Error ? error.message : String(error), cause: error, hint: 'Write it so that both engines read it: names without quotation marks, comparisons with constants. Which rows it means may differ; rows are compared by their keys.' });
  };
  await source.ask(`SELECT 1 FROM ${mysqlTableName(plan.source)} WHERE (${where}) LIMIT 0`).catch(refused('the source'));
  await local.query(`SELECT 1 FROM ${quoteTable(plan.target)} t WHERE (${where}) LIMIT 0`).catch(refused('local'));
}
