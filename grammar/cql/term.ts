/** Values in a CQL text: constants, bind markers, collections, calls, arithmetic; and columns where those may stand. */
import { notUnderstood } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import type { CqlTerm } from './statement.ts';

/** They answer otherwise each time. The form with `_` is Cassandra 5's. */
const differing = new Set(['now', 'uuid', 'currenttimestamp', 'currentdate', 'currenttime', 'currenttimeuuid', 'current_timestamp', 'current_date', 'current_time', 'current_timeuuid']);
/** They answer the same for the same arguments. Conversions like `textasblob` are known by their form. */
const steady = new Set(['token', 'totimestamp', 'todate', 'tounixtimestamp', 'to_timestamp', 'to_date', 'to_unix_timestamp', 'dateof', 'unixtimestampof', 'mintimeuuid', 'maxtimeuuid', 'min_timeuuid', 'max_timeuuid', 'tojson', 'fromjson', 'to_json', 'from_json',
  'cast', 'writetime', 'maxwritetime', 'minwritetime', 'max_writetime', 'min_writetime', 'ttl', 'count', 'countrows', 'count_rows', 'min', 'max', 'sum', 'avg', 'floor', 'abs', 'exp', 'log', 'log10', 'round', 'blob_as', 'map_keys', 'map_values',
  'collection_count', 'collection_min', 'collection_max', 'collection_sum', 'collection_avg', 'similarity_cosine', 'similarity_euclidean', 'similarity_dot_product', 'vector_as_blob', 'length', 'octet_length', 'mask_null', 'mask_default', 'mask_replace', 'mask_inner', 'mask_outer', 'mask_hash']);
const conversion = /^(?:[a-z]+asblob|blobas[a-z]+|[a-z]+_as_blob|blob_as_[a-z]+)$/;

const deepest = 100;

/** A value; arithmetic is one value. A bare name is a column: who may not have one there refuses it. */
export function readTerm(cursor: Cursor, depth = 0): CqlTerm {
  const first = operand(cursor, depth);
  if (!isOperator(cursor)) return first;
  const items = [first];
  while (isOperator(cursor)) {
    cursor.next();
    items.push(operand(cursor, depth));
  }
  return { kind: 'compound', form: 'arithmetic', items, start: first.start, end: cursor.readTo };
}

/** A value that has no column in it. */
export function readValue(cursor: Cursor, depth = 0): CqlTerm {
  const term = readTerm(cursor, depth);
  if (hasColumn(term)) throw notUnderstood;
  return term;
}

/** One value without arithmetic behind it. */
export function operand(cursor: Cursor, depth: number): CqlTerm {
  if (depth > deepest) throw notUnderstood;
  const token = cursor.peek();
  const { start } = token;
  switch (token.kind) {
    case 'bind': {
      cursor.next();
      return { kind: 'bind', index: token.bind, start, end: token.end };
    }
    case 'string': case 'number': case 'uuid': case 'blob': case 'duration': {
      cursor.next();
      return { kind: 'constant', form: token.kind, text: token.text, start, end: token.end };
    }
    case 'word': case 'quoted': return named(cursor, depth);
    case 'symbol': break;
    case 'bad': throw notUnderstood;
  }
  if (cursor.takeSymbol('-')) {
    const term = operand(cursor, depth + 1);
    if (term.kind === 'constant' && (term.form === 'number' || term.form === 'duration')) return { ...term, text: `-${term.text}`, start };
    return { kind: 'compound', form: 'arithmetic', items: [term], start, end: term.end };
  }
  if (cursor.takeSymbol('[')) return compound('list', listUntil(cursor, ']', depth), start, cursor);
  if (cursor.takeSymbol('{')) return compound('braces', braces(cursor, depth), start, cursor);
  if (cursor.isSymbol('(')) return isTypeInFront(cursor) ? cast(cursor, depth) : tuple(cursor, depth);
  throw notUnderstood;
}

/** Everything up to the closing symbol, commas between. */
export function listUntil(cursor: Cursor, close: string, depth: number): CqlTerm[] {
  const items: CqlTerm[] = [];
  if (cursor.takeSymbol(close)) return items;
  do items.push(readTerm(cursor, depth + 1)); while (cursor.takeSymbol(','));
  cursor.needSymbol(close);
  return items;
}

export function hasColumn(term: CqlTerm): boolean {
  return term.kind === 'column' || (term.kind === 'compound' && (term.form === 'selection' || term.items.some(hasColumn)));
}

function isOperator(cursor: Cursor): boolean {
  const { kind, text } = cursor.peek();
  return kind === 'symbol' && (text === '+' || text === '-' || text === '*' || text === '/' || text === '%');
}

function compound(form: 'list' | 'braces' | 'tuple' | 'call', items: readonly CqlTerm[], start: number, cursor: Cursor): CqlTerm {
  return { kind: 'compound', form, items, start, end: cursor.readTo };
}

/** A word: a constant, a function with its arguments, or a column with a part of it. */
function named(cursor: Cursor, depth: number): CqlTerm {
  const token = cursor.next();
  const { start } = token;
  if (token.kind === 'word' && !cursor.isSymbol('(')) {
    if (token.text === 'true' || token.text === 'false') return { kind: 'constant', form: 'boolean', text: token.text, start, end: token.end };
    if (token.text === 'null') return { kind: 'constant', form: 'null', text: 'null', start, end: token.end };
    if (token.text === 'nan' || token.text === 'infinity') return { kind: 'constant', form: 'number', text: token.text, start, end: token.end };
  }
  if (cursor.isSymbol('(')) return call(cursor, token.text, start, depth);
  if (cursor.isSymbol('.') && cursor.isName(1) && cursor.isSymbol('(', 2)) {
    cursor.next();
    return call(cursor, `${token.text}.${cursor.name()}`, start, depth);
  }
  if (!cursor.isSymbol('[') && !cursor.isSymbol('.')) return { kind: 'column', name: token.text, start, end: token.end };
  const items: CqlTerm[] = [{ kind: 'column', name: token.text, start, end: token.end }];
  for (;;) {
    if (cursor.takeSymbol('.')) cursor.name();
    else if (cursor.takeSymbol('[')) part(cursor, items, depth);
    else return { kind: 'compound', form: 'selection', items, start, end: cursor.readTo };
  }
}

/** `[key]`, `[from..to]`, `[from..]`, `[..to]` */
function part(cursor: Cursor, items: CqlTerm[], depth: number): void {
  if (!cursor.isSymbol('..')) items.push(readTerm(cursor, depth + 1));
  if (cursor.takeSymbol('..') && !cursor.isSymbol(']')) items.push(readTerm(cursor, depth + 1));
  cursor.needSymbol(']');
}

function call(cursor: Cursor, name: string, start: number, depth: number): CqlTerm {
  cursor.needSymbol('(');
  let items: CqlTerm[] = [];
  if (cursor.isSymbol('*') && cursor.isSymbol(')', 1)) cursor.at += 2;
  else if (name === 'cast') {
    items = [readTerm(cursor, depth + 1)];
    cursor.needWords('as');
    skipType(cursor, ')');
    cursor.needSymbol(')');
  } else items = listUntil(cursor, ')', depth);
  const local = name.startsWith('system.') ? name.slice(7) : name;
  const isKnown = differing.has(local);
  if (isKnown || (!steady.has(local) && !conversion.test(local))) cursor.calls.push({ name, isKnown, start, end: cursor.readTo });
  return compound('call', items, start, cursor);
}

/** A list of values, of pairs `key: value`, or of fields `name: value`. Names of fields are no items. */
function braces(cursor: Cursor, depth: number): CqlTerm[] {
  const items: CqlTerm[] = [];
  if (cursor.takeSymbol('}')) return items;
  do {
    if (cursor.isName() && cursor.isSymbol(':', 1)) cursor.next();
    else items.push(readTerm(cursor, depth + 1));
    if (cursor.takeSymbol(':')) items.push(readTerm(cursor, depth + 1));
  } while (cursor.takeSymbol(','));
  cursor.needSymbol('}');
  return items;
}

function tuple(cursor: Cursor, depth: number): CqlTerm {
  const { start } = cursor.next();
  return compound('tuple', listUntil(cursor, ')', depth), start, cursor);
}

/** `(int) x`, `(list<text>) x`: a name behind the parenthesis that is neither a call's nor a constant; columns in a tuple are never a value's beginning. */
function isTypeInFront(cursor: Cursor): boolean {
  const word = cursor.peek(1);
  if (!cursor.isName(1) || cursor.isSymbol('(', 2)) return false;
  if (word.kind === 'word' && ['true', 'false', 'null', 'nan', 'infinity'].includes(word.text)) return false;
  return cursor.isSymbol('<', 2) || cursor.isSymbol(')', 2) || (cursor.isSymbol('.', 2) && cursor.isName(3) && cursor.isSymbol(')', 4));
}

function cast(cursor: Cursor, depth: number): CqlTerm {
  const { start } = cursor.next();
  skipType(cursor, ')');
  cursor.needSymbol(')');
  const item = operand(cursor, depth + 1);
  return { kind: 'compound', form: 'cast', items: [item], start, end: cursor.readTo };
}

function skipType(cursor: Cursor, close: string): void {
  while (!cursor.isSymbol(close)) {
    const { kind, text } = cursor.next();
    if (kind !== 'word' && kind !== 'quoted' && kind !== 'number' && !(kind === 'symbol' && ['<', '>', ',', '.'].includes(text))) throw notUnderstood;
  }
}
