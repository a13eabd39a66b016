/** What the migration control answers, as a MySQL client reads it: result sets of text, OK, errors. */
import { MigrationError } from '../../../config/migration-error.ts';
import type { Capabilities } from '../../wire/mysql/capabilities.ts';
import { Collation, ColumnType } from '../../wire/mysql/column-definition.ts';
import type { ColumnDefinition } from '../../wire/mysql/column-definition.ts';
import { ErrorCode } from '../../wire/mysql/error-packet.ts';
import type { MysqlError } from '../../wire/mysql/error-packet.ts';
import { writeOk } from '../../wire/mysql/ok-packet.ts';
import { writePackets } from '../../wire/mysql/packets.ts';
import { writeResultSet } from '../../wire/mysql/result-set.ts';
import { errorFieldsOf } from '../client-error.ts';
import type { ErrorFields } from '../../wire/error-fields.ts';
import type { CommandResult } from '../control-port.ts';

/** int8, int2, int4. */
const integers: ReadonlySet<number> = new Set([20, 21, 23]);
const TEXT_BYTES = 65_535;

function column({ name, typeOid }: CommandResult['columns'][number]): ColumnDefinition {
  return integers.has(typeOid)
    ? { name, collation: Collation.binary, length: 20, type: ColumnType.longLong, flags: 0, decimals: 0 }
    : { name, collation: Collation.utf8mb4, length: TEXT_BYTES, type: ColumnType.varString, flags: 0, decimals: 0 };
}

/** As packets from that sequence id on. Notices stand in the text that clients show behind an OK. */
export function writeCommandResult({ columns, rows, tag, notices = [] }: CommandResult, status: number, capabilities: Capabilities, sequence: number): Buffer {
  if (columns.length > 0) return writeResultSet({ columns: columns.map(column), rows, status }, capabilities, sequence);
  const info = [tag, ...notices.map(({ severity, message, detail, hint }) => [`${severity}: ${message}`, detail, hint].filter(Boolean).join(' '))].join('\n');
  return writePackets(writeOk({ status, info }, capabilities), sequence);
}

/** Cause and next step stand behind the message: there is no other place for them. */
export function mysqlErrorOf(error: unknown): MysqlError {
  const code = error instanceof MigrationError ? error.code : undefined;
  return { ...mysqlErrorWith(errorFieldsOf(error)), ...(code === 'MIG085' ? { code: ErrorCode.tooManyConnections } : {}) };
}

/** As of a deadlock, so that clients run the transaction again. */
export function gaveWay(): MysqlError {
  return { ...mysqlErrorOf(new MigrationError('MIG083')), code: ErrorCode.deadlock };
}

export function idleTooLong(fields: ErrorFields): MysqlError {
  return { ...mysqlErrorWith(fields), code: ErrorCode.idleTooLong };
}

export function mysqlErrorWith({ sqlstate, message, detail, hint }: ErrorFields): MysqlError {
  return { code: ErrorCode.unknown, sqlstate, message: [message, detail, hint].filter(Boolean).join(' ') };
}
