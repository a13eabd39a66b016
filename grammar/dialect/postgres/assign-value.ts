/** A value on its way into a column: as strict mode does it, an error in place of a guess. https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html#sql-mode-strict */
import { quoteLiteral } from '../../names.ts';
import { asBytes, findLabel, isExactLabel } from './compare-values.ts';
import { charsetFits, charsetHolds } from './charset-fits.ts';
import { asDate, asDatetime, asDecimal, asDouble, asInteger, asText, asTime, bigintSql, integerConstant, isConstantText, withFraction, zeroMoment, isUnsureQuotient } from './convert-value.ts';
import { firstOf, instantOf } from './local-time.ts';
import { readMoment, readWhole } from './moment-text.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { MysqlColumnFacts, MysqlTableFacts, PgForm } from './mysql-translation.ts';
import { columnType, fitsBigint, mayBeZero, typeName } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

export interface Target {
  readonly table: MysqlTableFacts;
  readonly column: MysqlColumnFacts;
}

/** PostgreSQL's text of a value for the column. */
export function assignValue(emission: MysqlEmission, target: Target, value: Value, place: number | undefined): string {
  const { column } = target;
  if (column.generated) return refuse(`generated column ${column.mysqlName}`, place);
  if (value.type.kind === 'null') return 'NULL';
  const type = columnType(column);
  const take = (form: PgForm, pgType: string): string => emission.parameter(value.type.kind === 'parameter' ? value.type.number : 0, form, pgType, !column.nullable);
  const isParameter = value.type.kind === 'parameter';
  if (type.kind === 'date' || type.kind === 'datetime' || type.kind === 'timestamp') {
    if (type.zero === true && zeroMoment(emission, value) !== undefined) return "'-infinity'";
    if (mayBeZero(value.type) && type.zero !== true) return refuse('zero date', place);
  }
  const zero = mayBeZero(type) && !emission.facts.mode.sqlMode.has('NO_ZERO_DATE') ? { zero: true } : {};
  switch (type.kind) {
    case 'int': return isParameter ? take({ kind: 'integer', min: `${type.min}`, max: `${type.max}` }, fitsBigint(type) ? 'bigint' : 'numeric') : wholeNumber(emission, value, place, type.unsigned);
    case 'bool': return isParameter ? take({ kind: 'boolean' }, 'boolean') : flag(emission, value);
    case 'decimal':
      if (isParameter) return take({ kind: 'decimal' }, 'numeric');
      return value.type.kind === 'double' || value.type.kind === 'float' ? refuse('DOUBLE as a DECIMAL', place) : notNegative(settled(emission, asDecimal(emission, value), type.scale, place), value, type.unsigned === true && !isUnsureQuotient(emission));
    case 'double': case 'float':
      // Each kind of string has an error of its own there.
      if (value.type.kind === 'text' && value.constant === undefined) return refuse('string as a number', place);
      // MySQL 5.6 has no number with blanks behind it.
      if (isConstantText(value) && /\s$/.test(value.constant) && emission.facts.mode.server.version < 50700) return refuse('string as a number', place);
      return isParameter ? take({ kind: 'double' }, 'float8') : asDouble(emission, value).sql;
    case 'text': return text(emission, target, value, place);
    case 'bytes': return bytes(emission, column, value, place);
    case 'date':
      if (isParameter) return take({ kind: 'date', ...zero }, 'date');
      return (value.type.kind === 'datetime' || value.type.kind === 'timestamp') && value.type.fraction > 0 ? refuse('fraction of a second in a DATE', place) : asDate(emission, value).sql;
    case 'datetime': return isParameter ? withFraction(emission, take({ kind: 'datetime', fraction: type.fraction, assigned: true, ...zero }, 'timestamp'), 6, type.fraction, place) : rounded(emission, asDatetime(emission, value), type.fraction, place);
    case 'timestamp': return instant(emission, value, type.fraction, (form, pgType) => take({ ...form, ...zero } as PgForm, pgType), place);
    case 'time': return isParameter ? take({ kind: 'time', fraction: type.fraction }, 'interval') : value.type.kind === 'datetime' ? refuse('date and time as a TIME', place) : duration(emission, value, type.fraction, place);
    case 'year':
      // '0' is the year 2000, and 0 is none.
      if (isConstantText(value) && !/^\d{4}$/.test(value.constant)) return refuse('string without four digits as a YEAR', place);
      return isParameter ? take({ kind: 'year' }, 'smallint') : wholeNumber(emission, value, place);
    case 'enum': return isParameter ? take({ kind: 'enum', labels: type.labels, assigned: true, ...(isExactLabel(type.collation) ? { exact: true } : {}) }, type.local) : label(value, type, place);
    case 'set': return isParameter ? take({ kind: 'set', labels: type.labels, ...(isExactLabel(type.collation) ? { exact: true } : {}) }, 'text[]') : members(value, type, place);
    case 'bit': return isParameter ? take({ kind: 'bit', bits: type.bits }, column.localType) : bits(value, type.bits, column.localType, place);
    case 'json': return isParameter ? take({ kind: 'json' }, column.localType) : json(value, column.localType, place);
    default: return other(column, value, take, place);
  }
}

/** Digits of a quotient that are not known to be the server's. */
function settled(emission: MysqlEmission, value: Value, scale: number, place: number | undefined): string {
  return value.type.kind === 'decimal' && value.type.inner !== undefined && value.type.scale !== scale && isUnsureQuotient(emission) ? refuse('quotient in a DECIMAL with other digits', place) : value.sql;
}

function duration(emission: MysqlEmission, value: Value, fraction: number, place: number | undefined): string {
  const time = asTime(emission, value);
  return time.type.kind === 'time' && time.type.fraction > fraction ? refuse('TIME with more digits than the column', place) : time.sql;
}

/** Less than zero is out of the range also where it would be rounded to zero. */
function notNegative(sql: string, { type, constant }: Value, isUnsigned: boolean): string {
  const isNeeded = isUnsigned && type.kind === 'decimal' && type.unsigned !== true && (constant === undefined || constant.startsWith('-'));
  return isNeeded ? `(CASE WHEN ${sql} < 0 THEN floor(${sql}) ELSE ${sql} END)` : sql;
}

function wholeNumber(emission: MysqlEmission, value: Value, place: number | undefined, isUnsigned = false): string {
  const { type } = value;
  if (type.kind === 'decimal') return notNegative(value.sql, value, isUnsigned);
  if (type.kind === 'double' || type.kind === 'float') return refuse('DOUBLE as an integer', place);
  const written = isConstantText(value) ? readWhole(value.constant) : undefined;
  if (written !== undefined) return integerConstant(written, place).sql;
  return asInteger(emission, value).sql;
}

/** TINYINT(1) on local is a boolean: another number than 0 and 1 is an error there. */
function flag(emission: MysqlEmission, value: Value): string {
  if (value.type.kind === 'bool') return value.sql;
  const integer = asInteger(emission, value);
  if (integer.constant === '0' || integer.constant === '1') return integer.constant === '1' ? 'true' : 'false';
  return integer.constant === undefined ? `${bigintSql(integer)}::text::boolean` : refuse('another number than 0 and 1 in a TINYINT(1)', value.place);
}

function isUnique({ table, column }: Target): boolean {
  return table.uniqueKeys.some((key) => key.includes(column.mysqlName));
}

function text(emission: MysqlEmission, target: Target, value: Value, place: number | undefined): string {
  const { column } = target;
  const charset = column.charset ?? 'utf8mb4';
  const isChar = column.type.name === 'char';
  // A unique key of the source takes 'a' and 'a ' for one, local's for two.
  const unpadded = column.padsBlanks && !isChar && isUnique(target);
  if (value.type.kind === 'parameter') return emission.parameter(value.type.number, { kind: 'text', maxLength: column.type.length, charset, ...(isChar ? { trimmed: true } : {}), ...(unpadded ? { unpadded } : {}) }, 'text', !column.nullable);
  const source = asText(emission, value);
  if (source.type.kind !== 'text') return refuse('string', place);
  if (source.constant !== undefined) {
    if (!charsetFits(charset, source.constant)) return refuse(`character that ${charset} lacks`, place);
    if (unpadded && source.constant.endsWith(' ')) return refuse('blanks at the end of a unique key', place);
    return isChar ? quoteLiteral(source.constant.replace(/ +$/, '')) : source.sql;
  }
  const from = source.type.collation?.charset ?? (source.type.isTrimmed ? 'ascii' : 'utf8mb4');
  if (!charsetHolds(charset, from)) return refuse(`string of character set ${from} in a column of ${charset}`, place);
  if (unpadded && !source.type.isTrimmed) return refuse('string that may end in blanks in a unique key', place);
  return isChar ? `rtrim(${source.sql}, ' ')` : source.sql;
}

function bytes(emission: MysqlEmission, column: MysqlColumnFacts, value: Value, place: number | undefined): string {
  const fixed = column.type.name === 'binary' ? column.type.length ?? 1 : undefined;
  if (value.type.kind === 'parameter') return emission.parameter(value.type.number, { kind: 'bytes', maxLength: column.type.length, ...(fixed === undefined ? {} : { fixed }) }, 'bytea', !column.nullable);
  const { sql } = asBytes(emission, value, place);
  if (fixed === undefined) return sql;
  const digits = /^'\\x([0-9a-f]*)'::bytea$/i.exec(sql)?.[1];
  return digits === undefined ? (value.origin?.column.type.length === fixed ? sql : refuse('bytes in a BINARY', place)) : `'\\x${digits.padEnd(fixed * 2, '0')}'::bytea`;
}

function rounded(emission: MysqlEmission, value: Value, fraction: number, place: number | undefined): string {
  return withFraction(emission, value.sql, value.type.kind === 'datetime' ? value.type.fraction : 6, fraction, place);
}

const firstYear = 1970;
const lastYear = 2037;

function instant(emission: MysqlEmission, value: Value, fraction: number, take: (form: PgForm, pgType: string) => string, place: number | undefined): string {
  if (value.type.kind === 'timestamp') {
    const kept = value.type.fraction <= fraction ? value.sql : inRange(`(${withFraction(emission, `(${value.sql} AT TIME ZONE 'UTC')`, value.type.fraction, fraction, place)} AT TIME ZONE 'UTC')`);
    return emission.losesInstants ? firstOf(emission, kept) : kept;
  }
  const slot = emission.slotOf(value.sql);
  // MariaDB's NOW() is an instant in a TIMESTAMP.
  if (slot?.kind === 'now' && slot.zone === 'session' && slot.as === 'datetime' && emission.facts.mode.server.flavour === 'mariadb' && (slot.fraction <= fraction || !emission.facts.mode.sqlMode.has('TIME_ROUND_FRACTIONAL'))) return `(${emission.slot({ ...slot, zone: 'utc', fraction: Math.min(slot.fraction, fraction) })}::timestamp AT TIME ZONE 'UTC')`;
  if (value.type.kind === 'parameter') return instantOf(emission, withFraction(emission, take({ kind: 'datetime', fraction, assigned: true, timestamp: true }, 'timestamp'), 6, fraction, place));
  if (isConstantText(value)) {
    const year = readMoment(value.constant)?.year ?? refuse('string as a date', place);
    if (year <= firstYear || year > lastYear) return refuse('TIMESTAMP at the end of its range', place);
  }
  const moment = instantOf(emission, rounded(emission, asDatetime(emission, value), fraction, place));
  return isConstantText(value) ? moment : inRange(moment);
}

/** A TIMESTAMP has a range of its own. */
function inRange(moment: string): string {
  return `(CASE WHEN ${moment} >= '1970-01-01 00:00:01+00' AND ${moment} < '2038-01-19 03:14:08+00' THEN ${moment} WHEN ${moment} IS NOT NULL THEN ('a TIMESTAMP out of its range: ' || ${moment})::timestamptz END)`;
}

function label(value: Value, type: Extract<MysqlType, { kind: 'enum' }>, place: number | undefined): string {
  if (value.type.kind === 'enum') return `(${value.sql})::text::${type.local}`;
  const found = isConstantText(value) ? findLabel(type.labels, value.constant, isExactLabel(type.collation)) : value.type.kind === 'int' && value.constant !== undefined ? type.labels[Number(value.constant) - 1] : undefined;
  return found === undefined ? refuse(`${typeName(value.type)} in an ENUM`, place) : `${quoteLiteral(found)}::${type.local}`;
}

function members(value: Value, { labels, collation }: Extract<MysqlType, { kind: 'set' }>, place: number | undefined): string {
  if (value.type.kind === 'set') return value.sql;
  if (!isConstantText(value)) return refuse(`${typeName(value.type)} in a SET`, place);
  const named = value.constant === '' ? [] : value.constant.split(',').map((word) => findLabel(labels, word, isExactLabel(collation)) ?? refuse('SET without this member', place));
  return `ARRAY[${labels.filter((each) => named.includes(each)).map((each) => quoteLiteral(each)).join(', ')}]::text[]`;
}

function bits(value: Value, count: number, localType: string, place: number | undefined): string {
  if (value.type.kind === 'bit' && value.type.bits === count) return value.sql;
  if (value.type.kind !== 'int' || value.constant === undefined) return refuse(`${typeName(value.type)} in a BIT`, place);
  const digits = BigInt(value.constant) < 0n ? '' : BigInt(value.constant).toString(2);
  if (digits === '' || digits.length > count) return refuse('number that BIT cannot hold', place);
  return localType === 'boolean' ? (digits === '1' ? 'true' : 'false') : `B'${digits.padStart(count, '0')}'`;
}

/** Numbers with an exponent are spelled otherwise by both. */
export function isPlainJson(text: string): boolean {
  try {
    JSON.parse(text);
  } catch {
    return false;
  }
  return !/\d[eE][+-]?\d/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, '""')) && !text.includes('\\u0000');
}

function json(value: Value, localType: string, place: number | undefined): string {
  if (value.type.kind === 'json' && value.type.binary === (localType === 'jsonb')) return value.sql;
  if (!isConstantText(value) || !isPlainJson(value.constant)) return refuse(`${typeName(value.type)} as JSON`, place);
  return `${quoteLiteral(value.constant)}::${localType}`;
}

function other(column: MysqlColumnFacts, value: Value, take: (form: PgForm, pgType: string) => string, place: number | undefined): string {
  const kind = column.localType === 'uuid' ? 'uuid' : column.localType === 'inet' ? 'inet' : undefined;
  if (kind === undefined) return refuse(`write of a column of type ${column.type.name.toUpperCase()}`, place);
  if (value.type.kind === 'parameter') return take({ kind }, kind);
  return isConstantText(value) ? `${quoteLiteral(value.constant)}::${kind}` : value.origin?.column.localType === kind ? value.sql : refuse(`${typeName(value.type)} as ${kind}`, place);
}
