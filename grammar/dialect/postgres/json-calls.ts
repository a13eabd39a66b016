/** Functions of JSON, by constant paths of names and places. https://dev.mysql.com/doc/refman/8.4/en/json-functions.html */
import { quoteLiteral } from '../../names.ts';
import { argument, exactly } from './call-context.ts';
import type { CallContext, CallEmitter } from './call-context.ts';
import { isConstantText } from './convert-value.ts';
import type { Value } from './mysql-expression.ts';
import type { TextCollation } from './mysql-type.ts';
import { refuse } from './refused-mysql.ts';

/** MySQL's own type, which local keeps as jsonb; MariaDB's is a text that its functions cut pieces out of. */
function document(call: CallContext, index: number): Value {
  const value = argument(call, index);
  return value.type.kind === 'json' && value.type.binary ? value : refuse(`${call.name}() of a string`, call.place);
}

/** `$.a.b[0]`, step by step: a name is one of an object alone, and what is no array is an array of itself. */
function reached(call: CallContext, from: string, path: Value): string {
  const match = isConstantText(path) ? /^\$((?:\.(?:[A-Za-z_]\w*|"[^"\\]*")|\[\d+\])*)$/.exec(path.constant) : null;
  if (match === null) return refuse(`${call.name}() by this path`, call.place);
  let sql = from;
  for (const [, name, quoted, place = '0'] of (match[1] ?? '').matchAll(/\.(?:([A-Za-z_]\w*)|"([^"\\]*)")|\[(\d+)\]/g)) {
    const key = name ?? quoted;
    sql = key !== undefined ? `(${sql} -> ${quoteLiteral(key)}::text)` : place.length > 9 ? refuse(`${call.name}() by this path`, call.place) : `(CASE jsonb_typeof(${sql}) WHEN 'array' THEN ${sql} -> ${Number(place)}${Number(place) === 0 ? ` ELSE ${sql}` : ''} END)`;
  }
  return sql;
}

/** Strings of JSON are compared character by character, but as the column that they meet. */
const jsonCollation: TextCollation = { name: 'utf8mb4_bin', local: '"pg_catalog"."C"', deterministic: true, pads: true, charset: 'utf8mb4', isWeak: true };

const extract: CallEmitter = (call) => {
  exactly(call, 2);
  return { sql: reached(call, document(call, 0).sql, argument(call, 1)), type: { kind: 'json', binary: true }, nullable: true };
};

/** The text of a string, else the document's. JSON's null is the text `null`. */
const unquote: CallEmitter = (call) => {
  exactly(call, 1);
  const { sql } = document(call, 0);
  return { sql: `(CASE jsonb_typeof(${sql}) WHEN 'null' THEN 'null' ELSE ${sql} #>> '{}' END)`, type: { kind: 'text', collation: jsonCollation, isTrimmed: false, isOwn: false }, nullable: true };
};

export const jsonCalls: Readonly<Record<string, CallEmitter>> = { JSON_EXTRACT: extract, JSON_UNQUOTE: unquote };
