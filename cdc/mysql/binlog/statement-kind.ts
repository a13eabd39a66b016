/** What a text in the binlog is: the bounds of a transaction, a change that should have been rows, or something that every reader has to see. */

export type StatementKind =
  | { readonly kind: 'begin' | 'commit' | 'rollback' | 'xaStart' | 'xaEnd' }
  | { readonly kind: 'savepoint' | 'rollbackTo'; readonly name: string }
  | { readonly kind: 'xaCommit' | 'xaRollback'; readonly xid: string }
  | { readonly kind: 'changes' | 'other' };

const comments = /^(?:\s+|\/\*(?!M?!)[\s\S]*?\*\/|(?:#|--\s)[^\n]*\n)+/;

export function statementKind(text: string): StatementKind {
  const bare = text.replace(comments, '');
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

/** True when some word or pair of words of the text is the name of a captured table: more than it touches, never less. */
export function mentionsCaptured(text: string, database: string, captures: (schema: string, name: string) => boolean): boolean {
  let before = database;
  for (const [, quoted, plain] of text.matchAll(names)) {
    const name = quoted?.replaceAll('``', '`') ?? plain ?? '';
    if (captures(database, name) || captures(before, name)) return true;
    before = name;
  }
  return false;
}
