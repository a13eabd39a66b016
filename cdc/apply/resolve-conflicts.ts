/** Looks at the target's rows before a set is written, and decides conflict by conflict what is written (RULES 25). */
import { MigrationError } from '../../config/migration-error.ts';
import { formatPosition } from '../change.ts';
import type { Position } from '../change.ts';
import { readTuple } from '../postgres/pgoutput.ts';
import { keyJson, keyOf, rowImage } from './change-record.ts';
import type { Conflict, ConflictKind, ConflictStrategy } from './conflict.ts';
import { rowFromValues } from './fetch-rows.ts';
import type { SetStep } from './fold.ts';
import { assertSameKey } from './own-key.ts';
import type { RowRef } from './row-set.ts';
import type { RowTarget, Winner } from './row-target.ts';
import type { StepRun } from './run-steps.ts';
import { isSameValue } from './same-value.ts';
import type { TableBinding } from './table-binding.ts';

export interface ConflictContext {
  readonly target: RowTarget;
  readonly strategyOf: (tableId: string) => ConflictStrategy;
  readonly report: (conflict: Conflict) => void;
  readonly run: StepRun;
  readonly position: Position;
  readonly changedAtMs: number;
  /** The sides are of two engines, whose texts are not equal under the same rules, and which spell values differently. */
  readonly comparesOtherwise: boolean;
}

/** Characters of an image in an error. */
const IMAGE_LIMIT = 500;

type Decision = { readonly outcome: Conflict['outcome']; readonly row: RowRef | undefined };

/** The step without what the target is to keep; everything left may be written over whatever is there. */
export async function resolveConflicts(context: ConflictContext, step: SetStep): Promise<SetStep> {
  const { target } = context;
  const { table } = step;
  if (table.keyPlaces.length === 0 || table.plan.where !== undefined) return step;
  for (const ordinal of await target.missingOrdinals(table, step.deletes)) {
    const row = step.deletes[ordinal - 1];
    if (row) report(context, table, 'delete_missing', row, undefined, { outcome: 'source', row: undefined });
  }
  const updates = await splitMissing(context, step);
  const partials = [];
  for (const group of step.partials) partials.push({ present: group.present, rows: await withoutMissing(context, table, group.rows) });
  const inserts = await decideExisting(context, table, step.inserts, new Set(step.deletes.map((row) => keyOf(table, row))));
  return { ...step, updates: updates.kept, partials, puts: [...step.puts, ...updates.written, ...inserts.written], inserts: inserts.free };
}

async function splitMissing(context: ConflictContext, step: SetStep): Promise<{ kept: RowRef[]; written: RowRef[] }> {
  const absent = new Set(await context.target.missingOrdinals(step.table, step.updates));
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
    winners.push(...winnerOf(context, step.table, undefined, row, decision));
  }
  await context.target.noteWinners(step.table, winners);
  return { kept, written };
}

async function withoutMissing(context: ConflictContext, table: TableBinding, rows: readonly RowRef[]): Promise<RowRef[]> {
  const absent = new Set(await context.target.missingOrdinals(table, rows));
  const again: RowRef[] = [];
  for (const ordinal of absent) {
    const row = rows[ordinal - 1];
    if (!row) continue;
    const strategy = context.strategyOf(table.plan.tableId);
    if (strategy.kind === 'fail') throw unresolved(context, table, undefined, row);
    report(context, table, 'update_missing', row, undefined, { outcome: 'reread', row: undefined });
    again.push(row);
  }
  await context.target.noteReread(table, again, context.run);
  return rows.filter((_, index) => !absent.has(index + 1));
}

/** `leaving`: keys of rows that are deleted before these are written. */
async function decideExisting(context: ConflictContext, table: TableBinding, rows: readonly RowRef[], leaving: ReadonlySet<string>): Promise<{ free: RowRef[]; written: RowRef[] }> {
  const local = await context.target.fetchRows(table, rows);
  const free: RowRef[] = [];
  const written: RowRef[] = [];
  const winners: Winner[] = [];
  for (const [index, row] of rows.entries()) {
    const existing = local.get(index + 1);
    if (!existing || leaving.has(keyOf(table, existing))) {
      free.push(row);
      continue;
    }
    if (isSame(context, table, existing, row)) continue;
    if (context.comparesOtherwise) assertSameKey(table, existing, row);
    const decision = await decide(context, table, existing, row);
    report(context, table, 'insert_exists', row, existing, decision);
    if (decision.row) written.push(decision.row);
    winners.push(...winnerOf(context, table, existing, row, decision));
  }
  await context.target.noteWinners(table, winners);
  return { free, written };
}

/** What stands on the target instead of the source's row, if it is another one. */
function winnerOf(context: ConflictContext, table: TableBinding, existing: RowRef | undefined, remote: RowRef, { outcome, row }: Decision): Winner[] {
  const local = outcome === 'merged' ? row : outcome === 'target' ? existing : undefined;
  return local && !isSame(context, table, local, remote) ? [{ key: keyJson(table, remote), local: rowImage(table, local), remote: rowImage(table, remote) }] : [];
}

function isSame({ comparesOtherwise }: ConflictContext, table: TableBinding, a: RowRef, b: RowRef): boolean {
  const [left, right] = [readTuple(a.buffer, a.at), readTuple(b.buffer, b.at)];
  return table.columns.every((column) => left[column.at] === right[column.at] || (comparesOtherwise && isSameValue(column.plan.type, left[column.at], right[column.at])));
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
      return { outcome: 'merged', row: rowFromValues(table, await context.target.mergeRows(table, strategy.function, local, remote)) };
    case 'fail':
      throw unresolved(context, table, local, remote);
    default:
      return strategy satisfies never;
  }
}

async function localIsNewer(context: ConflictContext, table: TableBinding, name: string, local: RowRef | undefined, remote: RowRef): Promise<boolean> {
  const column = table.columns.find((candidate) => candidate.plan.name === name);
  if (!local || !column) return false;
  return context.target.isLarger(column, readTuple(local.buffer, local.at)[column.at] ?? null, readTuple(remote.buffer, remote.at)[column.at] ?? null);
}

/** The change is not kept anywhere else: what it met is told with the error. */
function unresolved({ position }: ConflictContext, table: TableBinding, existing: RowRef | undefined, row: RowRef): MigrationError {
  const met = existing === undefined ? 'an update found no row' : `an insert met the row ${imageText(table, existing)}`;
  return new MigrationError('MIG030', undefined, { tableName: table.targetName, rowKey: keyJson(table, row), detail: `In the unit up to ${formatPosition(position)} ${met}; its own is ${imageText(table, row)}.` });
}

function imageText(table: TableBinding, row: RowRef): string {
  const text = JSON.stringify(rowImage(table, row));
  return text.length <= IMAGE_LIMIT ? text : `${text.slice(0, IMAGE_LIMIT)}…`;
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
