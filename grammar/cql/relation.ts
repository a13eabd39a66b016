/** Conditions of WHERE and IF: relations that AND joins (CQL has no OR). */
import { notUnderstood } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import type { CqlRelation, CqlTerm } from './statement.ts';
import { listUntil, readValue } from './term.ts';

export function readRelations(cursor: Cursor): CqlRelation[] {
  const relations: CqlRelation[] = [];
  do relations.push(relation(cursor, 0)); while (cursor.takeWords('and'));
  return relations;
}

function relation(cursor: Cursor, depth: number): CqlRelation {
  if (cursor.isSymbol('(')) return depth < 100 && isGroup(cursor) ? grouped(cursor, depth) : comparison(cursor, names(cursor), { isToken: false, isPart: false });
  if (cursor.isWord('token') && cursor.isSymbol('(', 1)) {
    cursor.next();
    return comparison(cursor, names(cursor), { isToken: true, isPart: false });
  }
  if (cursor.isWord('expr') && cursor.isSymbol('(', 1)) return customIndex(cursor);
  const column = cursor.name();
  let isPart = false;
  const inside: CqlTerm[] = [];
  if (cursor.takeSymbol('[')) {
    isPart = true;
    inside.push(readValue(cursor));
    cursor.needSymbol(']');
  } else if (cursor.takeSymbol('.')) {
    isPart = true;
    cursor.name();
  }
  const found = comparison(cursor, [column], { isToken: false, isPart });
  return inside.length === 0 ? found : { ...found, terms: [...inside, ...found.terms] };
}

/** `((a = 1))`: parentheses that hold a relation, not the names of one. */
function isGroup(cursor: Cursor): boolean {
  return !(cursor.isName(1) && (cursor.isSymbol(',', 2) || cursor.isSymbol(')', 2)));
}

function grouped(cursor: Cursor, depth: number): CqlRelation {
  cursor.needSymbol('(');
  const found = relation(cursor, depth + 1);
  cursor.needSymbol(')');
  return found;
}

function names(cursor: Cursor): string[] {
  const found: string[] = [];
  cursor.needSymbol('(');
  do found.push(cursor.name()); while (cursor.takeSymbol(','));
  cursor.needSymbol(')');
  return found;
}

/** `expr(index, value)`: what it compares only the index knows. */
function customIndex(cursor: Cursor): CqlRelation {
  cursor.at += 2;
  cursor.qualifiedName();
  cursor.needSymbol(',');
  const term = readValue(cursor);
  cursor.needSymbol(')');
  return { columns: [], operator: 'EXPR', isToken: false, isPart: false, terms: [term], isWholeList: false };
}

function comparison(cursor: Cursor, columns: readonly string[], traits: { readonly isToken: boolean; readonly isPart: boolean }): CqlRelation {
  const made = (operator: string, terms: readonly CqlTerm[], isWholeList = false): CqlRelation => ({ columns, operator, ...traits, terms, isWholeList });
  const { kind, text } = cursor.peek();
  if (kind === 'symbol' && ['=', '<', '<=', '>', '>=', '!='].includes(text)) {
    cursor.next();
    return made(text, [readValue(cursor)]);
  }
  if (cursor.takeWords('is', 'not', 'null')) return made('IS NOT NULL', []);
  if (cursor.takeWords('between')) {
    const low = readValue(cursor);
    cursor.needWords('and');
    return made('BETWEEN', [low, readValue(cursor)]);
  }
  if (cursor.takeWords('like')) return made('LIKE', [readValue(cursor)]);
  const not = cursor.takeWords('not') ? 'NOT ' : '';
  if (cursor.takeWords('contains', 'key')) return made(`${not}CONTAINS KEY`, [readValue(cursor)]);
  if (cursor.takeWords('contains')) return made(`${not}CONTAINS`, [readValue(cursor)]);
  if (!cursor.takeWords('in')) throw notUnderstood;
  if (cursor.peek().kind === 'bind') return made(`${not}IN`, [readValue(cursor)], true);
  cursor.needSymbol('(');
  return made(`${not}IN`, listUntil(cursor, ')', 0));
}
