/**
 * What a statement in the binlog does to which tables. The log has rows as changes; what comes and goes with a statement alone (a table that is
 * dropped, renamed or emptied, a partition that is exchanged) is told by its text.
 */
import type { QualifiedName } from '../../catalog/routing-snapshot.ts';

export type TableStatement =
  | { readonly kind: 'truncate'; readonly tables: readonly QualifiedName[] }
  /** The rows behind the name are others now, and no change says which. */
  | { readonly kind: 'replace'; readonly tables: readonly QualifiedName[] }
  | { readonly kind: 'replace_schema'; readonly schema: string }
  /** The definition may be another one now. `added`: names that the first table has for columns that it did not have before, whatever had the name then. */
  | { readonly kind: 'define'; readonly tables: readonly QualifiedName[]; readonly added?: readonly string[] }
  | { readonly kind: 'other' };

/** A name, whatever its quotes; upper case for words; punctuation as it is. Strings are left out. */
interface Piece {
  readonly text: string;
  readonly isQuoted: boolean;
}

const pieces = /\/\*M?!\d*|\*\/|\/\*[\s\S]*?\*\/|(?:#|--\s)[^\n]*|'(?:[^'\\]|''|\\.)*'|`((?:[^`]|``)*)`|"((?:[^"]|"")*)"|([\p{L}\p{N}_$]+)|([.,;()=])/gsu;

function cut(text: string): readonly Piece[] {
  const found: Piece[] = [];
  for (const [, back, double, word, sign] of text.matchAll(pieces)) {
    if (back !== undefined) found.push({ text: back.replaceAll('``', '`'), isQuoted: true });
    else if (double !== undefined) found.push({ text: double.replaceAll('""', '"'), isQuoted: true });
    else if (word !== undefined || sign !== undefined) found.push({ text: word ?? sign ?? '', isQuoted: false });
  }
  return found;
}

class Reader {
  readonly #pieces: readonly Piece[];
  readonly #database: string;
  #at = 0;

  constructor(text: string | readonly Piece[], database: string) {
    this.#pieces = typeof text === 'string' ? cut(text) : text;
    this.#database = database;
  }

  /** Any of the words, if it comes next. */
  skip(...words: readonly string[]): boolean {
    if (!this.isNext(...words)) return false;
    this.#at += 1;
    return true;
  }

  isNext(...words: readonly string[]): boolean {
    const piece = this.#pieces[this.#at];
    return piece !== undefined && !piece.isQuoted && words.includes(piece.text.toUpperCase());
  }

  skipAll(...words: readonly string[]): void {
    while (this.skip(...words));
  }

  next(): string {
    const piece = this.#pieces[this.#at];
    this.#at += 1;
    return piece?.text ?? '';
  }

  name(): QualifiedName {
    const first = this.next();
    return this.skip('.') ? { schema: first, name: this.next() } : { schema: this.#database, name: first };
  }

  names(): QualifiedName[] {
    const found = [this.name()];
    while (this.skip(',')) found.push(this.name());
    return found;
  }

  /** What is between the commas, from here to the end. */
  clauses(): readonly Reader[] {
    const found: Piece[][] = [[]];
    let depth = 0;
    for (const piece of this.#pieces.slice(this.#at)) {
      if (!piece.isQuoted) depth += piece.text === '(' ? 1 : piece.text === ')' ? -1 : 0;
      if (!piece.isQuoted && piece.text === ',' && depth === 0) found.push([]);
      else found.at(-1)?.push(piece);
    }
    return found.map((pieces) => new Reader(pieces, this.#database));
  }

  /** Without what stands in quotes. */
  get words(): string {
    return this.#pieces.slice(this.#at).map(({ text, isQuoted }) => (isQuoted ? '`' : text.toUpperCase())).join(' ');
  }

  /** Passes over everything up to one of the words, which it then stands behind; undefined at the end. */
  seek(...words: readonly string[]): string | undefined {
    for (; this.#at < this.#pieces.length; this.#at += 1) {
      if (!this.isNext(...words)) continue;
      return this.next().toUpperCase();
    }
    return undefined;
  }
}

/** `database`: in which the statement ran. */
export function readTableStatement(text: string, database: string): TableStatement {
  const reader = new Reader(text, database);
  switch (reader.next().toUpperCase()) {
    case 'TRUNCATE':
      reader.skip('TABLE');
      return { kind: 'truncate', tables: [reader.name()] };
    case 'DROP':
      return readDrop(reader);
    case 'RENAME':
      return readRename(reader);
    case 'CREATE':
      return readCreate(reader);
    case 'ALTER':
      return readAlter(reader);
    default:
      return { kind: 'other' };
  }
}

function readDrop(reader: Reader): TableStatement {
  if (reader.skip('DATABASE', 'SCHEMA')) {
    reader.skipAll('IF', 'EXISTS');
    return { kind: 'replace_schema', schema: reader.next() };
  }
  if (!reader.skip('TABLE', 'TABLES')) return { kind: 'other' };
  reader.skipAll('IF', 'EXISTS');
  return { kind: 'replace', tables: reader.names() };
}

function readRename(reader: Reader): TableStatement {
  if (!reader.skip('TABLE', 'TABLES')) return { kind: 'other' };
  reader.skipAll('IF', 'EXISTS');
  const tables: QualifiedName[] = [];
  do {
    tables.push(reader.name());
    reader.seek('TO');
    tables.push(reader.name());
  } while (reader.seek(',') !== undefined);
  return { kind: 'replace', tables };
}

function readCreate(reader: Reader): TableStatement {
  const replaces = reader.skip('OR') && reader.skip('REPLACE');
  if (!reader.skip('TABLE')) return { kind: 'other' };
  reader.skipAll('IF', 'NOT', 'EXISTS');
  return { kind: replaces ? 'replace' : 'define', tables: [reader.name()] };
}

function readAlter(reader: Reader): TableStatement {
  reader.skip('ONLINE');
  // Rows that a new unique key does not take go without a word.
  const ignores = reader.skip('IGNORE');
  if (!reader.skip('TABLE')) return { kind: 'other' };
  reader.skipAll('IF', 'EXISTS');
  const table = reader.name();
  const clauses = reader.clauses();
  const others: QualifiedName[] = [];
  let isReplaced = ignores;
  for (let word = seekClause(reader); word !== undefined; word = seekClause(reader)) {
    if (word === 'RENAME') {
      if (reader.isNext('COLUMN', 'INDEX', 'KEY', 'CONSTRAINT')) continue;
      reader.skipAll('TO', 'AS', '=');
      others.push(reader.name());
      isReplaced = true;
    } else if (reader.isNext('PARTITION', 'TABLESPACE')) {
      isReplaced = true;
      if (word === 'EXCHANGE' && reader.seek('TABLE') !== undefined) others.push(reader.name());
    }
  }
  if (isReplaced) return { kind: 'replace', tables: [table, ...others] };
  if (clauses.every(({ words }) => leavesColumns.test(words))) return { kind: 'other' };
  const added = clauses.flatMap(addedColumns);
  return { kind: 'define', tables: [table], ...(added.length > 0 ? { added } : {}) };
}

/** Clauses after which the table has the columns that it had, and the same values in them. */
const leavesColumns = new RegExp(`^(?:${[
  String.raw`(?:ADD|DROP) (?:INDEX|KEY|UNIQUE|FULLTEXT|SPATIAL|FOREIGN KEY)\b.*`, String.raw`ADD CONSTRAINT (?:\S+ )?(?:UNIQUE|FOREIGN|CHECK)\b.*`, String.raw`ADD CHECK\b.*`, String.raw`DROP (?:CONSTRAINT|CHECK)\b.*`,
  String.raw`RENAME (?:INDEX|KEY)\b.*`, String.raw`ALTER (?:COLUMN )?\S+ (?:SET|DROP) DEFAULT\b.*`, String.raw`ALTER (?:INDEX|CHECK|CONSTRAINT)\b.*`, '(?:ENABLE|DISABLE) KEYS', 'FORCE',
  String.raw`(?:(?:AUTO_INCREMENT|COMMENT|ENGINE|ROW_FORMAT|STATS_\w+|CHECKSUM|MAX_ROWS|MIN_ROWS|AVG_ROW_LENGTH|ALGORITHM|LOCK)(?: =)?(?: [\w\`]+)? ?)+`,
].join('|')})$`);

const noColumn = ['INDEX', 'KEY', 'UNIQUE', 'PRIMARY', 'FULLTEXT', 'SPATIAL', 'CONSTRAINT', 'FOREIGN', 'CHECK', 'PARTITION', 'PERIOD', 'SYSTEM'];

function addedColumns(clause: Reader): readonly string[] {
  if (clause.skip('ADD')) {
    if (clause.isNext(...noColumn)) return [];
    clause.skip('COLUMN');
    clause.skipAll('IF', 'NOT', 'EXISTS');
    if (!clause.skip('(')) return [clause.next()];
    return clause.clauses().flatMap((column) => (column.isNext(...noColumn) ? [] : [column.next()]));
  }
  if (clause.skip('CHANGE')) {
    clause.skip('COLUMN');
    clause.skipAll('IF', 'EXISTS');
    const [before, after] = [clause.next(), clause.next()];
    return before.toLowerCase() === after.toLowerCase() ? [] : [after];
  }
  return clause.skip('RENAME') && clause.seek('TO') !== undefined ? [clause.next()] : [];
}

function seekClause(reader: Reader): string | undefined {
  return reader.seek('RENAME', 'TRUNCATE', 'DROP', 'EXCHANGE', 'DISCARD', 'IMPORT', 'CONVERT');
}
