/** A table of MySQL beside its copy on PostgreSQL, as the two sides of a comparison. */
import type { ClientBase } from 'pg';
import { formatPosition } from '../change.ts';
import { pinSession } from '../postgres/checksum.ts';
import { comparedTable } from '../postgres/compared-table.ts';
import { fieldDigestTable } from '../postgres/field-digest.ts';
import type { TablePlan } from '../table-plan.ts';
import type { ComparedTables } from '../validate/compared-table.ts';
import { checksumBuckets, checksumChunk, lookUpRows, mysqlDigestTable, nextBound, readDigests, readRows } from './checksum.ts';
import { readSize } from './chunk-reader.ts';
import type { MysqlClient } from './mysql-client.ts';
import { readServerPosition, streamPosition } from './read-position.ts';
import { readSourceColumns } from './source-column.ts';
import type { TypeRules } from './source-column.ts';

/** `local`: its settings are changed, and not put back. */
export async function compareWithMysql(source: MysqlClient, local: ClientBase, plan: TablePlan, types: TypeRules): Promise<ComparedTables> {
  await pinSession(local);
  const query = (sql: string): ReturnType<MysqlClient['query']> => source.query(sql);
  const ask = (sql: string): ReturnType<MysqlClient['ask']> => source.ask(sql);
  const there = mysqlDigestTable(plan, await readSourceColumns(query, plan, types));
  return {
    source: {
      columns: plan.columns.map(({ name }) => name),
      estimateRows: async () => (await readSize(ask, plan.source)).rows, readPosition: async () => formatPosition(streamPosition(await readServerPosition(query))), checksumChunk: (range) => checksumChunk(ask, there, range),
      checksumBuckets: (of) => checksumBuckets(ask, there, of), nextBound: (range, rows) => nextBound(ask, there, range, rows), readDigests: (ranges) => readDigests(ask, there, ranges),
      lookUpRows: (keys) => lookUpRows(ask, there, keys), readRows: (keys) => readRows(ask, there, keys),
    },
    local: comparedTable(local, fieldDigestTable(plan, there.forms)), isOrdered: there.isOrdered,
  };
}
