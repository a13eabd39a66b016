/** Literals and variables: what is known of them when the statement is translated. */
import { inCollation } from './cast-value.ts';
import { asBytes } from './compare-values.ts';
import { integerConstant, nullValue, numberConstant, textLiteral } from './convert-value.ts';
import { readMoment, readTime } from './moment-text.ts';
import type { MysqlEmission } from './mysql-emission.ts';
import type { Value } from './mysql-expression.ts';
import type { Expression } from './mysql-tree.ts';
import { doubleType } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

type Node<Type extends Expression['type']> = Extract<Expression, { readonly type: Type }>;

export function literal(emission: MysqlEmission, node: Node<'literal'>): Value {
  const { place, value } = node;
  switch (node.kind) {
    case 'null': return { ...nullValue, place };
    case 'true': case 'false': return { ...integerConstant(node.kind === 'true' ? 1n : 0n, place) };
    case 'integer': {
      const constant = integerConstant(BigInt(value), place);
      const isNarrow = emission.facts.mode.server.flavour === 'mariadb' && value.length <= 9 && constant.type.kind === 'int';
      return isNarrow ? { ...constant, type: { ...constant.type, told: 3 } } : constant;
    }
    case 'decimal': {
      const scale = (value.split('.')[1] ?? '').length;
      const plain = plainDecimal(value);
      return scale > 0 ? numberConstant(plain, scale, place) : { sql: `${plain}::numeric`, type: { kind: 'decimal', precision: plain.length, scale }, nullable: false, constant: plain, place };
    }
    case 'float': return { sql: `${value}::float8`, type: doubleType, nullable: false, constant: value, place };
    case 'hex': return { sql: `'\\x${value}'::bytea`, type: { kind: 'bytes' }, nullable: false, place };
    case 'bit': return refuse('bit-value literal', place);
    case 'string':
      if (node.charset === 'binary') return asBytes(emission, textLiteral(value, place), place);
      return introduced(emission, textLiteral(value, place), node.charset);
  }
}

export function variable(emission: MysqlEmission, node: Node<'variable'>): Value {
  const { facts } = emission;
  const name = node.name.toLowerCase();
  const scoped = /^(session|local|global)\.(.*)$/.exec(name);
  const found = node.scope === 'user' ? facts.userVariable?.(name) : facts.systemVariable?.(scoped?.[2] ?? name, scoped?.[1] === 'global' ? 'global' : scoped === null ? undefined : 'session');
  if (found === undefined) return refuse(`${node.scope} variable`, node.place);
  const { kind, value } = found;
  const text = (sql: string): Value => (node.scope === 'user' ? inCollation({ ...textLiteral(value ?? '', node.place), sql, constant: undefined }, emission.ownCollation) : { ...textLiteral(value ?? '', node.place), constant: undefined });
  // A variable without a value is a binary string, and makes one of what it stands beside.
  if (value === null) return node.scope === 'user' ? refuse('user variable without a value', node.place) : { ...nullValue, place: node.place };
  if (kind === 'integer' || kind === 'unsigned') return { ...integerConstant(BigInt(value), node.place), constant: undefined };
  return kind === 'text' ? text(textLiteral(value, node.place).sql) : refuse(`${node.scope} variable of another type than integer and string`, node.place);
}

/** `DATE '2024-01-31'` and its kin. */
export function moment(node: Node<'moment'>): Value {
  const { kind, value, place } = node;
  if (kind === 'TIME') {
    const time = readTime(value) ?? refuse('TIME literal', place);
    return { sql: `'${time.text}'::interval`, type: { kind: 'time', fraction: time.fraction }, nullable: false, place };
  }
  const read = readMoment(value);
  if (read === undefined || (kind === 'DATE') === read.hasTime) return refuse(`${kind} literal`, place);
  return kind === 'DATE' ? { sql: `'${read.text}'::date`, type: { kind: 'date' }, nullable: false, constant: read.text, place } : { sql: `'${read.text}'::timestamp`, type: { kind: 'datetime', fraction: read.fraction }, nullable: false, constant: read.text, place };
}

/** `_utf8mb4'…'`: its collation is the character set's own, whatever that of the connection is. */
function introduced(emission: MysqlEmission, value: Value, charset: string | undefined): Value {
  if (charset === undefined || value.type.kind !== 'text') return value;
  const collation = emission.defaultCollation(charset);
  return collation.name === emission.facts.collation ? value : { ...value, type: { ...value.type, collation: { ...collation, isWeak: true } } };
}

function plainDecimal(text: string): string {
  const [whole = '', fraction = ''] = text.split('.');
  const digits = whole.replace(/^0+(?=\d)/, '') || '0';
  return fraction === '' ? digits : `${digits}.${fraction}`;
}
