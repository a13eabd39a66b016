/** INSERT, UPDATE and DELETE: which columns they write, how, where, when and on which condition. */
import { notUnderstood } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { readRelations } from './relation.ts';
import type { CqlColumnWrite, CqlRelation, CqlStatement, CqlTerm } from './statement.ts';
import { hasColumn, operand, readTerm, readValue } from './term.ts';

type Found = Partial<CqlStatement> & Pick<CqlStatement, 'kind' | 'verb'>;

/** Behind INSERT. */
export function readInsert(cursor: Cursor): Found {
  cursor.needWords('into');
  const { keyspace, name: table } = cursor.qualifiedName();
  if (cursor.takeWords('json')) {
    const json = readValue(cursor);
    const isJsonUnset = cursor.takeWords('default', 'unset');
    if (!isJsonUnset) cursor.takeWords('default', 'null');
    return { kind: 'insert', verb: 'INSERT', keyspace, table, json, isJsonUnset, ...insertTail(cursor) };
  }
  const columns = parenthesised(cursor, () => cursor.name());
  cursor.needWords('values');
  const terms = parenthesised(cursor, () => readValue(cursor));
  if (terms.length !== columns.length) throw notUnderstood;
  const writes = columns.flatMap((column, index): CqlColumnWrite[] => {
    const term = terms[index];
    return term === undefined ? [] : [{ column, operation: 'set', term, key: undefined }];
  });
  return { kind: 'insert', verb: 'INSERT', keyspace, table, writes, ...insertTail(cursor) };
}

/** IF NOT EXISTS and USING, in either order: ScyllaDB takes them so. */
function insertTail(cursor: Cursor): Partial<CqlStatement> {
  let isConditional = cursor.takeWords('if', 'not', 'exists');
  const times = readUsing(cursor);
  isConditional ||= cursor.takeWords('if', 'not', 'exists');
  return { ...times, isConditional, condition: isConditional ? 'not exists' : 'none' };
}

/** Behind UPDATE. */
export function readUpdate(cursor: Cursor): Found {
  const { keyspace, name: table } = cursor.qualifiedName();
  const times = readUsing(cursor);
  cursor.needWords('set');
  const writes: CqlColumnWrite[] = [];
  do writes.push(assignment(cursor)); while (cursor.takeSymbol(','));
  cursor.needWords('where');
  return { kind: 'update', verb: 'UPDATE', keyspace, table, writes, ...times, where: readRelations(cursor), ...readIf(cursor) };
}

/** Behind DELETE. */
export function readDelete(cursor: Cursor): Found {
  const writes: CqlColumnWrite[] = [];
  if (!cursor.isWord('from')) do writes.push(deletion(cursor)); while (cursor.takeSymbol(','));
  cursor.needWords('from');
  const { keyspace, name: table } = cursor.qualifiedName();
  const times = readUsing(cursor);
  cursor.needWords('where');
  return { kind: 'delete', verb: 'DELETE', keyspace, table, writes, ...times, where: readRelations(cursor), ...readIf(cursor) };
}

/** USING TIMESTAMP … AND TTL … [AND TIMEOUT …, which is ScyllaDB's and says nothing of the data]. */
export function readUsing(cursor: Cursor): { readonly timestamp: CqlTerm | undefined; readonly ttl: CqlTerm | undefined } {
  let timestamp: CqlTerm | undefined;
  let ttl: CqlTerm | undefined;
  if (!cursor.takeWords('using')) return { timestamp, ttl };
  do {
    if (cursor.takeWords('timestamp')) timestamp = readValue(cursor);
    else if (cursor.takeWords('ttl')) ttl = readValue(cursor);
    else if (cursor.takeWords('timeout')) readValue(cursor);
    else throw notUnderstood;
  } while (cursor.takeWords('and'));
  return { timestamp, ttl };
}

function readIf(cursor: Cursor): { readonly isConditional: boolean; readonly condition: CqlStatement['condition']; readonly ifs: readonly CqlRelation[] } {
  if (!cursor.takeWords('if')) return { isConditional: false, condition: 'none', ifs: [] };
  if (cursor.takeWords('exists')) return { isConditional: true, condition: 'exists', ifs: [] };
  if (cursor.takeWords('not', 'exists')) return { isConditional: true, condition: 'not exists', ifs: [] };
  return { isConditional: true, condition: 'columns', ifs: readRelations(cursor) };
}

function assignment(cursor: Cursor): CqlColumnWrite {
  const column = cursor.name();
  if (cursor.takeSymbol('[')) {
    const key = readValue(cursor);
    cursor.needSymbol(']');
    cursor.needSymbol('=');
    return { column, operation: 'element', term: readValue(cursor), key };
  }
  if (cursor.takeSymbol('.')) {
    cursor.name();
    cursor.needSymbol('=');
    return { column, operation: 'field', term: readValue(cursor), key: undefined };
  }
  if (cursor.takeSymbol('+=')) return { column, operation: 'append', term: readValue(cursor), key: undefined };
  if (cursor.takeSymbol('-=')) return { column, operation: 'remove', term: readValue(cursor), key: undefined };
  cursor.needSymbol('=');
  if (cursor.isName() && cursor.peek().text === column && (cursor.isSymbol('+', 1) || cursor.isSymbol('-', 1))) {
    const operation = cursor.isSymbol('+', 1) ? 'append' : 'remove';
    cursor.at += 2;
    return { column, operation, term: readValue(cursor), key: undefined };
  }
  return plainOrPrepended(cursor, column);
}

/** `c = x`, or `c = x + c`. */
function plainOrPrepended(cursor: Cursor, column: string): CqlColumnWrite {
  const before = cursor.at;
  const calls = cursor.calls.length;
  const first = operand(cursor, 0);
  if (cursor.isSymbol('+') && cursor.isName(1) && cursor.peek(1).text === column && !cursor.isSymbol('(', 2)) {
    cursor.at += 2;
    if (hasColumn(first)) throw notUnderstood;
    return { column, operation: 'prepend', term: first, key: undefined };
  }
  cursor.at = before;
  cursor.calls.length = calls;
  const term = readTerm(cursor);
  if (hasColumn(term)) throw notUnderstood;
  return { column, operation: 'set', term, key: undefined };
}

function deletion(cursor: Cursor): CqlColumnWrite {
  const column = cursor.name();
  if (cursor.takeSymbol('[')) {
    const key = readValue(cursor);
    cursor.needSymbol(']');
    return { column, operation: 'delete-element', term: undefined, key };
  }
  if (cursor.takeSymbol('.')) {
    cursor.name();
    return { column, operation: 'delete-field', term: undefined, key: undefined };
  }
  return { column, operation: 'delete', term: undefined, key: undefined };
}

function parenthesised<T>(cursor: Cursor, item: () => T): T[] {
  const items: T[] = [];
  cursor.needSymbol('(');
  do items.push(item()); while (cursor.takeSymbol(','));
  cursor.needSymbol(')');
  return items;
}
