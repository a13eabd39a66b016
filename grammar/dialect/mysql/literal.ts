/**
 * Constants and parameters in the form that a type has on MySQL. What PostgreSQL reads in more ways than one (dates by DateStyle, words
 * like `infinity`) is refused.
 */
import { quoteMysqlText } from './emission.ts';
import type { Emission, Value } from './emission.ts';
import { commonType, isInteger, isNumber, isText, numeric, text as textType, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { refuse } from './refusal.ts';

const integerRange: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int2: [-32768n, 32767n], int4: [-2147483648n, 2147483647n], int8: [-9223372036854775808n, 9223372036854775807n],
};

export function isInRange(value: bigint, type: PgType): boolean {
  const [low, high] = integerRange[type.name] ?? [];
  return low === undefined || high === undefined || (value >= low && value <= high);
}

/** The value in text that MySQL takes for the type; undefined when it is none, or not one that is read here. */
export function mysqlForm(text: string, type: PgType): string | undefined {
  switch (type.name) {
    case 'int2': case 'int4': case 'int8': {
      const digits = /^\s*([+-]?\d+)\s*$/.exec(text)?.[1];
      return digits !== undefined && isInRange(BigInt(digits.replace('+', '')), type) ? BigInt(digits.replace('+', '')).toString() : undefined;
    }
    case 'numeric': return plainDecimal(text.trim());
    case 'float4': case 'float8': return floatForm(text.trim(), type.name);
    case 'bool': {
      const word = text.trim().toLowerCase();
      if (/^(t|tr|tru|true|y|ye|yes|on|1)$/.test(word)) return '1';
      return /^(f|fa|fal|fals|false|n|no|of|off|0)$/.test(word) ? '0' : undefined;
    }
    case 'text': case 'varchar': case 'json': case 'jsonb': return text.includes('\0') ? undefined : text;
    case 'bpchar': return text.replace(/ +$/, '');
    // A number that is no label would be the place of one.
    case 'other': return type.labels?.includes(text) === true ? text : undefined;
    case 'uuid': return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text) ? text.toLowerCase() : undefined;
    case 'date': return dateForm(text);
    case 'timestamp': return momentForm(text, false);
    case 'timestamptz': return momentForm(text, true);
    case 'bytea': return /^\\x([\da-f]{2})*$/i.test(text) ? text.slice(2) : undefined;
    default: return undefined;
  }
}

/** MySQL has no constants of single precision: the double that is the same number stands for one. */
function floatForm(text: string, type: 'float4' | 'float8'): string | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = type === 'float4' ? Math.fround(Number(text)) : Number(text);
  // Out of range to PostgreSQL, at both ends.
  if (!Number.isFinite(value) || (value === 0 && /[1-9]/.test(text.replace(/e.*$/i, '')))) return undefined;
  return type === 'float4' ? String(value) : text;
}

/** `1.5e3` as `1500`: MySQL takes an exponent for a float. */
export function plainDecimal(text: string): string | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (whole + fraction === '' || Math.abs(Number(exponent)) > 60) return undefined;
  const shift = Number(exponent);
  const digits = whole + fraction;
  const point = whole.length + shift;
  const padded = point < 0 ? '0'.repeat(-point) + digits : digits.padEnd(point, '0');
  const at = Math.max(point, 0);
  const integer = padded.slice(0, at).replace(/^0+(?=\d)/, '') || '0';
  const rest = padded.slice(at);
  return integer.length + rest.length > 65 || rest.length > 30 ? undefined : `${sign === '-' ? '-' : ''}${integer}${rest === '' ? '' : `.${rest}`}`;
}

export function decimalType(plain: string): PgType {
  const [whole = '', fraction = ''] = plain.replace('-', '').split('.');
  return numeric(whole.length + fraction.length, fraction.length);
}

function dateForm(text: string): string | undefined {
  const [, year, month, day] = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*$/.exec(text) ?? [];
  return year === undefined || month === undefined || day === undefined ? undefined : checkedDate(year, month, day);
}

function checkedDate(year: string, month: string, day: string): string | undefined {
  const moment = new Date(0);
  moment.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const isReal = moment.getUTCFullYear() === Number(year) && moment.getUTCMonth() === Number(month) - 1 && moment.getUTCDate() === Number(day);
  return isReal && Number(year) > 0 ? `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}` : undefined;
}

/** Whether a moment says what zone it is of; without that it is of the session's. */
export function namesZone(text: string): boolean {
  return /(Z|UTC|:\d{2}(\.\d+)?\s*[+-]\d{2}(:?\d{2})?)\s*$/i.test(text);
}

const momentPattern = /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?\s*(Z|UTC|[+-]\d{2}(?::?\d{2})?)?\s*$/i;

/** An offset is counted in for timestamptz; for timestamp PostgreSQL overlooks it. */
function momentForm(text: string, hasZone: boolean): string | undefined {
  const [, year, month, day, hour = '0', minute = '00', second = '00', fraction = '', zone = ''] = momentPattern.exec(text) ?? [];
  if (year === undefined || month === undefined || day === undefined || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const day0 = checkedDate(year, month, day);
  if (day0 === undefined) return undefined;
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone) ?? [];
  const moment = new Date(`${day0}T${hour.padStart(2, '0')}:${minute}:${second}Z`);
  if (hasZone && sign !== undefined) moment.setTime(moment.getTime() - (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000);
  const year0 = moment.getUTCFullYear();
  if (year0 < 1 || year0 > 9999) return undefined;
  const rest = fraction === '' ? '' : `.${fraction}`;
  return `${moment.toISOString().slice(0, 19).replace('T', ' ')}${rest}`;
}

/** A constant of a decided type. */
export function literalOf(text: string, type: PgType, place?: unknown): Value {
  const form = mysqlForm(text, type);
  if (form === undefined) refuse(`constant of type ${typeLabel(type)} in this form`, place);
  const base = { type, nullable: false, constant: true };
  if (isInteger(type)) return { ...base, sql: integerSql(BigInt(form)), number: Number(form) };
  switch (type.name) {
    case 'numeric': return numericLiteral(form, type);
    case 'float4': case 'float8': return { ...base, sql: /e/i.test(form) ? form : `${form}e0`, number: Number(form) };
    case 'bool': return { ...base, sql: form === '1' ? 'TRUE' : 'FALSE' };
    case 'date': return { ...base, sql: `DATE'${form}'` };
    case 'timestamp': case 'timestamptz': return { ...base, sql: `TIMESTAMP'${form}'` };
    case 'bytea': return { ...base, sql: form === '' ? "_binary''" : `X'${form}'` };
    default: return { ...base, sql: quoteMysqlText(form) };
  }
}

/** The type's own scale rounds the constant, as a cast does. */
function numericLiteral(form: string, type: PgType): Value {
  const plain = decimalType(form);
  const sql = form.startsWith('-') ? `(${form})` : form;
  if (type.scale === undefined || type.scale === plain.scale) return { sql, type: plain, nullable: false, constant: true, number: Number(form) };
  // What is left of the number is not known here: it may be zero.
  if (type.scale < (plain.scale ?? 0)) return { sql: `ROUND(${sql}, ${type.scale})`, type, nullable: false, constant: true };
  return { sql: `CAST(${sql} AS DECIMAL(65,${type.scale}))`, type, nullable: false, constant: true, number: Number(form) };
}

/** Its smallest is the one number whose digits alone are out of range. */
export function integerSql(value: bigint): string {
  if (value === -9223372036854775808n) return '(-9223372036854775807 - 1)';
  return value < 0n ? `(${value})` : String(value);
}

/** Digits that the emitter lets a numeric parameter have, so that products stay within MySQL's 65. */
export const parameterPrecision = 40;
export const parameterScale = 15;

export function parameterOf(emission: Emission, number: number, wanted: PgType, options: { readonly notNull?: boolean } = {}): Value {
  const decided = emission.parameterType(number, wanted);
  const zoned = decided.name === 'timestamptz' && emission.facts.timeZone !== 'UTC';
  const slotType = decided.name === 'numeric' ? numeric() : decided;
  const place = emission.slot({ kind: 'parameter', number, type: slotType, ...(options.notNull === true ? { notNull: true } : {}), ...(zoned ? { zoned } : {}) });
  const type = decided.name === 'numeric' ? numeric(parameterPrecision) : decided;
  return { sql: parameterSql(place, type), type, nullable: true, constant: true };
}

function parameterSql(place: string, type: PgType): string {
  switch (type.name) {
    case 'int2': case 'int4': case 'int8': return `CAST(${place} AS SIGNED)`;
    case 'numeric': return `CAST(${place} AS DECIMAL(${parameterPrecision},${parameterScale}))`;
    case 'float4': case 'float8': return `(${place} + 0e0)`;
    case 'bool': return `(CAST(${place} AS SIGNED) <> 0)`;
    case 'date': return `CAST(${place} AS DATE)`;
    case 'timestamp': case 'timestamptz': return `CAST(${place} AS DATETIME(6))`;
    case 'text': case 'varchar': case 'bpchar': case 'json': case 'jsonb': return place;
    case 'bytea': return `CAST(${place} AS BINARY)`;
    case 'other': case 'uuid': return type.labels !== undefined || type.name === 'uuid' ? place : refuse(`parameter of type ${typeLabel(type)}`);
    default: return refuse(`parameter of type ${typeLabel(type)}`);
  }
}

/** Gives an undecided constant or parameter its type; other values are left as they are. */
export function decide(emission: Emission, value: Value, type: PgType, place?: unknown): Value {
  // A modifier of the other side, such as its scale, is not the constant's.
  const wanted: PgType = type.name === 'unknown' ? textType : type.name === 'numeric' ? numeric() : type.name === 'bpchar' ? { name: 'bpchar' } : type;
  if (value.literal === null) return { sql: 'NULL', type: wanted, nullable: true, constant: true };
  if (value.literal !== undefined) {
    if (wanted.name === 'timestamptz' && emission.facts.timeZone !== 'UTC' && !namesZone(value.literal)) return refuse(`timestamptz constant without a time zone in time zone ${emission.facts.timeZone}`, place);
    return literalOf(value.literal, wanted, place);
  }
  if (value.parameter !== undefined) return parameterOf(emission, value.parameter, wanted);
  return value;
}

/** Brings a value to a type that PostgreSQL casts it to by itself. */
export function coerce(emission: Emission, value: Value, type: PgType, place?: unknown): Value {
  const decided = decide(emission, value, type, place);
  if (decided.type.name === type.name || type.name === 'unknown') return decided;
  if (commonType(decided.type, type) === undefined) refuse(`${typeLabel(decided.type)} where ${typeLabel(type)} is expected`, place);
  const { shown: _shown, column: _column, ...rest } = decided;
  if (isText(type)) return { ...decided, type };
  if (isNumber(type)) return { ...rest, type: isInteger(decided.type) && type.name === 'numeric' ? numeric(decided.type.name === 'int8' ? 19 : 10, 0) : type, sql: isFloatLike(type) && !isFloatLike(decided.type) ? `(${rest.sql} + 0e0)` : rest.sql };
  if (decided.type.name === 'date') return { ...rest, type, sql: `CAST(${rest.sql} AS DATETIME)` };
  if (emission.facts.timeZone !== 'UTC') refuse(`${typeLabel(decided.type)} as ${typeLabel(type)} in time zone ${emission.facts.timeZone}`, place);
  return { ...rest, type };
}

function isFloatLike(type: PgType): boolean {
  return type.name === 'float4' || type.name === 'float8';
}
