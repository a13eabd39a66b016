/**
 * Prepared statements: what is answered to a text, and what runs it.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_prepare.html
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
 */
import { readBinaryValue, writeBinaryValue } from './binary-value.ts';
import { Command } from './commands.ts';
import { integer, PayloadReader } from './payload.ts';

/** Of a MariaDB client, for the statement that was prepared last: https://mariadb.com/kb/en/com_stmt_execute/ */
export const LAST_PREPARED = 0xffffffff;

export interface PrepareOk {
  readonly statementId: number;
  readonly columns: number;
  readonly parameters: number;
  readonly warnings: number;
}

export function writePrepareOk({ statementId, columns, parameters, warnings }: PrepareOk): Buffer {
  return Buffer.concat([Buffer.of(0), integer(statementId, 4), integer(columns, 2), integer(parameters, 2), Buffer.of(0), integer(warnings, 2)]);
}

/** Of the first bytes. */
export function readPrepareOk(bytes: Buffer, start: number): Pick<PrepareOk, 'statementId' | 'columns' | 'parameters'> {
  return { statementId: bytes.readUInt32LE(start + 1), columns: bytes.readUInt16LE(start + 5), parameters: bytes.readUInt16LE(start + 7) };
}

export interface ParameterType {
  readonly type: number;
  readonly isUnsigned: boolean;
}

export interface Execute {
  readonly statementId: number;
  /** 0: none; 1: read-only; 2: for update; 4: scrollable. */
  readonly cursor: number;
  /** Those given now; a client leaves them out when they are those of the last time. */
  readonly types: readonly ParameterType[] | undefined;
  /** Undefined for those that have come as long data. */
  readonly values: readonly (Buffer | string | null | undefined)[];
}

/**
 * `types`: of the last execution. `isLong`: the parameter's value has come before, by COM_STMT_SEND_LONG_DATA, and is not in this packet.
 * Throws a `ProtocolFault`.
 */
export function readExecute(payload: Buffer, parameters: number, types: readonly ParameterType[] | undefined, isLong: (parameter: number) => boolean): Execute {
  const reader = new PayloadReader(payload, 1);
  const statementId = reader.integer(4);
  const cursor = reader.integer(1);
  reader.integer(4);
  if (parameters === 0) return { statementId, cursor, types: undefined, values: [] };
  const nulls = reader.bytes((parameters + 7) >> 3);
  const given = reader.integer(1) === 1 ? Array.from({ length: parameters }, () => ({ type: reader.integer(1), isUnsigned: (reader.integer(1) & 0x80) !== 0 })) : undefined;
  const used = given ?? types ?? [];
  const values = Array.from({ length: parameters }, (_, index) => {
    if (isLong(index)) return undefined;
    const { type = 0, isUnsigned = false } = used[index] ?? {};
    return ((nulls[index >> 3] ?? 0) & (1 << (index & 7))) !== 0 ? null : readBinaryValue(reader, type, isUnsigned);
  });
  return { statementId, cursor, types: given, values };
}

/** Types that a COM_STMT_EXECUTE gives its parameters; undefined: those of the last time. Throws a `ProtocolFault`. */
export function readExecuteTypes(payload: Buffer, parameters: number): readonly ParameterType[] | undefined {
  if (parameters === 0) return undefined;
  const reader = new PayloadReader(payload, 10 + ((parameters + 7) >> 3));
  return reader.integer(1) === 1 ? Array.from({ length: parameters }, () => ({ type: reader.integer(1), isUnsigned: (reader.integer(1) & 0x80) !== 0 })) : undefined;
}

/** Of COM_STMT_SEND_LONG_DATA: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_send_long_data.html */
export function readLongData(payload: Buffer): { readonly statementId: number; readonly parameter: number; readonly data: Buffer } {
  const reader = new PayloadReader(payload, 1);
  return { statementId: reader.integer(4), parameter: reader.integer(2), data: reader.rest() };
}

export function writeExecute({ statementId, cursor, types, values }: Execute): Buffer {
  const nulls = Buffer.alloc((values.length + 7) >> 3);
  const parts: Buffer[] = [];
  values.forEach((value, index) => {
    if (value === null) nulls[index >> 3] = (nulls[index >> 3] ?? 0) | (1 << (index & 7));
    else if (value !== undefined) parts.push(writeBinaryValue(value, types?.[index]?.type ?? 0));
  });
  const before = Buffer.concat([Buffer.of(Command.execute), integer(statementId, 4), Buffer.of(cursor), integer(1, 4)]);
  if (values.length === 0) return before;
  const typeBytes = types === undefined ? [Buffer.of(0)] : [Buffer.of(1), ...types.map(({ type, isUnsigned }) => Buffer.of(type, isUnsigned ? 0x80 : 0))];
  return Buffer.concat([before, nulls, ...typeBytes, ...parts]);
}
