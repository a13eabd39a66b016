/**
 * Changes of marked rows (RULES 24). Local has a marked row as the transaction that marked it left it; changes of it that come before that
 * transaction in the stream are dropped. The transaction's own changes are applied, whichever way the row stands, and clear its marks: so
 * what triggers of the source made of the row comes too, and a mark is never more than an early sight of what the stream brings.
 */
import { lockMarksSql } from '../postgres/marks.ts';
import type { ApplyConnection } from './apply-connection.ts';
import { keyJson, newRow, oldRow } from './change-record.ts';
import type { ChangeRecord, RowRecord, TruncateRecord } from './change-record.ts';
import { keyRow } from './key-row.ts';
import { fetchRows } from './fetch-rows.ts';
import type { TableBinding } from './table-binding.ts';

/** What is left of a unit in which marks were met. */
export interface HeededUnit {
  readonly records: readonly ChangeRecord[];
  /** Tables whose rows may stand as they are to become. */
  readonly tables: ReadonlySet<string>;
  /** Clears the marks of the transactions that the unit holds. */
  readonly clear: () => Promise<void>;
}

interface Touched {
  readonly table: TableBinding;
  readonly keys: Set<string>;
  readonly transactions: Set<number>;
  isTruncated: boolean;
}

/** Key → number of the transaction that marked it. */
type Marks = Map<string, number>;

export function touchesMarkable(records: readonly ChangeRecord[], mayHaveMarks: (tableId: string) => boolean): boolean {
  return records.some((record) => tablesOf(record).some(({ plan }) => mayHaveMarks(plan.tableId)));
}

/** In the unit's transaction, before anything is written: keeps markers out until it ends. Undefined when nothing of it is marked. */
export async function heedMarks(connection: ApplyConnection, records: readonly ChangeRecord[], skipped: readonly ChangeRecord[], mayHaveMarks: (tableId: string) => boolean): Promise<HeededUnit | undefined> {
  const touched = collect([...records, ...skipped], mayHaveMarks);
  const found = await Promise.all([...touched].flatMap(([tableId, each]) => [connection.send({ text: lockMarksSql, values: [tableId] }), readMarks(connection, tableId, each)]));
  const marks = new Map<string, Marks>();
  [...touched.keys()].forEach((tableId, index) => {
    const read = found[index * 2 + 1];
    if (read instanceof Map && read.size > 0) marks.set(tableId, read);
  });
  if (marks.size === 0) return undefined;
  const kept = await withoutHeld(connection, records, marks, new Set(skipped.map(({ transaction }) => transaction.transactionId)));
  const clear = async (): Promise<void> => {
    for (const tableId of marks.keys()) {
      await connection.send({ text: 'DELETE FROM causeway.mark WHERE table_id = $1 AND xid = ANY ($2::bigint[])', values: [tableId, [...(touched.get(tableId)?.transactions ?? [])]] });
    }
  };
  return { records: kept, tables: new Set(marks.keys()), clear };
}

/** By table id, in its order: two that lock several tables never wait for each other. */
function collect(records: readonly ChangeRecord[], mayHaveMarks: (tableId: string) => boolean): Map<string, Touched> {
  const touched = new Map<string, Touched>();
  for (const record of records) {
    for (const table of tablesOf(record)) {
      const { tableId } = table.plan;
      if (!mayHaveMarks(tableId) || table.keyPlaces.length === 0) continue;
      const each = touched.get(tableId) ?? { table, keys: new Set<string>(), transactions: new Set<number>(), isTruncated: false };
      touched.set(tableId, each);
      each.transactions.add(record.transaction.transactionId);
      if (record.op === 'truncate') each.isTruncated = true;
      else for (const key of keysOf(record)) each.keys.add(key);
    }
  }
  return new Map([...touched].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function readMarks(connection: ApplyConnection, tableId: string, { keys, transactions, isTruncated }: Touched): Promise<Marks> {
  const found = await connection.rows({
    text: 'SELECT key_json, xid FROM causeway.mark WHERE table_id = $1 AND ($2::boolean OR key_json = ANY ($3::text[]) OR xid = ANY ($4::bigint[]))',
    values: [tableId, String(isTruncated), [...keys], [...transactions]],
  });
  return new Map(found.map(([key, transaction]) => [key ?? '', Number(transaction)]));
}

async function withoutHeld(connection: ApplyConnection, records: readonly ChangeRecord[], marks: ReadonlyMap<string, Marks>, skipped: ReadonlySet<number>): Promise<ChangeRecord[]> {
  const kept: ChangeRecord[] = [];
  const held = new Map([...marks].map(([tableId, each]) => [tableId, new Map([...each].filter(([, by]) => !skipped.has(by)))]));
  for (const record of records) {
    if (record.op === 'truncate') {
      kept.push(record);
      for (const table of record.tables) kept.push(...(await restored(connection, record, table, held.get(table.plan.tableId))));
      continue;
    }
    const ofTable = held.get(record.table.plan.tableId);
    if (ofTable === undefined) kept.push(record);
    else kept.push(...heed(record, ofTable));
  }
  return kept;
}

/** Of a change that moves a row, the half whose key is not held is left. */
function heed(record: RowRecord, held: Marks): readonly ChangeRecord[] {
  const [before, after] = [record.oldAt >= 0 ? keyJson(record.table, oldRow(record)) : undefined, record.newAt >= 0 ? keyJson(record.table, newRow(record)) : undefined];
  for (const key of [before, after]) if (key !== undefined && held.get(key) === record.transaction.transactionId) held.delete(key);
  const isFree = (key: string | undefined): boolean => key === undefined || !held.has(key);
  if (isFree(before) && isFree(after)) return [record];
  if (before === undefined || after === undefined || before === after) return [];
  if (isFree(before)) return [{ ...record, op: 'delete', newAt: -1 }];
  // Values that it left out cannot be had from the old row, which is another one by now: the row is read again.
  return isFree(after) ? [{ ...record, op: 'insert', oldAt: -1 }] : [];
}

/** Rows that were written after the source was emptied. */
async function restored(connection: ApplyConnection, truncate: TruncateRecord, table: TableBinding, held: Marks | undefined): Promise<RowRecord[]> {
  if (held === undefined || held.size === 0) return [];
  const keys = [...held.keys()].map((key) => keyRow(table, key));
  const rows = await fetchRows(connection, table, keys);
  return [...rows.values()].map(({ buffer, at }) => ({ op: 'insert', table, transaction: truncate.transaction, buffer, oldAt: -1, newAt: at, oldIsKeyOnly: false }));
}

function tablesOf(record: ChangeRecord): readonly TableBinding[] {
  return record.op === 'truncate' ? record.tables : [record.table];
}

function keysOf(record: RowRecord): string[] {
  const keys: string[] = [];
  if (record.oldAt >= 0) keys.push(keyJson(record.table, oldRow(record)));
  if (record.newAt >= 0) keys.push(keyJson(record.table, newRow(record)));
  return keys;
}
