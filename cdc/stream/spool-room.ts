/**
 * Writing to the logs of a stream's tables, and who makes room when the spool takes no more: its limit is reached, or its disk is full.
 *
 * What is kept for tables that wait for an operator (failed, or paused by one) gives way to the others where it is a quarter of the spool or more: the
 * one that holds most first, before anything waits for room. Such a table has to be loaded again; the others notice nothing. Else the stream waits, and
 * the captured server keeps what comes. So it does on the way back, whatever is stopped: there a table could not be loaded again.
 */
import { MigrationError } from '../../config/migration-error.ts';
import { isFileGone } from '../spool/damaged-log.ts';
import { loseTable } from './lost-table.ts';
import type { StreamState } from './stream-state.ts';
import type { TableEntry } from './table-entry.ts';

/** With less of the whole they are not what has filled it, and their loss would not help the others for long. */
const LEAST_SHARE = 0.25;

/** Writes what was appended; a disk that refuses is remembered, not thrown. */
export function flushLogs(state: StreamState): void {
  for (const entry of state.entries.values()) flushLog(state, entry);
}

export function flushLog(state: StreamState, entry: TableEntry): void {
  if (!entry.log?.hasPending) return;
  try {
    entry.log.flush();
    state.spoolError = undefined;
  } catch (error) {
    if (isFileGone(error)) return loseTable(state, entry, `its changes in the spool are gone: ${String(error)}`);
    state.spoolError = state.lastError = new MigrationError('MIG086', undefined, { detail: String(error), cause: error });
  }
}

/** Tried anew at each call. */
export function isSpoolFull(state: StreamState): boolean {
  do {
    state.blockedBy = findObstacle(state);
  } while (state.blockedBy && giveWay(state));
  if (state.blockedBy) state.lastError = state.blockedBy;
  return state.blockedBy !== undefined;
}

function findObstacle(state: StreamState): Error | undefined {
  if (state.spoolError) flushLogs(state);
  if (state.spoolError) return state.spoolError;
  const { spoolBytes } = state.options.limits;
  return state.spoolBytes < spoolBytes ? undefined : new MigrationError('MIG086', 'The spool has reached its limit', { detail: `${spoolBytes} bytes` });
}

/** One stopped table less, where that is what helps. */
function giveWay(state: StreamState): boolean {
  const kept = stoppedBytes(state);
  if (kept === 0 || kept < LEAST_SHARE * state.spoolBytes) return false;
  const [largest] = [...state.entries.values()].sort((a, b) => keptWhileStopped(state, b) - keptWhileStopped(state, a));
  if (!largest) return false;
  loseTable(state, largest, `its changes were given up: it was stopped, ${keptWhileStopped(state, largest)} bytes were kept for it, and the spool took no more (limit ${state.options.limits.spoolBytes} bytes)`);
  return true;
}

export function stoppedBytes(state: StreamState): number {
  let sum = 0;
  for (const entry of state.entries.values()) sum += keptWhileStopped(state, entry);
  return sum;
}

/** What has been applied of the log goes by itself. */
function keptWhileStopped(state: StreamState, entry: TableEntry): number {
  const { log } = entry;
  const isStopped = entry.mode === 'failed' || (entry.mode === 'spooling' && entry.isStopped);
  if (!log || !isStopped || state.options.direction !== 'forward') return 0;
  return log.bytes - Math.max(0, entry.savedOffset - log.startOffset);
}
