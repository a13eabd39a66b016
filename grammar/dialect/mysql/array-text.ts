/** One-dimensional arrays in PostgreSQL's text form. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */

/** Undefined: not an array of one dimension in this form. */
export function parseArray(text: string): readonly (string | null)[] | undefined {
  const inside = /^\s*\{([\s\S]*)\}\s*$/.exec(text)?.[1];
  if (inside === undefined) return undefined;
  if (inside.trim() === '') return [];
  const items: (string | null)[] = [];
  const element = /\s*(?:"((?:[^"\\]|\\[\s\S])*)"\s*|((?:[^,{}"\\]|\\[\s\S])+?)\s*)(,|$)/gy;
  for (;;) {
    const match = element.exec(inside);
    if (match === null) return undefined;
    const [, quoted, bare = '', end] = match;
    items.push(quoted !== undefined ? unescape(quoted) : bare.toUpperCase() === 'NULL' ? null : unescape(bare));
    if (end === '') return items;
  }
}

function unescape(text: string): string {
  return text.replace(/\\([\s\S])/g, '$1');
}
