/** Messages that a server sends: https://www.postgresql.org/docs/current/protocol-message-formats.html (those marked "B"). */
import { cstring, endOfString, int16, int32, message } from './message.ts';

export type TransactionStatus = 'I' | 'T' | 'E';

export const authenticationOk = message('R', int32(0));
export const parseComplete = message('1');
export const bindComplete = message('2');
export const closeComplete = message('3');
export const noData = message('n');
export const emptyQueryResponse = message('I');
export const noParameters = message('t', int16(0));

export function authenticationMd5(salt: Buffer): Buffer {
  return message('R', int32(5), salt);
}

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return message('R', int32(10), ...mechanisms.map(cstring), Buffer.from([0]));
}

export function authenticationSaslContinue(data: string): Buffer {
  return message('R', int32(11), Buffer.from(data, 'utf8'));
}

export function authenticationSaslFinal(data: string): Buffer {
  return message('R', int32(12), Buffer.from(data, 'utf8'));
}

/** Told to a client that asked for a newer minor version or for protocol options (`_pq_.…`). */
export function negotiateProtocolVersion(newestMinor: number, unknownOptions: readonly string[]): Buffer {
  return message('v', int32(newestMinor), int32(unknownOptions.length), ...unknownOptions.map(cstring));
}

export function backendKeyData(pid: number, key: Buffer): Buffer {
  return message('K', int32(pid), key);
}

const ready: Record<TransactionStatus, Buffer> = {
  I: message('Z', Buffer.from('I')), T: message('Z', Buffer.from('T')), E: message('Z', Buffer.from('E')),
};

export function readyForQuery(status: TransactionStatus): Buffer {
  return ready[status];
}

/** What stands before the ReadyForQuery that it ends with. */
export function withoutReady(messages: Buffer): Buffer {
  return messages.subarray(0, messages.length - ready.I.length);
}

export function commandComplete(tag: string): Buffer {
  return message('C', cstring(tag));
}

export interface Column {
  readonly name: string;
  readonly typeOid: number;
}

/** All columns in text format, of no table. */
export function rowDescription(columns: readonly Column[]): Buffer {
  const parts = columns.flatMap(({ name, typeOid }) => [cstring(name), int32(0), int16(0), int32(typeOid), int16(0xffff), int32(-1), int16(0)]);
  return message('T', int16(columns.length), ...parts);
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  const parts: Buffer[] = [int16(values.length)];
  for (const value of values) {
    if (value === null) parts.push(int32(-1));
    else {
      const bytes = Buffer.from(value, 'utf8');
      parts.push(int32(bytes.length), bytes);
    }
  }
  return message('D', ...parts);
}

/** Values of a DataRow in text format whose header stands at `start`. */
export function readDataRow(buffer: Buffer, start: number): (string | null)[] {
  const count = buffer.readUInt16BE(start + 5);
  const values: (string | null)[] = [];
  let at = start + 7;
  for (let index = 0; index < count; index++) {
    const length = buffer.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : buffer.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return values;
}

/** Column names of the RowDescription whose header stands at `start`. */
export function readColumnNames(buffer: Buffer, start: number): string[] {
  const names: string[] = [];
  let at = start + 7;
  for (let left = buffer.readUInt16BE(start + 5); left > 0; left -= 1) {
    const end = buffer.indexOf(0, at);
    names.push(buffer.toString('utf8', at, end));
    at = end + 19;
  }
  return names;
}

/** The RowDescription at `start` with its first columns only. */
export function firstColumns(buffer: Buffer, start: number, count: number): Buffer {
  let end = start + 7;
  for (let left = count; left > 0; left -= 1) end = buffer.indexOf(0, end) + 19;
  return message('T', int16(count), buffer.subarray(start + 7, end));
}

/** The DataRow at `start` with its first values only. */
export function firstValues(buffer: Buffer, start: number, count: number): Buffer {
  let end = start + 7;
  for (let left = count; left > 0; left -= 1) end += 4 + Math.max(buffer.readInt32BE(end), 0);
  return message('D', int16(count), buffer.subarray(start + 7, end));
}

/** Name and value of a ParameterStatus whose header stands at `start`. */
export function readParameterStatus(buffer: Buffer, start: number, length: number): readonly [string, string] {
  const end = start + length;
  const nameEnd = endOfString(buffer, start + 5, end);
  if (nameEnd < 0) return ['', ''];
  return [buffer.toString('utf8', start + 5, nameEnd), buffer.toString('utf8', nameEnd + 1, end - 1)];
}

/** True when the RowDescription at `start` has one column, of this name. */
export function isOnlyColumn(buffer: Buffer, start: number, length: number, name: Buffer): boolean {
  if (buffer.readUInt16BE(start + 5) !== 1 || length < 7 + name.length + 1) return false;
  return buffer[start + 7 + name.length] === 0 && buffer.compare(name, 0, name.length, start + 7, start + 7 + name.length) === 0;
}

/** Tag of the CommandComplete at `start`. */
export function readTag(buffer: Buffer, start: number, length: number): string {
  return buffer.toString('latin1', start + 5, start + length - 1);
}
