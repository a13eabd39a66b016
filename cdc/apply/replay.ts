/**
 * Applies changes in source order when a set could not be applied as one (RULES 5).
 *
 * Whole transactions are tried as sets and halved until the one that fails is found, and so within it, down to single changes. A change that
 * still meets a unique key is one of a permutation: its old row is deleted, its new image parked, and all parked images
 * are inserted at the end of their source transaction, when the keys that they need have been given up.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { ChangeFailure } from './apply-error.ts';
import { completedRow, keyOf, mergeRows, newRow, oldRow } from './change-record.ts';
import type { ChangeRecord, RowRecord } from './change-record.ts';
import { fold } from './fold.ts';
import type { SetStep } from './fold.ts';
import type { RowRef } from './row-set.ts';
import type { RowTarget } from './row-target.ts';
import { hasUnchanged } from '../postgres/pgoutput.ts';
import type { StepRun } from './run-steps.ts';
import type { TableBinding } from './table-binding.ts';

interface Parked {
  readonly table: TableBinding;
  readonly row: RowRef;
  readonly record: RowRecord;
}

export class Replay {
  readonly #target: RowTarget;
  /** By table and key. */
  #parked = new Map<string, Parked>();
  #saved = new Map<string, Parked>();

  constructor(target: RowTarget) {
    this.#target = target;
  }

  get hasParked(): boolean {
    return this.#parked.size > 0;
  }

  get anyTable(): TableBinding | undefined {
    return this.#parked.values().next().value?.table;
  }

  clear(): void {
    this.#parked.clear();
    this.#saved.clear();
  }

  /** Forgets what the last `run` parked: its changes were rolled back. */
  restore(): void {
    this.#parked = new Map(this.#saved);
  }

  /** `endsTransaction`: the last source transaction of these records is whole. */
  async run(records: readonly ChangeRecord[], endsTransaction: boolean, run: StepRun): Promise<void> {
    this.#saved = new Map(this.#parked);
    const transactions = splitByTransaction(records);
    if (transactions.length === 0 && endsTransaction) await this.#insertParked(run);
    await this.#transactions(transactions, endsTransaction, run);
    if (endsTransaction) this.#saved = new Map();
  }

  async #transactions(transactions: readonly (readonly ChangeRecord[])[], lastIsWhole: boolean, run: StepRun): Promise<void> {
    const [first] = transactions;
    if (!first) return;
    if (transactions.length === 1) {
      await this.#records(first, run);
      if (lastIsWhole) await this.#insertParked(run);
      return;
    }
    if (!this.hasParked && run.isOneByOne !== true && (await this.#tryAsSets(transactions.flat(), run))) return;
    const middle = transactions.length >> 1;
    await this.#transactions(transactions.slice(0, middle), true, run);
    await this.#transactions(transactions.slice(middle), lastIsWhole, run);
  }

  async #records(records: readonly ChangeRecord[], run: StepRun): Promise<void> {
    const [first] = records;
    if (!first) return;
    if (records.length === 1) return this.#one(first, run);
    if (run.isOneByOne !== true && !records.some((record) => this.#touchesParked(record)) && (await this.#tryAsSets(records, run))) return;
    const middle = records.length >> 1;
    await this.#records(records.slice(0, middle), run);
    await this.#records(records.slice(middle), run);
  }

  /** False when it was rolled back. */
  async #tryAsSets(records: readonly ChangeRecord[], run: StepRun): Promise<boolean> {
    const target = this.#target;
    await target.send({ text: 'SAVEPOINT causeway_replay' });
    try {
      await target.runSteps(fold(records), run);
    } catch (error) {
      if (this.#target.remedyOf(error) !== 'replay') throw error;
      await target.send({ text: 'ROLLBACK TO SAVEPOINT causeway_replay' });
      await target.send({ text: 'RELEASE SAVEPOINT causeway_replay' });
      return false;
    }
    await target.send({ text: 'RELEASE SAVEPOINT causeway_replay' });
    return true;
  }

  async #one(record: ChangeRecord, run: StepRun): Promise<void> {
    if (record.op === 'truncate') {
      for (const [key, parked] of this.#parked) if (record.tables.some((table) => table.plan.tableId === parked.table.plan.tableId)) this.#parked.delete(key);
    } else if (this.#touchesParked(record)) return this.#changeParked(record, run);
    await this.#target.send({ text: 'SAVEPOINT causeway_replay' });
    try {
      await this.#target.runSteps(fold([record]), run);
    } catch (error) {
      if (this.#target.remedyOf(error) !== 'replay') throw error;
      await this.#target.send({ text: 'ROLLBACK TO SAVEPOINT causeway_replay' });
      if (record.op !== 'truncate' && record.op !== 'delete' && record.table.keyPlaces.length > 0 && this.#target.isUniqueViolation(error)) return this.#park(record, run);
      throw new ChangeFailure(tableOf(record), record, error);
    }
    await this.#target.send({ text: 'RELEASE SAVEPOINT causeway_replay' });
  }

  async #park(record: RowRecord, run: StepRun): Promise<void> {
    const { table } = record;
    const before = record.oldAt >= 0 ? oldRow(record) : newRow(record);
    let row = record.op === 'insert' ? newRow(record) : completedRow(record);
    if (hasUnchanged(row.buffer, row.at)) {
      const local = (await this.#target.fetchRows(table, [before])).get(1);
      if (local) row = mergeRows(local, row);
      else {
        await this.#target.noteReread(table, [row], run);
        return;
      }
    }
    await this.#clear(table, before, record, run);
    await this.#clear(table, row, record, run);
    this.#parked.set(parkedKey(table, row), { table, row, record });
  }

  async #clear(table: TableBinding, row: RowRef, record: RowRecord, run: StepRun): Promise<void> {
    await run.assertOwnKey?.(table, row).catch((error: unknown) => {
      throw error instanceof MigrationError ? new ChangeFailure(table, record, error) : error;
    });
    await this.#target.deleteRow(table, row);
  }

  async #changeParked(record: RowRecord, run: StepRun): Promise<void> {
    const { table } = record;
    const before = record.oldAt >= 0 ? oldRow(record) : newRow(record);
    const parked = this.#parked.get(parkedKey(table, before));
    this.#parked.delete(parkedKey(table, before));
    if (record.op === 'delete') return;
    const after = record.op === 'insert' ? newRow(record) : completedRow(record);
    if (!parked) {
      // Another row takes the key of a parked one, which was about to be overwritten.
      this.#parked.delete(parkedKey(table, after));
      await this.#park(record, run);
      return;
    }
    const row = hasUnchanged(after.buffer, after.at) ? mergeRows(parked.row, after) : after;
    await this.#clear(table, row, record, run);
    this.#parked.set(parkedKey(table, row), { table, row, record });
  }

  async #insertParked(run: StepRun): Promise<void> {
    const parked = [...this.#parked.values()];
    this.#parked.clear();
    const tables = new Map<TableBinding, Parked[]>();
    for (const each of parked) tables.set(each.table, [...(tables.get(each.table) ?? []), each]);
    for (const [table, rows] of tables) {
      const step: SetStep = { kind: 'set', table, deletes: [], gone: [], updates: [], partials: [], inserts: [], puts: rows.map((each) => each.row) };
      try {
        await this.#target.runSteps([step], { ...run, isStrict: () => false });
      } catch (error) {
        const last = rows.at(-1);
        if (this.#target.remedyOf(error) !== 'replay' || !last) throw error;
        throw new ChangeFailure(table, last.record, error);
      }
    }
  }

  #touchesParked(record: ChangeRecord): boolean {
    if (this.#parked.size === 0) return false;
    if (record.op === 'truncate') return record.tables.some((table) => [...this.#parked.values()].some((parked) => parked.table.plan.tableId === table.plan.tableId));
    const { table } = record;
    if (table.keyPlaces.length === 0) return false;
    if (record.oldAt >= 0 && this.#parked.has(parkedKey(table, oldRow(record)))) return true;
    return record.newAt >= 0 && this.#parked.has(parkedKey(table, newRow(record)));
  }
}

function parkedKey(table: TableBinding, row: RowRef): string {
  return `${table.plan.tableId}\0${keyOf(table, row)}`;
}

function tableOf(record: ChangeRecord): TableBinding {
  const table = record.op === 'truncate' ? record.tables[0] : record.table;
  if (!table) throw new Error('TRUNCATE of no table');
  return table;
}

function splitByTransaction(records: readonly ChangeRecord[]): (readonly ChangeRecord[])[] {
  const groups: ChangeRecord[][] = [];
  for (const record of records) {
    const last = groups.at(-1);
    if (last?.[0]?.transaction === record.transaction) last.push(record);
    else groups.push([record]);
  }
  return groups;
}
