/** Patterns of LIKE. https://dev.mysql.com/doc/refman/8.4/en/string-comparison-functions.html#operator_like */

import { quoteLiteral } from '../../names.ts';

/** With a backslash as the escape character, as PostgreSQL has it. An escape at the end is itself. */
export function likePattern(pattern: string, escape: string): string {
  let result = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at] ?? '';
    if (escape !== '' && character === escape) {
      at += 1;
      const escaped = pattern[at] ?? escape;
      result += escaped === '%' || escaped === '_' || escaped === '\\' ? `\\${escaped}` : escaped;
    } else result += character === '\\' ? '\\\\' : character;
  }
  return result;
}

/**
 * Whether a pattern of PostgreSQL's has a backslash that stands for itself behind other characters: where letters are compared without regard to case, PostgreSQL 18 looks for what is left
 * without it. At the beginning, and behind `%` and `_`, it is found.
 */
export function losesBackslash(pattern: string): boolean {
  let isBehindOthers = false;
  for (let at = 0; at < pattern.length; at += 1) {
    if (pattern[at] === '\\') {
      at += 1;
      if (isBehindOthers && pattern[at] === '\\') return true;
    } else isBehindOthers = pattern[at] !== '%' && pattern[at] !== '_';
  }
  return false;
}

/** The same of a pattern that is known while the statement runs: one with escapes of anything else than `%` and `_` is an error. */
export function unslashed(sql: string, escape: string): string {
  const escaped = escape === '' || escape === '\\' ? '' : `|${/[A-Za-z0-9]/.test(escape) ? escape : `\\${escape}`}[^%_]`;
  const found = quoteLiteral(escape === '\\' ? String.raw`\\[^%_]` : `\\\\${escaped}`);
  return `(CASE WHEN ${sql} COLLATE "C" ~ ${found} THEN ('LIKE of a backslash in a collation that is not binary: ' || ${sql})::date::text ELSE ${sql} END)`;
}
