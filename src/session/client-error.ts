/** Every error of the product's own as a client sees it, in one place. */
import { MigrationError } from '../../config/migration-error.ts';
import type { ErrorFields, Severity } from '../wire/error-fields.ts';

/** A MigrationError keeps its code, cause and next step; anything else becomes MIG090 without its inner text. */
export function errorFieldsOf(error: unknown, severity: Severity = 'ERROR'): ErrorFields {
  const known = error instanceof MigrationError ? error : new MigrationError('MIG090', undefined, { cause: error });
  return {
    severity,
    sqlstate: known.sqlstate,
    message: known.message,
    detail: known.detail ?? (known.rowKey === undefined ? undefined : `Row: ${known.rowKey}`),
    hint: known.hint,
    position: known.position,
    table: known.tableName,
  };
}

export const protocolError = (sqlstate: string, message: string, severity: Severity = 'FATAL', hint?: string): ErrorFields => ({ severity, sqlstate, message, hint });

/** Words of the server's own error, so that clients that know it by text do too. */
export const transactionAborted: ErrorFields = {
  severity: 'ERROR', sqlstate: '25P02', message: 'current transaction is aborted, commands ignored until end of transaction block',
};

export function alreadyPrepared(name: string): ErrorFields {
  return { severity: 'ERROR', sqlstate: '42P05', message: `prepared statement "${name}" already exists` };
}

export const canceledByUser: ErrorFields = { severity: 'ERROR', sqlstate: '57014', message: 'canceling statement due to user request' };

/** A barrier that nobody lifts (the control is gone): in the end the client is told, and nothing of the unit has run. */
export function parkedTooLong(limitMs: number): ErrorFields {
  return errorFieldsOf(new MigrationError('MIG087', 'the change of routing of a table took too long', {
    detail: `The statement waited ${limitMs} ms and has not run.`, hint: 'Run it again; if it persists, look at SHOW MIGRATION STATUS.',
  }));
}

export const statementTimedOut: ErrorFields = { severity: 'ERROR', sqlstate: '57014', message: 'canceling statement due to statement timeout' };

export function tooManyStatements(limit: number): MigrationError {
  return new MigrationError('MIG085', 'the session keeps too many prepared statements', { detail: `Their texts may take ${limit} bytes.`, hint: 'Close statements that are no longer used, or raise maxStatementBytes.' });
}
