/** Cuts a table into chunks: by heap blocks within a snapshot, by key ranges that outlive it. */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';
import type { TablePlan } from '../table-plan.ts';
import { wholeTable } from '../snapshot/chunk.ts';
import type { Chunk, ChunkRange, ChunkSize } from '../snapshot/chunk.ts';
import { plannedColumn } from './chunk-reader.ts';
import type { CopyConnection } from './copy-connection.ts';
import { quoteIdent, quoteList, quoteLiteral, quoteTable } from './quote.ts';

/** A relation with storage of its own: the table, or one of its partitions. */
export interface StoredRelation {
  readonly name: QualifiedName;
  /** Foreign partitions have no blocks. */
  readonly isHeap: boolean;
  readonly readable: boolean;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly toastBytes: number;
  /** From the statistics; −1 when never analysed. */
  readonly estimatedRows: number;
}

/** A ledger of more chunks than this serves nobody. */
const MAX_CHUNKS = 20_000;
/** TID range scans exist from PostgreSQL 14 on; before, every block range would read the whole table. */
export const TID_RANGE_VERSION = 140000;

/** Leaves of a partitioned table in the order of their names; a plain table is its own leaf. Throws on a missing table. */
export async function readRelations(connection: CopyConnection, table: QualifiedName): Promise<StoredRelation[]> {
  const [result] = await connection.exec(`
    WITH RECURSIVE tree AS (
      SELECT ${quoteLiteral(quoteTable(table))}::regclass::oid AS oid
      UNION ALL
      SELECT i.inhrelid FROM tree JOIN pg_class p ON p.oid = tree.oid AND p.relkind = 'p' JOIN pg_inherits i ON i.inhparent = tree.oid)
    SELECT n.nspname, c.relname, c.relkind = 'r', has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'),
      CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END,
      current_setting('block_size'), CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE pg_relation_size(c.reltoastrelid) END, c.reltuples::bigint
    FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind <> 'p' ORDER BY 1, 2`);
  return (result?.rows ?? []).map((row) => ({
    name: { schema: row[0] ?? '', name: row[1] ?? '' },
    isHeap: row[2] === 't',
    readable: row[3] === 't',
    blocks: Number(row[4]),
    blockBytes: Number(row[5]),
    toastBytes: Number(row[6]),
    estimatedRows: Number(row[7]),
  }));
}

/** Rows that the planner expects the load to read. Never fails the load: an estimate is only shown. */
export async function estimateRows(connection: CopyConnection, plan: TablePlan): Promise<number> {
  const where = plan.where === undefined ? '' : ` WHERE (${plan.where}\n)`;
  const [result] = await connection.exec(`EXPLAIN (FORMAT JSON) SELECT 1 FROM ${plan.isPartitioned ? '' : 'ONLY '}${quoteTable(plan.source)}${where}`);
  const parsed = JSON.parse(result?.rows.map((row) => row[0]).join('\n') ?? '[]') as { readonly Plan: { readonly 'Plan Rows': number } }[];
  return parsed[0]?.Plan['Plan Rows'] ?? 0;
}

/**
 * Chunks of one snapshot. A relation's last chunk is open-ended. TOAST is counted by relation: how many of its bytes a block's
 * rows drag along is known only on average.
 */
export function cutBlocks(plan: TablePlan, relations: readonly StoredRelation[], size: ChunkSize): Chunk[] {
  if (plan.isPartitioned && relations.some((relation) => !relation.readable)) return [wholeTable(plan)];
  const totalBlocks = relations.reduce((sum, relation) => sum + relation.blocks, 0);
  const leastBlocks = Math.ceil(totalBlocks / MAX_CHUNKS);
  const parts = relations.flatMap((relation) => {
    if (!relation.isHeap) return [{ relation: relation.name, only: false, range: { kind: 'all' } satisfies ChunkRange }];
    return blockRanges(relation.blocks, Math.max(leastBlocks, blocksPerChunk(relation, size))).map((range) => ({ relation: relation.name, only: true, range }));
  });
  return parts.map((part, index) => ({ chunkNo: index + 1, ...part }));
}

function blocksPerChunk(relation: StoredRelation, size: ChunkSize): number {
  const bytesPerBlock = relation.blockBytes + relation.toastBytes / Math.max(1, relation.blocks);
  // Without statistics a row is taken to be 100 bytes; the bound in bytes holds all the same.
  const rows = relation.estimatedRows > 0 ? relation.estimatedRows : (relation.blocks * relation.blockBytes) / 100;
  const rowsPerBlock = rows / Math.max(1, relation.blocks);
  return Math.max(1, Math.floor(Math.min(size.bytes / bytesPerBlock, size.rows / Math.max(rowsPerBlock, 0.01))));
}

function blockRanges(blocks: number, step: number): ChunkRange[] {
  if (blocks <= step) return [{ kind: 'all' }];
  const ranges: ChunkRange[] = [];
  for (let from = 0; from < blocks; from += step) ranges.push({ kind: 'blocks', from, to: from + step >= blocks ? undefined : from + step });
  return ranges;
}

/** Key columns in the source's order, every n-th row of it: the lower bounds of all chunks but the first. */
export async function readKeyBounds(connection: CopyConnection, plan: TablePlan, columns: readonly string[], size: ChunkSize): Promise<string[][]> {
  const relations = await readRelations(connection, plan.source);
  const bytes = relations.reduce((sum, relation) => sum + relation.blocks * relation.blockBytes + relation.toastBytes, 0);
  const estimated = relations.reduce((sum, relation) => sum + Math.max(0, relation.estimatedRows), 0);
  const rowBytes = estimated > 0 ? bytes / estimated : 100;
  const step = Math.max(1, Math.floor(Math.min(size.rows, size.bytes / Math.max(1, rowBytes))), Math.ceil(estimated / MAX_CHUNKS));
  const names = quoteList(columns);
  const asText = columns.map((name, index) => `q.${quoteIdent(plannedColumn(plan, name).name)}::text AS b${index}`).join(', ');
  const from = `${plan.isPartitioned ? '' : 'ONLY '}${quoteTable(plan.source)}`;
  const [result] = await connection.exec(`
    SELECT ${asText} FROM (SELECT ${names}, row_number() OVER (ORDER BY ${names}) AS causeway_n FROM ${from}
      WHERE ${columns.map((name) => `${quoteIdent(name)} IS NOT NULL`).join(' AND ')}) q
    WHERE causeway_n > 1 AND (causeway_n - 1) % ${step} = 0 ORDER BY causeway_n`);
  const bounds = (result?.rows ?? []).map((row) => row.map((value) => value ?? ''));
  return bounds.filter((bound, index) => index === 0 || JSON.stringify(bound) !== JSON.stringify(bounds[index - 1]));
}
