/**
 * Reads a CQL text once. It never throws: a text that is not understood, or that is not one statement, is of kind `unknown`, and
 * who asks must take it for anything. What is said is what Cassandra and ScyllaDB would understand; a text that both refuse may
 * be given facts all the same, since the clusters' own answer is what counts then.
 */
import { Cursor, notUnderstood } from './cursor.ts';
import { readOther, readSchema, readTruncate, readUse } from './schema-statements.ts';
import { readSelect } from './select-statement.ts';
import type { CqlStatement } from './statement.ts';
import { cqlTokens } from './tokens.ts';
import type { CqlToken } from './tokens.ts';
import { readDelete, readInsert, readUpdate, readUsing } from './write-statements.ts';

type Found = Partial<CqlStatement> & Pick<CqlStatement, 'kind' | 'verb'>;

export function readCql(text: string): CqlStatement {
  const tokens = cqlTokens(text);
  const bindNames = tokens.flatMap(({ kind, text: name }) => (kind === 'bind' ? [name === '' ? undefined : name] : []));
  const cursor = new Cursor(tokens);
  try {
    const found = statement(cursor, bindNames);
    while (cursor.takeSymbol(';')) continue;
    if (cursor.isEnd()) return found;
  } catch (error) {
    if (error !== notUnderstood) throw error;
  }
  return complete({ kind: 'unknown', verb: firstWord(tokens), isWhole: false }, [], bindNames);
}

/** The keyspaces that are a cluster's own and are never written by a client. */
export function isSystemKeyspace(keyspace: string): boolean {
  return keyspace === 'system' || keyspace.startsWith('system_');
}

function statement(cursor: Cursor, bindNames: readonly (string | undefined)[]): CqlStatement {
  if (cursor.isWord('begin')) return batch(cursor, bindNames);
  const found = single(cursor);
  return complete(found, cursor.calls.splice(0), bindNames);
}

function single(cursor: Cursor): Found {
  const word = cursor.next();
  if (word.kind !== 'word') throw notUnderstood;
  switch (word.text) {
    case 'select': return readSelect(cursor);
    case 'insert': return readInsert(cursor);
    case 'update': return readUpdate(cursor);
    case 'delete': return readDelete(cursor);
    case 'truncate': return readTruncate(cursor);
    case 'use': return readUse(cursor);
    case 'create': return readSchema(cursor, 'CREATE');
    case 'alter': return readSchema(cursor, 'ALTER');
    case 'drop': return readSchema(cursor, 'DROP');
    case 'grant': case 'revoke': case 'attach': case 'detach': return readOther(cursor, 'access', word.text.toUpperCase());
    case 'list': return readOther(cursor, 'list', 'LIST');
    case 'describe': case 'desc': return readOther(cursor, 'list', 'DESCRIBE');
    default: throw notUnderstood;
  }
}

/** BEGIN [UNLOGGED | COUNTER] BATCH [USING TIMESTAMP …] children APPLY BATCH; semicolons between the children may be left out. */
function batch(cursor: Cursor, bindNames: readonly (string | undefined)[]): CqlStatement {
  cursor.needWords('begin');
  const type = cursor.takeWords('unlogged') ? 'unlogged' : cursor.takeWords('counter') ? 'counter' : 'logged';
  cursor.needWords('batch');
  const times = readUsing(cursor);
  const children: CqlStatement[] = [];
  while (!cursor.takeWords('apply', 'batch')) {
    if (cursor.takeSymbol(';')) continue;
    const found = single(cursor);
    if (found.kind !== 'insert' && found.kind !== 'update' && found.kind !== 'delete') throw notUnderstood;
    children.push(complete(found, cursor.calls.splice(0), bindNames));
  }
  const verb = type === 'logged' ? 'BEGIN BATCH' : `BEGIN ${type.toUpperCase()} BATCH`;
  const calls = children.flatMap(({ unstableCalls }) => unstableCalls);
  return complete({ kind: 'batch', verb, ...times, isConditional: children.some(({ isConditional }) => isConditional), batch: { type, children } }, calls, bindNames);
}

/** Every statement has the same fields in the same order. */
function complete(found: Found, unstableCalls: CqlStatement['unstableCalls'], bindNames: CqlStatement['bindNames']): CqlStatement {
  return {
    kind: found.kind, verb: found.verb, isWhole: found.isWhole ?? true,
    keyspace: found.keyspace, table: found.table, object: found.object,
    isConditional: found.isConditional ?? false, condition: found.condition ?? 'none',
    timestamp: found.timestamp, ttl: found.ttl,
    writes: found.writes ?? [], where: found.where ?? [], ifs: found.ifs ?? [],
    json: found.json, isJsonUnset: found.isJsonUnset ?? false,
    selection: found.selection, limit: found.limit,
    unstableCalls, batch: found.batch, bindNames,
  };
}

function firstWord(tokens: readonly CqlToken[]): string {
  const [first] = tokens;
  return first?.kind === 'word' ? first.text.toUpperCase() : '';
}
