/**
 * What would make the two sides of a row the same: cells to write and cells to delete, on either side, with their times. Pure; `Reconciler` carries it out.
 *
 * `source-wins` writes on the target alone: the source's cells with their own times, or just after the target's where those are as late. `newest` lets the later write
 * win, on whichever side it is; where the times are equal each side gets the other's cell, and the servers decide alike. What one side lacks is written there with its own time; where it does not appear, that side has a
 * deletion that is newer, and the second attempt takes it for what it is.
 */
import type { Cell } from '../cells.ts';
import type { Side } from '../cluster.ts';
import type { TableRow } from '../row-reader.ts';
import { newestWrite } from './compare-rows.ts';
import { rowOf } from './discrepancy.ts';
import type { RowDifference } from './discrepancy.ts';

export type ReconcileMode = 'source-wins' | 'newest' | 'manual';

export interface Repair {
  readonly side: Side;
  /** A row with the cells to write; its absence means there is none. */
  readonly write?: TableRow;
  readonly deletedCells: readonly { readonly cell: Cell; readonly time: bigint }[];
  /** The time of a deletion of the whole row. */
  readonly deletedRow?: bigint;
}

/** `attempt` 0 or 1; `safeTime` in microseconds: later than all that a forgotten tombstone may carry, earlier than any write under way. */
export function planRepair(difference: RowDifference, mode: Exclude<ReconcileMode, 'manual'>, attempt: number, safeTime: bigint): readonly Repair[] {
  const { source, target } = difference;
  if (source === undefined) return planForLone(difference, 'source', mode, attempt, safeTime);
  if (target === undefined) return planForLone(difference, 'target', mode, attempt, safeTime);
  const writes = { source: [] as Cell[], target: [] as Cell[] };
  const deletes = { source: [] as { cell: Cell; time: bigint }[], target: [] as { cell: Cell; time: bigint }[] };
  for (const { source: ours, target: theirs } of difference.cells) {
    if (ours !== undefined && theirs !== undefined) {
      const winner = mode === 'source-wins' ? 'source' : newerSide(ours, theirs);
      if (winner === 'source') writes.target.push(mode === 'newest' ? ours : later(ours, theirs, attempt > 0));
      else if (winner === 'target') writes.source.push(theirs);
      else {
        // Of one time: each server gets the other's and takes what servers take.
        writes.target.push(ours);
        writes.source.push(theirs);
      }
    } else if (ours !== undefined) {
      if (attempt === 0) writes.target.push(ours);
      else if (mode === 'newest') deletes.source.push({ cell: ours, time: timeOf(ours, safeTime) });
      else writes.target.push({ ...ours, writetime: safeTime });
    } else if (theirs !== undefined) {
      if (mode === 'source-wins' || attempt > 0) deletes.target.push({ cell: theirs, time: timeOf(theirs, safeTime) });
      else writes.source.push(theirs);
    }
  }
  return (['source', 'target'] as const).flatMap((side): Repair[] => {
    const row = side === 'source' ? target : source;
    if (writes[side].length === 0 && deletes[side].length === 0) return [];
    return [{ side, deletedCells: deletes[side], ...(writes[side].length === 0 ? {} : { write: { ...row, cells: writes[side] } }) }];
  });
}

/** The row that only the other side has. */
function planForLone(difference: RowDifference, missingOn: Side, mode: 'source-wins' | 'newest', attempt: number, safeTime: bigint): readonly Repair[] {
  const row = rowOf(difference);
  const presentOn: Side = missingOn === 'source' ? 'target' : 'source';
  const newest = newestWrite(row);
  if (mode === 'source-wins' && missingOn === 'source') return [{ side: 'target', deletedCells: [], deletedRow: attempt === 0 && newest !== undefined ? newest : safeTime }];
  if (attempt === 0) return [{ side: missingOn, deletedCells: [], write: row }];
  if (mode === 'newest') return [{ side: presentOn, deletedCells: [], deletedRow: newest ?? safeTime }];
  return [{ side: 'target', deletedCells: [], write: { ...row, cells: row.cells.map((cell) => ({ ...cell, writetime: safeTime })) } }];
}

/** Undefined when they are of one time, or one does not tell its own. */
function newerSide({ writetime: ours }: Cell, { writetime: theirs }: Cell): Side | undefined {
  if (ours === undefined || theirs === undefined || ours === theirs) return undefined;
  return ours > theirs ? 'source' : 'target';
}

/** With its own time, if that is enough to win. */
function later(cell: Cell, over: Cell, isForced: boolean): Cell {
  const own = cell.writetime;
  const others = over.writetime;
  if (own === undefined || others === undefined) return cell;
  const isEnough = own > others || (own === others && !isForced && Buffer.compare(cell.value, over.value) >= 0);
  return isEnough ? cell : { ...cell, writetime: others + 1n };
}

function timeOf({ writetime }: Cell, safeTime: bigint): bigint {
  return writetime ?? safeTime;
}
