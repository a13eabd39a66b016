/** Repairs rows that a validation found to differ (specification §10.4). */
import type { ClientBase } from 'pg';
import { chooseComparison, digestTable, keyArrays, keyJoin, keyList, pinSession, readServerTraits } from '../postgres/checksum.ts';
import type { DigestTable } from '../postgres/checksum.ts';
import { applierTagSql } from '../postgres/fence.ts';
import { lockMarksSql } from '../postgres/marks.ts';
import { quoteIdent, quoteList, quoteTable } from '../postgres/quote.ts';
import type { TablePlan } from '../table-plan.ts';
import type { Mismatch } from './validation-report.ts';

export type RepairStrategy = 'COPY_FROM_SOURCE' | 'COPY_TO_SOURCE' | 'SKIP' | 'MANUAL';

export interface RepairOptions {
  /** Connections for the repair alone. */
  readonly source: ClientBase;
  readonly local: ClientBase;
  readonly plan: TablePlan;
  readonly mismatches: readonly Pick<Mismatch, 'key'>[];
  readonly strategy: RepairStrategy;
  /** Token of the fence or guard on the side that is written. */
  readonly token?: string;
  /** Runs first in each writing transaction: the tag that makes the other direction's capture drop it (RULES 11). */
  readonly tagTransaction?: (client: ClientBase) => Promise<void>;
  /** Replica role: triggers and foreign keys don't fire on the side written. Needs a grant (RULES 30). */
  readonly replicaRole: boolean;
  readonly signal?: AbortSignal;
}

export interface RepairResult {
  readonly written: number;
  readonly deleted: number;
  /** Left as they are, by SKIP and MANUAL. */
  readonly left: number;
}

const batchRows = 200;

/**
 * Each batch is one transaction on the side written: its rows are locked there first, then the other side's are read, so that a
 * change that the stream applies meanwhile comes after the repair, never under it.
 */
export async function repairRows(options: RepairOptions): Promise<RepairResult> {
  const { strategy, mismatches } = options;
  if (strategy === 'SKIP' || strategy === 'MANUAL') return { written: 0, deleted: 0, left: mismatches.length };
  await Promise.all([pinSession(options.source), pinSession(options.local)]);
  const comparison = chooseComparison(await Promise.all([readServerTraits(options.source), readServerTraits(options.local)]));
  const source = { client: options.source, table: await digestTable(options.source, options.plan, 'source', comparison) };
  const local = { client: options.local, table: await digestTable(options.local, options.plan, 'target', comparison) };
  const [from, to] = strategy === 'COPY_FROM_SOURCE' ? [source, local] : [local, source];
  let [written, deleted] = [0, 0];
  for (let at = 0; at < mismatches.length; at += batchRows) {
    options.signal?.throwIfAborted();
    const done = await repairBatch(from, to, mismatches.slice(at, at + batchRows).map((mismatch) => mismatch.key), options);
    written += done.written;
    deleted += done.deleted;
  }
  return { written, deleted, left: 0 };
}

export interface RepairSide {
  readonly client: ClientBase;
  readonly table: DigestTable;
}

async function repairBatch(from: RepairSide, to: RepairSide, keys: readonly (readonly string[])[], options: RepairOptions): Promise<{ written: number; deleted: number }> {
  await to.client.query('BEGIN');
  try {
    if (options.token !== undefined) await to.client.query(applierTagSql(options.token));
    await options.tagTransaction?.(to.client);
    if (options.replicaRole) await to.client.query('SET LOCAL session_replication_role = replica');
    // What is read from the source is then no older than any row that a client's own transaction has marked here.
    await to.client.query(lockMarksSql, [options.plan.tableId]);
    const done = to.table.isKeyless ? await replaceRows(from, to, keys, options.plan) : await mergeRows(from, to, keys, options.plan);
    await to.client.query('COMMIT');
    return done;
  } catch (error) {
    await to.client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Never a delete and an insert of one row: foreign keys would take its children along. */
async function mergeRows(from: RepairSide, to: RepairSide, keys: readonly (readonly string[])[], plan: TablePlan): Promise<{ written: number; deleted: number }> {
  const target = match(to.table, keys);
  await to.client.query(`SELECT 1 FROM ${quoteTable(to.table.table)} t JOIN ${target.from} ON ${target.on} FOR UPDATE OF t`, target.values);
  const rows = await readTexts(from, keys);
  const present = new Set(rows.map((row) => Number(row[0]) - 1));
  const deleted = await deleteRows(to, keys.filter((_, at) => !present.has(at)));
  const others = plan.columns.filter((column) => !plan.key.includes(column.name)).map((column) => quoteIdent(column.name));
  const action = others.length === 0 ? 'NOTHING' : `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(', ')}`;
  await insertRows(to, rows.map((row) => row.slice(1)), plan, ` ON CONFLICT (${quoteList(plan.key)}) DO ${action}`);
  return { written: rows.length, deleted };
}

/** Keyless: all copies of the rows, whatever their number, are put in place of all copies on the other side. */
async function replaceRows(from: RepairSide, to: RepairSide, keys: readonly (readonly string[])[], plan: TablePlan): Promise<{ written: number; deleted: number }> {
  const removed = await deleteRows(to, keys);
  const rows = await readTexts(from, keys);
  await insertRows(to, rows.map((row) => row.slice(1)), plan, '');
  return { written: rows.length, deleted: Math.max(0, removed - rows.length) };
}

function match(table: DigestTable, keys: readonly (readonly string[])[]): { from: string; on: string; values: string[][] } {
  if (table.isKeyless) return { from: 'unnest($1::text[]) WITH ORDINALITY k(d, ord)', on: `${table.digest} = k.d`, values: [keys.map((key) => key[0] ?? '')] };
  return { from: keyList(table), on: keyJoin(table), values: keyArrays(table, keys) };
}

/** Rows outside the filter are another's: neither deleted nor written. */
function filter(table: DigestTable): string {
  return table.where === undefined ? '' : ` AND (${table.where})`;
}

async function deleteRows(side: RepairSide, keys: readonly (readonly string[])[]): Promise<number> {
  if (keys.length === 0) return 0;
  const { from, on, values } = match(side.table, keys);
  const result = await side.client.query(`DELETE FROM ${quoteTable(side.table.table)} t USING ${from} WHERE ${on}${filter(side.table)}`, values);
  return result.rowCount ?? 0;
}

const raw = { getTypeParser: () => (value: string | Buffer): string => value.toString() };

async function readTexts(side: RepairSide, keys: readonly (readonly string[])[]): Promise<(string | null)[][]> {
  const { from, on, values } = match(side.table, keys);
  const columns = side.table.columns.map((name) => `t.${quoteIdent(name)}`).join(', ');
  const result = await side.client.query({ text: `SELECT k.ord, ${columns} FROM ${quoteTable(side.table.table)} t JOIN ${from} ON ${on} WHERE true${filter(side.table)}`, values, rowMode: 'array', types: raw } as const);
  return result.rows as (string | null)[][];
}

export async function insertRows(side: RepairSide, rows: readonly (readonly (string | null)[])[], plan: TablePlan, onConflict: string): Promise<void> {
  if (rows.length === 0) return;
  const arrays = plan.columns.map((_, column) => rows.map((row) => row[column] ?? null));
  const names = plan.columns.map((_, at) => `c${at}`);
  await side.client.query(`INSERT INTO ${quoteTable(side.table.table)} (${quoteList(side.table.columns)}) OVERRIDING SYSTEM VALUE
    SELECT ${plan.columns.map((column, at) => `u.c${at}::${column.type}`).join(', ')} FROM unnest(${names.map((_, at) => `$${at + 1}::text[]`).join(', ')}) AS u(${names.join(', ')})${onConflict}`, arrays);
}
