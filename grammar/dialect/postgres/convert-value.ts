/** A value as another type: what MySQL does by itself where types meet. What it would guess is refused. */
import { quoteLiteral } from '../../names.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { isZeroMoment, readMoment, readNumber, readTime } from './moment-text.ts';
import { boolType, decimalType, doubleType, fitsBigint, intType, maxBigint, mayBeZero, maxUnsigned, minBigint, typeName, collated } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';
import { doubleOfText } from './read-strings.ts';
import { refuse } from './refused-mysql.ts';

export function isConstantText(value: Value): value is Value & { readonly constant: string } {
  return value.type.kind === 'text' && value.constant !== undefined;
}

export function numberConstant(text: string, scale: number, place: number | undefined): Value {
  if (scale === 0) return integerConstant(BigInt(text), place);
  return { sql: text.startsWith('-') ? `(${text})` : text, type: decimalType(text.replace(/\D/g, '').length, scale), nullable: false, constant: text, place };
}

export function integerConstant(number: bigint, place?: number): Value {
  if (number > maxUnsigned || number < minBigint) {
    const digits = `${number}`.replace('-', '').length;
    if (digits > 65) return refuse('number of more than 65 digits', place);
    return { sql: `'${number}'::numeric`, type: decimalType(digits, 0), nullable: false, constant: `${number}`, place };
  }
  const sql = number > maxBigint ? `'${number}'::numeric` : number > 2147483647n || number < -2147483648n ? `'${number}'::bigint` : number < 0n ? `(${number})` : `${number}`;
  return { sql, type: intType(number, number, number > maxBigint), nullable: false, constant: `${number}`, place };
}

export const nullValue: Value = { sql: 'NULL', type: { kind: 'null' }, nullable: true };

/** `bigint`, or `numeric` for what exceeds it. */
export function asInteger(emission: MysqlEmission, value: Value): Value {
  switch (value.type.kind) {
    case 'int': return value;
    case 'bool': return { sql: `(${value.sql})::int`, type: intType(0n, 1n), nullable: value.nullable };
    case 'year': return { sql: value.sql, type: intType(0n, 2155n, true), nullable: value.nullable };
    case 'null': return { sql: 'NULL::bigint', type: intType(0n, 0n), nullable: true };
    case 'parameter': return { sql: emission.parameter(value.type.number, { kind: 'integer', min: `${minBigint}`, max: `${maxBigint}` }, 'bigint'), type: intType(minBigint, maxBigint), nullable: true };
    case 'text': {
      const number = isConstantText(value) ? readNumber(value.constant) : undefined;
      return number?.isWhole === true ? integerConstant(BigInt(number.text), value.place) : refuse('string as a number', value.place);
    }
    default: return refuse(`${typeName(value.type)} as an integer`, value.place);
  }
}

/** `numeric` as MySQL's DECIMAL. */
export function asDecimal(emission: MysqlEmission, value: Value): Value & { readonly type: Extract<MysqlType, { kind: 'decimal' }> } {
  const { type, nullable } = value;
  if (type.kind === 'decimal') return { ...value, type };
  if (type.kind === 'parameter') return { sql: emission.parameter(type.number, { kind: 'decimal' }, 'numeric'), type: { kind: 'decimal', precision: 65, scale: 30 }, nullable: true };
  if (isConstantText(value)) {
    const number = readNumber(value.constant) ?? refuse('string as a number', value.place);
    return { sql: `${number.text.startsWith('-') ? `(${number.text})` : number.text}::numeric`, type: { kind: 'decimal', precision: 15, scale: number.scale }, nullable: false, constant: number.text };
  }
  const integer = asInteger(emission, value);
  const digits = integer.type.kind === 'int' ? Math.max(`${integer.type.max}`.length, `${integer.type.min}`.replace('-', '').length) : 20;
  return { sql: `(${integer.sql})::numeric`, type: { kind: 'decimal', precision: digits, scale: 0 }, nullable };
}

export function asDouble(emission: MysqlEmission, value: Value): Value {
  if (value.type.kind === 'double') return value;
  if (value.type.kind === 'parameter') return { sql: emission.parameter(value.type.number, { kind: 'double' }, 'float8'), type: doubleType, nullable: true };
  if (value.type.kind === 'decimal' && value.type.inner !== undefined && isUnsureQuotient(emission)) return refuse('quotient as a DOUBLE', value.place);
  if (value.type.kind === 'float') return { ...value, sql: `(${value.sql})::float8`, type: doubleType, constant: undefined, origin: undefined };
  if (value.type.kind === 'text' && value.constant === undefined) return { sql: doubleOfText(emission, value), type: value.type.decimals === undefined ? doubleType : { kind: 'double', decimals: value.type.decimals }, nullable: value.nullable };
  const decimal = asDecimal(emission, value);
  return { sql: `(${decimal.sql})::float8`, type: doubleType, nullable: value.nullable };
}

/** MySQL 5.6 goes on with all digits of a quotient, MySQL 9 with those that it shows; those in between are not known. */
export function isUnsureQuotient({ facts: { mode: { server: { flavour, version } } } }: MysqlEmission): boolean {
  return flavour === 'mysql' && version >= 50700;
}

/** Any of the number types; strings and parameters as a decimal. */
export function asNumber(emission: MysqlEmission, value: Value): Value {
  switch (value.type.kind) {
    case 'int': return value.type.isBound === true ? refuse('calculation with a choice among parameters that are no integers', value.place) : value;
    case 'decimal': case 'double': return value;
    case 'float': return asDouble(emission, value);
    case 'bool': case 'year': return asInteger(emission, value);
    case 'null': return refuse('NULL as a number', value.place);
    case 'text': return asDouble(emission, value);
    case 'parameter': return numberParameter(emission, value.type.number, value.place);
    default: return refuse(`${typeName(value.type)} as a number`, value.place);
  }
}

/** What the client said of it decides between whole and other numbers. */
function numberParameter(emission: MysqlEmission, number: number, place: number | undefined): Value {
  const { flavour, version } = emission.facts.mode.server;
  // From MySQL 8 on it is a DECIMAL in some places and a DOUBLE in others.
  if (flavour === 'mysql' && version >= 80000) return refuse('parameter whose type its place does not tell', place);
  const value: Value = { sql: '', type: { kind: 'parameter', number }, nullable: true, place };
  switch (emission.facts.parameters?.[number - 1]) {
    case 'integer': return asInteger(emission, value);
    case 'double': return asDouble(emission, value);
    // Of a DECIMAL its value alone tells how many digits are shown.
    default: return refuse('parameter whose type its place does not tell', place);
  }
}

const fractionFormat = ['', '', 'FF2', 'FF3', 'FF4', 'FF5', 'FF6'];

export function asText(emission: MysqlEmission, value: Value): Value {
  const plain = (sql: string): Value => ({ sql, type: { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false }, nullable: value.nullable });
  const { type, sql } = value;
  switch (type.kind) {
    case 'text': return value;
    case 'null': return plain('NULL::text');
    case 'parameter': return { ...plain(emission.parameter(type.number, { kind: 'text', ...(isOldServer(emission) ? { neverNumber: true } : {}) }, 'text')), type: { kind: 'text', collation: undefined, isTrimmed: false, isOwn: false }, nullable: true };
    case 'int': return plain(`(${sql})::text`);
    case 'bool': return plain(`(${sql})::int::text`);
    case 'decimal':
      // In a write the server keeps digits of it that it does not show elsewhere.
      if (type.inner !== undefined && emission.isWrite) return refuse('quotient as a string', value.place);
      return plain(`(${shownDecimal(value)})::text`);
    case 'date': return plain(shownZero(value, `(${sql})::text`, '0000-00-00'));
    case 'datetime': case 'timestamp': {
      if (type.kind === 'datetime' && type.isBound === true) return refuse('date and time of a parameter as a string', value.place);
      const moment = asDatetime(emission, value);
      const fraction = type.fraction === 0 ? '' : `.${type.fraction === 1 ? 'FF1' : fractionFormat[type.fraction] ?? ''}`;
      return plain(shownZero(value, `to_char(${moment.sql}, 'YYYY-MM-DD HH24:MI:SS${fraction}')`, `0000-00-00 00:00:00${type.fraction === 0 ? '' : `.${'0'.repeat(type.fraction)}`}`));
    }
    case 'enum': case 'set': {
      const collation = emission.labelCollation(type.collation);
      return { ...plain(collated(type.kind === 'enum' ? `(${sql})::text` : `array_to_string(${sql}, ',')`, collation)), type: { kind: 'text', collation, isTrimmed: false, isOwn: collation?.local !== undefined } };
    }
    default: return refuse(`${typeName(type)} as a string`, value.place);
  }
}

/** An ENUM or a SET that comes of something else than its column is a string: it has no number to be ordered by. */
export function withoutLabels(emission: MysqlEmission, value: Value): Value {
  if (value.type.kind !== 'enum' && value.type.kind !== 'set') return value;
  const text = asText(emission, value);
  return { ...text, type: text.type.kind === 'text' ? { ...text.type, isLabel: true } : text.type, origin: undefined };
}

/** A number that is bound is a string of Latin-1 there, and so is what is made of it. */
function isOldServer({ facts: { mode: { server: { flavour, version } } } }: MysqlEmission): boolean {
  return flavour === 'mysql' && version < 50700;
}

function shownZero({ type, sql }: Value, text: string, zero: string): string {
  return mayBeZero(type) ? `CASE WHEN ${sql} = '-infinity' THEN '${zero}' ELSE ${text} END` : text;
}

/** A quotient with the digits that it is shown with. MySQL shows what IF and CASE choose with its own digits or with those of all, as it happens to keep it. */
export function shownDecimal(value: Value): string {
  if (value.type.kind === 'decimal' && value.type.varies === true) return refuse('IF or CASE of numbers with different digits', value.place);
  return value.type.kind === 'decimal' && value.type.inner !== undefined ? `round(${value.sql}, ${value.type.scale})` : value.sql;
}

/** `timestamp` in the session's zone. */
export function asDatetime(emission: MysqlEmission, value: Value): Value {
  const { type, sql, nullable } = value;
  switch (type.kind) {
    case 'datetime': return value;
    case 'date': return { sql: `(${sql})::timestamp`, type: { kind: 'datetime', fraction: 0, zero: type.zero }, nullable };
    case 'timestamp': return { sql: `(${sql} AT TIME ZONE ${emission.zone})`, type: { kind: 'datetime', fraction: type.fraction, zero: type.zero }, nullable };
    case 'parameter': return { sql: emission.parameter(type.number, { kind: 'datetime', fraction: 6 }, 'timestamp'), type: { kind: 'datetime', fraction: 6 }, nullable: true };
    case 'null': return { sql: 'NULL::timestamp', type: { kind: 'datetime', fraction: 0 }, nullable: true };
    case 'text': {
      const moment = isConstantText(value) ? readMoment(value.constant) : undefined;
      return moment === undefined ? refuse('string as a date', value.place) : { sql: `'${moment.text}'::timestamp`, type: { kind: 'datetime', fraction: moment.fraction }, nullable: false, constant: moment.text };
    }
    default: return refuse(`${typeName(type)} as a date and time`, value.place);
  }
}

/** The zero date as a constant beside a moment, where the session's mode lets it stand. */
export function zeroMoment(emission: MysqlEmission, value: Value): Value | undefined {
  if (!isConstantText(value) || !isZeroMoment(value.constant) || emission.facts.mode.sqlMode.has('NO_ZERO_DATE')) return undefined;
  return { sql: "'-infinity'::timestamp", type: { kind: 'datetime', fraction: 0, zero: true }, nullable: false, constant: '-infinity' };
}

/** A date or a moment; a constant string is what it looks like. */
export function asMoment(emission: MysqlEmission, value: Value): Value {
  if (value.type.kind === 'date' || value.type.kind === 'datetime') return value;
  if (isConstantText(value)) {
    const moment = readMoment(value.constant);
    if (moment?.hasTime === false) return { sql: `'${moment.text}'::date`, type: { kind: 'date' }, nullable: false, constant: moment.text };
  }
  return asDatetime(emission, value);
}

export function asDate(emission: MysqlEmission, value: Value): Value {
  const moment = asMoment(emission, value);
  return moment.type.kind === 'date' ? moment : { sql: `(${moment.sql})::date`, type: { kind: 'date', zero: mayBeZero(moment.type) }, nullable: moment.nullable };
}

export function asTime(emission: MysqlEmission, value: Value): Value {
  const { type } = value;
  if (type.kind === 'time') return value;
  if (type.kind === 'parameter') return { sql: emission.parameter(type.number, { kind: 'time', fraction: 6 }, 'interval'), type: { kind: 'time', fraction: 6 }, nullable: true };
  const time = isConstantText(value) ? readTime(value.constant) : undefined;
  return time === undefined ? refuse(`${typeName(type)} as a time`, value.place) : { sql: `'${time.text}'::interval`, type: { kind: 'time', fraction: time.fraction }, nullable: false };
}

/** PostgreSQL's boolean of a condition: numbers are true when they are not 0. */
export function asCondition(emission: MysqlEmission, value: Value): string {
  switch (value.type.kind) {
    case 'bool': return value.sql;
    case 'null': return 'NULL::boolean';
    case 'int': case 'year': return value.constant === undefined ? `(${value.sql} <> 0)` : value.constant === '0' ? 'false' : 'true';
    case 'decimal': case 'double': case 'float':
      if (value.type.kind === 'decimal' && value.type.inner !== undefined) return refuse('quotient as a condition', value.place);
      // Before MySQL 5.7 0.5 is false.
      return emission.facts.mode.server.version < 50700 ? refuse(`${typeName(value.type)} as a condition`, value.place) : `(${value.sql} <> 0)`;
    case 'parameter': return `(${asInteger(emission, value).sql} <> 0)`;
    default: return refuse(`${typeName(value.type)} as a condition`, value.place);
  }
}

export function condition(sql: string, nullable: boolean): Value {
  return { sql: `(${sql})`, type: boolType, nullable };
}

/** `bigint` where a function or an operator needs it. */
export function bigintSql(value: Value): string {
  if (value.type.kind !== 'int' || !fitsBigint(value.type)) return refuse('integer above 9223372036854775807', value.place);
  return `(${value.sql})::bigint`;
}

/** Strings that stand on PostgreSQL for themselves, whatever its collation rules make of the parts. */
export function textLiteral(text: string, place: number | undefined): Value {
  if (text.includes('\0')) return refuse('string with the character NUL', place);
  return { sql: `${quoteLiteral(text)}::text`, type: { kind: 'text', collation: undefined, isTrimmed: !text.endsWith(' '), isOwn: false }, nullable: false, constant: text, place };
}

const truncations: Readonly<Record<number, string>> = { 0: 'second', 3: 'milliseconds' };

/** A `timestamp` with fewer digits of the second: MySQL rounds, MariaDB cuts off, unless the mode says the other. What is rounded to the year 10000 is NULL, or an error in a write. */
export function withFraction(emission: MysqlEmission, sql: string, has: number, fraction: number, place: number | undefined): string {
  if (has <= fraction) return sql;
  const { sqlMode, server } = emission.facts.mode;
  if (server.flavour === 'mariadb' ? sqlMode.has('TIME_ROUND_FRACTIONAL') : !sqlMode.has('TIME_TRUNCATE_FRACTIONAL')) {
    // Before the year 2000 PostgreSQL rounds halves down: the same day and time 8000 years later is behind it.
    const rounded = `((${sql} + interval '8000 years')::timestamp(${fraction}) - interval '8000 years')`;
    return `(CASE WHEN ${rounded} < '10000-01-01' THEN ${rounded}${emission.isWrite ? ` WHEN ${rounded} >= '10000-01-01' THEN ('a date and time after the year 9999: ' || ${rounded})::timestamp` : ''} END)`;
  }
  return `date_trunc('${truncations[fraction] ?? refuse(`fraction of a second cut to ${fraction} digits`, place)}', ${sql})`;
}
