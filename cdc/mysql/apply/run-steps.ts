/**
 * Runs folded steps on a MySQL or MariaDB server, inside a transaction that the caller has opened.
 *
 * Rows are written by their key alone: an update by UPDATE, which tells whether the row was there; a new row by INSERT. Neither REPLACE nor
 * ON DUPLICATE KEY UPDATE, which would meet rows by any other unique key too and change those.
 */
import { assertOwnKeys, hasSameKeyText, hasTextKey } from '../../apply/own-key.ts';
import { UnexpectedCount } from '../../apply/apply-error.ts';
import { completedRow, oldRow, presentColumns } from '../../apply/change-record.ts';
import { changesKey, emptySet, setOfOne } from '../../apply/fold.ts';
import type { SetStep, SingleStep, Step } from '../../apply/fold.ts';
import type { RowRef } from '../../apply/row-set.ts';
import type { TableBinding } from '../../apply/table-binding.ts';
import type { StepRun } from '../../apply/run-steps.ts';
import { MigrationError } from '../../../config/migration-error.ts';
import type { MysqlApplyConnection } from './apply-connection.ts';
import { fetchMysqlRows, sameKey } from './fetch-rows.ts';
import { noteReread } from './rereads.ts';
import { StatementBatch } from './statement-batch.ts';
import { literalsOf, writtenTable } from './target-table.ts';
import type { WrittenTable } from './target-table.ts';

/** Of one statement: more of them take the server's optimiser longer than they save. */
const INSERTED_ROWS = 500;
const DELETED_ROWS = 200;

export async function runSteps(connection: MysqlApplyConnection, steps: readonly Step[], run: StepRun): Promise<void> {
  for (const step of steps) {
    if (step.kind === 'set') await runSet(connection, step, run);
    else if (step.kind === 'single') await runSingle(connection, step, run);
    else {
      for (const table of step.record.tables) {
        // Its condition is local's SQL.
        if (table.plan.where !== undefined) throw new MigrationError('MIG014', `${table.targetName} was truncated, and the source cannot tell which of its rows are migrated`, { tableName: table.targetName, hint: 'Delete the rows on local by DELETE, and leave the TRUNCATE out with SKIP.' });
        // TRUNCATE would commit what is open.
        await connection.run(`DELETE FROM ${writtenTable(table).name}`);
      }
    }
  }
}

async function runSet(connection: MysqlApplyConnection, step: SetStep, run: StepRun): Promise<void> {
  const isStrict = run.isStrict(step.table);
  if (isStrict && run.lookFirst) return writeSet(connection, await run.lookFirst(step), run, false);
  return writeSet(connection, step, run, isStrict);
}

async function writeSet(connection: MysqlApplyConnection, step: SetStep, run: StepRun, isStrict: boolean): Promise<void> {
  const table = writtenTable(step.table);
  const batch = new StatementBatch(connection);
  const all = table.columns.map((_, place) => place);
  const target = { fetchRows: (binding: TableBinding, rows: readonly RowRef[]) => fetchMysqlRows(connection, binding, rows) };
  const looks = hasTextKey(step.table);
  // Where rows are as the stream left them each is found by its own key.
  if (looks && !isStrict) await assertOwnKeys(target, step.table, step.deletes);
  const others = looks && step.gone.length > 0 ? await target.fetchRows(step.table, step.gone) : undefined;
  let deleted = 0;
  await deleteRows(batch, table, step.deletes, (found) => (deleted += found));
  await deleteRows(batch, table, step.gone.filter((row, index) => isOwn(step.table, others?.get(index + 1), row)), undefined);
  if (looks) {
    await batch.flush();
    await assertOwnKeys(target, step.table, isStrict ? step.puts : [...step.updates, ...step.partials.flatMap(({ rows }) => rows), ...step.puts, ...step.inserts]);
  }
  const absent: RowRef[] = [];
  let missing = 0;
  for (const row of step.updates) {
    await updateRow(batch, table, row, all, (found) => {
      if (found > 0) return;
      missing += 1;
      absent.push(row);
    });
  }
  const again: RowRef[] = [];
  for (const { present, rows } of step.partials) {
    const places = present.map((column) => step.table.columns.indexOf(column));
    for (const row of rows) await updateRow(batch, table, row, places, (found) => (found > 0 ? undefined : void again.push(row)));
  }
  for (const row of isStrict ? step.puts : [...step.puts, ...step.inserts]) await updateRow(batch, table, row, all, (found) => (found > 0 ? undefined : void absent.push(row)));
  await batch.flush();
  if (isStrict && (deleted !== step.deletes.length || missing > 0 || again.length > 0)) throw new UnexpectedCount(step.table);
  await noteReread(connection, step.table, again, run);
  await insertRows(batch, table, isStrict ? [...absent, ...step.inserts] : absent);
  await batch.flush();
}

function isOwn(table: TableBinding, existing: RowRef | undefined, row: RowRef): boolean {
  return existing === undefined || hasSameKeyText(table, existing, row);
}

async function deleteRows(batch: StatementBatch, table: WrittenTable, rows: readonly RowRef[], onCount: ((found: number) => void) | undefined): Promise<void> {
  for (let from = 0; from < rows.length; from += DELETED_ROWS) {
    const keys = rows.slice(from, from + DELETED_ROWS).map((row) => literalsOf(table, row, table.key));
    const [first] = table.key;
    const single = table.key.length === 1 && first !== undefined ? table.columns[first]?.quoted : undefined;
    const condition = single === undefined ? keys.map((key) => `(${sameKey(table, key)})`).join(' OR ') : `${single} IN (${keys.join(', ')})`;
    await batch.add(`DELETE FROM ${table.name} WHERE ${condition}`, onCount);
  }
}

async function updateRow(batch: StatementBatch, table: WrittenTable, row: RowRef, places: readonly number[], onCount: (found: number) => void): Promise<void> {
  return setRow(batch, table, row, places.filter((place) => !table.key.includes(place)), literalsOf(table, row, table.key), onCount);
}

async function setRow(batch: StatementBatch, table: WrittenTable, row: RowRef, places: readonly number[], key: readonly string[], onCount: (found: number) => void): Promise<void> {
  const { literals, forget } = await batch.fit(literalsOf(table, row, places));
  const set = places.map((place, index) => `${table.columns[place]?.quoted ?? ''} = ${literals[index] ?? 'NULL'}`);
  // A table of nothing but its key still has to tell whether the row is there.
  if (set.length === 0) for (const place of table.key) set.push(`${table.columns[place]?.quoted ?? ''} = ${table.columns[place]?.quoted ?? ''}`);
  await batch.add(`UPDATE ${table.name} SET ${set.join(', ')} WHERE ${sameKey(table, key)}`, onCount);
  if (forget !== undefined) await batch.add(forget);
}

async function insertRows(batch: StatementBatch, table: WrittenTable, rows: readonly RowRef[]): Promise<void> {
  const all = table.columns.map((_, place) => place);
  const head = `INSERT INTO ${table.name} (${table.columns.map((column) => column.quoted).join(', ')}) VALUES `;
  let values: string[] = [];
  let bytes = head.length;
  const finish = async (): Promise<void> => {
    if (values.length > 0) await batch.add(head + values.join(', '), undefined, bytes);
    values = [];
    bytes = head.length;
  };
  for (const row of rows) {
    const { literals, forget } = await batch.fit(literalsOf(table, row, all));
    const text = `(${literals.join(', ')})`;
    const size = Buffer.byteLength(text) + 2;
    if (bytes + size > batch.statementBytes || values.length >= INSERTED_ROWS) await finish();
    values.push(text);
    bytes += size;
    if (forget === undefined) continue;
    await finish();
    await batch.add(forget);
  }
  await finish();
}

async function runSingle(connection: MysqlApplyConnection, { record }: SingleStep, run: StepRun): Promise<void> {
  if (!changesKey(record)) return runSet(connection, setOfOne(record), run);
  const { table: binding } = record;
  const table = writtenTable(binding);
  const row = completedRow(record);
  const present = presentColumns(binding, row);
  const isWhole = present.length === binding.columns.length;
  const rest = { ...emptySet, table: binding, ...(isWhole ? { updates: [row] } : { partials: [{ present, rows: [row] }] }) };
  const batch = new StatementBatch(connection);
  if (hasTextKey(binding) && !run.isStrict(binding)) await assertOwnKeys({ fetchRows: (_, rows) => fetchMysqlRows(connection, binding, rows) }, binding, [oldRow(record)]);
  let moved = 0;
  // In place: the row keeps what the source left out (RULES 1).
  await setRow(batch, table, row, present.map((column) => binding.columns.indexOf(column)), literalsOf(table, oldRow(record), table.key), (found) => (moved = found));
  await batch.flush();
  if (moved > 0) return;
  if (!run.isStrict(binding)) return writeSet(connection, rest, run, false);
  if (!run.lookFirst) throw new UnexpectedCount(binding);
  // The row to be moved is not there: a conflict, told by the key that it was to have.
  return runSet(connection, rest, run);
}
