/** The type of a table's column; of an enum with the labels that it has. */
import { parsePgType } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import type { ColumnFacts } from './translation.ts';

export function columnType(column: ColumnFacts): PgType {
  const type = parsePgType(column.type);
  return type.name === 'other' && column.mysqlType === 'enum' && column.labels !== undefined ? { ...type, labels: column.labels } : type;
}

/** Constants of it are written as text, and the server's values are equal where PostgreSQL's are. */
export function isWritten(type: PgType, column: ColumnFacts): boolean {
  return type.labels !== undefined || (type.name === 'uuid' && column.mysqlType === 'uuid');
}
