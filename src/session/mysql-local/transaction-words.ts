/** What a statement that goes to the MySQL server means for the transaction on local beside it, by its first words. */
import { xaWord } from './xa-words.ts';
import type { XaWord } from './xa-words.ts';

export type TransactionWord =
  | { readonly type: 'commit' } | { readonly type: 'rollback' }
  | { readonly type: 'savepoint' | 'rollback to' | 'release'; readonly name: string }
  /** It begins one; an open one is committed. */
  | { readonly type: 'begin'; readonly readOnly: boolean; readonly isSnapshot: boolean }
  | { readonly type: 'isolation'; readonly level: string }
  /** LOCK TABLES; UNLOCK TABLES commits what is open when tables are locked. */
  | { readonly type: 'lock' | 'unlock' }
  /** Commits an open one by itself. */
  | { readonly type: 'implicit commit' }
  | { readonly type: 'xa'; readonly xa: XaWord }
  | { readonly type: 'read' } | { readonly type: 'write' }
  /** Of the session, whatever the transaction. */
  | { readonly type: 'other' }
  /** Nobody knows. */
  | { readonly type: 'unknown' };

const name = String.raw`(?:\x60((?:[^\x60]|\x60\x60)+)\x60|"([^"]+)"|([\w$\x80-\uffff]+))`;
const savepoint = new RegExp(String.raw`^savepoint\s+${name}`, 'i');
const rollbackTo = new RegExp(String.raw`^rollback(?:\s+work)?\s+to(?:\s+savepoint)?\s+${name}`, 'i');
const release = new RegExp(String.raw`^release\s+savepoint\s+${name}`, 'i');
const isolation = /^set\s+transaction\b[\s\S]*?\bisolation\s+level\s+(read\s+uncommitted|read\s+committed|repeatable\s+read|serializable)\b/i;
const commitsImplicitly = /^(?:create(?!\s+temporary\b)|alter|drop(?!\s+temporary\b)|truncate|rename|analyze|optimize|repair|check\s|cache|flush|reset|grant|revoke|lock|unlock|install|uninstall|change\s|stop\s+slave|start\s+slave|import)/i;
const setsAutocommit = /^set\b[\s\S]*\b(?:autocommit|password)\b/i;
const sessions = /^(?:set|use|show|desc|describe|explain|help|kill|prepare|deallocate|signal|get|do)\b/i;
const reads = /^(?:\(\s*)*(?:select|values|table|with)\b/i;
const writes = /^(?:insert|update|delete|replace|load|call|execute|handler|xa|create\s+temporary|drop\s+temporary)\b/i;
const changesBehindWith = /\b(?:update|delete|insert)\b/i;

export function transactionWord(text: string): TransactionWord {
  const bare = text.replace(/^(?:\s|;|--\s[^\n]*\n|#[^\n]*\n|\/\*(?![!M])[\s\S]*?\*\/)+/, '');
  const named = (type: 'savepoint' | 'rollback to' | 'release', pattern: RegExp): TransactionWord | undefined => {
    const found = pattern.exec(bare);
    const written = found?.[1]?.replaceAll('``', '`') ?? found?.[2] ?? found?.[3];
    return written === undefined ? undefined : { type, name: written };
  };
  if (/^commit\b/i.test(bare)) return { type: 'commit' };
  const goesTo = named('rollback to', rollbackTo);
  if (goesTo) return goesTo;
  if (/^rollback\b/i.test(bare)) return { type: 'rollback' };
  if (/^(?:begin|start\s+transaction)\b/i.test(bare)) return { type: 'begin', readOnly: /\bread\s+only\b/i.test(bare), isSnapshot: /\bconsistent\s+snapshot\b/i.test(bare) };
  const other = named('savepoint', savepoint) ?? named('release', release);
  if (other) return other;
  const level = isolation.exec(bare)?.[1];
  if (level !== undefined) return { type: 'isolation', level: level.toLowerCase().replace(/\s+/g, ' ') };
  const xa = xaWord(bare);
  if (xa) return { type: 'xa', xa };
  const [, locks] = /^(lock|unlock)\s+tables?\b/i.exec(bare) ?? [];
  if (locks !== undefined) return { type: locks.length === 4 ? 'lock' : 'unlock' };
  if (commitsImplicitly.test(bare) || setsAutocommit.test(bare)) return { type: 'implicit commit' };
  if (sessions.test(bare)) return { type: 'other' };
  if (reads.test(bare)) return /^(?:\(\s*)*with\b/i.test(bare) && changesBehindWith.test(bare) ? { type: 'write' } : { type: 'read' };
  return writes.test(bare) ? { type: 'write' } : { type: 'unknown' };
}

/** Settings of a session that a translation reads may be others behind it. */
export function mayChangeSettings(text: string): boolean {
  return text.includes(';') || !/^[\s(]*(?:select|insert|update|delete|replace|commit|rollback|begin|start|show|savepoint|release|desc|describe|explain|lock|unlock)\b/i.test(text);
}
