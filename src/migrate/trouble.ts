/** What went wrong, as one of the product's own codes: database and network errors that no part has named yet. */
import { MigrationError } from '../../config/migration-error.ts';
import type { ErrorCode } from '../../config/migration-error.ts';

/** SQLSTATE classes and network errnos → code. https://www.postgresql.org/docs/current/errcodes-appendix.html */
export function toMigrationError(error: unknown): MigrationError {
  if (error instanceof MigrationError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return new MigrationError(codeOf(code, cause.message), undefined, { detail: `${cause.message}${code === '' ? '' : ` (${code})`}`, cause });
}

function codeOf(code: string, message: string): ErrorCode {
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)/.test(code) || /^(08|57P)/.test(code)) return 'MIG002';
  if (/Connection terminated|connection .*closed|not queryable|timeout expired/i.test(message)) return 'MIG002';
  if (code === '42501') return 'MIG004';
  if (code.startsWith('28')) return 'MIG003';
  if (code.startsWith('53') || code === 'ENOSPC') return code === 'ENOSPC' ? 'MIG086' : 'MIG085';
  if (code === '40001' || code === '40P01' || code === '55P03') return 'MIG087';
  if (code === '42P01') return 'MIG010';
  return 'MIG090';
}

/** True when it is local that fails: then reads and writes go on at the source, and the table comes back by itself. */
export function isLocalTrouble(error: MigrationError): boolean {
  return error.code === 'MIG001' || error.code === 'MIG002';
}
