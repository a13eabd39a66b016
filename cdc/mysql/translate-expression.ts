/**
 * Expressions of defaults, checks, generated columns and indexes, from MySQL to local. An allow-list that fails closed: what is not known
 * to mean the same is refused by name, and its owner becomes a finding.
 */
import { quoteIdent, quoteLiteral } from '../postgres/quote.ts';
import { expressionTokens } from './expression-tokens.ts';
import type { ExpressionToken } from './expression-tokens.ts';

/** What the value of an expression is on local, as far as operators care. */
export type ValueKind = 'integer' | 'numeric' | 'float' | 'text' | 'boolean' | 'time' | 'null' | 'other';

export type Translation = { readonly ok: true; readonly sql: string; readonly kind: ValueKind } | { readonly ok: false; readonly refused: string };

export interface ExpressionScope {
  /** Undefined for a column that local does not have. */
  readonly kindOf: (column: string) => ValueKind | undefined;
}

class Refused extends Error {}

export function translateExpression(text: string, scope: ExpressionScope): Translation {
  const tokens = expressionTokens(text);
  if (tokens === undefined) return { ok: false, refused: 'a character outside the known syntax' };
  try {
    const reader = new Reader(tokens, scope);
    const value = reader.expression(0);
    reader.expect('end', '');
    return { ok: true, ...value };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refused: error.message };
    throw error;
  }
}

interface Value {
  readonly sql: string;
  readonly kind: ValueKind;
}

const binding: Readonly<Record<string, number>> = {
  or: 1, '||': 1, and: 3, '&&': 3, '=': 5, '<=>': 5, '<>': 5, '!=': 5, '<': 5, '<=': 5, '>': 5, '>=': 5, is: 5, in: 5, between: 5, like: 5, not: 5, '+': 7, '-': 7, '*': 8, '%': 8, mod: 8, div: 8,
};

const isNumber = (kind: ValueKind): boolean => kind === 'integer' || kind === 'numeric' || kind === 'float' || kind === 'null';

class Reader {
  readonly #tokens: readonly ExpressionToken[];
  readonly #scope: ExpressionScope;
  #at = 0;

  constructor(tokens: readonly ExpressionToken[], scope: ExpressionScope) {
    this.#tokens = tokens;
    this.#scope = scope;
  }

  expression(least: number): Value {
    let left = this.#operand();
    for (;;) {
      const token = this.#peek();
      const strength = token.kind === 'symbol' || token.kind === 'word' ? binding[token.text] : undefined;
      if (strength === undefined || strength < least) return left;
      left = this.#behind(left, this.#next().text, strength);
    }
  }

  expect(kind: ExpressionToken['kind'], text: string): void {
    const token = this.#next();
    if (token.kind !== kind || token.text !== text) throw new Refused(token.kind === 'end' ? 'an end too early' : `\`${token.text}\``);
  }

  #behind(left: Value, operator: string, strength: number): Value {
    switch (operator) {
      case 'is': return this.#isTest(left);
      case 'not': return this.#negated(left);
      case 'in': return this.#inList(left, '');
      case 'between': return this.#between(left, '');
      case 'like': return this.#like(left, '');
      default: return this.#binary(left, operator, this.expression(strength + 1));
    }
  }

  #binary(left: Value, operator: string, right: Value): Value {
    switch (operator) {
      case 'or': case '||': return { sql: `(${truth(left)} OR ${truth(right)})`, kind: 'boolean' };
      case 'and': case '&&': return { sql: `(${truth(left)} AND ${truth(right)})`, kind: 'boolean' };
      case '+': case '-': case '*':
        if (!isNumber(left.kind) || !isNumber(right.kind)) throw new Refused(`\`${operator}\` of something else than numbers`);
        return { sql: `(${left.sql} ${operator} ${right.sql})`, kind: left.kind === 'float' || right.kind === 'float' ? 'float' : left.kind === 'numeric' || right.kind === 'numeric' ? 'numeric' : 'integer' };
      case 'div': case '%': case 'mod':
        // NULL to MySQL where the divisor is 0, an error to local.
        if (left.kind !== 'integer' || !/^[1-9]\d*$/.test(right.sql)) throw new Refused(`\`${operator}\` with a divisor that may be 0 or is no integer`);
        return { sql: `(${left.sql} ${operator === 'div' ? '/' : '%'} ${right.sql})`, kind: 'integer' };
      default: {
        const [a, b] = alike(left, right);
        return { sql: operator === '<=>' ? `(NOT (${a.sql} IS DISTINCT FROM ${b.sql}))` : `(${a.sql} ${operator === '!=' ? '<>' : operator} ${b.sql})`, kind: 'boolean' };
      }
    }
  }

  #isTest(left: Value): Value {
    const isNot = this.#accept('not');
    if (this.#accept('null')) return { sql: `(${left.sql} IS ${isNot ? 'NOT ' : ''}NULL)`, kind: 'boolean' };
    for (const word of ['true', 'false']) if (this.#accept(word)) return { sql: `(${truth(left)} IS ${isNot ? 'NOT ' : ''}${word.toUpperCase()})`, kind: 'boolean' };
    throw new Refused('`IS` with something else than NULL');
  }

  #negated(left: Value): Value {
    if (this.#accept('in')) return this.#inList(left, 'NOT ');
    if (this.#accept('between')) return this.#between(left, 'NOT ');
    if (this.#accept('like')) return this.#like(left, 'NOT ');
    throw new Refused(`\`NOT ${this.#peek().text}\``);
  }

  #inList(left: Value, not: string): Value {
    const items = this.#arguments().map((item) => alike(left, item)[1].sql);
    return { sql: `(${left.sql} ${not}IN (${items.join(', ')}))`, kind: 'boolean' };
  }

  #between(left: Value, not: string): Value {
    const low = this.expression(6);
    if (!this.#accept('and')) throw new Refused('`BETWEEN` without AND');
    const high = this.expression(6);
    return { sql: `(${left.sql} ${not}BETWEEN ${alike(left, low)[1].sql} AND ${alike(left, high)[1].sql})`, kind: 'boolean' };
  }

  #like(left: Value, not: string): Value {
    const right = this.expression(6);
    if (left.kind !== 'text' || right.kind !== 'text' || this.#accept('escape')) throw new Refused('`LIKE` of something else than texts');
    return { sql: `(${left.sql} ${not}LIKE ${right.sql})`, kind: 'boolean' };
  }

  #operand(): Value {
    const token = this.#next();
    if (token.kind === 'number') return { sql: token.text, kind: /^\d+$/.test(token.text) ? 'integer' : /e/i.test(token.text) ? 'float' : 'numeric' };
    if (token.kind === 'string') return { sql: textLiteral(token.text), kind: 'text' };
    if (token.kind === 'name') return this.#column(token.text);
    if (token.kind === 'word') return this.#word(token.text);
    if (token.text === '(') {
      const inner = this.expression(0);
      this.expect('symbol', ')');
      return inner;
    }
    if (token.text === '-') {
      const operand = this.expression(9);
      if (!isNumber(operand.kind)) throw new Refused('`-` before something else than a number');
      return { ...operand, sql: `(-${operand.sql})` };
    }
    if (token.text === '!') return { sql: `(NOT ${truth(this.expression(9))})`, kind: 'boolean' };
    throw new Refused(token.kind === 'end' ? 'an end too early' : `\`${token.text}\``);
  }

  #column(name: string): Value {
    const kind = this.#scope.kindOf(name);
    if (kind === undefined) throw new Refused(`column ${name}, which local does not have`);
    return { sql: quoteIdent(name), kind };
  }

  #word(word: string): Value {
    switch (word) {
      case 'null': return { sql: 'NULL', kind: 'null' };
      case 'true': case 'false': return { sql: word, kind: 'boolean' };
      case 'not': return { sql: `(NOT ${truth(this.expression(4))})`, kind: 'boolean' };
      case 'case': return this.#case();
      default:
        if (this.#isSymbol('(')) return call(word, this.#arguments());
        throw new Refused(`\`${word}\``);
    }
  }

  #case(): Value {
    const parts: string[] = [];
    let kind: ValueKind = 'null';
    while (this.#accept('when')) {
      const condition = truth(this.expression(0));
      if (!this.#accept('then')) throw new Refused('`CASE` with an operand');
      const value = this.expression(0);
      kind = merged(kind, value.kind, '`CASE`');
      parts.push(`WHEN ${condition} THEN ${value.sql}`);
    }
    if (parts.length === 0) throw new Refused('`CASE` with an operand');
    const otherwise = this.#accept('else') ? this.expression(0) : undefined;
    if (otherwise !== undefined) kind = merged(kind, otherwise.kind, '`CASE`');
    this.expect('word', 'end');
    return { sql: `CASE ${parts.join(' ')}${otherwise === undefined ? '' : ` ELSE ${otherwise.sql}`} END`, kind };
  }

  #arguments(): Value[] {
    this.expect('symbol', '(');
    const values: Value[] = [];
    if (this.#isSymbol(')')) {
      this.#next();
      return values;
    }
    for (;;) {
      values.push(this.expression(0));
      const token = this.#next();
      if (token.text === ')') return values;
      if (token.text !== ',') throw new Refused(`\`${token.text}\``);
    }
  }

  #isSymbol(text: string): boolean {
    return this.#peek().kind === 'symbol' && this.#peek().text === text;
  }

  #accept(word: string): boolean {
    if (this.#peek().kind !== 'word' || this.#peek().text !== word) return false;
    this.#at += 1;
    return true;
  }

  #peek(): ExpressionToken {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  #next(): ExpressionToken {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }
}

function textLiteral(text: string): string {
  if (text.includes('\0')) throw new Refused('a text with U+0000');
  return quoteLiteral(text);
}

/** A number is true unless it is 0. */
function truth(value: Value): string {
  if (value.kind === 'boolean' || value.kind === 'null') return value.sql;
  if (value.kind === 'integer') return `(${value.sql} <> 0)`;
  throw new Refused(`a ${value.kind} as a truth value`);
}

/** The two sides of a comparison, made comparable; MySQL compares a text with a number as floats, which is refused. */
function alike(left: Value, right: Value): [Value, Value] {
  if (left.kind === 'boolean' && /^[01]$/.test(right.sql)) return [left, { sql: right.sql === '1' ? 'true' : 'false', kind: 'boolean' }];
  if (right.kind === 'boolean' && /^[01]$/.test(left.sql)) return [{ sql: left.sql === '1' ? 'true' : 'false', kind: 'boolean' }, right];
  merged(left.kind, right.kind, 'a comparison');
  return [left, right];
}

function merged(left: ValueKind, right: ValueKind, where: string): ValueKind {
  if (left === 'null' || left === right) return right;
  if (right === 'null') return left;
  if (isNumber(left) && isNumber(right)) return left === 'float' || right === 'float' ? 'float' : 'numeric';
  // A text constant takes the type of what it is compared with.
  if ((left === 'time' && right === 'text') || (left === 'other' && right === 'text')) return left;
  throw new Refused(`${where} of ${left} and ${right}`);
}

function call(name: string, values: readonly Value[]): Value {
  const [first, second] = values;
  const all = (kind: ValueKind): boolean => values.every((value) => value.kind === kind);
  const list = values.map((value) => value.sql).join(', ');
  switch (name) {
    case 'concat':
      if (!values.every((value) => value.kind === 'text' || value.kind === 'integer')) break;
      return { sql: `(${values.map((value) => (value.kind === 'text' ? value.sql : `(${value.sql})::text`)).join(' || ')})`, kind: 'text' };
    case 'coalesce': case 'ifnull':
      return { sql: `COALESCE(${list})`, kind: values.reduce<ValueKind>((kind, value) => merged(kind, value.kind, `\`${name}\``), 'null') };
    case 'nullif':
      if (first === undefined || second === undefined) break;
      merged(first.kind, second.kind, '`nullif`');
      return { sql: `NULLIF(${list})`, kind: first.kind };
    case 'lower': case 'lcase': case 'upper': case 'ucase': case 'trim': case 'ltrim': case 'rtrim': {
      if (values.length !== 1 || !all('text')) break;
      const own = name === 'lcase' ? 'lower' : name === 'ucase' ? 'upper' : name === 'trim' ? 'btrim' : name;
      return { sql: `${own}(${list})`, kind: 'text' };
    }
    case 'char_length': case 'character_length':
      if (values.length !== 1 || !all('text')) break;
      return { sql: `char_length(${list})`, kind: 'integer' };
    case 'left': case 'right':
      if (first?.kind !== 'text' || !/^\d+$/.test(second?.sql ?? '')) break;
      return { sql: `"${name}"(${list})`, kind: 'text' };
    case 'abs':
      if (values.length !== 1 || first === undefined || !isNumber(first.kind)) break;
      return { sql: `abs(${list})`, kind: first.kind };
    case 'if': {
      const [condition, yes, no] = values;
      if (condition === undefined || yes === undefined || no === undefined) break;
      return { sql: `CASE WHEN ${truth(condition)} THEN ${yes.sql} ELSE ${no.sql} END`, kind: merged(yes.kind, no.kind, '`if`') };
    }
    case 'year': case 'month': case 'dayofmonth': case 'hour': case 'minute':
      if (values.length !== 1 || first?.kind !== 'time') break;
      return { sql: `(EXTRACT(${name === 'dayofmonth' ? 'day' : name} FROM ${list}))::integer`, kind: 'integer' };
    default:
  }
  throw new Refused(`\`${name}(${values.map((value) => value.kind).join(', ')})\``);
}
