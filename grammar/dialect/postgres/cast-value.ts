/** CAST and CONVERT. https://dev.mysql.com/doc/refman/8.4/en/cast-functions.html */
import { asDate, asDatetime, asDecimal, asDouble, asInteger, asText, asTime, isConstantText, isUnsureQuotient, shownDecimal, withFraction } from './convert-value.ts';
import { readMoment, readNumber } from './moment-text.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { CastType } from './mysql-tree.ts';
import { valueOf } from './mysql-expression.ts';
import type { Value } from './mysql-expression.ts';
import { decimalType, intType, isUtf8, maxBigint, minBigint, typeName, collated } from './mysql-type.ts';
import { dateOfText, decimalOfText, integerOfText } from './read-strings.ts';
import type { TextCollation } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

export function castValue(emission: MysqlEmission, value: Value, to: CastType, place: number): Value {
  // No column any more, whatever it was.
  return { ...cast(emission, value, to, place), origin: undefined };
}

function cast(emission: MysqlEmission, value: Value, to: CastType, place: number): Value {
  switch (to.name) {
    case 'SIGNED': return signed(emission, value, place);
    case 'UNSIGNED': return unsigned(emission, value, place);
    case 'DECIMAL': {
      const source = isReadText(value) ? { sql: decimalOfText(emission, value), type: { kind: 'decimal' as const, precision: 65, scale: 30, inner: undefined }, nullable: value.nullable } : asDecimal(emission, value);
      // MySQL 9 rounds it to the digits that it shows before.
      if (source.type.inner !== undefined && isUnsureQuotient(emission)) return refuse('CAST of a quotient', place);
      const [precision, scale] = [to.length ?? 10, to.scale ?? 0];
      return valueOf(`round(${source.sql}, ${scale})::numeric(${precision},${scale})`, decimalType(precision, scale), [value]);
    }
    case 'CHAR': return characters(emission, value, to, place);
    case 'DATE':
      if (isReadText(value)) return { sql: dateOfText(emission, value), type: { kind: 'date' }, nullable: true };
      return asDate(emission, readable(value, place));
    case 'DATETIME': {
      const source = asDatetime(emission, readable(value, place));
      const fraction = to.length ?? 0;
      const has = source.type.kind === 'datetime' ? source.type.fraction : 6;
      return valueOf(withFraction(emission, source.sql, has, fraction, place), { kind: 'datetime', fraction }, [source]);
    }
    case 'TIME': {
      // MySQL 9 takes it for a date.
      if (value.type.kind === 'parameter') return refuse('CAST of a parameter to TIME', place);
      if (value.type.kind === 'datetime' && (to.length ?? 0) >= value.type.fraction) return valueOf(`(${value.sql})::time::interval`, { kind: 'time', fraction: to.length ?? 0 }, [value]);
      const source = asTime(emission, value);
      return source.type.kind === 'time' && source.type.fraction <= (to.length ?? 0) ? { ...source, type: { kind: 'time', fraction: to.length ?? 0 }, origin: undefined } : refuse('CAST to TIME', place);
    }
    case 'DOUBLE': return { ...asDouble(emission, value), origin: undefined };
    case 'BINARY': return binary(emission, value, to, place);
    default: return refuse(`CAST to ${to.name}`, place);
  }
}

const isReadText = (value: Value): boolean => value.type.kind === 'text' && value.constant === undefined;

/** A constant has to be a whole date. */
function readable(value: Value, place: number): Value {
  if (value.type.kind === 'text' && (value.constant === undefined || readMoment(value.constant) === undefined)) return refuse('string as a date', place);
  return value;
}

function signed(emission: MysqlEmission, value: Value, place: number): Value {
  const { type, sql, nullable } = value;
  const result = intType(minBigint, maxBigint);
  if (isReadText(value)) return { sql: integerOfText(emission, value), type: result, nullable };
  if (type.kind === 'decimal' && type.inner !== undefined) return refuse('CAST of a quotient', place);
  if (type.kind === 'decimal') return type.precision - type.scale > 18 ? refuse('CAST of a long DECIMAL to SIGNED', place) : { sql: `round(${sql})::bigint`, type: result, nullable };
  if (type.kind === 'double' || type.kind === 'float') return refuse(`CAST of ${typeName(type)} to SIGNED`, place);
  const integer = asInteger(emission, value);
  if (integer.type.kind === 'int' && integer.type.max > maxBigint) return refuse('CAST of an unsigned BIGINT to SIGNED', place);
  return { sql: `(${integer.sql})::bigint`, type: integer.type.kind === 'int' ? intType(integer.type.min, integer.type.max) : result, nullable: integer.nullable };
}

function unsigned(emission: MysqlEmission, value: Value, place: number): Value {
  if (value.type.kind === 'decimal') return refuse('CAST of DECIMAL to UNSIGNED', place);
  if (isConstantText(value) && value.constant.trim().startsWith('-') && readNumber(value.constant)?.text !== '0') return refuse('CAST of a negative string to UNSIGNED', place);
  const integer = asInteger(emission, value);
  const { type } = integer;
  if (type.kind !== 'int') return refuse('CAST to UNSIGNED', place);
  if (type.min >= 0n) return { sql: integer.sql, type: intType(type.min, type.max, true), nullable: integer.nullable };
  // A negative number is what its bits are without a sign.
  return { sql: `CASE WHEN ${integer.sql} < 0 THEN (${integer.sql})::numeric + 18446744073709551616 ELSE (${integer.sql})::numeric END`, type: intType(0n, (1n << 64n) - 1n, true), nullable: integer.nullable };
}

function characters(emission: MysqlEmission, value: Value, to: CastType, place: number): Value {
  const written = asText(emission, value.type.kind === 'decimal' ? { ...value, sql: shownDecimal(value), type: decimalType(value.type.precision, value.type.scale) } : value);
  const source = inCollation(written, emission.ownCollation);
  if (source.type.kind !== 'text') return refuse('CAST to CHAR', place);
  // As a number it has digits behind the point on MariaDB.
  const isNoNumber = value.type.kind === 'enum' || value.type.kind === 'set' || emission.facts.mode.server.flavour === 'mariadb';
  const type = { ...source.type, isTrimmed: false, maxLength: undefined, ...(isNoNumber ? { isLabel: true } : {}) };
  if (to.length === undefined) return { sql: source.sql, type, nullable: source.nullable };
  // In a write MySQL fails where it would cut a string off, MariaDB where it would cut some.
  return { sql: emission.isWrite ? `CASE WHEN char_length(${source.sql}) > ${to.length} THEN ('a string longer than CHAR(${to.length}): ' || ${source.sql})::date::text ELSE ${source.sql} END` : `left(${source.sql}, ${to.length})`, type, nullable: source.nullable };
}

/** A string that is no longer in the collation of the column that it comes from. */
export function inCollation(value: Value, collation: TextCollation): Value {
  if (value.type.kind !== 'text') return value;
  return { sql: collated(value.sql, collation), type: { ...value.type, collation, isOwn: collation.local !== undefined, maxLength: undefined }, nullable: value.nullable };
}

function binary(emission: MysqlEmission, value: Value, to: CastType, place: number): Value {
  if (to.length !== undefined) return refuse('CAST to BINARY of a length', place);
  if (value.type.kind === 'bytes') return value;
  const source = asText(emission, value);
  const charset = source.type.kind === 'text' ? source.type.collation?.charset ?? emission.facts.charset : '';
  if (!isUtf8(charset)) return refuse(`BINARY of character set ${charset}`, place);
  return valueOf(`convert_to(${source.sql}, 'UTF8')`, { kind: 'bytes' }, [source]);
}
