/** What went wrong, as one of the product's own codes: database and network errors that no part has named yet. */
import { MigrationError } from '../../config/migration-error.ts';
import type { ErrorCode } from '../../config/migration-error.ts';

/** SQLSTATE classes and network errnos → code. https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function toMigrationError(error: unknown): MigrationError {
  if (error instanceof MigrationError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = [textOf(cause, 'code'), textOf(cause, 'sqlState')].find((each) => isSqlstate.test(each)) ?? textOf(cause, 'code');
  return new MigrationError(codeOf(code, cause.message), undefined, { detail: `${cause.message}${code === '' ? '' : ` (${code})`}`, cause });
}

const isSqlstate = /^(?!HY000)[0-9A-Z]{5}$/;

/** Drivers put the SQLSTATE here or there, and a name of their own in `code`. */
function textOf(error: Error, property: string): string {
  const value: unknown = Reflect.get(error, property);
  return typeof value === 'string' ? value : '';
}

function codeOf(code: string, message: string): ErrorCode {
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|PROTOCOL_CONNECTION_LOST|ER_SERVER_SHUTDOWN|ER_CONNECTION_KILLED)/.test(code) || /^(08|57P)/.test(code)) return 'MIG002';
  if (/Connection terminated|connection .*closed|not queryable|timeout expired/i.test(message)) return 'MIG002';
  if (code === '42501') return 'MIG004';
  if (code.startsWith('28')) return 'MIG003';
  if (code.startsWith('53') || code === 'ENOSPC') return code === 'ENOSPC' ? 'MIG086' : 'MIG085';
  if (code === '40001' || code === '40P01' || code === '55P03' || code === 'ER_LOCK_WAIT_TIMEOUT') return 'MIG087';
  if (code === '42P01' || code === '42S02') return 'MIG010';
  return 'MIG090';
}

/** True when it is local that fails: then reads and writes go on at the source, and the table comes back by itself. */
export function isLocalTrouble(error: MigrationError): boolean {
  return error.code === 'MIG001' || error.code === 'MIG002';
}
