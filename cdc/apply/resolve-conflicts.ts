/** Looks at the target's rows before a set is written, and decides conflict by conflict what is written (RULES 25). */
import { MigrationError } from '../../config/migration-error.ts';
import type { Position, TextValue } from '../change.ts';
import { readTuple, writeTuple } from '../postgres/pgoutput.ts';
import type { ApplyConnection } from './apply-connection.ts';
import { keyJson, rowImage } from './change-record.ts';
import type { Conflict, ConflictKind, ConflictStrategy, RowImage } from './conflict.ts';
import type { SetStep } from './fold.ts';
import { encodeRows } from './row-set.ts';
import type { RowRef } from './row-set.ts';
import { mergeRows } from './merge-rows.ts';
import { missingOrdinals, noteReread } from './run-steps.ts';
import type { StepRun } from './run-steps.ts';
import type { TableBinding } from './table-binding.ts';

export interface ConflictContext {
  readonly connection: ApplyConnection;
  readonly strategyOf: (tableId: string) => ConflictStrategy;
  readonly report: (conflict: Conflict) => void;
  readonly run: StepRun;
  readonly position: Position;
  readonly changedAtMs: number;
}

type Decision = { readonly outcome: Conflict['outcome']; readonly row: RowRef | undefined };

interface Winner {
  readonly key: string;
  readonly local: RowImage;
  readonly remote: RowImage;
}

/** The step without what the target is to keep; everything left may be written over whatever is there. */
export async function resolveConflicts(context: ConflictContext, step: SetStep): Promise<SetStep> {
  const { connection } = context;
  const { table } = step;
  if (table.keyPlaces.length === 0 || table.plan.where !== undefined) return step;
  for (const ordinal of await missingOrdinals(connection, table, step.deletes)) {
    const row = step.deletes[ordinal - 1];
    if (row) report(context, table, 'delete_missing', row, undefined, { outcome: 'source', row: undefined });
  }
  const updates = await splitMissing(context, step);
  const partials = [];
  for (const group of step.partials) partials.push({ present: group.present, rows: await withoutMissing(context, table, group.rows) });
  const inserts = await decideExisting(context, table, step.inserts);
  return { ...step, updates: updates.kept, partials, puts: [...step.puts, ...updates.written, ...inserts.written], inserts: inserts.free };
}

async function splitMissing(context: ConflictContext, step: SetStep): Promise<{ kept: RowRef[]; written: RowRef[] }> {
  const absent = new Set(await missingOrdinals(context.connection, step.table, step.updates));
  const kept: RowRef[] = [];
  const written: RowRef[] = [];
  const winners: Winner[] = [];
  for (const [index, row] of step.updates.entries()) {
    if (!absent.has(index + 1)) {
      kept.push(row);
      continue;
    }
    const decision = await decide(context, step.table, undefined, row);
    report(context, step.table, 'update_missing', row, undefined, decision);
    if (decision.row) written.push(decision.row);
    winners.push(...winnerOf(step.table, undefined, row, decision));
  }
  await noteWinners(context.connection, step.table, winners);
  return { kept, written };
}

async function withoutMissing(context: ConflictContext, table: TableBinding, rows: readonly RowRef[]): Promise<RowRef[]> {
  const absent = new Set(await missingOrdinals(context.connection, table, rows));
  const again: RowRef[] = [];
  for (const ordinal of absent) {
    const row = rows[ordinal - 1];
    if (!row) continue;
    const strategy = context.strategyOf(table.plan.tableId);
    if (strategy.kind === 'fail') throw unresolved(table, row);
    report(context, table, 'update_missing', row, undefined, { outcome: 'reread', row: undefined });
    again.push(row);
  }
  await noteReread(context.connection, table, again, context.run);
  return rows.filter((_, index) => !absent.has(index + 1));
}

async function decideExisting(context: ConflictContext, table: TableBinding, rows: readonly RowRef[]): Promise<{ free: RowRef[]; written: RowRef[] }> {
  const local = await fetchRows(context.connection, table, rows);
  const free: RowRef[] = [];
  const written: RowRef[] = [];
  const winners: Winner[] = [];
  for (const [index, row] of rows.entries()) {
    const existing = local.get(index + 1);
    if (!existing) {
      free.push(row);
      continue;
    }
    if (isSame(table, existing, row)) continue;
    const decision = await decide(context, table, existing, row);
    report(context, table, 'insert_exists', row, existing, decision);
    if (decision.row) written.push(decision.row);
    winners.push(...winnerOf(table, existing, row, decision));
  }
  await noteWinners(context.connection, table, winners);
  return { free, written };
}

/** What stands on the target instead of the source's row, if it is another one. */
function winnerOf(table: TableBinding, existing: RowRef | undefined, remote: RowRef, { outcome, row }: Decision): Winner[] {
  const local = outcome === 'merged' ? row : outcome === 'target' ? existing : undefined;
  return local && !isSame(table, local, remote) ? [{ key: keyJson(table, remote), local: rowImage(table, local), remote: rowImage(table, remote) }] : [];
}

/** To be written to the source once this is committed. A later conflict of the same row takes the place of the earlier one. */
async function noteWinners(connection: ApplyConnection, table: TableBinding, winners: readonly Winner[]): Promise<void> {
  if (winners.length === 0) return;
  await connection.send({
    text: `INSERT INTO causeway.writeback (table_id, key_json, local_row, remote_row) SELECT $1, k, l, r FROM unnest($2::text[], $3::text[], $4::text[]) AS u(k, l, r)
           ON CONFLICT (table_id, key_json) DO UPDATE SET local_row = EXCLUDED.local_row, remote_row = EXCLUDED.remote_row, noted_at = now()`,
    values: [table.plan.tableId, winners.map(({ key }) => key), winners.map(({ local }) => JSON.stringify(local)), winners.map(({ remote }) => JSON.stringify(remote))],
  });
}

/** The target's rows by ordinal (1-based), in the form of the relation's tuples; values that are not carried are left out. */
export async function fetchRows(connection: Pick<ApplyConnection, 'rows'>, table: TableBinding, rows: readonly RowRef[]): Promise<Map<number, RowRef>> {
  if (rows.length === 0) return new Map();
  const { fetch } = table.statements;
  const found = await connection.rows({ text: fetch.text, values: encodeRows(rows, fetch.columns.map((column) => column.at)) });
  return new Map(found.map(([ordinal, ...values]) => [Number(ordinal), rowFromValues(table, values)]));
}

/** `values` in the order of the binding's columns. */
export function rowFromValues(table: TableBinding, values: readonly (string | null)[]): RowRef {
  const tuple: TextValue[] = table.relation.columns.map(() => undefined);
  table.columns.forEach((column, index) => (tuple[column.at] = values[index] ?? null));
  return { buffer: writeTuple(tuple), at: 0 };
}

function isSame(table: TableBinding, a: RowRef, b: RowRef): boolean {
  const [left, right] = [readTuple(a.buffer, a.at), readTuple(b.buffer, b.at)];
  return table.columns.every((column) => left[column.at] === right[column.at]);
}

async function decide(context: ConflictContext, table: TableBinding, local: RowRef | undefined, remote: RowRef): Promise<Decision> {
  const strategy = context.strategyOf(table.plan.tableId);
  switch (strategy.kind) {
    case 'source_wins':
      return { outcome: 'source', row: remote };
    case 'target_wins':
      return local ? { outcome: 'target', row: undefined } : { outcome: 'source', row: remote };
    case 'timestamp_wins':
      return (await localIsNewer(context, table, strategy.column, local, remote)) ? { outcome: 'target', row: undefined } : { outcome: 'source', row: remote };
    case 'custom_merge':
      return { outcome: 'merged', row: rowFromValues(table, await mergeRows(context.connection, table, strategy.function, local, remote)) };
    case 'fail':
      throw unresolved(table, remote);
    default:
      return strategy satisfies never;
  }
}

async function localIsNewer(context: ConflictContext, table: TableBinding, name: string, local: RowRef | undefined, remote: RowRef): Promise<boolean> {
  const column = table.columns.find((candidate) => candidate.plan.name === name);
  if (!local || !column) return false;
  const { type } = column.plan;
  const values = [readTuple(local.buffer, local.at)[column.at] ?? null, readTuple(remote.buffer, remote.at)[column.at] ?? null];
  const [answer] = await context.connection.rows({ text: `SELECT $1::text::${type} > $2::text::${type}`, values });
  return answer?.[0] === 't';
}

function unresolved(table: TableBinding, row: RowRef): MigrationError {
  return new MigrationError('MIG030', undefined, { tableName: table.targetName, rowKey: keyJson(table, row) });
}

function report(context: ConflictContext, table: TableBinding, kind: ConflictKind, row: RowRef, local: RowRef | undefined, decision: Decision): void {
  context.report({
    tableId: table.plan.tableId,
    kind,
    key: keyJson(table, row),
    local: local ? rowImage(table, local) : undefined,
    remote: kind === 'delete_missing' ? undefined : rowImage(table, row),
    strategy: context.strategyOf(table.plan.tableId).kind,
    outcome: decision.outcome,
    ...(decision.outcome === 'merged' && decision.row ? { merged: rowImage(table, decision.row) } : {}),
    position: context.position,
    changedAtMs: context.changedAtMs,
  });
}
