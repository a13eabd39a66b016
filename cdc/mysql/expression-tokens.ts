/** Tokens of the expressions in MySQL's catalogs, which the server has written: keywords in any case, names in backticks, literals with introducers. */

export interface ExpressionToken {
  readonly kind: 'name' | 'word' | 'string' | 'number' | 'symbol' | 'end';
  /** Words in small letters; names and strings as their value. */
  readonly text: string;
}

const pattern = /\s+|`((?:[^`]|``)*)`|(?:_[a-z0-9]+\s*)?'((?:[^'\\]|''|\\.)*)'|(\d+(?:\.\d+)?(?:e[-+]?\d+)?)|([a-z_][a-z0-9_$]*)|(<=>|<>|!=|<=|>=|&&|\|\||->>|->|[-+*/%(),=<>!.])/giys;

/** Undefined when something in the text is not known here. */
export function expressionTokens(text: string): readonly ExpressionToken[] | undefined {
  const found: ExpressionToken[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    end += match[0].length;
    const [, name, string, number, word, symbol] = match;
    if (name !== undefined) found.push({ kind: 'name', text: name.replaceAll('``', '`') });
    else if (string !== undefined) found.push({ kind: 'string', text: string.replace(/''|\\(.)/gs, (_, escaped: string | undefined) => (escaped === undefined ? "'" : ({ 0: '\0', n: '\n', r: '\r', t: '\t', b: '\b', Z: '\x1a' }[escaped] ?? escaped))) });
    else if (number !== undefined) found.push({ kind: 'number', text: number });
    else if (word !== undefined) found.push({ kind: 'word', text: word.toLowerCase() });
    else if (symbol !== undefined) found.push({ kind: 'symbol', text: symbol });
  }
  return end === text.length ? [...found, { kind: 'end', text: '' }] : undefined;
}
