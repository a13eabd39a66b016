/** One expression node to MySQL text; what is not named here is refused. */
import { calculate, negate } from './arithmetic.ts';
import { castExpression } from './cast.ts';
import { between, compare, compareRows, compareWithQuery, isAnyOf, isComparison, isDistinct, isIn, requireCodePoints, rowFields, unify } from './comparison.ts';
import type { Emission, Scope, Value } from './emission.ts';
import { functionCall, valueFunction } from './function-call.ts';
import { coerce, decide, decimalType, isInRange, integerSql, literalOf, plainDecimal } from './literal.ts';
import { addInterval, momentOperator } from './moment.ts';
import { bool, commonType, int4, int8, isInteger, isText, text as textType, typeLabel, unknown, isNumber } from './pg-type.ts';
import type { PgType } from './pg-type.ts';
import { jsonOperator } from './json.ts';
import { parseArray } from './array-text.ts';
import { ownColumn, ownComparison } from './own-collation.ts';
import { changeCase, comparable, like, patternOf, textOf } from './text-value.ts';
import { refuse } from './refusal.ts';
import { constantText, listOf, nameParts, nodeOf, stringConstant, stringNode, treeOf, unwrap } from '../../sql/tree.ts';
import type { Tree } from '../../sql/tree.ts';

export function emitExpression(emission: Emission, node: unknown, scope: Scope): Value {
  const found = unwrap(node);
  if (found === undefined) return refuse('empty expression');
  const unexplained = scope.ungrouped.length;
  const value = emitNode(emission, found.name, found.node, scope);
  // What the query groups by may be used as a whole, whatever it is made of.
  if (scope.grouping?.includes(value.sql) === true) scope.ungrouped.length = unexplained;
  return value;
}

function emitNode(emission: Emission, name: string, node: Tree, scope: Scope): Value {
  switch (name) {
    case 'ColumnRef': return columnReference(node, scope);
    case 'A_Const': return constant(node);
    case 'ParamRef': return parameter(emission, node);
    case 'A_Expr': return operatorExpression(emission, node, scope);
    case 'BoolExpr': return booleanExpression(emission, node, scope);
    case 'NullTest': return nullTest(emission, node, scope);
    case 'BooleanTest': return booleanTest(emission, node, scope);
    case 'CaseExpr': return caseExpression(emission, node, scope);
    case 'CoalesceExpr': return coalesce(emission, node, scope);
    case 'MinMaxExpr': return greatest(emission, node, scope);
    case 'SubLink': return subLink(emission, node, scope);
    case 'TypeCast': return castExpression(emission, node, scope);
    case 'FuncCall': return functionCall(emission, node, scope);
    case 'SQLValueFunction': return valueFunction(emission, node);
    case 'CollateClause': {
      if (nameParts(node['collname'])?.at(-1) !== 'C') refuse('COLLATE', node['location']);
      emission.isCaseOpen = true;
      return textOf(emission, emission.expression(node['arg'], scope), node['location']);
    }
    default: return refuse(constructs[name] ?? name, node['location']);
  }
}

const constructs: Readonly<Record<string, string>> = {
  RowExpr: 'row value', A_ArrayExpr: 'array', A_Indirection: 'subscript or field of a value', SetToDefault: 'DEFAULT', GroupingFunc: 'GROUPING', XmlExpr: 'xml', JsonObjectConstructor: 'SQL/JSON constructor',
  JsonArrayConstructor: 'SQL/JSON constructor', JsonFuncExpr: 'SQL/JSON query function', CurrentOfExpr: 'WHERE CURRENT OF', NamedArgExpr: 'named argument', MergeSupportFunc: 'merge_action',
};

function columnReference(node: Tree, scope: Scope): Value {
  const parts = listOf(node['fields']).map(stringNode);
  if (parts.includes(undefined)) return refuse('*', node['location']);
  const names = parts.map((part) => part ?? '');
  const value = scope.column(names.slice(0, -1), names.at(-1) ?? '', node['location']);
  if (value.showOnly === true) refuse(`column ${names.join('.')} of type ${typeLabel(value.type)} in an expression`, node['location']);
  return value;
}

function constant(node: Tree): Value {
  const base = { nullable: false, constant: true };
  if (node['isnull'] === true) return { sql: 'NULL', type: unknown, nullable: true, literal: null, constant: true };
  const string = treeOf(node['sval']);
  if (string !== undefined) return { ...base, sql: '', type: unknown, literal: stringConstant({ A_Const: node }) ?? '' };
  const word = constantText({ A_Const: node });
  if (treeOf(node['boolval']) !== undefined) return { ...base, sql: word === 'true' ? 'TRUE' : 'FALSE', type: bool };
  if (word === undefined) return refuse('bit string', node['location']);
  if (/^-?\d+$/.test(word) && isInRange(BigInt(word), int8)) return { ...base, sql: integerSql(BigInt(word)), type: isInRange(BigInt(word), int4) ? int4 : int8, number: Number(word) };
  const plain = plainDecimal(word) ?? refuse('number of more than 65 digits', node['location']);
  return { ...base, sql: plain.startsWith('-') ? `(${plain})` : plain, type: decimalType(plain), number: Number(plain) };
}

function parameter(emission: Emission, node: Tree): Value {
  const number = Number(node['number']);
  const given = emission.givenType(number);
  const value: Value = { sql: '', type: unknown, nullable: true, parameter: number, constant: true };
  return given === undefined || given.name === 'unknown' ? value : decide(emission, value, given, node['location']);
}

export function condition(emission: Emission, node: unknown, scope: Scope): string {
  const value = coerce(emission, emission.expression(node, scope), bool);
  return value.type.name === 'bool' ? value.sql : refuse('condition that is no boolean');
}

/** Of WHERE, HAVING and ON: what is unknown is not taken, no more than what is false. */
export function filter(emission: Emission, node: unknown, scope: Scope): string {
  const parts = nodeOf(node, 'BoolExpr');
  if (parts?.['boolop'] === 'AND_EXPR' || parts?.['boolop'] === 'OR_EXPR') return `(${listOf(parts['args']).map((part) => filter(emission, part, scope)).join(parts['boolop'] === 'AND_EXPR' ? ' AND ' : ' OR ')})`;
  const link = nodeOf(node, 'SubLink');
  return link?.['subLinkType'] === 'ANY_SUBLINK' || link?.['subLinkType'] === 'ALL_SUBLINK' ? subLink(emission, link, scope, true).sql : condition(emission, node, scope);
}

function booleanExpression(emission: Emission, node: Tree, scope: Scope): Value {
  const parts = listOf(node['args']).map((part) => condition(emission, part, scope));
  if (node['boolop'] === 'NOT_EXPR') return { sql: `(NOT ${parts.join('')})`, type: bool, nullable: true };
  const word = node['boolop'] === 'AND_EXPR' ? ' AND ' : node['boolop'] === 'OR_EXPR' ? ' OR ' : refuse(String(node['boolop']), node['location']);
  return { sql: `(${parts.join(word)})`, type: bool, nullable: true };
}

function nullTest(emission: Emission, node: Tree, scope: Scope): Value {
  if (nodeOf(node['arg'], 'RowExpr') !== undefined) return refuse('IS NULL of a row', node['location']);
  const value = ownColumn(node['arg'], scope) ?? decide(emission, emission.expression(node['arg'], scope), textType);
  return { sql: `(${value.column ?? value.sql} IS ${node['nulltesttype'] === 'IS_NOT_NULL' ? 'NOT ' : ''}NULL)`, type: bool, nullable: false };
}

const truthTests: Readonly<Record<string, { readonly words: string; readonly plain: (sql: string) => string }>> = {
  IS_TRUE: { words: 'IS TRUE', plain: (sql) => `IF(${sql}, TRUE, FALSE)` }, IS_NOT_TRUE: { words: 'IS NOT TRUE', plain: (sql) => `IF(${sql}, FALSE, TRUE)` },
  IS_FALSE: { words: 'IS FALSE', plain: (sql) => `IF(COALESCE(${sql}, TRUE), FALSE, TRUE)` }, IS_NOT_FALSE: { words: 'IS NOT FALSE', plain: (sql) => `IF(COALESCE(${sql}, TRUE), TRUE, FALSE)` },
  IS_UNKNOWN: { words: 'IS UNKNOWN', plain: (sql) => `(${sql} IS NULL)` }, IS_NOT_UNKNOWN: { words: 'IS NOT UNKNOWN', plain: (sql) => `(${sql} IS NOT NULL)` },
};

/** MySQL 5.6 makes an inner join of an outer one for such a test, as if no NULL could pass it. */
function booleanTest(emission: Emission, node: Tree, scope: Scope): Value {
  const test = truthTests[String(node['booltesttype'])] ?? refuse('boolean test', node['location']);
  const tested = condition(emission, node['arg'], scope);
  return { sql: emission.capabilities.binaryCollation === undefined ? test.plain(tested) : `(${tested} ${test.words})`, type: bool, nullable: false };
}

/** The values of CASE, COALESCE …, brought to one type. */
function unified(emission: Emission, values: readonly Value[], place: unknown): { readonly values: readonly Value[]; readonly type: PgType } {
  const { values: same } = unify(emission, values, place);
  let type = same[0]?.type ?? textType;
  // A NULL says nothing of a number's scale.
  const speaking = same.filter((_value, index) => values[index]?.literal !== null);
  for (const [index, value] of speaking.entries()) type = index === 0 ? value.type : commonType(type, value.type) ?? refuse('values of different types', place);
  return { values: same, type };
}

function caseExpression(emission: Emission, node: Tree, scope: Scope): Value {
  // A constant without a type is text here, whatever it is compared with.
  const subject = node['arg'] === undefined ? undefined : decide(emission, emission.expression(node['arg'], scope), textType, node['location']);
  const arms = listOf(node['args']).map((arm) => treeOf(nodeOf(arm, 'CaseWhen')) ?? refuse('CASE', node['location']));
  // One arm after the other: a parameter has the type of where it stands first.
  const emitted = arms.map((arm) => ({
    test: subject === undefined ? condition(emission, arm['expr'], scope) : compare(emission, '=', subject, emission.expression(arm['expr'], scope), node['location']).sql,
    result: emission.expression(arm['result'], scope),
  }));
  const conditions = emitted.map(({ test }) => test);
  const otherwise: Value = node['defresult'] === undefined ? { sql: 'NULL', type: unknown, nullable: true, literal: null } : emission.expression(node['defresult'], scope);
  const { values, type } = unified(emission, [...emitted.map(({ result }) => result), otherwise], node['location']);
  const texts = values.map(({ sql }) => sql);
  const sql = `(CASE ${conditions.map((test, index) => `WHEN ${test} THEN ${texts[index] ?? 'NULL'}`).join(' ')} ELSE ${texts.at(-1) ?? 'NULL'} END)`;
  const shown = textOfArms(emission, values, type, (arms) => `(CASE ${conditions.map((test, index) => `WHEN ${test} THEN ${arms[index] ?? 'NULL'}`).join(' ')} ELSE ${arms.at(-1) ?? 'NULL'} END)`);
  return { sql, type, nullable: values.some(({ nullable }) => nullable), ...shown };
}

/** Numbers of different scales: each arm is shown as it is. */
function textOfArms(emission: Emission, values: readonly Value[], type: PgType, join: (arms: readonly string[]) => string): { readonly shown?: string } {
  if (type.name !== 'numeric' || type.scale !== undefined) return {};
  const isShowable = values.every((value) => value.sql === 'NULL' || value.shown !== undefined || isInteger(value.type) || value.type.scale !== undefined);
  return isShowable ? { shown: join(values.map((value) => (value.sql === 'NULL' ? 'NULL' : textOf(emission, value).sql))) } : {};
}

function coalesce(emission: Emission, node: Tree, scope: Scope): Value {
  const { values, type } = unified(emission, listOf(node['args']).map((item) => emission.expression(item, scope)), node['location']);
  const join = (items: readonly string[]): string => `COALESCE(${items.join(', ')})`;
  return { sql: join(values.map(({ sql }) => sql)), type, nullable: values.every(({ nullable }) => nullable), ...textOfArms(emission, values, type, join) };
}

/** PostgreSQL overlooks NULLs here, MySQL does not. */
function greatest(emission: Emission, node: Tree, scope: Scope): Value {
  const { values, type } = unified(emission, listOf(node['args']).map((item) => emission.expression(item, scope)), node['location']);
  if (emission.capabilities.binaryCollation === undefined && isText(type)) return refuse('GREATEST or LEAST of text', node['location']);
  if (isText(type)) requireCodePoints(emission, node['location']);
  if (values.length > 8) return refuse('GREATEST or LEAST of more than eight values', node['location']);
  const word = node['op'] === 'IS_GREATEST' ? 'GREATEST' : 'LEAST';
  const filled = values.map((value, index) => (value.nullable && values.length > 1 ? `COALESCE(${[value, ...values.filter((_, other) => other !== index)].map(({ sql }) => sql).join(', ')})` : value.sql));
  return { sql: filled.length === 1 ? filled.join('') : `${word}(${filled.join(', ')})`, type, nullable: values.every(({ nullable }) => nullable) };
}

function operatorExpression(emission: Emission, node: Tree, scope: Scope): Value {
  const place = node['location'];
  const own = ownComparison(emission, node, scope);
  if (own !== undefined) return own;
  const names = nameParts(node['name']) ?? [];
  const name = names.length > 1 && names[0] !== 'pg_catalog' ? refuse(`operator ${names.join('.')}`, place) : names.at(-1) ?? '';
  switch (node['kind']) {
    case 'AEXPR_OP': return plainOperator(emission, name === '!=' ? '<>' : name, node, scope);
    case 'AEXPR_IN': return inExpression(emission, name, node, scope);
    case 'AEXPR_OP_ANY': case 'AEXPR_OP_ALL': return arrayComparison(emission, name, node, scope);
    case 'AEXPR_DISTINCT': case 'AEXPR_NOT_DISTINCT':
      return isDistinct(emission, emission.expression(node['lexpr'], scope), emission.expression(node['rexpr'], scope), node['kind'] === 'AEXPR_NOT_DISTINCT', place);
    case 'AEXPR_BETWEEN': case 'AEXPR_NOT_BETWEEN': case 'AEXPR_BETWEEN_SYM': case 'AEXPR_NOT_BETWEEN_SYM': return betweenExpression(emission, node, scope);
    case 'AEXPR_NULLIF': {
      const [left, right] = [emission.expression(node['lexpr'], scope), emission.expression(node['rexpr'], scope)];
      const test = compare(emission, '=', left, right, place);
      // What has no type of its own takes the other's.
      const kept = decide(emission, left, right.type.name === 'unknown' ? textType : right.type, place);
      // PostgreSQL gives the value of the type that it compares them in.
      if (isNumber(kept.type) && isNumber(right.type) && rankOf(kept.type.name) < rankOf(right.type.name)) return refuse('NULLIF of numbers of several types', place);
      return { sql: `(CASE WHEN ${test.sql} THEN NULL ELSE ${kept.sql} END)`, type: kept.type, nullable: true };
    }
    case 'AEXPR_LIKE': case 'AEXPR_ILIKE': return likeExpression(emission, name, node, scope);
    case 'AEXPR_SIMILAR': return refuse('SIMILAR TO', place);
    default: return refuse(String(node['kind']), place);
  }
}

const rankOf = (name: string): number => (name === 'numeric' ? 1 : name === 'float4' || name === 'float8' ? 2 : 0);

function betweenExpression(emission: Emission, node: Tree, scope: Scope): Value {
  const place = node['location'];
  const [low, high] = listOf(nodeOf(node['rexpr'], 'List')?.['items']).map((item) => emission.expression(item, scope));
  if (low === undefined || high === undefined) return refuse('BETWEEN', place);
  const value = emission.expression(node['lexpr'], scope);
  const kind = String(node['kind']);
  const isNegated = kind.startsWith('AEXPR_NOT');
  const one = between(emission, { value, low, high }, isNegated, place);
  if (!kind.endsWith('SYM')) return one;
  const other = between(emission, { value, low: high, high: low }, isNegated, place);
  return { sql: `(${one.sql} ${isNegated ? 'AND' : 'OR'} ${other.sql})`, type: bool, nullable: true };
}

function plainOperator(emission: Emission, name: string, node: Tree, scope: Scope): Value {
  const place = node['location'];
  if (node['lexpr'] === undefined) {
    const operand = emission.expression(node['rexpr'], scope);
    return name === '-' ? negate(emission, operand, place) : name === '+' && operand.type.name !== 'unknown' ? operand : refuse(`prefix operator ${name}`, place);
  }
  if (isComparison(name)) {
    const [left, right] = [rowFields(emission, node['lexpr'], scope), rowFields(emission, node['rexpr'], scope)];
    if (left !== undefined && right !== undefined) return compareRows(emission, name, left, right, place);
  }
  const shifted = addInterval(emission, name, node, scope);
  if (shifted !== undefined) return shifted;
  const [left, right] = [emission.expression(node['lexpr'], scope), emission.expression(node['rexpr'], scope)];
  if (isComparison(name)) return compare(emission, name, left, right, place);
  const moved = momentOperator(emission, name, left, right, place);
  if (moved !== undefined) return moved;
  switch (name) {
    case '+': case '-': case '*': case '/': case '%': return calculate(emission, name, left, right, place);
    case '||': return concatenate(emission, left, right, place);
    case '&': case '|': case '#': {
      const type = commonType(left.type, right.type);
      if (type === undefined || !isInteger(type)) return refuse(`operator ${name} of ${typeLabel(left.type)} and ${typeLabel(right.type)}`, place);
      const sql = `CAST(${coerce(emission, left, type).sql} ${name === '#' ? '^' : name} ${coerce(emission, right, type).sql} AS SIGNED)`;
      return { sql, type, nullable: left.nullable || right.nullable };
    }
    case '->': case '->>': case '#>': case '#>>': return jsonOperator(emission, name, left, right, place);
    default: return refuse(name.includes('~') ? 'regular expression' : `operator ${name}`, place);
  }
}

const plainText: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'unknown']);

function concatenate(emission: Emission, left: Value, right: Value, place: unknown): Value {
  if (!plainText.has(left.type.name) && !plainText.has(right.type.name)) return refuse(`operator || of ${typeLabel(left.type)} and ${typeLabel(right.type)}`, place);
  const [one, other] = [textOf(emission, left, place), textOf(emission, right, place)];
  // MySQL 5.6 appends to what it has kept of a subquery, row after row.
  if (emission.capabilities.binaryCollation === undefined && one.sql.includes('(SELECT ')) return refuse('operator || of a subquery', place);
  return { sql: `CONCAT(${one.sql}, ${other.sql})`, type: textType, nullable: one.nullable || other.nullable, ...(one.constant === true && other.constant === true ? { constant: true } : {}) };
}

function likeExpression(emission: Emission, name: string, node: Tree, scope: Scope): Value {
  const call = nodeOf(node['rexpr'], 'FuncCall');
  const isEscape = nameParts(call?.['funcname'])?.at(-1) === 'like_escape';
  const [pattern, escape] = isEscape ? listOf(call?.['args']) : [node['rexpr']];
  const character = isEscape ? stringConstant(escape) ?? refuse('ESCAPE that is no constant', node['location']) : '\\';
  const left = emission.expression(node['lexpr'], scope);
  const right = madePattern(emission, pattern, character, scope) ?? emission.expression(pattern, scope);
  const sql = like(emission, left, right, { negated: name.startsWith('!'), ignoresCase: node['kind'] === 'AEXPR_ILIKE', escape: character }, node['location']);
  return { sql, type: bool, nullable: left.nullable || right.nullable };
}

/** `lower($1)`, `'%' || $1 || '%'` and the like: what ends in a constant cannot end in an escape character that stands alone. */
function madePattern(emission: Emission, node: unknown, escape: string, scope: Scope): Value | undefined {
  const cased = casedPattern(node);
  if (cased !== undefined) {
    // A letter would be another one.
    if (escape.toLowerCase() !== escape.toUpperCase()) return undefined;
    const inner = madePattern(emission, cased.of, escape, scope) ?? plainPattern(emission, emission.expression(cased.of, scope), escape);
    return inner === undefined ? undefined : { ...changeCase(emission, cased.word, inner), pattern: true };
  }
  const pieces = joinedPieces(node);
  if (pieces.length < 2) return undefined;
  const values = pieces.map((piece) => emission.expression(piece, scope));
  const end = values.at(-1)?.literal;
  if (typeof end !== 'string' || end === '' || (escape !== '' && end.includes(escape))) return undefined;
  // What ends none of them needs no look at its own end.
  const patterns = values.map((value) => plainPattern(emission, value, ''));
  return patterns.includes(undefined) ? undefined : { sql: `CONCAT(${patterns.map((value) => value?.sql).join(', ')})`, type: textType, nullable: true, constant: true, pattern: true };
}

function joinedPieces(node: unknown): readonly unknown[] {
  const joined = nodeOf(node, 'A_Expr');
  return joined?.['kind'] === 'AEXPR_OP' && nameParts(joined['name'])?.join('.') === '||' && joined['lexpr'] !== undefined ? [...joinedPieces(joined['lexpr']), ...joinedPieces(joined['rexpr'])] : [node];
}

function casedPattern(node: unknown): { readonly word: 'LOWER' | 'UPPER'; readonly of: unknown } | undefined {
  const call = nodeOf(node, 'FuncCall');
  const name = nameParts(call?.['funcname'])?.join('.');
  const [argument, ...others] = listOf(call?.['args']);
  return argument === undefined || others.length > 0 || (name !== 'lower' && name !== 'upper') ? undefined : { word: name === 'lower' ? 'LOWER' : 'UPPER', of: argument };
}

function plainPattern(emission: Emission, value: Value, escape: string): Value | undefined {
  return typeof value.literal === 'string' || value.parameter !== undefined ? patternOf(emission, value, escape, undefined) : undefined;
}

function inExpression(emission: Emission, name: string, node: Tree, scope: Scope): Value {
  const items = listOf(nodeOf(node['rexpr'], 'List')?.['items']);
  const isNegated = name === '<>';
  const left = rowFields(emission, node['lexpr'], scope);
  if (left === undefined) return isIn(emission, emission.expression(node['lexpr'], scope), items.map((item) => emission.expression(item, scope)), isNegated, node['location']);
  const tests = items.map((item) => compareRows(emission, '=', left, rowFields(emission, item, scope) ?? refuse('row IN values', node['location']), node['location']).sql);
  return { sql: `(${isNegated ? 'NOT ' : ''}(${tests.join(' OR ')}))`, type: bool, nullable: true };
}

function arrayComparison(emission: Emission, name: string, node: Tree, scope: Scope): Value {
  const place = node['location'];
  const isAny = node['kind'] === 'AEXPR_OP_ANY';
  if (!(isAny && name === '=') && !(!isAny && name === '<>')) return refuse(`${name} ${isAny ? 'ANY' : 'ALL'} (array)`, place);
  const left = emission.expression(node['lexpr'], scope);
  const cast = nodeOf(node['rexpr'], 'TypeCast');
  const array = cast === undefined || listOf(treeOf(cast['typeName'])?.['arrayBounds']).length === 0 ? node['rexpr'] : cast['arg'];
  const parameterNumber = nodeOf(array, 'ParamRef')?.['number'];
  if (typeof parameterNumber === 'number') return isAnyOf(emission, left, parameterNumber, !isAny, place);
  const elements = nodeOf(array, 'A_ArrayExpr')?.['elements'];
  const literal = stringConstant(array);
  const items = elements !== undefined ? listOf(elements).map((item) => emission.expression(item, scope))
    : literal === undefined ? undefined : parseArray(literal)?.map((item): Value => ({ sql: '', type: unknown, nullable: item === null, literal: item, constant: true }));
  if (items === undefined) return refuse('array', place);
  if (items.length === 0) return { sql: isAny ? 'FALSE' : 'TRUE', type: bool, nullable: false };
  return isIn(emission, left, items, !isAny, place);
}

function subLink(emission: Emission, node: Tree, scope: Scope, isFilter = false): Value {
  const place = node['location'];
  switch (node['subLinkType']) {
    case 'EXISTS_SUBLINK': return { sql: `EXISTS (${emission.query(node['subselect'], scope, { named: false }).sql})`, type: bool, nullable: false };
    case 'EXPR_SUBLINK': {
      const { sql, columns: [column, ...others] } = emission.query(node['subselect'], scope, { named: false });
      if (column === undefined || others.length > 0) return refuse('subquery of several columns', place);
      if (column.value.showOnly === true) return refuse('subquery of a column that can only be shown', place);
      return { sql: `(${sql})`, type: column.value.type, nullable: true };
    }
    case 'ANY_SUBLINK': case 'ALL_SUBLINK': {
      const written = nameParts(node['operName'])?.at(-1) ?? '=';
      const operator = written === '!=' ? '<>' : written;
      if (!isComparison(operator)) return refuse(`operator ${operator} with a subquery`, place);
      const left = rowFields(emission, node['testexpr'], scope) ?? [emission.expression(node['testexpr'], scope)];
      return compareWithQuery(emission, { left, operator, all: node['subLinkType'] === 'ALL_SUBLINK', query: node['subselect'], isFilter }, scope, place);
    }
    default: return refuse('ARRAY or row subquery', place);
  }
}

/** For GROUP BY, PARTITION BY and ORDER BY. */
export function sortable(emission: Emission, value: Value): string {
  // MySQL 5.6 makes two groups of zero and negative zero.
  if (value.type.name === 'float8' && value.column === undefined && emission.capabilities.binaryCollation === undefined) return `(${value.sql} + 0e0)`;
  return comparable(emission, literalOr(value));
}

function literalOr(value: Value): Value {
  return typeof value.literal === 'string' ? literalOf(value.literal, textType) : value.literal === null ? { ...value, sql: 'NULL', type: textType } : value;
}
