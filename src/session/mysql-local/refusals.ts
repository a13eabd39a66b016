/** What a MySQL client is told of statements that do not run on local as they are. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import type { SessionFacts } from './session-facts.ts';
import { charsetOf, encoderOf } from './text-charset.ts';

/** `construct`: as MySQL's manual names it. */
export function notServed(construct: string, place?: number): MigrationError {
  return new MigrationError('MIG082', `the table's rows are on local, where this cannot be run as MySQL would: ${construct}`, {
    ...(place === undefined ? {} : { detail: `It stands at character ${place + 1}.` }), hint: 'Write the statement otherwise, or ROLLBACK MIGRATION for the table.',
  });
}

export function writesOnBoth(): MigrationError {
  return new MigrationError('MIG081', undefined, { detail: 'Tables on local and tables on the MySQL server cannot be written in one transaction now: docs/mysql.md says what the two servers need for it. A branch of XA, and a transaction under LOCK TABLES, write on one side.' });
}

/** A setting of the session that nothing on local follows; undefined: there is none. */
export function unservable({ limits, resultCharset, clientCharset }: SessionFacts): string | undefined {
  if (limits !== undefined) return limits;
  if (resultCharset !== 'binary' && !resultCharset.startsWith('utf8') && encoderOf(resultCharset) === undefined) return `character_set_results ${resultCharset}`;
  return charsetOf(clientCharset) === undefined ? `character_set_client ${clientCharset}` : undefined;
}

const valueErrors: Readonly<Record<number, readonly [sqlstate: string, message: string]>> = {
  1048: ['23000', 'Column cannot be null'], 1210: ['HY000', 'Incorrect arguments to EXECUTE'], 1264: ['22003', 'Out of range value for a parameter'], 1265: ['01000', 'Data truncated for a parameter'],
  1292: ['22007', 'Incorrect value of a parameter'], 1366: ['HY000', 'Incorrect value of a parameter'], 1406: ['22001', 'Data too long for a parameter'], 1690: ['22003', 'Value of a parameter is out of range'],
};

export function valueError(code: number): MysqlError {
  const [sqlstate, message] = valueErrors[code] ?? ['HY000', 'Incorrect value of a parameter'];
  return { code, sqlstate, message };
}
