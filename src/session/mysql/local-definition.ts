/**
 * Definitions of a table on local, as a MySQL client's migration tool changes them: they are refused with what to run there instead, for the way back needs the same on the MySQL
 * server. Only one passes: CREATE TABLE IF NOT EXISTS of a table that is there does nothing at the server, which has it under the same name.
 */
import { quoteName } from '../../../grammar/names.ts';

export interface LocalDefinition {
  readonly database: string | undefined;
  readonly name: string;
  /** As MySQL's manual names the statement. */
  readonly construct: string;
  /** Undefined: it does nothing, and the server says so. */
  readonly instead: ((table: string) => string) | undefined;
}

const word = String.raw`(?:\x60((?:[^\x60]|\x60\x60)+)\x60|([\w$\x80-\uffff]+))`;
const table = String.raw`(?:${word}\s*\.\s*)?${word}`;
const comments = /^(?:\s|\/\*(?![!M])[\s\S]*?\*\/|--\s[^\n]*\n|#[^\n]*\n)+/;
const kept = (written: string | undefined): string => (written === undefined ? '…' : quoteName(written));

interface Form {
  readonly construct: string;
  readonly pattern: RegExp;
  readonly instead?: (table: string, index: string | undefined, rest: string) => string;
}

const named = (start: string, end = ''): RegExp => new RegExp(`^${start}\\s+${table}${end}`, 'i');

/** `DROP INDEX i ON t` and `CREATE INDEX i ON t` have another name first. */
const forms: readonly Form[] = [
  { construct: 'CREATE TABLE IF NOT EXISTS', pattern: named(String.raw`create\s+table\s+if\s+not\s+exists`) },
  { construct: 'ALTER TABLE', pattern: named(String.raw`alter\s+(?:online\s+|offline\s+|ignore\s+)*table(?:\s+if\s+exists)?`), instead: (to) => `ALTER TABLE ${to} …` },
  { construct: 'DROP TABLE', pattern: named(String.raw`drop\s+table(?:\s+if\s+exists)?`), instead: (to) => `DROP TABLE ${to}, behind DROP MIGRATION` },
  { construct: 'RENAME TABLE', pattern: named(String.raw`rename\s+tables?`), instead: (to) => `ALTER TABLE ${to} RENAME TO …, behind DROP MIGRATION` },
  { construct: 'ANALYZE TABLE', pattern: named(String.raw`analyze\s+(?:(?:no_write_to_binlog|local)\s+)?tables?`), instead: (to) => `ANALYZE ${to}` },
  { construct: 'OPTIMIZE TABLE', pattern: named(String.raw`optimize\s+(?:(?:no_write_to_binlog|local)\s+)?tables?`), instead: (to) => `VACUUM (ANALYZE) ${to}` },
  { construct: 'REPAIR TABLE', pattern: named(String.raw`repair\s+(?:(?:no_write_to_binlog|local)\s+)?tables?`), instead: (to) => `REINDEX TABLE CONCURRENTLY ${to}` },
  { construct: 'CHECK TABLE', pattern: named(String.raw`check\s+tables?`), instead: (to) => `SELECT * FROM verify_heapam('${to}') of the extension amcheck` },
  { construct: 'CREATE INDEX', pattern: new RegExp(String.raw`^create\s+(?:online\s+|offline\s+)*(unique\s+)?index\s+(?:if\s+not\s+exists\s+)?${word}(?:\s+using\s+\w+)?\s+on\s+${table}`, 'i'), instead: (to, index, rest) => `CREATE ${/^create\s+(?:\w+\s+)*?unique/i.test(rest) ? 'UNIQUE ' : ''}INDEX CONCURRENTLY ${kept(index)} ON ${to} (…)` },
  { construct: 'DROP INDEX', pattern: new RegExp(String.raw`^drop\s+(?:online\s+|offline\s+)*(index)\s+(?:if\s+exists\s+)?${word}\s+on\s+${table}`, 'i'), instead: (to, index) => `DROP INDEX CONCURRENTLY ${to.slice(0, to.lastIndexOf('.') + 1)}${kept(index)}` },
];

const bare = (quoted: string | undefined, plain: string | undefined): string | undefined => quoted?.replaceAll('``', '`') ?? plain;

/** Undefined: it is no definition of a table, as far as one can tell. */
export function localDefinition(statement: string): LocalDefinition | undefined {
  const text = statement.replace(comments, '');
  for (const { construct, pattern, instead } of forms) {
    const found = pattern.exec(text);
    if (!found) continue;
    const groups = found.slice(-4);
    const name = bare(groups[2], groups[3]);
    if (name === undefined) return undefined;
    // The rows of a query, and what stands in a comment that MySQL runs, would be looked at.
    if (instead === undefined && /\b(?:select|values|with|table\s+(?!if\b))\b|\/\*[!M]/i.test(text.slice(found[0].length))) return undefined;
    const index = found.length > 6 ? bare(found[2], found[3]) : undefined;
    return { database: bare(groups[0], groups[1]), name, construct, instead: instead && ((to) => instead(to, index, text)) };
  }
  return undefined;
}
