/** Values of COM_STMT_EXECUTE as the translation takes them. */
import { isUtf8 } from 'node:buffer';
import type { MysqlParameter, MysqlParameterKind } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { ColumnType } from '../../wire/mysql/column-definition.ts';
import type { Execute, ParameterType } from '../../wire/mysql/statement-packets.ts';
import { decodeText } from './text-charset.ts';

const kinds: Readonly<Record<number, MysqlParameterKind>> = {
  [ColumnType.float]: 'double', [ColumnType.double]: 'double', [ColumnType.decimal]: 'decimal', [ColumnType.newDecimal]: 'decimal', [ColumnType.date]: 'date', [ColumnType.dateTime]: 'datetime', [ColumnType.timestamp]: 'datetime',
  [ColumnType.time]: 'time', [ColumnType.tinyBlob]: 'bytes', [ColumnType.mediumBlob]: 'bytes', [ColumnType.longBlob]: 'bytes', [ColumnType.blob]: 'bytes', [ColumnType.bit]: 'bytes', [ColumnType.geometry]: 'bytes',
};
const integers: ReadonlySet<number> = new Set([ColumnType.tiny, ColumnType.short, ColumnType.year, ColumnType.long, ColumnType.int24, ColumnType.longLong]);

/** `long`: of values that have come before. */
export function executeParameters({ values }: Execute, types: readonly ParameterType[], long: (index: number) => Buffer | undefined, charset: string): readonly MysqlParameter[] {
  return values.map((value, index) => {
    const { type, isUnsigned } = types[index] ?? { type: ColumnType.null, isUnsigned: false };
    const given = value === undefined ? long(index) ?? null : value;
    const kind = integers.has(type) ? (isUnsigned ? 'unsigned' : 'integer') : kinds[type] ?? 'text';
    if (given === null) return { kind, value: null };
    if (typeof given === 'string') return { kind, value: given };
    if (kind === 'bytes') return { kind, value: given.toString('latin1') };
    // Drivers send bytes as strings, too: those that are no text can be bytes alone.
    const text = charset.startsWith('utf8') && !isUtf8(given) ? undefined : decodeText(given, charset);
    return text === undefined ? { kind: 'bytes', value: given.toString('latin1') } : { kind, value: text };
  });
}
