/** What a text in the binlog is: the bounds of a transaction, a change that should have been rows, or something that every reader has to see. */

import { readTableStatement } from '../table-statement.ts';

export type StatementKind =
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'xaStart' | 'xaEnd' }
  | { readonly kind: 'savepoint' | 'rollbackTo'; readonly name: string }
  | { readonly kind: 'xaCommit' | 'xaRollback'; readonly xid: string }
  | { readonly kind: 'changes' | 'other' };

const comments = /^(?:\s+|\/\*(?!M?!)[\s\S]*?\*\/|(?:#|--\s)[^\n]*\n)+/;
/** What leaves the columns of every table that there was before as they are: a table that is made anew has been dropped before, unless it is replaced. */
const definer = String.raw`(?:definer\s*=\s*(?:\`(?:[^\`]|\`\`)*\`|'(?:[^']|'')*'|[^\s@'\`]+)(?:\s*@\s*(?:\`(?:[^\`]|\`\`)*\`|'(?:[^']|'')*'|[^\s'\`]+))?\s+)?`;
const security = String.raw`(?:algorithm\s*=\s*\w+\s+)?${definer}(?:sql\s+security\s+\w+\s+)?`;
const definitionsStay = new RegExp(String.raw`^(?:${[
  String.raw`truncate|analyze|optimize|repair|check|flush|grant|revoke|set|create\s+(?:temporary\s+)?table`, String.raw`drop\s+(?:\/\*!\d*\s*)?temporary\b`,
  String.raw`(?:create|drop|alter)\s+(?:or\s+replace\s+)?${security}(?:(?:unique|fulltext|spatial|aggregate)\s+)?(?:index|trigger|procedure|function|event|user|role|view|server)`,
].join('|')})\b`, 'i');
/** What ALTER TABLE changes is named first; others that it names are referred to. */
const altered = /^alter\s+(?:(?:online|ignore)\s+)*table\s+(?:if\s+exists\s+)?((?:`(?:[^`]|``)+`|[\p{L}\p{N}_$]+)(?:\s*\.\s*(?:`(?:[^`]|``)+`|[\p{L}\p{N}_$]+))?)/iu;

/** True when no table that there was before has other columns afterwards. */
export function keepsDefinitions(text: string): boolean {
  const bare = text.replace(comments, '');
  return definitionsStay.test(bare) || (/^alter\b/i.test(bare) && readTableStatement(bare, '').kind === 'other');
}

/** True when the table may have other columns afterwards: more often than it has, never less. */
export function mayRedefine(text: string, database: string, schema: string, name: string): boolean {
  const bare = text.replace(comments, '');
  if (keepsDefinitions(bare)) return false;
  return mentionsCaptured(altered.exec(bare)?.[1] ?? bare, database, (otherSchema, otherName) => otherSchema === schema && otherName === name);
}

/** A comment that the server runs. */
const executable = /^\/\*M?!\d*\s*/;

const begin: StatementKind = { kind: 'begin' };

export function statementKind(text: string): StatementKind {
  // As MySQL writes it before each transaction.
  if (text === 'BEGIN') return begin;
  const bare = text.replace(comments, '').replace(executable, '');
  const word = /^[a-z]+/i.exec(bare)?.[0].toLowerCase();
  switch (word) {
    case 'begin':
      return { kind: 'begin' };
    case 'start':
      return /^start\s+transaction\b/i.test(bare) ? { kind: 'begin' } : { kind: 'other' };
    case 'commit':
      return { kind: 'commit' };
    case 'savepoint':
      return { kind: 'savepoint', name: nameIn(bare, /^savepoint\s+(.+)$/is) };
    case 'rollback':
      return /^rollback\s+to\b/i.test(bare) ? { kind: 'rollbackTo', name: nameIn(bare, /^rollback\s+to\s+(?:savepoint\s+)?(.+)$/is) } : { kind: 'rollback' };
    case 'xa':
      return xaKind(bare);
    case 'insert':
    case 'update':
    case 'delete':
    case 'replace':
    case 'load':
    case 'with':
    case 'call':
    case 'select':
    case 'do':
      return { kind: 'changes' };
    default:
      return { kind: 'other' };
  }
}

function nameIn(text: string, pattern: RegExp): string {
  return (pattern.exec(text)?.[1] ?? '').trim().replace(/^`([\s\S]*)`$/, (_, quoted: string) => quoted.replaceAll('``', '`'));
}

function xaKind(text: string): StatementKind {
  const [, verb = '', rest = ''] = /^xa\s+([a-z]+)\s*([\s\S]*)$/i.exec(text) ?? [];
  const xid = rest.replace(/\s+/g, '').toLowerCase();
  switch (verb.toLowerCase()) {
    case 'start':
    case 'begin':
      return { kind: 'xaStart' };
    case 'end':
      return { kind: 'xaEnd' };
    case 'commit':
      return { kind: 'xaCommit', xid };
    case 'rollback':
      return { kind: 'xaRollback', xid };
    default:
      return { kind: 'other' };
  }
}

const names = /`((?:[^`]|``)+)`|([\p{L}\p{N}_$]+)/gu;
const ansiNames = /"((?:[^"]|"")+)"|([\p{L}\p{N}_$]+)/gu;

/** True when some word or pair of words of the text is the name of a captured table: more than it touches, never less. */
export function mentionsCaptured(text: string, database: string, captures: (schema: string, name: string) => boolean): boolean {
  // Servers with lower_case_table_names take any case, and log their tables in lower case.
  const isCaptured = (schema: string, name: string): boolean => captures(schema, name) || captures(schema.toLowerCase(), name.toLowerCase());
  for (const pattern of [names, ansiNames]) {
    let before = database;
    for (const [, quoted, plain] of text.matchAll(pattern)) {
      const name = quoted?.replace(/(["`])\1/g, '$1') ?? plain ?? '';
      if (isCaptured(database, name) || isCaptured(before, name)) return true;
      before = name;
    }
  }
  return false;
}
