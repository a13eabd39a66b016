/** Functions of dates and times. https://dev.mysql.com/doc/refman/8.4/en/date-and-time-functions.html */
import { quoteLiteral } from '../../names.ts';
import { argument, constantNumber, exactly, optionalArgument, wholeDigits } from './call-context.ts';
import type { CallContext, CallEmitter } from './call-context.ts';
import { asDate, asDatetime, asInteger, asMoment, asText, bigintSql, isConstantText, asTime } from './convert-value.ts';
import { datePattern, isFixedFormat } from './date-format.ts';
import { instantOf } from './local-time.ts';
import { readNumber, readMoment } from './moment-text.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { bigintType, decimalType, intType, mayBeZero, typeName } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

function fractionOf(call: CallContext): number {
  const given = optionalArgument(call, 0);
  const fraction = given === undefined ? 0 : constantNumber(given, `${call.name}() by what is no constant`);
  return fraction >= 0 && fraction <= 6 ? fraction : refuse(`${call.name}() of ${fraction} digits`, call.place);
}

/** A clock is asked in a zone that is known here. */
function checkZone({ emission }: CallContext, zone: 'session' | 'utc'): void {
  if (zone === 'session') void emission.zone;
}

const now = (zone: 'session' | 'utc'): CallEmitter => (call) => {
  checkZone(call, zone);
  const fraction = fractionOf(call);
  return { sql: `${call.emission.slot({ kind: 'now', as: 'datetime', zone, fraction })}::timestamp`, type: { kind: 'datetime', fraction }, nullable: false };
};

const today = (zone: 'session' | 'utc'): CallEmitter => (call) => {
  checkZone(call, zone);
  exactly(call, 0);
  return { sql: `${call.emission.slot({ kind: 'now', as: 'date', zone, fraction: 0 })}::date`, type: { kind: 'date' }, nullable: false };
};

const clock = (zone: 'session' | 'utc'): CallEmitter => (call) => {
  checkZone(call, zone);
  const fraction = fractionOf(call);
  return { sql: `${call.emission.slot({ kind: 'now', as: 'time', zone, fraction })}::interval`, type: { kind: 'time', fraction }, nullable: false };
};

const moment = (call: CallContext, index: number): Value => asMoment(call.emission, argument(call, index));

const fields: Readonly<Record<string, { readonly field: string; readonly max: bigint; readonly add?: number }>> = {
  YEAR: { field: 'year', max: 9999n }, QUARTER: { field: 'quarter', max: 4n }, MONTH: { field: 'month', max: 12n }, DAY: { field: 'day', max: 31n }, DAYOFMONTH: { field: 'day', max: 31n }, HOUR: { field: 'hour', max: 838n },
  MINUTE: { field: 'minute', max: 59n }, SECOND: { field: 'second', max: 59n }, MICROSECOND: { field: 'microseconds', max: 999999n }, DAYOFYEAR: { field: 'doy', max: 366n }, DAYOFWEEK: { field: 'dow', max: 7n, add: 1 },
  WEEKDAY: { field: 'isodow', max: 6n, add: -1 }, WEEKOFYEAR: { field: 'week', max: 53n },
};

/** Parts that are 0 of the zero date. */
const zeroFields: ReadonlySet<string> = new Set(['YEAR', 'QUARTER', 'MONTH', 'DAY', 'DAYOFMONTH', 'HOUR', 'MINUTE', 'SECOND']);

function fieldOf(call: CallContext, name: string, value: Value): Value {
  const { field, max, add } = fields[name] ?? refuse(`EXTRACT(${name})`, call.place);
  const isTime = value.type.kind === 'time';
  if (isTime && !['HOUR', 'MINUTE', 'SECOND', 'MICROSECOND'].includes(name)) return refuse(`${name} of TIME`, call.place);
  // PostgreSQL knows the parts of a negative interval by their signs, MySQL by their amounts.
  const isOfTime = ['HOUR', 'MINUTE', 'SECOND', 'MICROSECOND'].includes(name);
  // Of a string that is no date and time the server takes the digits for a time.
  const isBare = isOfTime && isConstantText(value) && (readMoment(value.constant)?.hasTime !== true || value.constant.includes('T'));
  // Each version takes it for another type.
  if (isOfTime && value.type.kind === 'parameter') return refuse(`${name} of a parameter`, call.place);
  const source = isTime ? value : isBare ? asTime(call.emission, value) : asMoment(call.emission, value);
  const of = source.type.kind === 'date' && ['hour', 'minute', 'second', 'microseconds'].includes(field) ? `(${source.sql})::timestamp` : source.sql;
  const extracted = `extract(${field} FROM ${of})`;
  const exact = field === 'second' ? `trunc(${extracted})` : field === 'microseconds' ? `(${extracted} % 1000000)` : extracted;
  // HOUR() and its kin have no sign, EXTRACT() has; MariaDB's goes round after a day.
  const isSigned = call.name === 'EXTRACT' && (isTime || isBare);
  const isRound = isSigned && name === 'HOUR' && call.emission.facts.mode.server.flavour === 'mariadb';
  if (mayBeZero(source.type) && !zeroFields.has(name)) return refuse(`${name}() of a column that may have the zero date`, call.place);
  const plain = `${isRound ? `(${exact} % 24)` : isSigned ? exact : isTime || isBare ? `abs(${exact})` : exact}::int`;
  const sql = mayBeZero(source.type) ? `CASE WHEN ${source.sql} = '-infinity' THEN 0 ELSE ${plain} END` : plain;
  return { sql: add === undefined ? sql : `(${sql} ${add < 0 ? '-' : '+'} ${Math.abs(add)})`, type: intType(isSigned ? -max : 0n, max), nullable: value.nullable };
}

const part: CallEmitter = (call) => {
  exactly(call, 1);
  return fieldOf(call, call.name, argument(call, 0));
};

const extract: CallEmitter = (call) => {
  const unit = call.details.word ?? '';
  return fieldOf(call, unit === 'WEEK' ? refuse('EXTRACT(WEEK)', call.place) : unit, argument(call, 0));
};

function weekMode(call: CallContext): number {
  exactly(call, 1, 2);
  const given = optionalArgument(call, 1);
  return given === undefined ? call.emission.facts.weekFormat ?? refuse(`${call.name}() without a mode`, call.place) : constantNumber(given, `${call.name}() of a mode that is no constant`);
}

/** Modes 0 and 4 have weeks from Sunday on, 1 and 5 from Monday; in 0 and 5 the first week begins with that day, in 1 and 4 it has four days of the year or more. What is before it is week 0. Mode 3 is ISO's. */
const week: CallEmitter = (call) => {
  const mode = weekMode(call);
  if (mode === 3) return fieldOf(call, 'WEEKOFYEAR', argument(call, 0));
  if (![0, 1, 4, 5].includes(mode)) return refuse(`WEEK() of mode ${mode}`, call.place);
  const source = moment(call, 0);
  if (mayBeZero(source.type)) return refuse('WEEK() of a column that may have the zero date', call.place);
  const day = `extract(doy FROM ${source.sql})::int`;
  const weekday = mode % 4 === 0 ? `extract(dow FROM ${source.sql})::int` : `(extract(isodow FROM ${source.sql})::int - 1)`;
  const whole = `(${day} + 6 - ${weekday}) / 7`;
  // The weekday of January 1.
  const isCounted = mode === 1 || mode === 4 ? ` + ((${weekday} - ${day} + 372) % 7 BETWEEN 1 AND 3)::int` : '';
  return { sql: `(${whole}${isCounted})`, type: intType(0n, 53n), nullable: source.nullable };
};

/** Modes 1 and 3 are ISO's. */
const yearWeek: CallEmitter = (call) => {
  const mode = weekMode(call);
  if (mode !== 1 && mode !== 3) return refuse(`YEARWEEK() of mode ${mode}`, call.place);
  const source = moment(call, 0);
  if (mayBeZero(source.type)) return refuse('YEARWEEK() of a column that may have the zero date', call.place);
  return { sql: `(extract(isoyear FROM ${source.sql}) * 100 + extract(week FROM ${source.sql}))::int`, type: intType(0n, 999953n), nullable: source.nullable };
};

const date: CallEmitter = (call) => {
  exactly(call, 1);
  return { ...asDate(call.emission, argument(call, 0)), origin: undefined };
};

const time: CallEmitter = (call) => {
  exactly(call, 1);
  const value = argument(call, 0);
  if (value.type.kind === 'time') return { ...value, origin: undefined };
  // Of a string that is no date and time the server takes the digits for a time.
  if (value.type.kind === 'parameter') return refuse('TIME() of a parameter', call.place);
  if (isConstantText(value) && (readMoment(value.constant)?.hasTime !== true || value.constant.includes('T'))) return asTime(call.emission, value);
  const source = asDatetime(call.emission, value);
  return { sql: `(${source.sql})::time::interval`, type: { kind: 'time', fraction: source.type.kind === 'datetime' ? source.type.fraction : 0 }, nullable: value.nullable };
};

const lastDay: CallEmitter = (call) => {
  exactly(call, 1);
  const { sql, nullable } = asDate(call.emission, argument(call, 0));
  return { sql: `(date_trunc('month', (${sql})::timestamp) + interval '1 month - 1 day')::date`, type: { kind: 'date' }, nullable };
};

const datediff: CallEmitter = (call) => {
  exactly(call, 2);
  const [one, other] = [asDate(call.emission, argument(call, 0)), asDate(call.emission, argument(call, 1))];
  return { sql: `(${one.sql} - ${other.sql})`, type: intType(-3652424n, 3652424n), nullable: one.nullable || other.nullable };
};

const microseconds = (sql: string): string => `(extract(epoch FROM ${sql}) * 1000000)`;
const unitSeconds: Readonly<Record<string, number>> = { SECOND: 1, MINUTE: 60, HOUR: 3600, DAY: 86400, WEEK: 604800 };
const unitMonths: Readonly<Record<string, number>> = { MONTH: 1, QUARTER: 3, YEAR: 12 };

const timestampdiff: CallEmitter = (call) => {
  const [one, other] = [asDatetime(call.emission, argument(call, 0)), asDatetime(call.emission, argument(call, 1))];
  const unit = call.details.word ?? '';
  const nullable = one.nullable || other.nullable;
  if (unit === 'MICROSECOND') return { sql: `${microseconds(`${other.sql} - ${one.sql}`)}::bigint`, type: bigintType, nullable };
  const seconds = unitSeconds[unit];
  if (seconds !== undefined) return { sql: `trunc(extract(epoch FROM ${other.sql} - ${one.sql}) / ${seconds})::bigint`, type: bigintType, nullable };
  const months = unitMonths[unit] ?? refuse(`TIMESTAMPDIFF(${unit})`, call.place);
  // A month is over at the same day and time of it; backwards it is counted from the other end.
  const number = (sql: string): string => `(extract(year FROM ${sql}) * 12 + extract(month FROM ${sql}))`;
  const within = (sql: string): string => `(${sql} - date_trunc('month', ${sql}))`;
  const between = (from: string, to: string): string => `(${number(to)} - ${number(from)} - CASE WHEN ${within(to)} < ${within(from)} THEN 1 ELSE 0 END)`;
  const counted = `CASE WHEN ${other.sql} >= ${one.sql} THEN ${between(one.sql, other.sql)} ELSE - ${between(other.sql, one.sql)} END`;
  return { sql: `trunc((${counted}) / ${months})::bigint`, type: bigintType, nullable };
};

/** Local names months and days in English. */
function checkNames({ emission, name, place }: CallContext): void {
  const { timeNames } = emission.facts;
  if (timeNames !== undefined && !timeNames.startsWith('en_')) refuse(`${name}() with lc_time_names ${timeNames}`, place);
}

const dateFormat: CallEmitter = (call) => {
  exactly(call, 2);
  const format = argument(call, 1);
  if (/%[MbWa]/.test(format.constant ?? '')) checkNames(call);
  const pattern = isConstantText(format) ? datePattern(format.constant) : undefined;
  if (pattern === undefined) return refuse('DATE_FORMAT() by this format', call.place);
  const source = asDatetime(call.emission, argument(call, 0));
  const isFixed = isConstantText(format) && isFixedFormat(format.constant);
  return { sql: `to_char(${source.sql}, ${quoteLiteral(pattern)})`, type: { kind: 'text', collation: undefined, isTrimmed: format.constant?.endsWith(' ') === false, isOwn: false, ...wholeDigits(call), ...(isFixed ? { isFixed } : {}) }, nullable: source.nullable };
};

const nameOf = (pattern: string): CallEmitter => (call) => {
  exactly(call, 1);
  checkNames(call);
  // MySQL 5.6 takes the name of a day for its number.
  const isNumber = call.name === 'DAYNAME' && call.emission.facts.mode.server.version < 80000;
  return { sql: `to_char(${asDatetime(call.emission, argument(call, 0)).sql}, '${pattern}')`, type: { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false, ...wholeDigits(call), ...(isNumber ? { isLabel: true } : {}) }, nullable: argument(call, 0).nullable };
};

/** The clock of local: it goes on while the statement runs, and cannot be stopped. */
const sysdate: CallEmitter = (call) => {
  const fraction = fractionOf(call);
  const moment = `(clock_timestamp() AT TIME ZONE ${call.emission.zone})`;
  const unit = { 0: 'second', 3: 'milliseconds', 6: 'microseconds' }[fraction] ?? refuse(`SYSDATE() of ${fraction} digits`, call.place);
  return { sql: `date_trunc('${unit}', ${moment})`, type: { kind: 'datetime', fraction }, nullable: false };
};

const lastUnixTime = 2147483647;

const unixTimestamp: CallEmitter = (call) => {
  exactly(call, 0, 1);
  if (optionalArgument(call, 0) === undefined) return { sql: `${call.emission.slot({ kind: 'now', as: 'unix', zone: 'utc', fraction: 0 })}::bigint`, type: intType(0n, 253402300799n), nullable: false };
  const value = argument(call, 0);
  // MySQL 9 shows digits of a second, which it may have.
  if (value.type.kind === 'parameter') return refuse('UNIX_TIMESTAMP() of a parameter', call.place);
  if (isConstantText(value) && (readMoment(value.constant)?.fraction ?? 0) > 0) return refuse('UNIX_TIMESTAMP() of a string with a fraction of a second', call.place);
  const fraction = value.type.kind === 'timestamp' || value.type.kind === 'datetime' ? value.type.fraction : 0;
  if (value.type.kind === 'timestamp' && value.origin === undefined && call.emission.losesInstants) return refuse('UNIX_TIMESTAMP() of a TIMESTAMP that is no column', call.place);
  const instant = value.type.kind === 'timestamp' ? value.sql : instantOf(call.emission, asDatetime(call.emission, value).sql);
  const seconds = `extract(epoch FROM ${instant})`;
  const { flavour } = call.emission.facts.mode.server;
  // Before 1970 there is no number, which is NULL on MariaDB and 0 on MySQL; how late it ends is each server's matter.
  const limited = (sql: string): string => `CASE WHEN ${seconds} < ${flavour === 'mysql' ? '1 THEN 0' : '0 THEN NULL'} WHEN ${seconds} <= ${lastUnixTime} OR ${seconds} IS NULL THEN ${sql} ELSE ('UNIX_TIMESTAMP() after 2038: ' || ${seconds})::int END`;
  if (fraction === 0) return { sql: limited(`${seconds}::bigint`), type: intType(0n, BigInt(lastUnixTime)), nullable: value.nullable || flavour === 'mariadb' };
  return { sql: `round(${limited(`${seconds}`)}, ${fraction})`, type: decimalType(10 + fraction, fraction), nullable: value.nullable || flavour === 'mariadb' };
};

const fromUnixtime: CallEmitter = (call) => {
  exactly(call, 1);
  if (argument(call, 0).type.kind === 'text') return refuse('FROM_UNIXTIME() of a string', call.place);
  const { flavour, version } = call.emission.facts.mode.server;
  if (argument(call, 0).type.kind === 'parameter' && flavour === 'mysql' && version >= 80000) return refuse('FROM_UNIXTIME() of a parameter', call.place);
  const seconds = bigintSql(asInteger(call.emission, argument(call, 0)));
  const limited = `CASE WHEN ${seconds} BETWEEN 0 AND ${lastUnixTime} THEN ${seconds} WHEN ${seconds} > ${lastUnixTime}${call.emission.isWrite ? ' OR ' + seconds + ' < 0' : ''} THEN ('FROM_UNIXTIME() before 1970 or after 2038: ' || ${seconds})::date - '2000-01-01'::date END`;
  return { sql: `(to_timestamp(${limited}) AT TIME ZONE ${call.emission.zone})`, type: { kind: 'datetime', fraction: 0 }, nullable: true };
};

const timeToSec: CallEmitter = (call) => {
  exactly(call, 1);
  const value = argument(call, 0);
  if (value.type.kind !== 'time') return refuse(`TIME_TO_SEC() of ${typeName(value.type)}`, call.place);
  const { fraction } = value.type;
  const seconds = `extract(epoch FROM ${value.sql})`;
  if (fraction > 0 && call.emission.facts.mode.server.flavour === 'mariadb') return { sql: `round(${seconds}, ${fraction})`, type: decimalType(7 + fraction, fraction), nullable: value.nullable };
  return { sql: `trunc(${seconds})::bigint`, type: intType(-3020399n, 3020399n), nullable: value.nullable };
};

const secToTime: CallEmitter = (call) => {
  exactly(call, 1);
  if (argument(call, 0).type.kind === 'text' || argument(call, 0).type.kind === 'parameter') return refuse(`SEC_TO_TIME() of a ${typeName(argument(call, 0).type)}`, call.place);
  const value = asInteger(call.emission, argument(call, 0));
  const seconds = bigintSql(value);
  // The type ends at 838:59:59; beyond it there is a warning, or an error in a write.
  const limited = call.emission.isWrite ? `CASE WHEN ${seconds} BETWEEN -3020399 AND 3020399 THEN ${seconds} WHEN ${seconds} IS NOT NULL THEN ('a time after 838:59:59: ' || ${seconds})::date - '2000-01-01'::date END`
    : `CASE WHEN ${seconds} IS NOT NULL THEN least(greatest(${seconds}, -3020399), 3020399) END`;
  return { sql: `make_interval(secs => ${limited})`, type: { kind: 'time', fraction: 0 }, nullable: value.nullable };
};

const toDays: CallEmitter = (call) => {
  exactly(call, 1);
  return { sql: `((${asDate(call.emission, argument(call, 0)).sql} - '1970-01-01'::date) + 719528)`, type: intType(0n, 3652424n), nullable: argument(call, 0).nullable };
};

const intervalWords: Readonly<Record<string, string>> = { SECOND: '1 second', MINUTE: '1 minute', HOUR: '1 hour', DAY: '1 day', WEEK: '7 days', MONTH: '1 month', QUARTER: '3 months', YEAR: '1 year', MICROSECOND: '1 microsecond' };

/** `moment ± INTERVAL amount unit`. */
export function addInterval(emission: MysqlEmission, given: Value, written: Value, unit: string, sign: 1 | -1, place: number): Value {
  const word = intervalWords[unit] ?? refuse(`INTERVAL … ${unit}`, place);
  const isDayOrLonger = ['DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR'].includes(unit);
  if (given.type.kind === 'null') return { sql: 'NULL::text', type: { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false }, nullable: true };
  const amount = wholeAmount(emission, written, place);
  if (given.type.kind === 'time') {
    if (isDayOrLonger && unit !== 'DAY') return refuse(`TIME and INTERVAL … ${unit}`, place);
    return refuse('TIME and INTERVAL', place);
  }
  const source = asMoment(emission, given);
  if (mayBeZero(source.type)) return refuse('INTERVAL beside a column that may have the zero date', place);
  // Of a string it is a string, with as many digits as it happens to be kept with.
  if (given.type.kind === 'text' && source.type.kind === 'datetime' && source.type.fraction > 0) return refuse('INTERVAL and a string with a fraction of a second', place);
  if (given.type.kind === 'text' && unit === 'MICROSECOND' && emission.facts.mode.server.flavour === 'mysql') return refuse('INTERVAL and a string with a fraction of a second', place);
  const isDate = source.type.kind === 'date' && isDayOrLonger;
  const fraction = unit === 'MICROSECOND' ? 6 : source.type.kind === 'datetime' ? source.type.fraction : 0;
  const sum = `(${source.sql} ${sign === 1 ? '+' : '-'} ${bigintSql(amount)} * interval '${word}')`;
  const type: MysqlType = isDate ? { kind: 'date' } : { kind: 'datetime', fraction, ...(given.type.kind === 'parameter' ? { isBound: true } : {}) };
  const nullable = true;
  // Behind the last day there is nothing, not a later one; in a write there is an error.
  const ended = `CASE WHEN ${sum} < '10000-01-01' AND ${sum} >= '0001-01-01' THEN ${sum} WHEN ${sum} < '0001-01-01'${emission.isWrite ? ` OR ${sum} >= '10000-01-01'` : ''} THEN ('a date before the year 1 or after the year 9999: ' || ${sum})::date END`;
  const result: Value = { sql: isDate ? `(${ended})::date` : `(${ended})`, type, nullable };
  // Of a string it is a string.
  if (given.type.kind !== 'text') return result;
  const text = asText(emission, result);
  // As a number it is one of a date and time to MySQL 8, and what the string begins with to others.
  return { ...text, type: text.type.kind === 'text' ? { ...text.type, isLabel: true } : text.type, moment: { shown: text.sql, value: result } };
}

function wholeAmount(emission: MysqlEmission, value: Value, place: number): Value {
  if (isConstantText(value)) {
    const number = readNumber(value.constant);
    if (number?.isWhole !== true) return refuse('INTERVAL of parts', place);
  }
  if (value.type.kind === 'decimal') return refuse('INTERVAL of a DECIMAL', place);
  return asInteger(emission, value);
}

export const momentCalls: Readonly<Record<string, CallEmitter>> = {
  NOW: now('session'), CURRENT_TIMESTAMP: now('session'), LOCALTIME: now('session'), LOCALTIMESTAMP: now('session'), UTC_TIMESTAMP: now('utc'), CURDATE: today('session'), CURRENT_DATE: today('session'), UTC_DATE: today('utc'), SYSDATE: sysdate,
  CURTIME: clock('session'), CURRENT_TIME: clock('session'), UTC_TIME: clock('utc'), ...Object.fromEntries(Object.keys(fields).map((name) => [name, part])), EXTRACT: extract, WEEK: week, YEARWEEK: yearWeek, DATE: date, TIME: time, LAST_DAY: lastDay,
  DATEDIFF: datediff, TIMESTAMPDIFF: timestampdiff, DATE_FORMAT: dateFormat, DAYNAME: nameOf('FMDay'), MONTHNAME: nameOf('FMMonth'), UNIX_TIMESTAMP: unixTimestamp, FROM_UNIXTIME: fromUnixtime, TIME_TO_SEC: timeToSec, SEC_TO_TIME: secToTime, TO_DAYS: toDays,
  TIMESTAMP: (call) => { exactly(call, 1); if (argument(call, 0).type.kind === 'parameter') return refuse('TIMESTAMP() of a parameter', call.place); return { ...asDatetime(call.emission, moment(call, 0)), origin: undefined }; },
};
