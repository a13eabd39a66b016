/** A PostgreSQL table as a side of a comparison. The connection's settings are changed, and not put back. */
import type { ClientBase } from 'pg';
import type { TablePlan } from '../table-plan.ts';
import type { ComparedTable, ComparedTables } from '../validate/compared-table.ts';
import { checksumBuckets, checksumChunk, chooseComparison, digestTable, estimateRows, keyOrdering, lookUpRows, nextBound, pinSession, readDigests, readRows, readServerTraits, readWalPosition } from './checksum.ts';
import type { DigestTable } from './checksum.ts';

/** Two PostgreSQL databases. */
export async function compareInPostgres(source: ClientBase, local: ClientBase, plan: TablePlan): Promise<ComparedTables> {
  await Promise.all([pinSession(source), pinSession(local)]);
  const comparison = chooseComparison(await Promise.all([readServerTraits(source), readServerTraits(local)]));
  const tables = { source: await digestTable(source, plan, 'source', comparison), local: await digestTable(local, plan, 'target', comparison) };
  const isOrdered = plan.keyKind !== 'full' && (await keyOrdering(source, tables.source)) === 'ordered' && (await keyOrdering(local, tables.local)) === 'ordered';
  return { source: comparedTable(source, tables.source), local: comparedTable(local, tables.local), isOrdered };
}

/** The session is pinned. */
export function comparedTable(client: ClientBase, table: DigestTable): ComparedTable {
  return {
    columns: table.columns,
    estimateRows: () => estimateRows(client, table.table), readPosition: () => readWalPosition(client), checksumChunk: (range) => checksumChunk(client, table, range),
    checksumBuckets: (of) => checksumBuckets(client, table, of), nextBound: (range, rows) => nextBound(client, table, range, rows), readDigests: (ranges) => readDigests(client, table, ranges),
    lookUpRows: (keys) => lookUpRows(client, table, keys), readRows: (keys) => readRows(client, table, keys),
  };
}
