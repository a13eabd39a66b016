/** Functions of numbers, and those that choose. https://dev.mysql.com/doc/refman/8.4/en/mathematical-functions.html */
import { argument, constantNumber, exactly, optionalArgument } from './call-context.ts';
import type { CallContext, CallEmitter } from './call-context.ts';
import { calculate } from './calculate.ts';
import { chosen, commonValues, keepsScales } from './unified-type.ts';
import { compareValues } from './compare-values.ts';
import { asCondition, asDatetime, asDouble, asInteger, asNumber, bigintSql, isConstantText, shownDecimal, withoutLabels } from './convert-value.ts';
import type { Value } from './mysql-expression.ts';
import { bigintType, decimalType, doubleType, intType, isMoment, isNumber, isUnsettled, maxBigint } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

function number(call: CallContext, index: number): Value {
  const value = argument(call, index);
  // From MySQL 8 on a parameter is a DECIMAL of some of these functions and a DOUBLE of others.
  return isModern(call) && value.type.kind === 'parameter' ? refuse('parameter whose type its place does not tell', call.place) : asNumber(call.emission, value);
}

const double = (call: CallContext, index: number): Value => asDouble(call.emission, argument(call, index));

function isModern({ emission }: CallContext): boolean {
  const { flavour, version } = emission.facts.mode.server;
  return flavour === 'mysql' && version >= 80000;
}

const abs: CallEmitter = (call) => {
  exactly(call, 1);
  const value = number(call, 0);
  const { type } = value;
  if (type.kind === 'int') {
    const most = -type.min > type.max ? -type.min : type.max;
    // The amount of the smallest number is none: an error on both sides.
    const max = type.unsigned || most <= maxBigint ? most : maxBigint;
    return { sql: type.unsigned ? value.sql : `abs(${bigintSql(value)})`, type: intType(0n, max, type.unsigned), nullable: value.nullable };
  }
  if (isUnsettled(type)) return refuse('ABS() of a quotient', call.place);
  return { sql: `abs(${shownDecimal(value)})`, type: type.kind === 'decimal' ? decimalType(type.precision, type.scale) : type, nullable: value.nullable };
};

/** What these make of an integer is a BIGINT. */
function widened({ isNarrow: _narrow, ...type }: Extract<MysqlType, { kind: 'int' }>): MysqlType {
  return type;
}

const sixteenDigits = 10n ** 16n;

const whole = (word: 'ceil' | 'floor'): CallEmitter => (call) => {
  exactly(call, 1);
  const value = number(call, 0);
  const { type, nullable } = value;
  // MySQL 5.6 has no room for all of its digits where it keeps it.
  if (type.kind === 'int' && (type.max >= sixteenDigits || type.min <= -sixteenDigits) && call.emission.facts.mode.server.version < 50700) return refuse(`${call.name}() of ${type.max > maxBigint ? 'an unsigned' : 'a'} BIGINT`, call.place);
  if (type.kind === 'int') return { ...value, type: widened(type), constant: undefined, origin: undefined };
  if (type.kind === 'double') return { sql: `${word}(${value.sql})`, type: isModern(call) ? type : { kind: 'double', decimals: 0 }, nullable };
  if (type.kind !== 'decimal') return refuse(`${call.name}()`, call.place);
  return type.precision - type.scale < 18 ? { sql: `${word}(${value.sql})::bigint`, type: bigintType, nullable } : { sql: `${word}(${value.sql})`, type: decimalType(type.precision - type.scale + 1, 0), nullable };
};

/** ROUND and TRUNCATE. An approximate number is rounded as the C library does, to the even one. */
const rounded = (word: 'round' | 'trunc'): CallEmitter => (call) => {
  exactly(call, 1, 2);
  const value = number(call, 0);
  const given = optionalArgument(call, 1);
  const digits = given === undefined ? 0 : constantNumber(asInteger(call.emission, given), `${call.name}() by what is no constant`);
  const { type, nullable } = value;
  if (digits > 30 || digits < -30) return refuse(`${call.name}() by more than 30 digits`, call.place);
  if (type.kind === 'double') {
    if (word === 'trunc' || digits < 0 || digits > 15) return refuse(`${call.name}() of DOUBLE`, call.place);
    return { sql: digits === 0 ? `round(${value.sql})` : `(round(${value.sql} * 1e${digits}) / 1e${digits})`, type: isModern(call) ? doubleType : { kind: 'double', decimals: digits }, nullable };
  }
  if (type.kind === 'int') {
    if (digits >= 0) return { ...value, type: widened(type), constant: undefined, origin: undefined };
    // MariaDB makes a DECIMAL of it where the next number could be too long.
    if (value.constant !== undefined && call.emission.facts.mode.server.flavour === 'mariadb') return refuse(`${call.name}() of a constant by less than no digits`, call.place);
    return { sql: `${word}((${value.sql})::numeric, ${digits})::bigint`, type: bigintType, nullable };
  }
  if (type.kind !== 'decimal') return refuse(`${call.name}()`, call.place);
  // Before MySQL 8 the result has as many digits as were asked for.
  const scale = isModern(call) ? Math.min(Math.max(digits, 0), type.scale) : Math.max(digits, 0);
  return { sql: `${word}(${value.sql}, ${digits < 0 ? digits : scale})`, type: decimalType(type.precision - type.scale + scale + 1, scale), nullable };
};

const mod: CallEmitter = (call) => {
  exactly(call, 2);
  return calculate(call.emission, '%', argument(call, 0), argument(call, 1), call.place);
};

const sign: CallEmitter = (call) => {
  exactly(call, 1);
  return { sql: `sign(${number(call, 0).sql})::int`, type: intType(-1n, 1n), nullable: argument(call, 0).nullable };
};

const power: CallEmitter = (call) => {
  exactly(call, 2);
  return { sql: `power(${double(call, 0).sql}, ${double(call, 1).sql})`, type: doubleType, nullable: argument(call, 0).nullable || argument(call, 1).nullable };
};

/** NULL where the function has no value. */
const partial = (word: string, has: (sql: string) => string, failsInWrites = false): CallEmitter => (call) => {
  exactly(call, 1);
  const { sql } = double(call, 0);
  if (failsInWrites && call.emission.isStrictDivision) return { sql: `${word}(${sql})`, type: doubleType, nullable: true };
  return { sql: `CASE WHEN ${has(sql)} THEN ${word}(${sql}) END`, type: doubleType, nullable: true };
};

const plain = (word: string): CallEmitter => (call) => {
  exactly(call, 1);
  return { sql: `${word}(${double(call, 0).sql})`, type: doubleType, nullable: argument(call, 0).nullable };
};

const ifCall: CallEmitter = (call) => {
  exactly(call, 3);
  const values = [argument(call, 1), argument(call, 2)];
  return chosen(commonValues(call.emission, values, call.place, keepsScales(call.emission)), values, ([one, other]) => `CASE WHEN ${asCondition(call.emission, argument(call, 0))} THEN ${one} ELSE ${other} END`);
};

const coalesce: CallEmitter = (call) => {
  if (call.name === 'IFNULL') exactly(call, 2);
  return chosen(commonValues(call.emission, call.args, call.place), call.args, (values) => `COALESCE(${values.join(', ')})`, call.args.every(({ nullable }) => nullable));
};

const nullif: CallEmitter = (call) => {
  exactly(call, 2);
  const [one, other] = [argument(call, 0), argument(call, 1)];
  if (one.type.kind === 'parameter' || one.type.kind === 'null') return refuse('parameter whose type its place does not tell', call.place);
  const { flavour, version } = call.emission.facts.mode.server;
  if (flavour === 'mysql' && version < 50700 && (isMoment(one.type) || one.type.kind === 'time')) return refuse('NULLIF() of a date or time', call.place);
  if (flavour === 'mysql' && version < 50700 && one.type.kind === 'float') return refuse('NULLIF() of FLOAT', call.place);
  // The result has the collation of the comparison there.
  if (flavour === 'mysql' && version < 50700 && one.type.kind === 'text' && other.type.kind === 'text' && other.type.collation !== undefined && one.type.collation?.name !== other.type.collation.name) return refuse('NULLIF() of strings with different collations', call.place);
  // A constant becomes one of the column's type.
  if (flavour === 'mysql' && one.origin === undefined && one.type.kind === 'time' && other.type.kind === 'time' && one.type.fraction < other.type.fraction) return refuse('NULLIF() of a TIME and one with more digits', call.place);
  // MySQL shows it as the number that it was compared as.
  if (isConstantText(one) && other.type.kind !== 'text') return refuse('NULLIF() of a string and another type', call.place);
  const kept = one.type.kind === 'timestamp' && call.emission.losesInstants ? asDatetime(call.emission, one) : withoutLabels(call.emission, one);
  return { sql: `CASE WHEN ${compareValues(call.emission, '=', one, other, call.place).sql} THEN NULL ELSE ${kept.sql} END`, type: kept.type, nullable: true };
};

/** NULL as soon as one value is. */
const extreme = (word: 'greatest' | 'least'): CallEmitter => (call) => {
  exactly(call, 2, 99);
  const isAllowed = (test: (type: MysqlType) => boolean): boolean => call.args.every(({ type }) => test(type) || type.kind === 'null');
  if (!isAllowed(isNumber) && !isAllowed(isMoment)) return refuse(`${call.name}() of strings`, call.place);
  if (call.args.some(({ type }) => type.kind === 'null')) return refuse('NULL as a number', call.place);
  const { flavour, version } = call.emission.facts.mode.server;
  // It shows the largest as negative ones.
  if (flavour === 'mysql' && version < 80000 && call.args.some(({ type }) => type.kind === 'int' && type.max > maxBigint)) return refuse(`${call.name}() of an unsigned BIGINT`, call.place);
  const common = commonValues(call.emission, call.args, call.place);
  const nullable = call.args.filter((value) => value.nullable);
  const found = `${word}(${common.sql.join(', ')})`;
  return chosen(common, call.args, (values) => (nullable.length === 0 ? found : `CASE WHEN ${call.args.flatMap((value, index) => (value.nullable ? [`${values[index] ?? 'NULL'} IS NULL`] : [])).join(' OR ')} THEN NULL ELSE ${found} END`));
};

const random: CallEmitter = (call) => {
  if (call.args.length > 0) return refuse('RAND() of a seed', call.place);
  return { sql: 'random()', type: doubleType, nullable: false };
};

const isnull: CallEmitter = (call) => {
  exactly(call, 1);
  const value = argument(call, 0);
  if (value.type.kind === 'parameter') return refuse('parameter whose type its place does not tell', call.place);
  return { sql: `(${value.sql} IS NULL)`, type: { kind: 'bool' }, nullable: false };
};

export const numberCalls: Readonly<Record<string, CallEmitter>> = {
  ABS: abs, CEIL: whole('ceil'), CEILING: whole('ceil'), FLOOR: whole('floor'), ROUND: rounded('round'), TRUNCATE: rounded('trunc'), MOD: mod, SIGN: sign, POW: power, POWER: power,
  SQRT: partial('sqrt', (sql) => `${sql} >= 0`), LN: partial('ln', (sql) => `${sql} > 0`, true), LOG10: partial('log', (sql) => `${sql} > 0`, true), EXP: plain('exp'), RADIANS: plain('radians'), DEGREES: plain('degrees'),
  IF: ifCall, IFNULL: coalesce, COALESCE: coalesce, NULLIF: nullif, GREATEST: extreme('greatest'), LEAST: extreme('least'), ISNULL: isnull, RAND: random,
};
