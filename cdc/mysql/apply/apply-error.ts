/** What a server says against a write, sorted by what is to be done about it. https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html */
import { MigrationError } from '../../../config/migration-error.ts';
import { ChangeFailure, UnexpectedCount } from '../../apply/apply-error.ts';
import type { ErrorRemedy } from '../../apply/apply-error.ts';
import { errnoOf } from '../connect.ts';

/** Deadlock, a lock not granted in time, a row that was changed under a snapshot: the applier gives way and tries again. */
const retried: ReadonlySet<number> = new Set([1205, 1213, 1020, 3572]);
/** Too many connections, out of memory, disk full, shutting down, killed, a packet too large (which ends the connection), read only. */
const lost: ReadonlySet<number> = new Set([1037, 1038, 1040, 1041, 1053, 1021, 1030, 1114, 1153, 1158, 1159, 1160, 1161, 1290, 1317, 1792, 1836, 1927, 3024, 3168, 4031]);
const duplicate: ReadonlySet<number> = new Set([1062, 1169, 1586, 1859]);

export function mysqlRemedyOf(error: unknown): ErrorRemedy {
  if (error instanceof ChangeFailure) return 'fail';
  if (error instanceof UnexpectedCount) return 'replay';
  // The change that it is about is found as any other that cannot be applied.
  if (error instanceof MigrationError) return error.category === 'CONFLICT' || error.category === 'DATA_TYPE' ? 'replay' : 'reconnect';
  const errno = errnoOf(error);
  if (errno === undefined || lost.has(errno)) return 'reconnect';
  return retried.has(errno) ? 'retry' : 'replay';
}

/** The same may be tried again: somebody else had the rows, or the server gave one of two up. */
export function isHeldUp(error: unknown): boolean {
  return retried.has(errnoOf(error) ?? 0);
}

export function isDuplicate(error: unknown): boolean {
  return duplicate.has(errnoOf(error) ?? 0);
}
