/**
 * The states of a table's migration and the moves between them (specification §2.2, DESIGN §6).
 *
 * NOT_STARTED → BULK_LOADING → SYNCHRONIZING → DUAL_WRITE → CUTOVER_READY → LOCAL_ONLY; from each of them back through
 * ROLLBACK; PAUSED and ERROR remember the state they interrupt.
 */
export const tableStates = [
  'NOT_STARTED', 'BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE', 'CUTOVER_READY', 'LOCAL_ONLY', 'ROLLBACK', 'PAUSED', 'ERROR',
] as const;

export type TableState = (typeof tableStates)[number];

const moves: Readonly<Record<TableState, readonly TableState[]>> = {
  NOT_STARTED: ['BULK_LOADING', 'ERROR'],
  BULK_LOADING: ['SYNCHRONIZING', 'PAUSED', 'ERROR', 'ROLLBACK'],
  // A resync goes back to BULK_LOADING.
  SYNCHRONIZING: ['DUAL_WRITE', 'BULK_LOADING', 'PAUSED', 'ERROR', 'ROLLBACK'],
  // Local that cannot take writes sends the table back to SYNCHRONIZING (RULES 12, 15). CUTOVER … FORCE goes without a validation.
  DUAL_WRITE: ['CUTOVER_READY', 'LOCAL_ONLY', 'SYNCHRONIZING', 'BULK_LOADING', 'PAUSED', 'ERROR', 'ROLLBACK'],
  CUTOVER_READY: ['LOCAL_ONLY', 'DUAL_WRITE', 'SYNCHRONIZING', 'BULK_LOADING', 'PAUSED', 'ERROR', 'ROLLBACK'],
  LOCAL_ONLY: ['ROLLBACK', 'ERROR'],
  // PRESERVE LOCAL DATA ends in DUAL_WRITE (RULES 17); a failed rollback returns to where it was.
  ROLLBACK: ['NOT_STARTED', 'DUAL_WRITE', 'LOCAL_ONLY', 'CUTOVER_READY', 'SYNCHRONIZING', 'ERROR'],
  PAUSED: ['BULK_LOADING', 'SYNCHRONIZING', 'ERROR', 'ROLLBACK'],
  ERROR: ['BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE', 'LOCAL_ONLY', 'PAUSED', 'ROLLBACK'],
};

export function isLegalMove(from: TableState, to: TableState): boolean {
  return moves[from].includes(to);
}

export function legalMoves(from: TableState): readonly TableState[] {
  return moves[from];
}
