/** SELECT. It only reads, so that a part of it that is not understood costs no more than the knowledge of that part. */
import { notUnderstood } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { readRelations } from './relation.ts';
import type { CqlSelector, CqlStatement, CqlTerm } from './statement.ts';
import { readTerm, readValue } from './term.ts';

type Found = Partial<CqlStatement> & Pick<CqlStatement, 'kind' | 'verb'>;

const clauses = ['group', 'order', 'per', 'limit', 'allow', 'bypass', 'using'];

/** Behind SELECT. */
export function readSelect(cursor: Cursor): Found {
  const before = cursor.at;
  try {
    return whole(cursor);
  } catch (error) {
    if (error !== notUnderstood) throw error;
    cursor.at = before;
    return onlyTheTable(cursor);
  }
}

function whole(cursor: Cursor): Found {
  const isJson = startsAs(cursor, 'json');
  const isDistinct = startsAs(cursor, 'distinct');
  const selectors: CqlSelector[] = [];
  if (cursor.takeSymbol('*')) selectors.push({ kind: '*', name: undefined, alias: undefined });
  else do selectors.push(selector(cursor)); while (cursor.takeSymbol(','));
  cursor.needWords('from');
  const { keyspace, name: table } = cursor.qualifiedName();
  const where = cursor.takeWords('where') ? readRelations(cursor) : [];
  const limit = tail(cursor);
  return { kind: 'select', verb: 'SELECT', keyspace, table, where, limit, selection: { isJson, isDistinct, selectors } };
}

/** JSON and DISTINCT are names of columns too: they are themselves when a selector follows. */
function startsAs(cursor: Cursor, word: string): boolean {
  const isFollowed = cursor.isSymbol('*', 1) || (cursor.isName(1) && !cursor.isWord('from', 1) && !cursor.isWord('as', 1)) || cursor.peek(1).kind === 'string' || cursor.peek(1).kind === 'number';
  return cursor.isWord(word) && isFollowed && cursor.takeWords(word);
}

function selector(cursor: Cursor): CqlSelector {
  const isCount = cursor.isWord('count') && cursor.isSymbol('(', 1) && (cursor.isSymbol('*', 2) || cursor.peek(2).kind === 'number') && cursor.isSymbol(')', 3);
  const term = isCount ? undefined : readTerm(cursor);
  if (isCount) cursor.at += 4;
  const alias = cursor.takeWords('as') ? cursor.name() : undefined;
  if (term === undefined) return { kind: 'count', name: undefined, alias };
  return term.kind === 'column' ? { kind: 'column', name: term.name, alias } : { kind: 'other', name: undefined, alias };
}

/** GROUP BY, ORDER BY and what says how to read; only the limit is of use to anybody. */
function tail(cursor: Cursor): CqlTerm | undefined {
  let limit: CqlTerm | undefined;
  if (!cursor.isEnd() && !cursor.isSymbol(';') && !clauses.some((word) => cursor.isWord(word))) throw notUnderstood;
  while (!cursor.isEnd() && !cursor.isSymbol(';')) {
    if (cursor.takeWords('per', 'partition', 'limit')) readValue(cursor);
    else if (cursor.takeWords('limit')) limit = readValue(cursor);
    else if (cursor.next().kind === 'bad') throw notUnderstood;
  }
  return limit;
}

/** The first FROM outside parentheses names it. */
function onlyTheTable(cursor: Cursor): Found {
  let depth = 0;
  while (!cursor.isEnd()) {
    if (cursor.isSymbol('(')) depth += 1;
    else if (cursor.isSymbol(')')) depth -= 1;
    if (depth === 0 && cursor.isWord('from')) break;
    cursor.next();
  }
  cursor.needWords('from');
  const { keyspace, name: table } = cursor.qualifiedName();
  while (!cursor.isEnd() && !cursor.isSymbol(';')) if (cursor.next().kind === 'bad') throw notUnderstood;
  return { kind: 'select', verb: 'SELECT', keyspace, table, isWhole: false };
}
