/** Statements about the schema and about roles: what they are about, by name. Their bodies are the server's to read. */
import { notUnderstood } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import type { CqlStatement } from './statement.ts';

type Found = Partial<CqlStatement> & Pick<CqlStatement, 'kind' | 'verb'>;

/** Behind CREATE, ALTER or DROP. */
export function readSchema(cursor: Cursor, verb: 'CREATE' | 'ALTER' | 'DROP'): Found {
  cursor.takeWords('or', 'replace');
  const isCustom = cursor.takeWords('custom');
  const kind = objectKind(cursor);
  if (kind === undefined || (isCustom && kind !== 'index')) throw notUnderstood;
  if (!cursor.takeWords('if', 'not', 'exists')) cursor.takeWords('if', 'exists');
  const called = `${verb} ${kind.toUpperCase()}`;
  if (kind === 'index') return index(cursor, called);
  if (kind === 'role' || kind === 'user' || kind === 'service level') return { kind: 'access', verb: called, object: { kind, name: roleName(cursor) }, ...rest(cursor) };
  const { keyspace, name } = cursor.qualifiedName();
  if (kind === 'keyspace') return keyspace === undefined ? { kind: 'schema', verb: called, keyspace: name, object: { kind, name }, ...rest(cursor) } : stuck();
  const base = kind === 'table' ? { keyspace, name } : kind === 'trigger' ? behind(cursor, 'on') : undefined;
  return { kind: 'schema', verb: called, keyspace: base?.keyspace ?? keyspace, table: base?.name, object: { kind, name }, ...rest(cursor) };
}

/** Behind TRUNCATE. */
export function readTruncate(cursor: Cursor): Found {
  // TABLE is a reserved word only of newer servers: `TRUNCATE table` is of a table with that name when nothing follows.
  if ((cursor.isWord('table') || cursor.isWord('columnfamily')) && cursor.isName(1) && !cursor.isWord('using', 1)) cursor.next();
  const { keyspace, name: table } = cursor.qualifiedName();
  return { kind: 'truncate', verb: 'TRUNCATE', keyspace, table, ...rest(cursor) };
}

/** Behind USE. */
export function readUse(cursor: Cursor): Found {
  return { kind: 'use', verb: 'USE', keyspace: cursor.name() };
}

/** GRANT, REVOKE, LIST, DESCRIBE, ATTACH, DETACH: nothing of them is of use but that they are it. */
export function readOther(cursor: Cursor, kind: 'access' | 'list', verb: string): Found {
  if (cursor.isEnd() || cursor.isSymbol(';')) throw notUnderstood;
  return { kind, verb, ...rest(cursor) };
}

function objectKind(cursor: Cursor): string | undefined {
  if (cursor.takeWords('materialized', 'view')) return 'materialized view';
  if (cursor.takeWords('service', 'level') || cursor.takeWords('service_level')) return 'service level';
  if (cursor.takeWords('columnfamily')) return 'table';
  return ['keyspace', 'table', 'type', 'index', 'function', 'aggregate', 'trigger', 'role', 'user'].find((word) => cursor.takeWords(word));
}

/** `CREATE INDEX [name] ON ks.t (…)`, `DROP INDEX ks.name` */
function index(cursor: Cursor, verb: string): Found {
  if (verb === 'DROP INDEX') {
    const { keyspace, name } = cursor.qualifiedName();
    return { kind: 'schema', verb, keyspace, object: { kind: 'index', name }, ...rest(cursor) };
  }
  const name = cursor.isWord('on') && cursor.isName(1) ? undefined : cursor.name();
  cursor.needWords('on');
  const on = cursor.qualifiedName();
  return { kind: 'schema', verb, keyspace: on.keyspace, table: on.name, object: { kind: 'index', name }, ...rest(cursor) };
}

/** A role's name may be a string. */
function roleName(cursor: Cursor): string {
  return cursor.peek().kind === 'string' ? cursor.next().text : cursor.name();
}

/** The name behind the next such word. */
function behind(cursor: Cursor, word: string): { readonly keyspace: string | undefined; readonly name: string } {
  while (!cursor.isEnd() && !cursor.isWord(word)) cursor.next();
  cursor.needWords(word);
  return cursor.qualifiedName();
}

/** To the end of the statement, whatever it says, as long as it can be read. */
function rest(cursor: Cursor): Partial<CqlStatement> {
  while (!cursor.isEnd() && !cursor.isSymbol(';')) if (cursor.next().kind === 'bad') throw notUnderstood;
  return {};
}

function stuck(): never {
  throw notUnderstood;
}
