/** What a failure during a load means to the operator: SQLSTATE or a lost connection to a `MigrationError`. */
import { MigrationError } from '../../config/migration-error.ts';
import type { ErrorCode } from '../../config/migration-error.ts';
import { ConnectionLostError } from '../postgres/copy-connection.ts';

export type LoadSide = 'source' | 'target';

export function sqlstateOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Classes 22 (data) and 23 (constraints) blame a row; 0A, 42 and the rest blame the statement.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isRowError(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  return sqlstate !== undefined && (sqlstate.startsWith('22') || sqlstate.startsWith('23'));
}

/** Deadlock or serialisation failure: the same chunk may be tried again at once. */
export function isTransient(error: unknown): boolean {
  const sqlstate = sqlstateOf(error);
  return sqlstate === '40P01' || sqlstate === '40001';
}

export function loadError(side: LoadSide, tableId: string, error: unknown): MigrationError {
  if (error instanceof MigrationError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const place = side === 'source' ? 'the source' : 'local';
  const { code, summary, hint } = diagnose(side, cause, place);
  const serverDetail = 'detail' in cause && typeof cause.detail === 'string' ? ` (${cause.detail})` : '';
  return new MigrationError(code, `${summary} while ${tableId} was loaded`, { detail: `${cause.message}${serverDetail}`, tableName: tableId, cause, ...(hint === undefined ? {} : { hint }) });
}

interface Diagnosis {
  readonly code: ErrorCode;
  readonly summary: string;
  readonly hint?: string;
}

function diagnose(side: LoadSide, error: Error, place: string): Diagnosis {
  const sqlstate = sqlstateOf(error);
  if (error instanceof ConnectionLostError || isLostConnection(error, sqlstate)) return { code: 'MIG002', summary: `Connection to ${place} lost` };
  if (sqlstate === undefined) return { code: 'MIG090', summary: `Internal error at ${place}` };
  if (/^(08|57P0[1-5]|25P0[34])/.test(sqlstate)) return { code: 'MIG002', summary: `Connection to ${place} lost` };
  // A snapshot that is gone, a lock not granted, a statement cancelled by an administrator: the next attempt may well succeed.
  if (/^(40|55|57|72)/.test(sqlstate) || sqlstate === INVALID_SNAPSHOT) return { code: 'MIG002', summary: `The load was interrupted at ${place}` };
  if (sqlstate === '53100') return { code: 'MIG086', summary: `Disk full at ${place}`, hint: `Free space at ${place}; the load goes on by itself.` };
  if (sqlstate.startsWith('53')) return { code: 'MIG085', summary: `A limit of ${place} was reached`, hint: `Raise the limit named in DETAIL at ${place}, or lower parallel_workers.` };
  if (sqlstate === '42501') return { code: 'MIG004', summary: `Insufficient privileges at ${place}` };
  if (sqlstate === '42P01' && side === 'source') return { code: 'MIG010', summary: 'Source table not found' };
  if (sqlstate === '42883' || sqlstate === '42P13') return { code: 'MIG012', summary: `A column's type cannot be copied` };
  if (/^(42|0A|22|23)/.test(sqlstate)) return { code: 'MIG011', summary: `The table's definition at ${place} does not fit` };
  return { code: 'MIG090', summary: `Unexpected error at ${place}` };
}

/** SET TRANSACTION SNAPSHOT of a snapshot whose transaction has ended. */
const INVALID_SNAPSHOT = '22023';

/** An errno (`ECONNRESET`, `EPIPE`) is no SQLSTATE; the pg client has words of its own. */
function isLostConnection(error: Error, code: string | undefined): boolean {
  if (code === undefined) return /terminated|closed|ended|not queryable|timeout expired/i.test(error.message);
  return code === 'EPIPE' || !/^[0-9A-Z]{5}$/.test(code);
}
