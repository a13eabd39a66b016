/** The source's side of a load: connections that share one snapshot, and the SELECT of one chunk. */
import type { PlannedColumn, TablePlan } from '../table-plan.ts';
import type { Chunk, ChunkRange, CopyFormat } from '../snapshot/chunk.ts';
import { CopyConnection } from './copy-connection.ts';
import { quoteIdent, quoteList, quoteLiteral, quoteTable } from './quote.ts';
import type { ServerAddress } from './server-address.ts';

/**
 * Text of values, and with it key bounds and rows in the text format, does not depend on the server's or the user's settings.
 * `row_security = off` makes a policy that would hide rows an error instead of a loss; a sequential scan always begins at block 0.
 */
const readerSettings = [
  "client_encoding = 'UTF8'", "DateStyle = 'ISO, YMD'", "IntervalStyle = 'postgres'", "TimeZone = 'UTC'", "bytea_output = 'hex'", "lc_monetary = 'C'",
  'extra_float_digits = 3', 'statement_timeout = 0', 'lock_timeout = 0', 'idle_in_transaction_session_timeout = 0', 'row_security = off',
  'synchronize_seqscans = off', 'max_parallel_workers_per_gather = 0', 'tcp_keepalives_idle = 30', 'tcp_keepalives_interval = 5', 'tcp_keepalives_count = 4',
];

export async function openReader(address: ServerAddress, signal: AbortSignal): Promise<CopyConnection> {
  const connection = await CopyConnection.connect(address, { applicationName: 'causeway load', signal, textOnly: true });
  await connection.exec(readerSettings.map((setting) => `SET ${setting}`).join('; '));
  return connection;
}

/** Begins the transaction whose snapshot every reader of this load shares, and returns the snapshot's name. */
export async function exportSnapshot(connection: CopyConnection): Promise<string> {
  const results = await connection.exec('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()');
  const name = results[1]?.rows[0]?.[0];
  if (name === undefined || name === null) throw new Error('the source exported no snapshot');
  return name;
}

/** The snapshot of the transaction that is open, as text: which transaction ids it saw. */
export async function describeSnapshot(connection: CopyConnection): Promise<string> {
  const [result] = await connection.exec('SELECT txid_current_snapshot()');
  const text = result?.rows[0]?.[0];
  if (text === undefined || text === null) throw new Error('the source described no snapshot');
  return text;
}

export async function importSnapshot(connection: CopyConnection, snapshot: string): Promise<void> {
  await connection.exec(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshot)}`);
}

/** `COPY (SELECT …) TO STDOUT` for a chunk; key ranges come in key order, so that the target's index grows at one place. */
export function copyOutSql(plan: TablePlan, chunk: Chunk, format: CopyFormat): string {
  const columns = quoteList(plan.columns.map((column) => column.name));
  const conditions = [...rangeConditions(plan, chunk.range), ...(plan.where === undefined ? [] : [`(${plan.where}\n)`])];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const order = chunk.range.kind === 'key' ? ` ORDER BY ${quoteList(chunk.range.columns)}` : '';
  const from = `${chunk.only ? 'ONLY ' : ''}${quoteTable(chunk.relation)}`;
  return `COPY (SELECT ${columns} FROM ${from}${where}${order}) TO STDOUT (FORMAT ${format})`;
}

function rangeConditions(plan: TablePlan, range: ChunkRange): string[] {
  switch (range.kind) {
    case 'all':
      return [];
    case 'blocks':
      return [`ctid >= '(${range.from},0)'::tid`, ...(range.to === undefined ? [] : [`ctid < '(${range.to},0)'::tid`])];
    case 'key':
      return keyConditions(plan, range);
    default:
      return range satisfies never;
  }
}

/**
 * Both bounds are compared by the source alone, under the column's own collation, so its index serves them; COLLATE "C" would
 * make every chunk a scan of the whole table. (Ranges that two servers compare are another matter, RULES 29.)
 */
function keyConditions(plan: TablePlan, range: Extract<ChunkRange, { kind: 'key' }>): string[] {
  const { columns, lower, upper } = range;
  const [first] = columns;
  if (first === undefined) return [];
  const conditions: string[] = [];
  if (lower) conditions.push(`${rowOf(columns)} >= ${boundOf(plan, columns, lower)}`);
  if (upper) conditions.push(`${rowOf(columns)} < ${boundOf(plan, columns, upper)}`);
  // Says the same of the first column alone: partitions are pruned by it and the planner can estimate it.
  if (columns.length > 1 && lower) conditions.push(`${quoteIdent(first)} >= ${boundOf(plan, [first], lower)}`);
  if (columns.length > 1 && upper) conditions.push(`${quoteIdent(first)} <= ${boundOf(plan, [first], upper)}`);
  const nullable = plan.columns.find((column) => column.name === first)?.notNull !== true && !plan.key.includes(first);
  if (upper === undefined && lower && nullable) return [`(${conditions.join(' AND ')} OR ${quoteIdent(first)} IS NULL)`];
  return conditions;
}

function rowOf(columns: readonly string[]): string {
  return columns.length === 1 ? quoteList(columns) : `(${quoteList(columns)})`;
}

function boundOf(plan: TablePlan, columns: readonly string[], values: readonly string[]): string {
  const parts = columns.map((name, index) => `${quoteLiteral(values[index] ?? '')}::${plannedColumn(plan, name).type}`);
  return parts.length === 1 ? parts.join('') : `(${parts.join(', ')})`;
}

export function plannedColumn(plan: TablePlan, name: string): PlannedColumn {
  const found = plan.columns.find((column) => column.name === name);
  if (!found) throw new RangeError(`column ${name} is not carried by the migration of ${plan.tableId}`);
  return found;
}
