/** The type of CAST and CONVERT. https://dev.mysql.com/doc/refman/8.4/en/cast-functions.html#function_cast */
import type { CastType } from './mysql-tree.ts';
import type { TokenCursor } from './token-cursor.ts';

const spellings: Readonly<Record<string, string>> = {
  SIGNED: 'SIGNED', INT: 'SIGNED', INTEGER: 'SIGNED', UNSIGNED: 'UNSIGNED', DECIMAL: 'DECIMAL', DEC: 'DECIMAL', NUMERIC: 'DECIMAL', FIXED: 'DECIMAL', CHAR: 'CHAR', CHARACTER: 'CHAR', VARCHAR: 'CHAR',
  NCHAR: 'CHAR', BINARY: 'BINARY', VARBINARY: 'BINARY', DATE: 'DATE', DATETIME: 'DATETIME', TIME: 'TIME', YEAR: 'YEAR', JSON: 'JSON', DOUBLE: 'DOUBLE', REAL: 'DOUBLE', FLOAT: 'FLOAT',
};

export function castType(cursor: TokenCursor): CastType {
  const { key } = cursor.token;
  const name = Object.hasOwn(spellings, key) ? spellings[key] : undefined;
  if (name === undefined) return cursor.fail();
  cursor.next();
  if (name === 'SIGNED' || name === 'UNSIGNED') cursor.acceptOne(['INT', 'INTEGER']);
  if (name === 'DOUBLE') cursor.accept('PRECISION');
  const modifiers = cursor.is('(') ? cursor.inParentheses(() => cursor.list(() => (cursor.token.kind === 'integer' ? Number(cursor.next().text) : cursor.fail()))) : [];
  // A character set or a collation of the result: refused by what reads on.
  return { name, length: modifiers[0], scale: modifiers[1] };
}
