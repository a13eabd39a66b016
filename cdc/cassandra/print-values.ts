/** Values for people: as CQL writes them where that is short, as a blob else. */
import type { TableRow } from './row-reader.ts';
import type { CassandraTable } from './table.ts';

const LONGEST = 1000;

export function printValue(type: string, bytes: Buffer): string {
  const text = print(type, bytes);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** `k = 1, c = 'a'`. */
export function printKey(table: CassandraTable, { partitionKey, clustering }: Pick<TableRow, 'partitionKey' | 'clustering'>): string {
  const columns = [...table.partitionKey, ...table.clustering];
  return [...partitionKey, ...clustering].map((bytes, index) => `${columns[index]?.name ?? '?'} = ${printValue(columns[index]?.type ?? 'blob', bytes)}`).join(', ');
}

function print(type: string, bytes: Buffer): string {
  const blob = (): string => `0x${bytes.toString('hex')}`;
  switch (type) {
    case 'text': case 'varchar': case 'ascii':
      return `'${bytes.toString('utf8').replaceAll("'", "''")}'`;
    case 'int':
      return bytes.length === 4 ? String(bytes.readInt32BE(0)) : blob();
    case 'smallint':
      return bytes.length === 2 ? String(bytes.readInt16BE(0)) : blob();
    case 'tinyint':
      return bytes.length === 1 ? String(bytes.readInt8(0)) : blob();
    case 'bigint': case 'counter':
      return bytes.length === 8 ? String(bytes.readBigInt64BE(0)) : blob();
    case 'boolean':
      return bytes.length === 1 ? String(bytes[0] !== 0) : blob();
    case 'double':
      return bytes.length === 8 ? String(bytes.readDoubleBE(0)) : blob();
    case 'float':
      return bytes.length === 4 ? String(bytes.readFloatBE(0)) : blob();
    case 'uuid': case 'timeuuid':
      return bytes.length === 16 ? bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : blob();
    case 'timestamp': {
      const milliseconds = bytes.length === 8 ? Number(bytes.readBigInt64BE(0)) : Number.NaN;
      return Math.abs(milliseconds) <= 8.64e15 ? `'${new Date(milliseconds).toISOString()}'` : blob();
    }
    default:
      return blob();
  }
}
