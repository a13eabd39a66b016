/**
 * Dates and timestamps. MySQL's begin with the year 1 and end with 9999, and what is outside becomes NULL or is of a year 0; PostgreSQL's go
 * on, so such a result makes the statement fail. Months are added before days, days before hours, as PostgreSQL does.
 */
import { failIf, quoteMysqlText } from './emission.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { parseInterval } from './interval.ts';
import type { Interval } from './interval.ts';
import { coerce, decide } from './literal.ts';
import { date, float8, int4, isInteger, isMoment, numeric, text as textType, timestamp, timestamptz, typeLabel } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { refuse } from './refusal.ts';
import { listOf, nameParts, nodeOf, stringConstant, treeOf } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function requireUtc(emission: Emission, what: string, place: unknown): void {
  if (emission.facts.timeZone !== 'UTC') refuse(`${what} in time zone ${emission.facts.timeZone}`, place);
}

function notBeyond(sql: string, base: Value, type: 'DATE' | 'DATETIME'): string {
  const isKept = `COALESCE(${sql} >= '0001-01-01', ${base.nullable ? `${base.sql} IS NULL` : 'FALSE'})`;
  const failure = failIf(base.nullable ? `${base.sql} IS NOT NULL` : `NOT ${isKept}`);
  // Without the cast around it MySQL makes a moment, or text, of a date that may be a bare NULL.
  return type === 'DATE' ? `CAST(IF(${isKept}, ${sql}, ${failure}) AS DATE)` : `IF(${isKept}, ${sql}, CAST(${failure} AS DATETIME))`;
}

interface Multiple {
  readonly interval: Interval;
  readonly factor: Value | undefined;
}

/** `interval '…'`, or a whole number of them. */
function intervalOf(emission: Emission, node: unknown, scope: Scope): Multiple | undefined {
  const cast = nodeOf(node, 'TypeCast');
  const type = treeOf(cast?.['typeName']);
  if (cast !== undefined && nameParts(type?.['names'])?.at(-1) === 'interval') {
    if (listOf(type?.['typmods']).length > 0) return refuse('interval of a single field', type?.['location']);
    const text = stringConstant(cast['arg']);
    const interval = text === undefined ? undefined : parseInterval(text);
    return interval === undefined ? refuse(text === undefined ? 'interval that is no constant' : 'interval constant in this form', type?.['location']) : { interval, factor: undefined };
  }
  const product = nodeOf(node, 'A_Expr');
  if (product?.['kind'] !== 'AEXPR_OP' || nameParts(product['name'])?.join('.') !== '*') return undefined;
  const [left, right] = [intervalOf(emission, product['lexpr'], scope), intervalOf(emission, product['rexpr'], scope)];
  const found = left ?? right;
  if (found === undefined || found.factor !== undefined) return undefined;
  const given = emission.expression(left === undefined ? product['lexpr'] : product['rexpr'], scope);
  if (!isInteger(given.type)) return refuse('product of an interval and what is no integer', product['location']);
  return { interval: found.interval, factor: given };
}

/** A moment and an interval; undefined when neither side is an interval. */
export function addInterval(emission: Emission, name: string, node: Tree, scope: Scope): Value | undefined {
  if (name !== '+' && name !== '-') return undefined;
  const right = intervalOf(emission, node['rexpr'], scope);
  const left = right === undefined && name === '+' ? intervalOf(emission, node['lexpr'], scope) : undefined;
  const multiple = right ?? left;
  if (multiple === undefined) return undefined;
  const given = emission.expression(right === undefined ? node['rexpr'] : node['lexpr'], scope);
  if (!isMoment(given.type)) return refuse(`interval added to ${typeLabel(given.type)}`, node['location']);
  const base = given.type.name === 'date' ? coerce(emission, given, timestamp) : given;
  if (base.type.name === 'timestamptz') requireUtc(emission, 'timestamptz and interval', node['location']);
  const { interval, factor } = multiple;
  const word = name === '-' ? 'DATE_SUB' : 'DATE_ADD';
  let sql = base.sql;
  for (const [unit, amount] of [['MONTH', interval.months], ['DAY', interval.days], ['MICROSECOND', interval.microseconds]] as const) {
    if (amount !== 0) sql = `${word}(${sql}, INTERVAL ${factor === undefined ? amount : `(${factor.sql} * ${amount})`} ${unit})`;
  }
  const operand = factor?.nullable === true ? { ...base, nullable: true, sql: `(${base.sql} + ${factor.sql})` } : base;
  return { sql: sql === base.sql ? sql : notBeyond(sql, operand, 'DATETIME'), type: base.type, nullable: base.nullable || factor?.nullable === true };
}

/** `date + 7`, `date - date`; undefined where no date is concerned. */
export function momentOperator(emission: Emission, name: string, left: Value, right: Value, place: unknown): Value | undefined {
  if (!isMoment(left.type) && !isMoment(right.type)) return undefined;
  if (name !== '+' && name !== '-') return undefined;
  if (name === '-' && (left.type.name === 'date' || left.type.name === 'unknown') && (right.type.name === 'date' || right.type.name === 'unknown')) {
    const [one, other] = [coerce(emission, left, date, place), coerce(emission, right, date, place)];
    return { sql: `DATEDIFF(${one.sql}, ${other.sql})`, type: int4, nullable: one.nullable || other.nullable };
  }
  const [day, count] = name === '+' && right.type.name === 'date' ? [right, left] : [left, right];
  if (day.type.name !== 'date' || !isInteger(count.type)) return refuse(`operator ${name} of ${typeLabel(left.type)} and ${typeLabel(right.type)}`, place);
  const sql = `${name === '-' ? 'DATE_SUB' : 'DATE_ADD'}(${day.sql}, INTERVAL ${count.sql} DAY)`;
  const operand = count.nullable ? { ...day, nullable: true, sql: `(${day.sql} + ${count.sql})` } : day;
  return { sql: notBeyond(sql, operand, 'DATE'), type: date, nullable: day.nullable || count.nullable };
}

const firsts: Readonly<Record<string, (x: string) => string>> = {
  year: (x) => `CAST(DATE_FORMAT(${x}, '%Y-01-01') AS DATETIME)`,
  quarter: (x) => `CAST(CONCAT(DATE_FORMAT(${x}, '%Y-'), LPAD(QUARTER(${x}) * 3 - 2, 2, '0'), '-01') AS DATETIME)`,
  month: (x) => `CAST(DATE_FORMAT(${x}, '%Y-%m-01') AS DATETIME)`,
  week: (x) => `CAST(DATE_SUB(DATE(${x}), INTERVAL WEEKDAY(${x}) DAY) AS DATETIME)`,
  day: (x) => `CAST(DATE(${x}) AS DATETIME)`,
  hour: (x) => `CAST(DATE_FORMAT(${x}, '%Y-%m-%d %H:00:00') AS DATETIME)`,
  minute: (x) => `CAST(DATE_FORMAT(${x}, '%Y-%m-%d %H:%i:00') AS DATETIME)`,
  second: (x) => `CAST(DATE_FORMAT(${x}, '%Y-%m-%d %H:%i:%s') AS DATETIME)`,
};

export function truncateMoment(emission: Emission, field: Value, given: Value, place: unknown): Value {
  const first = typeof field.literal === 'string' ? firsts[field.literal.toLowerCase()] : undefined;
  if (first === undefined) return refuse('date_trunc of this field', place);
  if (!isMoment(given.type)) return refuse(`date_trunc of ${typeLabel(given.type)}`, place);
  // PostgreSQL takes a date for a timestamptz here.
  const type = given.type.name === 'timestamp' ? timestamp : timestamptz;
  if (type === timestamptz) requireUtc(emission, 'date_trunc of timestamptz', place);
  return { sql: first(coerce(emission, given, type, place).sql), type, nullable: given.nullable };
}

interface Part {
  readonly sql: (x: string) => string;
  /** Digits after the point. */
  readonly scale: number;
  /** Needs a time of day. */
  readonly ofTime?: boolean;
}

const parts: Readonly<Record<string, Part>> = {
  year: { sql: (x) => `YEAR(${x})`, scale: 0 }, month: { sql: (x) => `MONTH(${x})`, scale: 0 }, day: { sql: (x) => `DAY(${x})`, scale: 0 },
  quarter: { sql: (x) => `QUARTER(${x})`, scale: 0 }, week: { sql: (x) => `WEEK(${x}, 3)`, scale: 0 }, isoyear: { sql: (x) => `(YEARWEEK(${x}, 3) DIV 100)`, scale: 0 },
  dow: { sql: (x) => `(DAYOFWEEK(${x}) - 1)`, scale: 0 }, isodow: { sql: (x) => `(WEEKDAY(${x}) + 1)`, scale: 0 }, doy: { sql: (x) => `DAYOFYEAR(${x})`, scale: 0 },
  hour: { sql: (x) => `HOUR(${x})`, scale: 0, ofTime: true }, minute: { sql: (x) => `MINUTE(${x})`, scale: 0, ofTime: true },
  second: { sql: (x) => `(CAST(SECOND(${x}) * 1000000 + MICROSECOND(${x}) AS DECIMAL(20,0)) * 0.000001)`, scale: 6, ofTime: true },
  epoch: { sql: (x) => `(CAST(TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', ${x}) AS DECIMAL(20,0)) * 0.000001)`, scale: 6 },
};

export function extractPart(emission: Emission, name: 'extract' | 'date_part', field: Value, given: Value, place: unknown): Value {
  const word = typeof field.literal === 'string' ? field.literal.toLowerCase() : '';
  const part = parts[word];
  if (part === undefined) return refuse(`${name} of this field`, place);
  if (!isMoment(given.type)) return refuse(`${name} from ${typeLabel(given.type)}`, place);
  const isDate = given.type.name === 'date';
  if (given.type.name === 'timestamptz' && word !== 'epoch') requireUtc(emission, `${name} from timestamptz`, place);
  if (isDate && part.ofTime === true) return refuse(`${name} of a time of day from a date`, place);
  const sql = isDate && word === 'epoch' ? `(CAST(DATEDIFF(${given.sql}, DATE'1970-01-01') AS DECIMAL(20,0)) * 86400)` : part.sql(given.sql);
  const type: PgType = name === 'date_part' ? float8 : numeric(20, isDate ? 0 : part.scale);
  return { sql: name === 'date_part' ? `(${sql} + 0e0)` : sql, type, nullable: given.nullable };
}

const formats: readonly (readonly [string, string])[] = [
  ['YYYY', '%Y'], ['HH24', '%H'], ['HH12', '%h'], ['DDD', '%j'], ['MM', '%m'], ['DD', '%d'], ['MI', '%i'], ['SS', '%S'], ['US', '%f'], ['HH', '%h'], ['AM', '%p'], ['PM', '%p'], ['Mon', '%b'],
];

/** A small set of to_char's patterns, the same on both sides; letters that are none of them are refused. */
export function formatMoment(emission: Emission, given: Value, format: Value, place: unknown): Value {
  if (!isMoment(given.type)) return refuse(`to_char of ${typeLabel(given.type)}`, place);
  if (given.type.name === 'timestamptz') requireUtc(emission, 'to_char of timestamptz', place);
  if (typeof format.literal !== 'string') return refuse('to_char by a pattern that is no constant', place);
  let rest = format.literal;
  let pattern = '';
  while (rest !== '') {
    // Seconds of the day.
    if (rest.startsWith('SSSS')) return refuse('to_char by this pattern', place);
    const found = formats.find(([word]) => rest.startsWith(word));
    const [taken, put] = found ?? [/^[-/.,:; ]/.exec(rest)?.[0] ?? refuse('to_char by this pattern', place), rest.slice(0, 1)];
    pattern += put;
    rest = rest.slice(taken.length);
  }
  return { sql: `DATE_FORMAT(${given.sql}, ${quoteMysqlText(pattern)})`, type: textType, nullable: given.nullable };
}

/** `timezone('UTC', value)`: AT TIME ZONE. */
export function atTimeZone(emission: Emission, zone: Value, given: Value, place: unknown): Value {
  if (typeof zone.literal !== 'string' || zone.literal.toUpperCase() !== 'UTC') return refuse('AT TIME ZONE other than UTC', place);
  const value = decide(emission, given, timestamptz, place);
  if (value.type.name === 'timestamptz') return { ...value, type: timestamp };
  return value.type.name === 'timestamp' ? { ...value, type: timestamptz } : refuse(`AT TIME ZONE of ${typeLabel(value.type)}`, place);
}

export function currentMoment(emission: Emission, type: PgType, of: 'transaction' | 'statement'): Value {
  const place = emission.slot({ kind: 'time', of, type: type.name === 'date' ? 'date' : 'timestamp' });
  return { sql: type.name === 'date' ? `CAST(${place} AS DATE)` : `CAST(${place} AS DATETIME(6))`, type, nullable: false, constant: true };
}
