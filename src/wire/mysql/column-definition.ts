/** What a result set says of a column: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html */
import { integer, lengthEncodedText, PayloadReader } from './payload.ts';

/** https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html */
export const ColumnType = {
  decimal: 0, tiny: 1, short: 2, long: 3, float: 4, double: 5, null: 6, timestamp: 7, longLong: 8, int24: 9, date: 10, time: 11, dateTime: 12, year: 13, varchar: 15, bit: 16,
  json: 245, newDecimal: 246, enum: 247, set: 248, tinyBlob: 249, mediumBlob: 250, longBlob: 251, blob: 252, varString: 253, string: 254, geometry: 255,
} as const;

export const Collation = { utf8mb4: 45, binary: 63 } as const;

export const ColumnFlag = { notNull: 1, unsigned: 32, binary: 128 } as const;

export interface ColumnDefinition {
  readonly schema?: string;
  readonly table?: string;
  readonly originalTable?: string;
  readonly name: string;
  readonly originalName?: string;
  readonly collation: number;
  /** Largest width, in bytes. */
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly decimals: number;
  /** Of MariaDB, to clients that have asked for it. */
  readonly extension?: ColumnExtension | undefined;
}

/** https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/result-set-packets#column-definition-packet */
export type ColumnExtension = 'json' | 'uuid' | 'inet4' | 'inet6';

const TYPE_NAME = 0;
const FORMAT_NAME = 1;

/** `isExtended`: one more text stands before the fixed part, empty or with a name. */
export function writeColumnDefinition(column: ColumnDefinition, isExtended = false): Buffer {
  const { schema = '', table = '', originalTable = table, name, originalName = name, collation, length, type, flags, decimals } = column;
  return Buffer.concat([
    ...['def', schema, table, originalTable, name, originalName].map((text) => lengthEncodedText(text)), ...(isExtended ? [extensionText(column.extension)] : []),
    Buffer.of(0x0c), integer(collation, 2), integer(length, 4), Buffer.of(type), integer(flags, 2), Buffer.of(decimals, 0, 0),
  ]);
}

/** JSON is a format of a text, the others are types. */
function extensionText(extension: ColumnExtension | undefined): Buffer {
  if (extension === undefined) return Buffer.of(0);
  return Buffer.concat([Buffer.of(extension.length + 2, extension === 'json' ? FORMAT_NAME : TYPE_NAME), lengthEncodedText(extension)]);
}

/** `isExtended`: of a server with extended metadata. Throws a `ProtocolFault`. */
export function readColumnDefinition(payload: Buffer, isExtended = false): Required<Omit<ColumnDefinition, 'extension'>> {
  const reader = new PayloadReader(payload);
  const text = (): string => reader.text()?.toString('utf8') ?? '';
  text();
  const [schema, table, originalTable, name, originalName] = [text(), text(), text(), text(), text()];
  if (isExtended) text();
  reader.lengthEncoded();
  return { schema, table, originalTable, name, originalName, collation: reader.integer(2), length: reader.integer(4), type: reader.integer(1), flags: reader.integer(2), decimals: reader.integer(1) };
}
