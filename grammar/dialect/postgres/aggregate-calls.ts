/** Aggregates. https://dev.mysql.com/doc/refman/8.4/en/aggregate-functions.html */
import { quoteLiteral } from '../../names.ts';
import { argument, exactly } from './call-context.ts';
import type { CallContext, CallEmitter } from './call-context.ts';
import { asDatetime, asDecimal, asInteger, asNumber, asText, shownDecimal, withoutLabels } from './convert-value.ts';
import { localOf } from './local-time.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { Expression } from './mysql-tree.ts';
import { decimalType, doubleType, intType, isUnsettled, maxBigint, maxUnsigned, typeName } from './mysql-type.ts';
import { orderKey, trimmed } from './text-order.ts';
import { refuse } from './refused-mysql.ts';

/** Stands behind each aggregate of a text, where OVER has its place. */
export const overMark = '\x01';

const count: CallEmitter = (call) => {
  const type = intType(0n, maxBigint);
  if (call.nodes[0]?.type === 'star') return { sql: `count(*)${overMark}`, type, nullable: false };
  if (call.details.distinct !== true) {
    exactly(call, 1);
    return { sql: `count(${typed(call, 0).sql})${overMark}`, type, nullable: false };
  }
  const { flavour, version } = call.emission.facts.mode.server;
  // MySQL 9 counts a NULL that is known before the rows are read.
  if (flavour === 'mysql' && version >= 80000 && isFoundBefore(call.nodes)) return refuse('COUNT(DISTINCT) of a parameter or subquery', call.place);
  for (let index = 0; index < call.args.length; index += 1) checkRoom(call, typed(call, index));
  const keys = call.args.map((_, index) => distinctKey(call.emission, typed(call, index)));
  if (keys.length === 1) return { sql: `count(DISTINCT ${keys[0]})`, type, nullable: false };
  // A row with a NULL in it does not count.
  return { sql: `count(DISTINCT CASE WHEN ${keys.map((key) => `${key} IS NOT NULL`).join(' AND ')} THEN ROW(${keys.join(', ')}) END)`, type, nullable: false };
};

/** Whether it has a parameter or a subquery in it, but for EXISTS, which is never NULL. */
function isFoundBefore(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(isFoundBefore);
  if (typeof node !== 'object' || node === null) return false;
  if ('type' in node && (node.type === 'parameter' || node.type === 'subquery' || node.type === 'quantified')) return true;
  if ('type' in node && node.type === 'exists') return false;
  if ('type' in node && node.type === 'in' && 'list' in node && !Array.isArray(node.list)) return true;
  return Object.values(node).some(isFoundBefore);
}

/** MySQL 5.6 keeps what is chosen among decimals and integers in the room that a decimal has. */
function checkRoom({ emission: { facts: { mode: { server } } }, name, place }: CallContext, { type, sql, origin }: Value): void {
  if (server.flavour === 'mysql' && server.version < 50700 && type.kind === 'decimal' && origin === undefined && /COALESCE\(|CASE /.test(sql)) refuse(`${name}() of a choice of DECIMAL`, place);
}

function typed(call: CallContext, index: number): Value {
  const value = argument(call, index);
  return value.type.kind === 'parameter' ? refuse('parameter whose type its place does not tell', call.place) : value;
}

/** What two values have in common that are one to DISTINCT. */
export function distinctKey(emission: MysqlEmission, value: Value): string {
  if (value.type.kind === 'timestamp' && emission.losesInstants) return localOf(emission, value.sql);
  if (value.type.kind === 'text') return value.type.collation?.pads === false ? value.sql : trimmed(value);
  if (value.type.kind === 'decimal') return value.type.varies === true ? refuse('IF or CASE of numbers with different digits', value.place) : shownDecimal(value);
  if (value.type.kind === 'json' || value.type.kind === 'other') return refuse(`DISTINCT of ${typeName(value.type)}`, value.place);
  return value.sql;
}

/** The last digits of a sum of doubles are those of the order in which they are added, which for distinct ones is each side's own. */
function checkOrder(call: CallContext, { type }: Value): void {
  if (type.kind === 'double' && call.details.distinct === true) refuse(`${call.name}(DISTINCT) of DOUBLE`, call.place);
}

const sum: CallEmitter = (call) => {
  exactly(call, 1);
  const value = asNumber(call.emission, typed(call, 0));
  const distinct = call.details.distinct === true ? 'DISTINCT ' : '';
  checkOrder(call, value);
  if (value.type.kind === 'double') return { sql: `sum(${distinct}${value.sql})${overMark}`, type: value.type, nullable: true };
  const source = asDecimal(call.emission, value);
  if (source.type.inner !== undefined) return refuse('SUM() of a quotient', call.place);
  return { sql: source.type.varies === true ? `round(sum(${distinct}${source.sql})${overMark}, ${source.type.scale})` : `sum(${distinct}${source.sql})${overMark}`, type: decimalType(source.type.precision + 22, source.type.scale), nullable: true };
};

const avg: CallEmitter = (call) => {
  exactly(call, 1);
  const value = asNumber(call.emission, typed(call, 0));
  const distinct = call.details.distinct === true ? 'DISTINCT ' : '';
  checkOrder(call, value);
  if (value.type.kind === 'double') return { sql: `avg(${distinct}${value.sql})${overMark}`, type: value.type.decimals === undefined ? value.type : { ...value.type, decimals: value.type.decimals + call.emission.facts.divPrecision }, nullable: true };
  const source = asDecimal(call.emission, value);
  if (source.type.inner !== undefined) return refuse('AVG() of a quotient', call.place);
  const scale = source.type.scale + call.emission.facts.divPrecision;
  if (scale > 30) return refuse('more than 30 digits behind the point', call.place);
  const type = decimalType(source.type.precision + call.emission.facts.divPrecision, scale);
  // The server calculates in groups of nine digits: where they end with the last one that is shown, it is cut off.
  if (scale === 0) return { sql: `div(sum(${distinct}${source.sql})${overMark}, nullif(count(${distinct}${source.sql})${overMark}, 0)::numeric)`, type, nullable: true };
  if (scale % 9 === 0) return { sql: `(div(sum(${distinct}${source.sql})${overMark} * 1${'0'.repeat(scale)}::numeric, nullif(count(${distinct}${source.sql})${overMark}, 0)::numeric) * 0.${'0'.repeat(scale - 1)}1)`, type, nullable: true };
  // Cut off one digit later and rounded then: the same as rounding the exact quotient.
  return {
    sql: `round(div(sum(${distinct}${source.sql})${overMark} * 1${'0'.repeat(scale + 1)}::numeric, nullif(count(${distinct}${source.sql})${overMark}, 0)::numeric) * 0.${'0'.repeat(scale)}1, ${scale})`,
    type, nullable: true,
  };
};

const extreme = (word: 'min' | 'max'): CallEmitter => (call) => {
  exactly(call, 1);
  const value = typed(call, 0);
  switch (value.type.kind) {
    case 'text': {
      const key = orderKey(value, value.type.collation ?? call.emission.connectionCollation(call.place));
      return { sql: `(array_agg(${value.sql} ORDER BY ${key} ${word === 'min' ? '' : 'DESC '}NULLS LAST))[1]`, type: value.type, nullable: true };
    }
    case 'bool': return { sql: `${word}((${value.sql})::int)${overMark}`, type: intType(0n, 1n), nullable: true };
    case 'float': {
      const { flavour, version } = call.emission.facts.mode.server;
      if (flavour === 'mysql' && version < 80000) return refuse(`${call.name}() of FLOAT`, call.place);
      return { sql: `${word}(${value.sql})${overMark}`, type: value.type, nullable: true };
    }
    case 'timestamp': return call.emission.losesInstants ? extremeMoment(call, value, word) : { sql: `${word}(${value.sql})${overMark}`, type: value.type, nullable: true };
    case 'int': case 'decimal': case 'double': case 'date': case 'datetime': case 'time': case 'year':
      if (isUnsettled(value.type)) return refuse(`${call.name}() of a quotient`, call.place);
      checkRoom(call, value);
      return { sql: `${word}(${value.sql})${overMark}`, type: value.type, nullable: true };
    default: return refuse(`${call.name}() of ${typeName(value.type)}`, call.place);
  }
};

/** Of dates and times or, where an index tells it, of instants: an error where that is not the same. */
function extremeMoment({ emission }: CallContext, value: Value, word: 'min' | 'max'): Value {
  const shown = `${word}(${localOf(emission, value.sql)})${overMark}`;
  const exact = localOf(emission, `${word}(${value.sql})${overMark}`);
  return { ...asDatetime(emission, value), sql: `(CASE WHEN ${shown} IS NOT DISTINCT FROM ${exact} THEN ${shown} ELSE ('a time that comes twice decides about: ' || ${shown})::timestamp END)`, nullable: true };
}

const groupConcat: CallEmitter = (call) => {
  const parts = call.args.map((_, index) => asText(call.emission, argument(call, index)));
  const separator = call.details.separator ?? ',';
  const [first] = parts;
  if (first === undefined) return refuse('GROUP_CONCAT()', call.place);
  const text = parts.length === 1 ? first.sql : `(${parts.map(({ sql }) => sql).join(' || ')})`;
  const order = call.details.order?.map((item) => ({ ...item, expression: numbered(call, item.expression) }));
  const list = call.details.distinct === true ? distinctList(call, first, parts.length) : `string_agg(${text}, ${quoteLiteral(separator)}${order === undefined ? '' : ` ORDER BY ${call.order(order)}`})`;
  const sql = call.details.distinct === true ? `array_to_string(${list}, ${quoteLiteral(separator)})` : list;
  const most = call.emission.facts.groupConcatMaxLength;
  // The server cuts a longer list off; here it is an error.
  return {
    sql: `CASE WHEN octet_length(${sql}) > ${most} THEN ('GROUP_CONCAT() longer than group_concat_max_len: ' || octet_length(${sql}))::int::text ELSE ${sql} END`,
    type: { kind: 'text', collation: first.type.kind === 'text' ? first.type.collation : undefined, isTrimmed: false, isOwn: false }, nullable: true,
  };
};

/** A number is the place of an argument. */
function numbered(call: CallContext, expression: Expression): Expression {
  return expression.type === 'literal' && expression.kind === 'integer' ? call.nodes[Number(expression.value) - 1] ?? refuse(`${call.name}() ORDER BY position`, call.place) : expression;
}

/** Distinct values come in their own order: no other can be asked for. */
function distinctList(call: CallContext, value: Value, parts: number): string {
  const written = argument(call, 0);
  const order = (call.details.order ?? []).map((item) => ({ ...item, expression: numbered(call, item.expression) }));
  const item = order[0];
  const isOwnOrder = order.length === 1 && item !== undefined && JSON.stringify(withoutPlaces(item.expression)) === JSON.stringify(withoutPlaces(call.nodes[0]));
  if (parts !== 1 || !isOwnOrder || !['int', 'date', 'datetime', 'decimal'].includes(written.type.kind)) return refuse('GROUP_CONCAT(DISTINCT …)', call.place);
  const text = value.sql === written.sql ? written.sql : `(${written.sql})`;
  return `array_agg(DISTINCT ${text} ORDER BY ${text}${item.descending ? ' DESC' : ''}) FILTER (WHERE ${written.sql} IS NOT NULL)`;
}

function withoutPlaces(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null, (key, inner: unknown) => (key === 'place' ? undefined : inner)));
}

const anyValue: CallEmitter = (call) => {
  exactly(call, 1);
  const value = withoutLabels(call.emission, typed(call, 0));
  return { sql: `(array_agg(${value.sql}))[1]`, type: value.type, nullable: true };
};

const bits = (word: string): CallEmitter => (call) => {
  exactly(call, 1);
  const value = asInteger(call.emission, argument(call, 0));
  if (value.type.kind !== 'int' || value.type.min < 0n || value.type.max > maxBigint) return refuse(`${call.name}() of numbers that may be negative`, call.place);
  // Of no row it is all bits.
  if (word === 'bit_and') return { sql: `coalesce(bit_and((${value.sql})::bigint)::numeric, ${maxUnsigned})`, type: intType(0n, maxUnsigned, true), nullable: false };
  return { sql: `coalesce(${word}((${value.sql})::bigint), 0)`, type: intType(0n, maxBigint, true), nullable: false };
};

export const aggregateCalls: Readonly<Record<string, CallEmitter>> = {
  COUNT: count, SUM: sum, AVG: avg, MIN: extreme('min'), MAX: extreme('max'), GROUP_CONCAT: groupConcat, ANY_VALUE: anyValue, BIT_OR: bits('bit_or'), BIT_XOR: bits('bit_xor'), BIT_AND: bits('bit_and'),
};

const ranking = (sql: string): CallEmitter => (call) => {
  exactly(call, 0);
  return { sql, type: intType(0n, maxBigint, true), nullable: false };
};

const neighbour = (word: 'lag' | 'lead'): CallEmitter => (call) => {
  exactly(call, 1, 2);
  const value = withoutLabels(call.emission, typed(call, 0));
  const by = call.args[1];
  return { sql: `${word}(${value.sql}${by === undefined ? '' : `, ${by.constant ?? refuse(`${call.name}() by what is no constant`, call.place)}`})`, type: value.type, nullable: true };
};

const edge = (word: 'first_value' | 'last_value'): CallEmitter => (call) => {
  exactly(call, 1);
  const value = withoutLabels(call.emission, typed(call, 0));
  return { sql: `${word}(${value.sql})`, type: value.type, nullable: true };
};

const share = (word: string): CallEmitter => (call) => {
  exactly(call, 0);
  // MariaDB shows ten digits behind the point.
  return { sql: `${word}()`, type: call.emission.facts.mode.server.flavour === 'mariadb' ? { kind: 'double', decimals: 10 } : doubleType, nullable: false };
};

export const windowCalls: Readonly<Record<string, CallEmitter>> = {
  ROW_NUMBER: ranking('row_number()'), RANK: ranking('rank()'), DENSE_RANK: ranking('dense_rank()'), PERCENT_RANK: share('percent_rank'), CUME_DIST: share('cume_dist'),
  LAG: neighbour('lag'), LEAD: neighbour('lead'), FIRST_VALUE: edge('first_value'), LAST_VALUE: edge('last_value'),
};
