/** The type that CASE, IF, COALESCE, UNION and their kin bring several values to. https://dev.mysql.com/doc/refman/8.4/en/flow-control-functions.html */
import { asBytes } from './compare-values.ts';
import { asDatetime, asDecimal, asDouble, asInteger, asText } from './convert-value.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import { bigintType, commonCollation, decimalType, fitsBigint, intType, isMoment, isNumber, maxBigint, mayBeZero, minBigint, typeName, roundedDouble } from './mysql-type.ts';
import type { MysqlType, TextCollation } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

export interface CommonValues {
  /** Each as PostgreSQL's type of `type`. */
  readonly sql: readonly string[];
  readonly type: MysqlType;
}

/** A list of parameters and NULLs alone is refused: nothing tells their type. */
export function commonValues(emission: MysqlEmission, values: readonly Value[], place: number | undefined, hasOwnScales = false): CommonValues {
  const typed = values.filter(({ type }) => type.kind !== 'null' && type.kind !== 'parameter');
  const types = typed.map(({ type }) => type);
  const [first] = types;
  if (first === undefined) {
    // MariaDB, and MySQL before 8, make a string of them.
    const isText = emission.facts.mode.server.flavour === 'mariadb' || emission.facts.mode.server.version < 80000;
    if (values.every(({ type }) => type.kind === 'null')) return { sql: values.map(() => (isText ? 'NULL::text' : 'NULL')), type: isText ? { kind: 'text', collation: undefined, isTrimmed: true, isOwn: false } : { kind: 'null' } };
    return refuse('parameter whose type its place does not tell', place);
  }
  if (types.every((type) => type.kind === 'bool') && values.every(({ type }) => type.kind !== 'parameter')) return { sql: values.map(({ sql, type }) => (type.kind === 'null' ? 'NULL::boolean' : sql)), type: first };
  if (types.every(isNumber)) return commonNumbers(emission, values, types, hasOwnScales);
  if (types.every(isMoment)) return commonMoments(emission, values, types);
  if (types.every((type) => type.kind === first.kind) && (first.kind === 'bytes' || first.kind === 'json')) return sameKind(emission, values, first, place);
  if (types.every((type) => type.kind === 'time')) return sameKind(emission, values, { kind: 'time', fraction: Math.max(...types.map((type) => (type.kind === 'time' ? type.fraction : 0))) }, place);
  if (types.some((type) => type.kind === 'bytes' || type.kind === 'double' || type.kind === 'float' || type.kind === 'json' || type.kind === 'time' || type.kind === 'other' || type.kind === 'bit' || type.kind === 'year')) {
    return refuse(`${[...new Set(types.map(typeName))].join(' and ')} in one place`, place);
  }
  return commonTexts(emission, values, place);
}

function sameKind(emission: MysqlEmission, values: readonly Value[], type: MysqlType, place: number | undefined): CommonValues {
  if (type.kind === 'json' && values.some((value) => value.type.kind === 'parameter')) return refuse('parameter as JSON', place);
  // MariaDB's DISTINCT finds all of them alike.
  if (type.kind === 'bytes' && values.some((value) => value.type.kind === 'parameter')) return refuse('parameter beside a binary string', place);
  return { sql: values.map((value) => (value.type.kind === 'null' ? 'NULL' : type.kind === 'bytes' ? asBytes(emission, value, place).sql : value.type.kind === 'parameter' ? refuse('parameter as TIME', place) : value.sql)), type };
}

function commonNumbers(emission: MysqlEmission, values: readonly Value[], types: readonly MysqlType[], hasOwnScales: boolean): CommonValues {
  if (types.some((type) => type.kind === 'double' || type.kind === 'float')) {
    const { flavour, version } = emission.facts.mode.server;
    // From MySQL 8 on some of these are a FLOAT and some are not.
    if (flavour === 'mysql' && version >= 50700 && types.some((type) => type.kind === 'float')) return refuse('FLOAT beside another value', values[0]?.place);
    if (types.some((type) => type.kind === 'decimal' && type.inner !== undefined)) return refuse('quotient beside a DOUBLE', values[0]?.place);
    // MariaDB keeps a FLOAT that meets no other number, and shows the digits of one.
    if (flavour === 'mariadb' && types.every((type) => type.kind === 'float')) return floats(values);
    return { sql: values.map((value) => (value.type.kind === 'null' ? 'NULL::float8' : value.type.kind === 'parameter' ? emission.parameter(value.type.number, { kind: 'double', numberOnly: true }, 'float8') : asDouble(emission, value).sql)), type: roundedDouble(...types) };
  }
  if (types.some((type) => type.kind === 'decimal')) {
    const decimals = values.map((value) => (value.type.kind === 'null' ? undefined : value.type.kind === 'parameter' ? refuse('parameter beside a DECIMAL', value.place) : asDecimal(emission, value)));
    const scale = Math.max(...decimals.map((value) => value?.type.scale ?? 0));
    // The versions do not agree on whether it is rounded to its own digits before.
    if (decimals.some((value) => value?.type.inner !== undefined && value.type.scale < scale)) return refuse('quotient beside a DECIMAL with more digits', values[0]?.place);
    const whole = Math.max(...decimals.map((value) => (value === undefined ? 0 : value.type.precision - value.type.scale)));
    return { sql: decimals.map((value) => (value === undefined ? 'NULL::numeric' : value.type.inner === undefined && ((value.type.scale === scale && value.type.varies !== true) || hasOwnScales) ? value.sql : `round(${value.sql}, ${scale})`)), type: hasOwnScales && decimals.some((value) => value !== undefined && (value.type.scale !== scale || value.type.varies === true)) ? { kind: 'decimal', precision: Math.min(whole + scale, 65), scale, varies: true } : decimalType(whole + scale, scale) };
  }
  const integers = values.map((value): Value => (value.type.kind === 'parameter' ? chosenParameter(emission, value.type.number) : asInteger(emission, value)));
  const ranges = integers.flatMap(({ type }) => (type.kind === 'int' ? [type] : []));
  const [min, max] = [ranges.map((range) => range.min).reduce((a, b) => (a < b ? a : b)), ranges.map((range) => range.max).reduce((a, b) => (a > b ? a : b))];
  const isBig = !fitsBigint({ min, max });
  if (emission.facts.mode.server.flavour === 'mariadb' && ranges.some(({ unsigned }) => unsigned) && values.some(({ type }) => type.kind === 'parameter')) return refuse('parameter beside an unsigned integer', values[0]?.place);
  if (mixesSigns(emission, values)) return { sql: integers.map(({ sql }) => `(${sql})::numeric`), type: decimalType(20, 0) };
  if (isBig && min < 0n) return { sql: integers.map(({ sql }) => `(${sql})::numeric`), type: decimalType(20, 0) };
  return { sql: integers.map(({ sql }) => `(${sql})::${isBig ? 'numeric' : 'bigint'}`), type: { ...intType(min, max, ranges.every((range) => range.min >= 0n) && ranges.some((range) => range.unsigned)), ...toldOf(ranges), ...(ranges.every(({ unsigned, isNarrow }) => !unsigned || isNarrow === true) ? { isNarrow: true } : {}), ...(ranges.some(({ isBound }) => isBound === true) ? { isBound: true } : {}) } };
}

/** Among integers a whole number that is bound as a DOUBLE is shown, stored and compared like one of them. */
function chosenParameter(emission: MysqlEmission, number: number): Value {
  const said = emission.facts.parameters?.[number - 1];
  const sql = emission.parameter(number, { kind: 'integer', min: `${minBigint}`, max: `${maxBigint}`, numberOnly: true, ...(said === undefined ? { integerOnly: true } : {}) }, 'bigint');
  return { sql, type: said === undefined || said === 'integer' ? bigintType : { ...intType(minBigint, maxBigint), isBound: true }, nullable: true };
}

/** FLOAT and NULL alone, which stay FLOAT. */
export function floats(values: readonly Value[]): CommonValues {
  return { sql: values.map((value) => (value.type.kind === 'null' ? 'NULL::real' : value.type.kind === 'parameter' ? refuse('parameter beside a FLOAT', value.place) : value.sql)), type: { kind: 'float' } };
}

/** Of whole numbers that are no LONGLONG the widest. */
function toldOf(ranges: readonly Extract<MysqlType, { kind: 'int' }>[]): { readonly told?: number } {
  const told = ranges.flatMap((range) => range.told ?? []);
  return told.length === ranges.length && ranges.every(({ unsigned }) => unsigned === ranges[0]?.unsigned) ? { told: Math.max(...told) } : {};
}

/** Integers with and without a sign together are a DECIMAL on MariaDB, and on MySQL 8 if one of those without is a BIGINT. */
function mixesSigns(emission: MysqlEmission, values: readonly Value[]): boolean {
  const { flavour, version } = emission.facts.mode.server;
  const unsigned = values.filter(({ type }) => type.kind === 'year' || (type.kind === 'int' && type.unsigned));
  if (unsigned.length === 0 || values.every((value) => value.type.kind === 'null' || value.type.kind === 'parameter' || unsigned.includes(value))) return false;
  if (flavour === 'mariadb') return true;
  const isWide = unsigned.some(({ type }) => type.kind === 'int' && type.isNarrow !== true);
  // Before that the first of them may say whether there are negative numbers.
  if (isWide && version < 80000 && unsigned.some(({ type }) => type.kind === 'int' && !fitsBigint(type))) return refuse('signed and unsigned integers in one place', values[0]?.place);
  return isWide && version >= 80000;
}

function commonMoments(emission: MysqlEmission, values: readonly Value[], types: readonly MysqlType[]): CommonValues {
  if (types.every((type) => type.kind === 'date') && values.every(({ type }) => type.kind !== 'parameter')) return { sql: values.map((value) => (value.type.kind === 'null' ? 'NULL::date' : value.sql)), type: { kind: 'date', zero: types.some(mayBeZero) } };
  // How many digits are shown is a matter of the value.
  const bound = values.find(({ type }) => type.kind === 'datetime' && type.isBound === true);
  if (bound !== undefined) return refuse('date and time of a parameter beside a date', bound.place);
  // MariaDB keeps the instants.
  const isInstants = emission.facts.mode.server.flavour === 'mariadb' && types.every((type) => type.kind === 'timestamp') && values.every(({ type }) => type.kind !== 'parameter');
  const fraction = Math.max(...types.map((type) => (type.kind === 'datetime' || type.kind === 'timestamp' ? type.fraction : 0)));
  if (isInstants) return { sql: values.map((value) => (value.type.kind === 'null' ? 'NULL::timestamptz' : value.sql)), type: { kind: 'timestamp', fraction, zero: types.some(mayBeZero) } };
  return { sql: values.map((value) => (value.type.kind === 'parameter' ? refuse('parameter beside a date', value.place) : asDatetime(emission, value).sql)), type: { kind: 'datetime', fraction, zero: types.some(mayBeZero) } };
}

function commonTexts(emission: MysqlEmission, values: readonly Value[], place: number | undefined): CommonValues {
  const { flavour, version } = emission.facts.mode.server;
  const isOfOthers = values.some(({ type }) => type.kind !== 'text' && type.kind !== 'null' && type.kind !== 'parameter');
  // From MySQL 8 on it takes the type of one of them.
  if (flavour === 'mysql' && version >= 80000 && isOfOthers && values.some(({ type }) => type.kind === 'parameter')) return refuse('parameter beside several types', place);
  // It loses the character set of the constants.
  if (flavour === 'mysql' && version < 50700 && values.some(({ type }) => type.kind === 'parameter') && values.some(({ constant }) => constant !== undefined && /[^\0-\x7f]/.test(constant))) return refuse('parameter beside a string that is no ASCII', place);
  // NULL that is bound makes bytes of them.
  if (flavour === 'mysql' && version < 50700 && values.some(({ type }) => type.kind === 'parameter') && values.every(({ type, constant }) => type.kind === 'parameter' || type.kind === 'null' || constant !== undefined)) return refuse('parameter beside constant strings alone', place);
  const texts = values.map((value) => asText(emission, value));
  let collation: TextCollation | undefined;
  for (const { type } of texts) if (type.kind === 'text') collation = commonCollation(collation, type.collation, place);
  return {
    sql: texts.map(({ sql }) => (collation?.local === undefined ? sql : `(${sql}) COLLATE ${collation.local}`)),
    type: { kind: 'text', ...(values.some(({ type }) => type.kind === 'enum' || type.kind === 'set' || isMoment(type) || (type.kind === 'text' && type.isLabel === true)) ? { isLabel: true } : {}), collation, isTrimmed: texts.every(({ type }) => type.kind === 'text' && type.isTrimmed) && areDistinct(texts), isOwn: collation?.local !== undefined },
  };
}

/** No two constants that only their case tells apart: grouped by, they would be one. */
function areDistinct(texts: readonly Value[]): boolean {
  const constants = new Set(texts.flatMap(({ constant }) => (constant === undefined ? [] : [constant])));
  return new Set([...constants].map((text) => text.toLowerCase())).size === constants.size;
}

/** IF and CASE of MySQL give a DECIMAL with the digits that it has, MariaDB's with those of the result. */
export function keepsScales(emission: MysqlEmission): boolean {
  return emission.facts.mode.server.flavour === 'mysql';
}

/** One expression that is one of the values: `CASE … THEN a ELSE b END` and the like. */
export function chosen(common: CommonValues, values: readonly Value[], write: (sql: readonly string[]) => string, nullable?: boolean): Value {
  return { sql: write(common.sql), type: common.type, nullable: nullable ?? values.some((value) => value.nullable) };
}

/** Sides of a set operation that have met before, and what they become beside another one. */
export function checkMet(given: MysqlType, made: MysqlType | undefined, operator: string, place: number): void {
  if (made?.kind !== 'text' || given.kind === 'null') return;
  if (given.kind !== 'text') refuse(`${operator} of several types and a string`, place);
  if (given.collation !== undefined && given.collation.name !== made.collation?.name) refuse('mix of collations', place);
}
