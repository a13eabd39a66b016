/** Comparisons. https://dev.mysql.com/doc/refman/8.4/en/comparison-operators.html, https://dev.mysql.com/doc/refman/8.4/en/type-conversion.html */
import { quoteLiteral } from '../../names.ts';
import { mayBeNegativeZero } from './calculate.ts';
import { asDatetime, asDecimal, asDouble, asInteger, asMoment, asNumber, asText, asTime, condition, integerConstant, isConstantText, numberConstant, zeroMoment, isUnsureQuotient, shownDecimal } from './convert-value.ts';
import { comparedLocally, localOf } from './local-time.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { commonCollation, isMoment, isNumber, localCollation, typeName } from './mysql-type.ts';
import type { MysqlType, TextCollation } from './mysql-type.ts';
import { orderKey, trimmed } from './text-order.ts';
import { readMoment, readNumber, readWhole } from './moment-text.ts';
import { refuse } from './refused-mysql.ts';

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=' | '<=>';

export function compareValues(emission: MysqlEmission, operator: Comparison, left: Value, right: Value, place: number | undefined): Value {
  const nullable = operator !== '<=>' && (left.nullable || right.nullable);
  if (left.type.kind === 'null' || right.type.kind === 'null') return comparedWithNull(operator, left, right);
  const enumerated = comparedUuid(emission, operator, left, right) ?? comparedEnum(emission, operator, left, right, place) ?? comparedFlag(operator, left, right);
  if (enumerated !== undefined) return enumerated;
  const zoned = comparedInstants(emission, operator, left, right, nullable);
  if (zoned !== undefined) return zoned;
  const [one, other] = meet(emission, left, right, place);
  if ([one, other].some((value) => mayBeNegativeZero(emission, value))) return refuse('comparison of a remainder of a DECIMAL', place);
  const { flavour, version } = emission.facts.mode.server;
  // It forgets the fraction of a second there.
  if (operator === '<=>' && one.type.kind === 'time' && flavour === 'mysql' && version < 50700) return refuse('<=> of TIME', place);
  if (flavour === 'mysql' && (isTimeAsText(left, right) || isTimeAsText(right, left))) return refuse('comparison of a string with a TIME that is no column', place);
  if (flavour === 'mysql' && version < 50700 && [[left, right], [right, left]].some(([time, bound]) => time?.type.kind === 'time' && time.origin === undefined && bound?.type.kind === 'parameter')) return refuse('comparison of a parameter with a TIME that is no column', place);
  if (flavour === 'mysql' && isCut(one, other)) return refuse('comparison of a TIME column with more digits', place);
  if ((operator === '=' || operator === '<=>') && (flavour === 'mariadb' || version < 80000) && (isBetweenIntegers(one, other) || isBetweenIntegers(other, one))) return refuse('comparison of an integer column with a number between two of them', place);
  if (one.type.kind === 'text' && other.type.kind === 'text') return condition(comparedText(emission, operator, one, other, place), nullable);
  if ([one, other].some(isQuotient) && (emission.facts.mode.server.flavour === 'mariadb' || isUnsureQuotient(emission))) return comparedQuotient(operator, one, other, nullable);
  const lost = [one, other].flatMap(({ type }) => (type.kind === 'decimal' ? type.lost ?? [] : []));
  const compared = `${one.sql} ${spelled(operator)} ${other.sql}`;
  return condition(lost.length === 0 ? compared : `CASE WHEN ${lost.join(' OR ')} THEN ('a quotient that its last digits decide about: ' || ${one.sql})::boolean ELSE ${compared} END`, nullable);
}

/** Compared as strings, which for times of day in their full form is the same. */
function isTimeAsText(time: Value, text: Value): boolean {
  if (time.type.kind !== 'time' || time.origin !== undefined || !isConstantText(text)) return false;
  return !(time.type.fraction === 0 && /^\0\d+\0::interval$/.test(time.sql) && /^\d\d:\d\d:\d\d$/.test(text.constant));
}

/** What is known at once is cut or rounded to the digits of the column that it stands beside. */
function isCut(one: Value, other: Value): boolean {
  if (one.type.kind !== 'time' || other.type.kind !== 'time' || (one.origin === undefined) === (other.origin === undefined)) return false;
  return one.origin === undefined ? one.type.fraction > other.type.fraction : other.type.fraction > one.type.fraction;
}

/** The server may look for the next integer in the column's index. */
function isBetweenIntegers(column: Value, number: Value): boolean {
  return column.origin !== undefined && column.type.kind === 'int' && number.type.kind === 'decimal' && number.constant !== undefined && /\.\d*[1-9]/.test(number.constant);
}

const isQuotient = ({ type }: Value): boolean => type.kind === 'decimal' && type.inner !== undefined;

/** The server compares it with all its digits or with those that it shows, as it happens to keep it: where that is not the same there is an error. */
function comparedQuotient(operator: Comparison, left: Value, right: Value, nullable: boolean): Value {
  const exact = `(${left.sql} ${spelled(operator)} ${right.sql})`;
  const shown = `(${shownDecimal(left)} ${spelled(operator)} ${shownDecimal(right)})`;
  return condition(`CASE WHEN ${exact} = ${shown} THEN ${exact} WHEN ${exact} <> ${shown} THEN ('a quotient that its last digits decide about: ' || ${isQuotient(left) ? left.sql : right.sql})::boolean END`, nullable);
}

const spelled = (operator: Comparison): string => (operator === '<=>' ? 'IS NOT DISTINCT FROM' : operator);

function comparedWithNull(operator: Comparison, left: Value, right: Value): Value {
  if (operator !== '<=>') return condition('NULL::boolean', true);
  const other = left.type.kind === 'null' ? right : left;
  return other.type.kind === 'parameter' ? refuse('parameter compared with NULL', other.place) : condition(`${other.sql} IS NULL`, false);
}

/** TINYINT(1) and 0 or 1: an index over the column can serve. */
function comparedFlag(operator: Comparison, left: Value, right: Value): Value | undefined {
  if (left.type.kind !== 'bool' || right.type.kind !== 'int' || (operator !== '=' && operator !== '<=>' && operator !== '<>')) return undefined;
  if (right.constant !== '0' && right.constant !== '1') return undefined;
  return condition(`${left.sql} ${operator === '<=>' ? 'IS NOT DISTINCT FROM' : operator} ${right.constant === '1' ? 'true' : 'false'}`, operator !== '<=>' && left.nullable);
}

/** Brings two values to one type, as a comparison does. */
export function meet(emission: MysqlEmission, left: Value, right: Value, place: number | undefined): readonly [Value, Value] {
  const kinds: readonly [MysqlType, MysqlType] = [left.type, right.type];
  if (kinds.some((type) => type.kind === 'other' || type.kind === 'json' || type.kind === 'bit')) return refuse(`comparison of ${typeName(kinds.find((type) => ['other', 'json', 'bit'].includes(type.kind)) ?? kinds[0])}`, place);
  if (left.type.kind === 'parameter' && right.type.kind === 'parameter') return refuse('comparison of two parameters', place);
  if (isNumber(left.type) || isNumber(right.type)) return meetNumbers(emission, left, right, place);
  if (isMoment(left.type) || isMoment(right.type)) return meetMoments(emission, left, right, place);
  if (left.type.kind === 'time' || right.type.kind === 'time') return [timeBeside(emission, left, right), timeBeside(emission, right, left)];
  if (left.type.kind === 'bytes' || right.type.kind === 'bytes') return [asBytes(emission, left, place), asBytes(emission, right, place)];
  return [comparedString(emission, left), comparedString(emission, right)];
}

/** A parameter has no more digits than the column, where MySQL would cut them off. */
function timeBeside(emission: MysqlEmission, value: Value, other: Value): Value {
  if (value.type.kind !== 'parameter' || other.type.kind !== 'time' || other.origin === undefined || emission.facts.mode.server.flavour !== 'mysql') return asTime(emission, value);
  const { fraction } = other.type;
  return { sql: emission.parameter(value.type.number, { kind: 'time', fraction }, 'interval'), type: { kind: 'time', fraction }, nullable: true };
}

/** A number that is bound beside a string makes numbers of both. */
function comparedString(emission: MysqlEmission, value: Value): Value {
  if (value.type.kind !== 'parameter') return asText(emission, value);
  return { sql: emission.parameter(value.type.number, { kind: 'text', stringOnly: true }, 'text'), type: { kind: 'text', collation: undefined, isTrimmed: false, isOwn: false }, nullable: true };
}

/** A string of ASCII beside bytes is its bytes. */
export function asBytes(emission: MysqlEmission, value: Value, place: number | undefined): Value {
  if (value.type.kind === 'bytes') return value;
  if (value.type.kind === 'parameter') return { sql: emission.parameter(value.type.number, { kind: 'bytes' }, 'bytea'), type: { kind: 'bytes' }, nullable: true };
  if (isConstantText(value)) return { sql: `'\\x${Buffer.from(value.constant).toString('hex')}'::bytea`, type: { kind: 'bytes' }, nullable: false };
  return refuse(`comparison of ${typeName(value.type)} with a binary string`, place);
}

function meetNumbers(emission: MysqlEmission, left: Value, right: Value, place: number | undefined): readonly [Value, Value] {
  for (const value of [left, right]) if (!isNumber(value.type) && value.type.kind !== 'parameter' && value.type.kind !== 'text') return refuse(`comparison of ${typeName(left.type)} with ${typeName(right.type)}`, place);
  const isYear = left.type.kind === 'year' || right.type.kind === 'year';
  if (isYear) for (const value of [left, right]) if (value.type.kind !== 'year' && !(value.constant !== undefined && Number(readNumber(value.constant)?.text) >= 100) && value.type.kind !== 'parameter') return refuse('comparison of YEAR', place);
  // A parameter beside an integer may have digits behind the point: an exact number holds both.
  if (left.type.kind === 'parameter') return [numberLike(emission, left, right.type), plainNumber(emission, right)];
  if (right.type.kind === 'parameter') return [plainNumber(emission, left), numberLike(emission, right, left.type)];
  const [one, other] = [longNumber(left, right) ?? plainNumber(emission, left), longNumber(right, left) ?? plainNumber(emission, right)];
  const isDouble = one.type.kind === 'double' || other.type.kind === 'double';
  if (isDouble) return [asDouble(emission, one), asDouble(emission, other)];
  return [one, other];
}

/** Beside a column of BIGINT a string is read as the integer that it says; else both are doubles. */
function longNumber(value: Value, beside: Value): Value | undefined {
  const whole = isConstantText(value) && beside.origin?.column.type.name === 'bigint' ? readWhole(value.constant) : undefined;
  return whole === undefined ? undefined : integerConstant(whole, value.place);
}

/** A number that is written as a string is the same number whether it is exact or a double; a 4-byte number is compared as the 8-byte one that it is. */
function plainNumber(emission: MysqlEmission, value: Value): Value {
  const number = isConstantText(value) ? readNumber(value.constant) : undefined;
  return number === undefined ? asNumber(emission, value) : numberConstant(number.text, number.scale, value.place);
}

function numberLike(emission: MysqlEmission, value: Value, type: MysqlType): Value {
  switch (type.kind) {
    case 'decimal': return asDecimal(emission, value);
    case 'double': case 'float': return asDouble(emission, value);
    default: return type.kind === 'int' && (type.unsigned && type.max > (1n << 63n)) ? asDecimal(emission, value) : asInteger(emission, value);
  }
}

function meetMoments(emission: MysqlEmission, given: Value, other: Value, place: number | undefined): readonly [Value, Value] {
  const [left, right] = [saidMoment(emission, given, other), saidMoment(emission, other, given)];
  for (const value of [left, right]) if (!isMoment(value.type) && value.type.kind !== 'parameter' && !isConstantText(value)) return refuse(`comparison of ${typeName(left.type)} with ${typeName(right.type)}`, place);
  // The instant of a constant is found once, so that an index over the column can serve.
  if (left.type.kind === 'timestamp' && right.type.kind === 'timestamp') return [left, right];
  if (left.type.kind === 'timestamp' && isFixed(right)) return [left, instant(emission, right)];
  if (right.type.kind === 'timestamp' && isFixed(left)) return [instant(emission, left), right];
  const momentOf = (value: Value, other: Value): Value => {
    const zero = zeroMoment(emission, value);
    if (zero !== undefined) return zero;
    if (isConstantText(value) && other.type.kind === 'date' && readMoment(value.constant) === undefined) return refuse('string as a date', place);
    return asMoment(emission, value);
  };
  return [momentOf(left, right), momentOf(right, left)];
}

/** A string that an INTERVAL has made of a constant is read as the date or time that it is, as a constant is. */
function saidMoment(emission: MysqlEmission, value: Value, beside: Value): Value {
  const isReadAlike = isMoment(beside.type) && (beside.type.kind !== 'timestamp' || emission.hasFixedOffset);
  return isReadAlike && value.moment?.shown === value.sql ? { ...value.moment.value, place: value.place } : value;
}

const isFixed = (value: Value): boolean => value.constant !== undefined || value.type.kind === 'parameter' || /^\0\d+\0::timestamp$/.test(value.sql);

function instant(emission: MysqlEmission, value: Value): Value {
  const moment = zeroMoment(emission, value) ?? asDatetime(emission, value);
  return { ...moment, sql: localInstant(emission, moment.sql), type: { kind: 'timestamp', fraction: 6 } };
}

const localInstant = ({ zone }: MysqlEmission, moment: string): string => `(${moment} AT TIME ZONE ${zone})`;

/** Of TIMESTAMP in a zone whose clock shows times twice. */
function comparedInstants(emission: MysqlEmission, operator: Comparison, left: Value, right: Value, nullable: boolean): Value | undefined {
  if (emission.hasFixedOffset) return undefined;
  if (left.type.kind === 'timestamp' && right.type.kind === 'timestamp') {
    if (!emission.losesInstants) return undefined;
    // As dates and times or, where an index serves, as instants: an error where that is not the same.
    const [exact, shown] = [`(${left.sql} ${spelled(operator)} ${right.sql})`, `(${localOf(emission, left.sql)} ${spelled(operator)} ${localOf(emission, right.sql)})`];
    return condition(`CASE WHEN ${exact} IS NOT DISTINCT FROM ${shown} THEN ${exact} ELSE ('a time that comes twice decides about: ' || ${left.sql})::boolean END`, nullable);
  }
  const [column, fixed, by] = left.type.kind === 'timestamp' ? [left, right, operator] : [right, left, mirrored[operator]];
  if (column.type.kind !== 'timestamp' || !isFixed(fixed) || !(isMoment(fixed.type) || fixed.type.kind === 'parameter' || isConstantText(fixed))) return undefined;
  return condition(comparedLocally(emission, by, column.sql, (zeroMoment(emission, fixed) ?? asDatetime(emission, fixed)).sql), nullable);
}

const isUuid = ({ type, origin }: Value): boolean => type.kind === 'other' && origin?.column.localType === 'uuid';

/** MariaDB's UUID is one on local, too; it has another order there. */
function comparedUuid(emission: MysqlEmission, operator: Comparison, left: Value, right: Value): Value | undefined {
  if (operator !== '=' && operator !== '<>' && operator !== '<=>') return undefined;
  if (!isUuid(left)) return isUuid(right) ? comparedUuid(emission, operator, right, left) : undefined;
  const nullable = operator !== '<=>';
  if (isUuid(right)) return condition(`${left.sql} ${spelled(operator)} ${right.sql}`, nullable);
  if (right.type.kind === 'parameter') return condition(`${left.sql} ${spelled(operator)} ${emission.parameter(right.type.number, { kind: 'uuid' }, 'uuid')}`, nullable);
  if (!isConstantText(right) || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(right.constant)) return undefined;
  return condition(`${left.sql} ${spelled(operator)} ${quoteLiteral(right.constant)}::uuid`, nullable);
}

function comparedEnum(emission: MysqlEmission, operator: Comparison, left: Value, right: Value, place: number | undefined): Value | undefined {
  if (left.type.kind !== 'enum') {
    if (right.type.kind !== 'enum') return undefined;
    return comparedEnum(emission, mirrored[operator], right, left, place);
  }
  const nullable = left.nullable && operator !== '<=>';
  if (operator !== '=' && operator !== '<>' && operator !== '<=>') return isConstantText(right) ? condition(comparedText(emission, operator, asText(emission, left), right, place), left.nullable) : refuse('order of ENUM', place);
  if (right.type.kind === 'enum') return right.type.local === left.type.local ? condition(`${left.sql} ${spelled(operator)} ${right.sql}`, nullable || right.nullable) : refuse('comparison of two ENUM types', place);
  if (right.type.kind === 'parameter') return condition(`${left.sql} ${spelled(operator)} ${emission.parameter(right.type.number, { kind: 'enum', labels: left.type.labels, ...(isExactLabel(left.type.collation) ? { exact: true } : {}) }, left.type.local)}`, true);
  if (!isConstantText(right)) return refuse(`comparison of ENUM with ${typeName(right.type)}`, place);
  const label = findLabel(left.type.labels, right.constant, isExactLabel(left.type.collation));
  if (label === undefined) return isNoLabel(left.type.labels, right.constant) ? comparedWithNoLabel(operator, left) : refuse('comparison of ENUM with what is no label', place);
  return condition(`${left.sql} ${spelled(operator)} ${quoteLiteral(label)}::${left.type.local}`, nullable);
}

const mirrored: Readonly<Record<Comparison, Comparison>> = { '=': '=', '<>': '<>', '<=>': '<=>', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/** What stands for no number of a label, and is equal to none in any collation. */
function isNoLabel(labels: readonly string[], text: string): boolean {
  return [...labels, text].every((each) => /^[\x20-\x7e]*$/.test(each)) && !/^[ \d+-]/.test(text);
}

function comparedWithNoLabel(operator: Comparison, { sql, nullable }: Value): Value {
  if (operator === '<=>') return condition('false', false);
  return condition(`CASE WHEN ${sql} IS NOT NULL THEN ${operator === '<>' ? 'true' : 'false'} END`, nullable);
}

/** Case counts in its labels. */
export function isExactLabel(collation: TextCollation | undefined): boolean {
  return /_(?:bin|cs)$/.test(collation?.name ?? '');
}

/** Labels are found without regard to case, unless it counts in their collation (`isExact`); what is not ASCII has to be spelled as it is. */
export function findLabel(labels: readonly string[], text: string, isExact: boolean): string | undefined {
  const fold = (label: string): string => (isExact ? label.replace(/ +$/, '') : label.replace(/ +$/, '').replace(/[A-Z]+/g, (upper) => upper.toLowerCase()));
  const exact = labels.find((label) => label === text);
  return exact ?? labels.find((label) => fold(label) === fold(text));
}

/** The collation in which strings are compared. */
export function comparisonCollation(emission: MysqlEmission, left: Value, right: Value, place: number | undefined): TextCollation {
  const one = left.type.kind === 'text' ? left.type.collation : undefined;
  const other = right.type.kind === 'text' ? right.type.collation : undefined;
  return commonCollation(one, other, place) ?? emission.connectionCollation(place);
}

function comparedText(emission: MysqlEmission, operator: Comparison, left: Value, right: Value, place: number | undefined): string {
  if (isFixedBeside(left, right) || isFixedBeside(right, left)) return `${left.sql} COLLATE "C" ${spelled(operator)} ${right.sql}`;
  const known = comparedConstants(emission, operator, left, right);
  if (known !== undefined) return known;
  const collation = comparisonCollation(emission, left, right, place);
  const local = localCollation(collation, place);
  if (operator !== '=' && operator !== '<>' && operator !== '<=>') return `${orderKey(left, collation)} ${operator} ${orderKey(right, collation)}`;
  if (collation.pads && operator === '=' && collation.isExplicit !== true) {
    if (isIndexed(left) && isBound(right)) return paddedEquality(left, right);
    if (isIndexed(right) && isBound(left)) return paddedEquality(right, left);
  }
  const [one, other] = collation.pads ? [trimmed(left), trimmed(right)] : [left.sql, right.sql];
  const own = (left.type.kind === 'text' && left.type.isOwn && left.origin !== undefined) || (right.type.kind === 'text' && right.type.isOwn && right.origin !== undefined);
  const isOne = left.type.kind === 'text' && right.type.kind === 'text' && (left.type.collation === undefined || right.type.collation === undefined || left.type.collation.local === right.type.collation.local);
  // A column and a constant have the collation by themselves; of anything else PostgreSQL may see several.
  if (own && isOne && isPlain(left) && isPlain(right)) return `${one} ${spelled(operator)} ${other}`;
  return `${one} COLLATE ${local} ${spelled(operator)} ${other.includes(' COLLATE ') ? `${other} COLLATE ${local}` : other}`;
}

/** Of no language, which may have letters of two letters. */
const plainCollations = /^(?:utf8(?:mb[34])?_(?:general_ci|unicode_ci|unicode_520_ci|0900_a[is]_ci|uca1400_a[is]_ci|(?:0900_)?bin)|latin1_(?:swedish_ci|bin)|ascii_(?:general_ci|bin))$/;

/** Letters and digits of ASCII are compared alike by all collations of a kind, whether a table of the statement has one or not. */
function comparedConstants({ facts: { collation: name } }: MysqlEmission, operator: Comparison, left: Value, right: Value): string | undefined {
  if (left.constant === undefined || right.constant === undefined || [left, right].some(({ type }) => type.kind !== 'text' || type.collation !== undefined)) return undefined;
  if (!plainCollations.test(name) || ![left.constant, right.constant].every((text) => /^[A-Za-z0-9]* *$/.test(text))) return undefined;
  const folded = ({ constant = '' }: Value): string => {
    const text = name.includes('0900') ? constant : constant.replace(/ +$/, '');
    return name.endsWith('_bin') ? text : text.toUpperCase();
  };
  const [one, other] = [folded(left), folded(right)];
  switch (operator) {
    case '=': case '<=>': return `${one === other}`;
    case '<>': return `${one !== other}`;
    case '<': return `${one < other}`;
    case '<=': return `${one <= other}`;
    case '>': return `${one > other}`;
    case '>=': return `${one >= other}`;
  }
}

/** A string of digits at their places beside another one: of whatever collation, the same is equal and less. */
function isFixedBeside(value: Value, other: Value): boolean {
  return value.type.kind === 'text' && value.type.isFixed === true && other.constant !== undefined && /^[\d-]+$/.test(other.constant) && /^[\d-]*$/.test(value.constant ?? '');
}

const isPlain = (value: Value): boolean => value.origin !== undefined || isBound(value);
const isIndexed = (value: Value): boolean => value.origin !== undefined && value.type.kind === 'text' && value.type.maxLength !== undefined;
const isBound = (value: Value): boolean => value.constant !== undefined || /^\0\d+\0::text$/.test(value.sql);

/** Blanks at the end do not count: all values that are equal lie between the text and the text with as many blanks as fit, where an index finds them. */
function paddedEquality(column: Value, text: Value): string {
  const bare = text.constant === undefined ? `rtrim(${text.sql}, ' ')` : `${quoteLiteral(text.constant.replace(/ +$/, ''))}::text`;
  if (column.type.kind !== 'text' || column.type.isTrimmed) return `${column.sql} = ${bare}`;
  return `${column.sql} >= ${bare} AND ${column.sql} <= ${bare} || repeat(' ', ${column.type.maxLength ?? 0}) AND rtrim(${column.sql}, ' ') = ${bare}`;
}
