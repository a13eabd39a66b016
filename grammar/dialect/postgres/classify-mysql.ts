/** What a statement of MySQL's dialect is, and which tables, functions and variables it names. */
import type { Statement } from './mysql-tree.ts';
import type { MysqlClassification, MysqlRelation, MysqlStatementKind, MysqlStatementText, MysqlTextMode } from './mysql-translation.ts';
import { parseMysql } from './parse-mysql.ts';
import { readMysqlTokens } from './read-mysql-tokens.ts';
import { RefusedMysql } from './refused-mysql.ts';

/** Undefined: it is not understood (DDL, EXPLAIN and whatever else the parser leaves to the server). */
export function classifyMysql(text: string, mode: MysqlTextMode): MysqlClassification | undefined {
  try {
    const parsed = parseMysql(text, mode);
    if (parsed === undefined) return undefined;
    const names = new NameCollector();
    names.statement(parsed.statement);
    const { statement } = parsed;
    return {
      kind: kindOf(statement), relations: names.relations, functions: [...names.functions], readsVariables: names.readsVariables, userVariables: [...names.userVariables], parameters: parsed.parameters,
      name: statement.type === 'transaction' ? statement.name : statement.type === 'use' ? statement.database : undefined, options: statement.type === 'transaction' ? statement.options : undefined,
    };
  } catch (error) {
    if (error instanceof RefusedMysql) return undefined;
    throw error;
  }
}

/** Empty statements are left out. A text that cannot be read is one statement. */
export function splitMysqlText(text: string, mode: MysqlTextMode): readonly MysqlStatementText[] {
  try {
    const parts: MysqlStatementText[] = [];
    let from = 0;
    let words: string[] = [];
    for (const { kind, key, start, end } of readMysqlTokens(text, mode)) {
      if (kind !== 'end' && key !== ';') {
        if (words.length < 12) words.push(key);
        continue;
      }
      // The body of a routine has statements of its own.
      if (kind !== 'end' && isRoutine(words)) continue;
      const offset = from + (/^\s*/.exec(text.slice(from))?.[0].length ?? 0);
      if (words.length > 0) parts.push({ text: text.slice(offset, start), offset });
      from = end;
      words = [];
    }
    return parts;
  } catch (error) {
    if (error instanceof RefusedMysql) return [{ text, offset: 0 }];
    throw error;
  }
}

const routines = new Set(['PROCEDURE', 'FUNCTION', 'TRIGGER', 'EVENT', 'PACKAGE']);

function isRoutine(words: readonly string[]): boolean {
  return (words[0] === 'CREATE' || words[0] === 'ALTER' ? words.some((word) => routines.has(word)) : words[0] === 'BEGIN' && words[1] === 'NOT');
}

function kindOf(statement: Statement): MysqlStatementKind {
  switch (statement.type) {
    case 'query': case 'do': return 'read';
    case 'insert': case 'replace': case 'update': case 'delete': case 'truncate': case 'load': return 'write';
    case 'transaction': case 'other': return statement.kind;
    case 'set': case 'call': case 'lock': case 'use': return statement.type;
  }
}

const isNode = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Walks the tree whatever its nodes are: a new kind of node must not hide the tables inside it. */
class NameCollector {
  readonly relations: MysqlRelation[] = [];
  readonly functions = new Set<string>();
  readsVariables = false;
  readonly userVariables = new Set<string>();

  statement(statement: Statement): void {
    switch (statement.type) {
      case 'insert': case 'replace': case 'truncate': case 'load':
        this.#relation(isNode(statement.table) ? statement.table : {}, true);
        break;
      case 'lock':
        for (const table of statement.tables) this.#relation({ ...table }, table.write);
        return;
      case 'update': case 'delete':
        this.#visit(statement.from, true, new Set());
        break;
      default:
    }
    for (const [key, value] of Object.entries(statement)) if (key !== 'from' && key !== 'targets') this.#visit(value, false, new Set());
  }

  #relation(node: Readonly<Record<string, unknown>>, written: boolean): void {
    const { place } = node;
    this.relations.push({ database: textOf(node['database']), name: textOf(node['name']) ?? '', place: typeof place === 'number' ? place : 0, written, ...(textOf(node['alias']) === undefined ? {} : { alias: textOf(node['alias']) }) });
  }

  #visit(value: unknown, written: boolean, known: ReadonlySet<string>): void {
    if (Array.isArray(value)) {
      for (const each of value) this.#visit(each, written, known);
      return;
    }
    if (!isNode(value)) return;
    let locked = written;
    let names = known;
    const { type, name } = value;
    if (type === 'table' && !(value['database'] === undefined && known.has((textOf(name) ?? '').toLowerCase()))) this.#relation(value, written);
    if (type === 'variable') this.readsVariables = true;
    if (type === 'variable' && value['scope'] === 'user' && typeof name === 'string') this.userVariables.add(name.toLowerCase());
    if (type === 'call' && typeof name === 'string') {
      const details = value['details'];
      const database = isNode(details) ? textOf(details['database']) : undefined;
      this.functions.add(database === undefined ? name.toUpperCase() : `${database}.${name}`);
    }
    // A derived table that is changed through a join is read only.
    if (type === 'derived' || type === 'subquery' || type === 'exists') locked = false;
    const tables = value['with'];
    if (Array.isArray(tables)) {
      if (isNode(value['lock'])) locked = true;
      const own = new Set(known);
      for (const table of tables) {
        // A name is known inside its own query when that is recursive; else a table of that name may be meant there.
        if (value['recursive'] === true) own.add((isNode(table) ? textOf(table['name']) ?? '' : '').toLowerCase());
        if (isNode(table)) this.#visit(table['query'], false, new Set(own));
        own.add((isNode(table) ? textOf(table['name']) ?? '' : '').toLowerCase());
      }
      names = own;
    }
    for (const [key, inner] of Object.entries(value)) if (key !== 'with') this.#visit(inner, locked, names);
  }
}
