/**
 * Runs folded steps on the target, inside a transaction that the caller has opened. Sets are pipelined; singles and TRUNCATE
 * are not.
 */
import { sqlstateOf } from '../postgres/connect.ts';
import { readTuple } from '../postgres/pgoutput.ts';
import type { ApplyConnection } from './apply-connection.ts';
import { UnexpectedCount } from './apply-error.ts';
import { fetchRows } from './fetch-rows.ts';
import { assertOwnKeys } from './own-key.ts';
import type { KeyedRows } from './own-key.ts';
import { completedRow, keyJson, oldRow, presentColumns } from './change-record.ts';
import type { RowRecord, TruncateRecord } from './change-record.ts';
import { changesKey, emptySet, setOfOne } from './fold.ts';
import type { PartialGroup, SetStep, SingleStep, Step } from './fold.ts';
import { encodeRows } from './row-set.ts';
import type { RowRef } from './row-set.ts';
import { keylessRowStatement } from './statements.ts';
import type { SetStatement } from './statements.ts';
import type { BoundColumn } from './bound-table.ts';
import type { TableBinding } from './table-binding.ts';

export interface StepRun {
  /** From the consistency point on, counts must fit; before it any row may already be as it is to become (RULES 25). */
  isStrict(table: TableBinding): boolean;
  /** Rows that have to be read from the source again (RULES 1), written down in the same transaction. */
  readonly onReread: (table: TableBinding, count: number) => void;
  /** Position written with re-read rows. */
  readonly lsn: string;
  /** Looks for conflicts before a set is written, reports them, and gives back what is to be written. */
  readonly lookFirst?: (step: SetStep) => Promise<SetStep>;
  /** Changes are not folded with each other: what stands after a conflict is changed by those that come after it. */
  readonly isOneByOne?: boolean;
  /** Throws when the key of the row is that of another one on the target: before the place is cleared. Left out where both sides compare alike. */
  readonly assertOwnKey?: (table: TableBinding, row: RowRef) => Promise<void>;
  /** A row of a keyless table that should have been there was not. */
  readonly onKeylessMiss?: (record: RowRecord) => void;
}

interface SentSet {
  readonly step: SetStep;
  readonly expected: number | undefined;
  readonly partial: PartialGroup | undefined;
  readonly mayMeet: readonly RowRef[] | undefined;
  readonly result: Promise<{ rowCount: number | null }>;
}

/** A set that is encoded before the connection is free, so that encoding overlaps with what the target does. */
export interface PreparedSet {
  readonly step: SetStep;
  readonly statement: SetStatement;
  readonly parameters: readonly Buffer[];
  readonly expected: number | undefined;
  readonly partial: PartialGroup | undefined;
  /** Rows that leave another one alone whose key is equal for the target only: one that is not counted has met such a one. */
  readonly mayMeet: readonly RowRef[] | undefined;
}

export function prepareSet(step: SetStep, strict: boolean): PreparedSet[] {
  const { statements } = step.table;
  const sets: PreparedSet[] = [];
  const add = (statement: SetStatement, rows: readonly RowRef[], expected: number | undefined, partial?: PartialGroup): void => {
    if (rows.length === 0) return;
    const mayMeet = statement === statements.upsert && step.table.looseKey.length > 0 ? rows : undefined;
    sets.push({ step, statement, parameters: encodeRows(rows, statement.columns.map((column) => column.at)), expected, partial, mayMeet });
  };
  const isFiltered = statements.deleteFiltered !== undefined;
  const isChecked = strict && !isFiltered && step.table.keyColumns.length > 0;
  add(statements.delete, step.deletes, isChecked ? step.deletes.length : undefined);
  add(statements.delete, step.gone, undefined);
  if (statements.deleteFiltered) add(statements.deleteFiltered, [...step.updates, ...step.puts], undefined);
  if (isChecked) add(statements.update, step.updates, step.updates.length);
  else add(statements.upsert, step.updates, undefined);
  for (const group of step.partials) add(statements.updateSome(group.present), group.rows, undefined, group);
  if (statements.deleteOutside) for (const group of step.partials) add(statements.deleteOutside, group.rows, undefined);
  add(statements.upsert, step.puts, undefined);
  if (isChecked) add(statements.insert, step.inserts, step.inserts.length);
  else add(statements.upsert, step.inserts, undefined);
  return sets;
}

export function sendSets(connection: ApplyConnection, sets: readonly PreparedSet[]): SentSet[] {
  return sets.map(({ step, statement, parameters, expected, partial, mayMeet }) => {
    const result = connection.sendSet(statement, parameters);
    // Awaited below, in order; one that fails behind another must not count as unhandled.
    result.catch(() => undefined);
    return { step, expected, partial, mayMeet, result };
  });
}

/** Throws the first error in order, `UnexpectedCount` when a count does not fit. */
export async function checkSets(connection: ApplyConnection, sent: readonly SentSet[], run: StepRun): Promise<void> {
  let unexpected: TableBinding | undefined;
  for (const { step, expected, partial, mayMeet, result } of sent) {
    const count = (await result).rowCount ?? 0;
    if (expected !== undefined && count !== expected) unexpected ??= step.table;
    if (mayMeet && count !== mayMeet.length) await assertOwnKeys(fetcher(connection), step.table, mayMeet);
    if (partial && count !== partial.rows.length) {
      if (run.isStrict(step.table) && !run.lookFirst && step.table.statements.deleteFiltered === undefined) unexpected ??= step.table;
      else await noteMissing(connection, step.table, partial.rows, run);
    }
  }
  if (unexpected) throw new UnexpectedCount(unexpected);
}

function fetcher(connection: ApplyConnection): KeyedRows {
  return { fetchRows: (table, rows) => fetchRows(connection, table, rows) };
}

export async function runSteps(connection: ApplyConnection, steps: readonly Step[], run: StepRun): Promise<void> {
  let sent: SentSet[] = [];
  for (const step of steps) {
    if (step.kind === 'set') {
      sent.push(...(await sendStep(connection, step, run)));
      continue;
    }
    await checkSets(connection, sent, run);
    sent = [];
    if (step.kind === 'truncate') await truncate(connection, step.record);
    else await runSingle(connection, step, run);
  }
  await checkSets(connection, sent, run);
}

async function sendStep(connection: ApplyConnection, step: SetStep, run: StepRun): Promise<SentSet[]> {
  if (!run.isStrict(step.table)) return sendSets(connection, prepareSet(step, false));
  if (!run.lookFirst) return sendSets(connection, prepareSet(step, true));
  return sendSets(connection, prepareSet(await run.lookFirst(step), false));
}

/** Puts the keys that the target does not hold on the re-read list. */
export async function noteMissing(connection: ApplyConnection, table: TableBinding, rows: readonly RowRef[], run: StepRun): Promise<void> {
  const ordinals = await missingOrdinals(connection, table, rows);
  const absent = ordinals.flatMap((ordinal) => rows[ordinal - 1] ?? []);
  await noteReread(connection, table, absent, run);
}

export async function noteReread(connection: ApplyConnection, table: TableBinding, rows: readonly RowRef[], run: StepRun): Promise<void> {
  if (rows.length === 0) return;
  const keys = rows.map((row) => keyJson(table, row));
  await connection.send({
    text: `INSERT INTO causeway.reread (table_id, key_json, lsn) SELECT $1, k, $3::text::pg_lsn FROM unnest($2::text[]) AS k
           ON CONFLICT (table_id, key_json) DO UPDATE SET lsn = EXCLUDED.lsn`,
    values: [table.plan.tableId, [...new Set(keys)], run.lsn],
  });
  run.onReread(table, rows.length);
}

export async function missingOrdinals(connection: ApplyConnection, table: TableBinding, rows: readonly RowRef[]): Promise<number[]> {
  if (rows.length === 0) return [];
  const { missing } = table.statements;
  const found = await connection.rows({ text: missing.text, values: encodeRows(rows, missing.columns.map((column) => column.at)) });
  return found.map(([ordinal]) => Number(ordinal));
}

async function truncate(connection: ApplyConnection, record: TruncateRecord): Promise<void> {
  const whole = record.tables.filter((table) => table.plan.where === undefined);
  const empty = async (table: TableBinding): Promise<void> => {
    const filter = table.plan.where === undefined ? '' : ` WHERE (${table.plan.where})`;
    await connection.send({ text: `DELETE FROM ${table.targetName}${filter}` });
  };
  for (const table of record.tables) if (table.plan.where !== undefined) await empty(table);
  if (whole.length === 0) return;
  await connection.run([{ text: 'SAVEPOINT causeway_truncate' }]);
  const names = whole.map((table) => table.targetName).join(', ');
  try {
    await connection.run([{ text: "SET LOCAL lock_timeout = '200ms'" }, { text: `TRUNCATE ${names}${record.restartIdentity ? ' RESTART IDENTITY' : ''}` }]);
    await connection.run([{ text: 'RELEASE SAVEPOINT causeway_truncate' }]);
  } catch (error) {
    // Not granted, referenced by a foreign key, or no TRUNCATE privilege: the rows go one by one (RULES 22).
    if (!['55P03', '0A000', '42501', '40P01'].includes(sqlstateOf(error) ?? '')) throw error;
    await connection.run([{ text: 'ROLLBACK TO SAVEPOINT causeway_truncate' }]);
    for (const table of whole) await empty(table);
  }
}

async function runSingle(connection: ApplyConnection, step: SingleStep, run: StepRun): Promise<void> {
  const { record } = step;
  if (record.table.keyPlaces.length === 0) return runKeyless(connection, record, run);
  if (changesKey(record)) return moveKey(connection, record, run);
  await checkSets(connection, await sendStep(connection, setOfOne(record), run), run);
}

/** The row takes what the source left out from itself: it is changed in place (RULES 1). */
async function moveKey(connection: ApplyConnection, record: RowRecord, run: StepRun): Promise<void> {
  const { table } = record;
  const row = completedRow(record);
  const present = presentColumns(table, row).filter((column) => !table.shape.identityAlways.has(column.plan.name) || table.plan.key.includes(column.plan.name));
  const isWhole = presentColumns(table, row).length === table.columns.length;
  const keyIsFixed = table.keyColumns.some((column) => table.shape.identityAlways.has(column.plan.name));
  const before = readTuple(record.buffer, record.oldAt);
  if (!keyIsFixed) {
    const { text, name } = table.statements.moveKey(present);
    const after = readTuple(row.buffer, row.at);
    const values = [...table.keyColumns.map((column) => before[column.at]), ...present.map((column) => after[column.at])];
    const moved = await connection.send({ text, name, values });
    if (moved.rowCount === 1) {
      if (table.statements.deleteOutside) await connection.sendSet(table.statements.deleteOutside, encodeRows([row], table.keyColumns.map((column) => column.at)));
      return;
    }
    if (run.isStrict(table) && table.statements.deleteFiltered === undefined) {
      if (!run.lookFirst) throw new UnexpectedCount(table);
      // The row to be moved is not there: a conflict, told by the key that it was to have.
      await checkSets(connection, await sendStep(connection, { ...emptySet, table, ...(isWhole ? { updates: [row] } : { partials: [{ present, rows: [row] }] }) }, run), run);
      return;
    }
  } else await connection.sendSet(table.statements.delete, encodeRows([oldRow(record)], table.keyPlaces));
  const set: SetStep = { ...emptySet, table, partials: isWhole ? [] : [{ present, rows: [row] }], puts: isWhole ? [row] : [] };
  await checkSets(connection, sendSets(connection, prepareSet(set, false)), { ...run, isStrict: () => false });
}

async function runKeyless(connection: ApplyConnection, record: RowRecord, run: StepRun): Promise<void> {
  const { table } = record;
  const before = readTuple(record.buffer, record.oldAt);
  const valuesOf = (columns: readonly BoundColumn[], values: typeof before): (string | null)[] => columns.map((column) => values[column.at] ?? null);
  const known = table.columns;
  if (record.op === 'delete') {
    const { rowCount } = await connection.send({ text: keylessRowStatement(table, 'delete', known, []), values: valuesOf(known, before) });
    if (rowCount === 0 && run.isStrict(table)) run.onKeylessMiss?.(record);
    return;
  }
  const row = completedRow(record);
  const values = [...valuesOf(known, before), ...valuesOf(known, readTuple(row.buffer, row.at))];
  const { rowCount } = await connection.send({ text: keylessRowStatement(table, 'update', known, known), values });
  if (rowCount !== 0) return;
  if (run.isStrict(table)) run.onKeylessMiss?.(record);
  await connection.sendSet(table.statements.insert, encodeRows([row], table.columns.map((column) => column.at)));
}

