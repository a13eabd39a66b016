/**
 * Folds a run of changes to what is left of them per key (RULES 5), as steps to be applied in order.
 *
 * Folding is legal only where equal keys have equal text. Changes of a key, tables without a foldable key, and TRUNCATE are steps
 * of their own, before which everything of their table that came earlier is closed off. Tables do not depend on each other
 * here: foreign keys do not fire under replica role.
 *
 * Per key: `insert` (was not there) · `update` (was there) · `delete` (was there) · `gone` (was not there and is not) ·
 * `put` (the changes contradict each other: write it whichever is there).
 */
import { hasUnchanged } from '../postgres/pgoutput.ts';
import { completedRow, keyOf, mergeRows, newRow, oldRow, presentColumns } from './change-record.ts';
import type { ChangeRecord, RowRecord, TruncateRecord } from './change-record.ts';
import type { RowRef } from './row-set.ts';
import type { BoundColumn } from './bound-table.ts';
import type { TableBinding } from './table-binding.ts';

export type Step = SetStep | SingleStep | TruncateStep;

export interface SetStep {
  readonly kind: 'set';
  readonly table: TableBinding;
  /** Tuples that hold at least the key. */
  readonly deletes: readonly RowRef[];
  /** Inserted and deleted within the run: were not there before, unless someone else wrote them. */
  readonly gone: readonly RowRef[];
  readonly updates: readonly RowRef[];
  readonly partials: readonly PartialGroup[];
  readonly inserts: readonly RowRef[];
  readonly puts: readonly RowRef[];
}

export interface PartialGroup {
  readonly present: readonly BoundColumn[];
  readonly rows: readonly RowRef[];
}

export interface SingleStep {
  readonly kind: 'single';
  readonly record: RowRecord;
}

export interface TruncateStep {
  readonly kind: 'truncate';
  readonly record: TruncateRecord;
}

type KeyState = 'insert' | 'update' | 'delete' | 'gone' | 'put';

interface KeyEntry {
  state: KeyState;
  row: RowRef;
}

interface OpenTable {
  readonly table: TableBinding;
  readonly keys: Map<string, KeyEntry>;
  /** Inserts of keyless tables. */
  readonly loose: RowRef[];
}

export function fold(records: readonly ChangeRecord[]): Step[] {
  const steps: Step[] = [];
  // By table, not by binding: the source describes a table anew whenever it likes.
  const open = new Map<string, OpenTable>();
  const close = ({ plan }: TableBinding): void => {
    const pending = open.get(plan.tableId);
    if (!pending) return;
    open.delete(plan.tableId);
    if (pending.keys.size + pending.loose.length > 0) steps.push(closeTable(pending.table, pending));
  };
  for (const record of records) {
    if (record.op === 'truncate') {
      record.tables.forEach(close);
      steps.push({ kind: 'truncate', record });
      continue;
    }
    const { table } = record;
    let pending = open.get(table.plan.tableId);
    if (pending && pending.table !== table) {
      close(table);
      pending = undefined;
    }
    if (!pending) {
      pending = { table, keys: new Map(), loose: [] };
      open.set(table.plan.tableId, pending);
    }
    if (addRecord(pending, record)) continue;
    close(table);
    steps.push({ kind: 'single', record });
  }
  for (const { table } of [...open.values()]) close(table);
  return steps;
}

/** False when the record has to stand by itself. */
function addRecord(pending: OpenTable, record: RowRecord): boolean {
  const { table } = record;
  if (table.keyPlaces.length === 0) {
    if (record.op !== 'insert') return false;
    pending.loose.push(newRow(record));
    return true;
  }
  if (!table.foldable) return false;
  if (record.op === 'delete') {
    const row = oldRow(record);
    remove(pending.keys, keyOf(table, row), row);
    return true;
  }
  const row = newRow(record);
  const key = keyOf(table, row);
  if (record.op === 'insert') {
    insert(pending.keys, key, row);
    return true;
  }
  if (record.oldAt >= 0 && keyOf(table, oldRow(record)) !== key) return false;
  update(pending.keys, key, table.mayLeaveOut ? completedRow(record) : row);
  return true;
}

/** Also true for an update that moves its row to another key. */
export function changesKey(record: RowRecord): boolean {
  if (record.op !== 'update' || record.oldAt < 0 || record.table.keyPlaces.length === 0) return false;
  return keyOf(record.table, oldRow(record)) !== keyOf(record.table, newRow(record));
}

const afterInsert: Readonly<Record<KeyState, KeyState>> = { insert: 'put', update: 'put', delete: 'update', gone: 'insert', put: 'put' };
const afterUpdate: Readonly<Record<KeyState, KeyState>> = { insert: 'insert', update: 'update', delete: 'put', gone: 'put', put: 'put' };
const afterDelete: Readonly<Record<KeyState, KeyState>> = { insert: 'gone', update: 'delete', delete: 'delete', gone: 'gone', put: 'gone' };

function insert(keys: Map<string, KeyEntry>, key: string, row: RowRef): void {
  const entry = keys.get(key);
  if (!entry) {
    keys.set(key, { state: 'insert', row });
    return;
  }
  entry.state = afterInsert[entry.state];
  entry.row = row;
}

function update(keys: Map<string, KeyEntry>, key: string, row: RowRef): void {
  const entry = keys.get(key);
  if (!entry) {
    keys.set(key, { state: 'update', row });
    return;
  }
  const hasImage = entry.state !== 'delete' && entry.state !== 'gone';
  entry.row = hasImage && hasUnchanged(row.buffer, row.at) ? mergeRows(entry.row, row) : row;
  entry.state = afterUpdate[entry.state];
}

function remove(keys: Map<string, KeyEntry>, key: string, row: RowRef): void {
  const entry = keys.get(key);
  if (!entry) {
    keys.set(key, { state: 'delete', row });
    return;
  }
  entry.state = afterDelete[entry.state];
  entry.row = row;
}

function closeTable(table: TableBinding, pending: OpenTable): SetStep {
  const deletes: RowRef[] = [];
  const updates: RowRef[] = [];
  const inserts: RowRef[] = [...pending.loose];
  const puts: RowRef[] = [];
  const partials = new Map<string, { present: readonly BoundColumn[]; rows: RowRef[] }>();
  const gone: RowRef[] = [];
  for (const { state, row } of pending.keys.values()) {
    if (state === 'delete') deletes.push(row);
    else if (state === 'gone') gone.push(row);
    else if (table.mayLeaveOut && hasUnchanged(row.buffer, row.at)) addPartial(partials, table, row);
    else (state === 'insert' ? inserts : state === 'update' ? updates : puts).push(row);
  }
  return { kind: 'set', table, deletes, gone, updates, partials: [...partials.values()], inserts, puts };
}

function addPartial(partials: Map<string, { present: readonly BoundColumn[]; rows: RowRef[] }>, table: TableBinding, row: RowRef): void {
  const present = presentColumns(table, row);
  const mask = present.map((column) => column.at).join();
  const group = partials.get(mask);
  if (group) group.rows.push(row);
  else partials.set(mask, { present, rows: [row] });
}

export const emptySet = { kind: 'set', deletes: [], gone: [], updates: [], partials: [], inserts: [], puts: [] } as const;

/** One change of a table whose keys cannot be folded, as a set of one. */
export function setOfOne(record: RowRecord): SetStep {
  const { table } = record;
  const base: SetStep = { ...emptySet, table };
  if (record.op === 'delete') return { ...base, deletes: [oldRow(record)] };
  const row = completedRow(record);
  if (record.op === 'insert') return { ...base, inserts: [row] };
  const present = presentColumns(table, row);
  return present.length === table.columns.length ? { ...base, updates: [row] } : { ...base, partials: [{ present, rows: [row] }] };
}
