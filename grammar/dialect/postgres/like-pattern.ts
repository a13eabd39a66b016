/** Patterns of LIKE. https://dev.mysql.com/doc/refman/8.4/en/string-comparison-functions.html#operator_like */

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
