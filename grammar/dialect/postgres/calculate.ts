/** Arithmetic. https://dev.mysql.com/doc/refman/8.4/en/arithmetic-functions.html */
import { asDecimal, asDouble, asNumber, bigintSql, isUnsureQuotient } from './convert-value.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import { valueOf } from './mysql-expression.ts';
import type { Value } from './mysql-expression.ts';
import { bigintType, decimalType, fitsBigint, intType, isUnsettled, maxBigint, maxUnsigned, minBigint, roundedDouble } from './mysql-type.ts';
import type { MysqlType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

type IntType = Extract<MysqlType, { kind: 'int' }>;
type Decimal = Extract<MysqlType, { kind: 'decimal' }>;
const isInt = (type: MysqlType): type is IntType => type.kind === 'int';

/** Fails for what is no unsigned number of 64 bits: `pg_lsn` is one, and has `+` and `-` for numeric. */
export function checkedUnsigned(sql: string): string {
  return `(('0/0'::pg_lsn + (${sql})::numeric) - '0/0'::pg_lsn)`;
}

export function calculate(emission: MysqlEmission, operator: string, left: Value, right: Value, place: number): Value {
  if (operator === '|' || operator === '&' || operator === '^' || operator === '<<' || operator === '>>') return bits(emission, operator, left, right, place);
  const typed = (value: Value, other: Value): Value => (value.type.kind === 'parameter' && other.type.kind !== 'parameter' ? parameterBeside(emission, value, other) : asNumber(emission, value));
  const [one, other] = [typed(left, right), typed(right, left)];
  if (operator === '/') return divide(emission, one, other, place);
  if (operator === 'DIV') return wholeQuotient(emission, one, other, place);
  if (operator === '%') return remainder(emission, one, other, place);
  if (one.type.kind === 'double' || other.type.kind === 'double') return valueOf(`(${asDouble(emission, one).sql} ${operator} ${asDouble(emission, other).sql})`, roundedDouble(one.type, other.type), [one, other]);
  if (isInt(one.type) && isInt(other.type)) return integers(emission, operator, one, other, one.type, other.type, place);
  return decimals(emission, operator, one, other);
}

/** Beside an integer it has to be one, beside a decimal it may be any exact number. */
function parameterBeside(emission: MysqlEmission, value: Value, other: Value): Value {
  const number = value.type.kind === 'parameter' ? value.type.number : 0;
  const said = emission.facts.parameters?.[number - 1];
  const type = asNumber(emission, other).type;
  // A string in a calculation is a DOUBLE; MySQL 8 takes it for what the other side is.
  const isModern = emission.facts.mode.server.flavour === 'mysql' && emission.facts.mode.server.version >= 80000;
  if (type.kind === 'double' || said === 'double' || (said === 'text' && !isModern)) return asDouble(emission, value);
  if (type.kind === 'decimal' || said === 'decimal') return refuse('parameter beside a DECIMAL', value.place);
  return { sql: emission.parameter(number, { kind: 'integer', min: `${minBigint}`, max: `${maxBigint}`, ...(said === undefined ? { integerOnly: true } : {}) }, 'bigint'), type: bigintType, nullable: true };
}

function rangeOf(operator: string, one: IntType, other: IntType): { readonly min: bigint; readonly max: bigint } {
  if (operator === '+') return { min: one.min + other.min, max: one.max + other.max };
  if (operator === '-') return { min: one.min - other.max, max: one.max - other.min };
  const products = [one.min * other.min, one.min * other.max, one.max * other.min, one.max * other.max];
  return { min: products.reduce((a, b) => (a < b ? a : b)), max: products.reduce((a, b) => (a > b ? a : b)) };
}

function integers(emission: MysqlEmission, operator: string, one: Value, other: Value, left: IntType, right: IntType, place: number): Value {
  if (operator !== '+' && operator !== '-' && operator !== '*') return refuse(`operator ${operator}`, place);
  const unsigned = left.unsigned || right.unsigned;
  if (unsigned && operator === '-' && emission.facts.mode.sqlMode.has('NO_UNSIGNED_SUBTRACTION')) return refuse('minus of unsigned integers under NO_UNSIGNED_SUBTRACTION', place);
  const range = rangeOf(operator, left, right);
  const isSmall = fitsBigint(left) && fitsBigint(right) && fitsBigint(range);
  const big = (value: Value): string => (isSmall ? `(${value.sql})::bigint` : `(${value.sql})::numeric`);
  if (!unsigned) return valueOf(fitsBigint(left) && fitsBigint(right) ? `((${one.sql})::bigint ${operator} (${other.sql})::bigint)` : refuse('integer above 9223372036854775807', place), intType(clamp(range.min, minBigint, maxBigint), clamp(range.max, minBigint, maxBigint)), [one, other]);
  const sql = `(${big(one)} ${operator} ${big(other)})`;
  const isChecked = range.min < 0n || range.max > maxUnsigned;
  return valueOf(isChecked ? checkedUnsigned(sql) : sql, intType(clamp(range.min, 0n, maxUnsigned), isChecked && isSmall ? maxUnsigned : clamp(range.max, 0n, maxUnsigned), true), [one, other]);
}

const clamp = (value: bigint, min: bigint, max: bigint): bigint => (value < min ? min : value > max ? max : value);

function decimals(emission: MysqlEmission, operator: string, one: Value, other: Value): Value {
  const [left, right] = [asDecimal(emission, one), asDecimal(emission, other)];
  const [a, b] = [left.type, right.type];
  const isProduct = operator === '*';
  const scale = isProduct ? a.scale + b.scale : Math.max(a.scale, b.scale);
  if (scale > 30) return refuse('more than 30 digits behind the point', one.place);
  const precision = isProduct ? a.precision + b.precision : Math.max(a.precision - a.scale, b.precision - b.scale) + scale + 1;
  const inner = innerDigits(emission, isProduct, [a, b], one.place ?? other.place);
  const sql = `(${left.sql} ${operator} ${right.sql})`;
  const varies = a.varies === true || b.varies === true;
  if (inner !== undefined) return varies ? refuse('calculation with a quotient', one.place ?? other.place) : valueOf(sql, { kind: 'decimal', precision: Math.min(precision, 65), scale, inner }, [one, other]);
  return valueOf(sql, varies ? { kind: 'decimal', precision: Math.min(precision, 65), scale, varies } : decimalType(precision, scale), [one, other]);
}

/** A quotient goes on with all digits that it has. */
function innerDigits(emission: MysqlEmission, isProduct: boolean, [one, other]: readonly [Decimal, Decimal], place: number | undefined): number | undefined {
  if (one.inner === undefined && other.inner === undefined) return undefined;
  if (isUnsureQuotient(emission)) return refuse('calculation with a quotient', place);
  const [a, b] = [one.inner ?? one.scale, other.inner ?? other.scale];
  const inner = isProduct ? a + b : Math.max(a, b);
  return inner > 30 ? refuse('calculation with a quotient', place) : inner;
}

/** NULL for a quotient by zero, or an error where the statement writes in strict mode. */
function divisor(emission: MysqlEmission, sql: string): string {
  return emission.isStrictDivision ? sql : `NULLIF(${sql}, 0)`;
}

function divide(emission: MysqlEmission, one: Value, other: Value, place: number): Value {
  if (one.type.kind === 'double' || other.type.kind === 'double') {
    const type = roundedDouble(one.type, other.type);
    const digits = type.kind === 'double' && type.decimals !== undefined ? { ...type, decimals: type.decimals + emission.facts.divPrecision } : type;
    return { ...valueOf(`(${asDouble(emission, one).sql} / ${divisor(emission, asDouble(emission, other).sql)})`, digits, []), nullable: true };
  }
  const [left, right] = [asDecimal(emission, one), asDecimal(emission, other)];
  if (isUnsettled(left.type) || isUnsettled(right.type)) return refuse('calculation with a quotient', place);
  const increment = emission.facts.divPrecision;
  const scale = left.type.scale + increment;
  // The server calculates in groups of nine digits and cuts off what is behind them.
  const groups = (digits: number): number => Math.ceil(digits / 9) * 9;
  const missing = Math.max(0, increment - (groups(left.type.scale) - left.type.scale) - (groups(right.type.scale) - right.type.scale));
  const inner = groups(groups(left.type.scale) + groups(right.type.scale) + missing);
  if (inner > 30 || scale > 30) return refuse('more than 30 digits behind the point', place);
  const sql = inner === 0 ? `div(${left.sql}, ${divisor(emission, right.sql)})` : `(div(${left.sql} * 1${'0'.repeat(inner)}::numeric, ${divisor(emission, right.sql)}) * 0.${'0'.repeat(inner - 1)}1)`;
  const { flavour, version } = emission.facts.mode.server;
  const precision = Math.min(left.type.precision + right.type.scale + increment, 65);
  // From MySQL 9 on it has no other digits than those that it shows.
  if (flavour === 'mysql' && version >= 90000) return { sql: `round(${sql}, ${scale})`, type: decimalType(precision, scale), nullable: true };
  // Before MySQL 5.7 a quotient too small for its digits keeps its sign.
  const isSigned = [left, right].some((value) => value.type.unsigned !== true && (value.constant === undefined || value.constant.startsWith('-')));
  const lost = flavour === 'mysql' && version < 50700 && isSigned ? `sign(${left.sql}) * sign(${right.sql}) < 0 AND ${sql} = 0` : undefined;
  return { sql, type: { kind: 'decimal', precision, scale, inner, lost }, nullable: true };
}

function wholeQuotient(emission: MysqlEmission, one: Value, other: Value, place: number): Value {
  if (!isInt(one.type) || !isInt(other.type)) return refuse('DIV of numbers that are no integers', place);
  const unsigned = one.type.unsigned || other.type.unsigned;
  if (unsigned && (one.type.min < 0n || other.type.min < 0n)) return refuse('DIV of signed and unsigned integers', place);
  const isBig = !fitsBigint(one.type) || !fitsBigint(other.type);
  // MySQL has no room for the amount of the smallest number; nor has local, where its sign changes twice.
  if (emission.facts.mode.server.flavour === 'mysql' && one.type.min === minBigint && !isBig) return { sql: `(- (- ((${one.sql})::bigint / ${divisor(emission, `(${other.sql})::bigint`)})))`, type: bigintType, nullable: true };
  const sql = isBig ? `div((${one.sql})::numeric, ${divisor(emission, `(${other.sql})::numeric`)})` : `((${one.sql})::bigint / ${divisor(emission, `(${other.sql})::bigint`)})`;
  return { sql, type: unsigned ? intType(0n, one.type.max, true) : bigintType, nullable: true };
}

function remainder(emission: MysqlEmission, one: Value, other: Value, place: number): Value {
  if (one.type.kind === 'double' || other.type.kind === 'double') return refuse('MOD of DOUBLE', place);
  if (isInt(one.type) && isInt(other.type)) {
    const { unsigned } = one.type;
    if (!unsigned && other.type.unsigned && one.type.min < 0n) return refuse('MOD of signed and unsigned integers', place);
    const isBig = !fitsBigint(one.type) || !fitsBigint(other.type);
    const type = isBig ? 'numeric' : 'bigint';
    return { sql: `((${one.sql})::${type} % ${divisor(emission, `(${other.sql})::${type}`)})`, type: unsigned ? intType(0n, one.type.max, true) : bigintType, nullable: true };
  }
  const [left, right] = [asDecimal(emission, one), asDecimal(emission, other)];
  if (isUnsettled(left.type) || isUnsettled(right.type)) return refuse('calculation with a quotient', place);
  const scale = Math.max(left.type.scale, right.type.scale);
  const isNegative = left.type.unsigned !== true && (left.constant === undefined || left.constant.startsWith('-'));
  // Told apart by its name: the server may have a negative zero there.
  return { sql: isNegative ? `round(mod(${left.sql}, ${divisor(emission, right.sql)}), ${scale})` : `round(${left.sql} % ${divisor(emission, right.sql)}, ${scale})`, type: decimalType(Math.max(left.type.precision, right.type.precision), scale), nullable: true };
}

/** MariaDB, and MySQL before 8, take a remainder that is a negative zero for less than zero. */
export function mayBeNegativeZero({ facts: { mode: { server: { flavour, version } } } }: MysqlEmission, { sql, type }: Value): boolean {
  return (flavour === 'mariadb' || version < 80000) && type.kind === 'decimal' && sql.includes('mod(');
}

/** Of numbers that are not negative and fit 63 bits; the others have another value as the unsigned number that MySQL makes of them. */
function bits(emission: MysqlEmission, operator: string, left: Value, right: Value, place: number): Value {
  const [one, other] = [asNumber(emission, left), asNumber(emission, right)];
  for (const value of [one, other]) if (!isInt(value.type) || value.type.min < 0n || !fitsBigint(value.type)) return refuse(`operator ${operator} of numbers that may be negative`, place);
  if (!isInt(one.type) || !isInt(other.type)) return refuse(`operator ${operator}`, place);
  const unsigned = (max: bigint): MysqlType => intType(0n, max, true);
  if (operator === '<<' || operator === '>>') {
    if (other.constant === undefined || BigInt(other.constant) > 63n) return refuse('shift by what is no small constant', place);
    const by = BigInt(other.constant);
    if (operator === '<<' && (one.type.max << by) > maxBigint) return refuse('shift beyond 63 bits', place);
    return valueOf(`(${bigintSql(one)} ${operator} ${by})`, unsigned(operator === '<<' ? one.type.max << by : one.type.max), [one, other]);
  }
  const max = operator === '&' ? (one.type.max < other.type.max ? one.type.max : other.type.max) : (1n << BigInt((one.type.max | other.type.max).toString(2).length)) - 1n;
  return valueOf(`(${bigintSql(one)} ${operator === '^' ? '#' : operator} ${bigintSql(other)})`, unsigned(max), [one, other]);
}

export function negate(emission: MysqlEmission, operand: Value, place: number): Value {
  const value = asNumber(emission, operand);
  const { type } = value;
  if (value.constant !== undefined && type.kind !== 'double') {
    const negative = value.constant.startsWith('-') ? value.constant.slice(1) : `-${value.constant}`;
    const number = type.kind === 'int' ? BigInt(negative) : undefined;
    // There is no negative zero among integers, and what asks whether a constant is 0 looks at its text.
    if (number === 0n) return { ...value, place };
    if (number !== undefined && number < minBigint) return { sql: `'${number}'::numeric`, type: decimalType(20, 0), nullable: false, constant: negative };
    const sql = number !== undefined && (number < -2147483648n || number > 2147483647n) ? `'${negative}'::${number > maxBigint ? 'numeric' : 'bigint'}` : `(${negative})`;
    return { sql, type: number === undefined ? type : intType(number, number), nullable: false, constant: negative, place };
  }
  if (isInt(type)) {
    if (type.unsigned && type.max > maxBigint) return refuse('minus of an unsigned BIGINT', place);
    return valueOf(`(- ${bigintSql(value)})`, intType(-type.max, clamp(-type.min, minBigint, maxBigint)), [value]);
  }
  if (isUnsettled(type)) return refuse('calculation with a quotient', place);
  return valueOf(`(- ${value.sql})`, type.kind === 'decimal' ? decimalType(type.precision, type.scale) : type, [value]);
}
