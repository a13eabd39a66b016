/** Values of a MySQL server's text rows as the text that PostgreSQL prints of them. */
import type { MigratedColumn } from '../../../grammar/dialect/migrated-table.ts';
import { parsePgType } from '../../../grammar/dialect/mysql/pg-type.ts';
import type { PgType } from '../../../grammar/dialect/mysql/pg-type.ts';
import { resultText } from '../../../grammar/dialect/mysql/result-text.ts';
import { MigrationError } from '../../../config/migration-error.ts';

/** Null where a policy of the column makes it so. Throws a MigrationError for a value that local cannot hold. */
export type ReadValue = (bytes: Buffer, start: number, end: number) => string | null;

const asText: ReadValue = (bytes, start, end) => bytes.toString('utf8', start, end);
/** May be handed on as it is. */
export const isVerbatim = (reader: ReadValue): boolean => reader === asText;

/** Of a column of a result. Undefined for a type whose values are written otherwise on MySQL: only the column that they come from says how. */
export function readerOf(type: PgType, isKnownType: (spelling: string) => boolean): ReadValue | undefined {
  switch (type.name) {
    case 'int2': case 'int4': case 'int8': case 'text': case 'varchar': case 'json': case 'uuid': case 'unknown': return asText;
    case 'bytea': return (bytes, start, end) => `\\x${bytes.toString('hex', start, end)}`;
    case 'date': case 'timestamp': case 'timestamptz': {
      const convert = resultText(type);
      return (bytes, start, end) => {
        if (isUnreal(bytes, start, end)) throw noCounterpart(bytes.toString('latin1', start, end));
        return convert(bytes.toString('latin1', start, end));
      };
    }
    case 'time': case 'interval': return (bytes, start, end) => withoutZeros(bytes.toString('latin1', start, end));
    case 'jsonb': return (bytes, start, end) => plainNumbers(bytes.toString('utf8', start, end));
    case 'other': return isKnownType(type.spelling ?? '') ? asText : undefined;
    default: {
      const convert = resultText(type);
      return (bytes, start, end) => convert(bytes.toString('utf8', start, end));
    }
  }
}

/** Of a column of the table itself, shown as the server has it. Undefined where it is not known how local writes its values. */
export function columnReader(column: MigratedColumn): ReadValue | undefined {
  const { mysqlType, type, policies } = column;
  if (mysqlType === 'bit' && type.startsWith('bit')) {
    const bits = column.length ?? 1;
    return (bytes, start, end) => BigInt(`0x${bytes.toString('hex', start, end) || '0'}`).toString(2).padStart(bits, '0');
  }
  if (mysqlType === 'set' && type === 'text[]') return (bytes, start, end) => arrayOf(bytes.toString('utf8', start, end));
  if (mysqlType === 'date' || mysqlType === 'datetime' || mysqlType === 'timestamp') return momentTypes[mysqlType].test(type) ? momentReader(column) : undefined;
  const kinds = Object.keys(policies).filter((kind) => changesOnTheWay.has(kind));
  if (kinds.some((kind) => kind !== 'nul_character') || (!column.exact && !isWrittenAlike(column))) return undefined;
  const reader = readerOf(parsePgType(type), (spelling) => mysqlType === 'enum' || spelling === 'inet');
  return reader && kinds.length > 0 ? withoutNul(reader, policies['nul_character']) : reader;
}

const momentTypes = { date: /^date$/, datetime: /^timestamp.*without time zone$|^timestamp(?:\(\d\))?$/, timestamp: /^timestamp.*with time zone$|^timestamptz/ } as const;
/** Losses on the way to local, which a policy may turn into other values. Those of moments are read with them. */
const changesOnTheWay: ReadonlySet<string> = new Set(['time_range', 'unsigned_range', 'boolean_range', 'enum_empty', 'nul_character', 'spelling', 'float_rounding', 'malformed']);

/** Of a column that `type_map` gives another type than the usual one: the text of the one is a text of the other. */
function isWrittenAlike({ mysqlType, type }: MigratedColumn): boolean {
  const isText = /^(?:text|character varying|json|jsonb|uuid)/.test(type);
  if (/int$|^decimal$|^year$/.test(mysqlType)) return /^(?:smallint|integer|bigint|numeric)/.test(type);
  return /char$|text$/.test(mysqlType) && isText;
}

function withoutNul(reader: ReadValue, policy: string | undefined): ReadValue {
  return (bytes, start, end) => {
    const text = reader(bytes, start, end);
    if (text === null || !text.includes('\0')) return text;
    return policy === 'null' ? null : text.replaceAll('\0', '');
  };
}

function momentReader({ type, policies, name }: MigratedColumn): ReadValue {
  const isInstant = type.includes('with time zone');
  const convert = resultText({ name: type === 'date' ? 'date' : isInstant ? 'timestamptz' : 'timestamp' });
  return (bytes, start, end) => {
    if (!isUnreal(bytes, start, end)) return convert(bytes.toString('latin1', start, end));
    const text = bytes.toString('latin1', start, end);
    const policy = policies[text.startsWith('0000-00-00') ? 'zero_date' : 'invalid_date'];
    if (policy === 'null') return null;
    if (policy === 'clamp' && text.startsWith('0000-00-00')) return '-infinity';
    throw noCounterpart(text, name);
  };
}

function noCounterpart(text: string, column?: string): MigrationError {
  return new MigrationError('MIG014', `the value ${text}${column === undefined ? '' : ` of column ${column}`} has no counterpart on local`, { hint: 'Change the value, or say in type_map what becomes of it.' });
}

const ZERO = 0x30;

/** A month or a day 0, or the year 0. */
function isUnreal(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 10) return false;
  const isZero = (at: number): boolean => bytes[start + at] === ZERO;
  return (isZero(5) && isZero(6)) || (isZero(8) && isZero(9)) || (isZero(0) && isZero(1) && isZero(2) && isZero(3));
}

function withoutZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** jsonb has no exponents. */
function plainNumbers(json: string): string {
  if (!/\d[eE]/.test(json)) return json;
  return json.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE][-+]?\d+/g, (token) => (token.startsWith('"') ? token : plainNumber(token)));
}

function plainNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] = /^(-?)(\d+)(?:\.(\d+))?[eE]([-+]?\d+)$/.exec(text) ?? [];
  const point = whole.length + Number(power);
  const digits = `${whole}${fraction}`;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return point >= digits.length ? `${sign}${digits}${'0'.repeat(point - digits.length)}` : `${sign}${digits.slice(0, point)}.${digits.slice(point)}`;
}

function arrayOf(labels: string): string {
  return labels === '' ? '{}' : `{${labels.split(',').map((label) => (/^[\w-]+$/.test(label) && !/^null$/i.test(label) ? label : `"${label.replace(/[\\"]/g, '\\$&')}"`)).join(',')}}`;
}
