/** Whether a column's character set has the characters of a text. */

/** Beyond Latin-1 what MySQL's latin1, which is cp1252, has. */
const cp1252 = '€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ';

export function charsetFits(charset: string, text: string): boolean {
  switch (charset) {
    case 'utf8mb4': return true;
    case 'utf8': case 'utf8mb3': case 'ucs2': return !/[\ud800-\udfff]/.test(text);
    case 'ascii': return !/[^\0-\x7f]/.test(text);
    case 'latin1': return [...text].every((character) => character < '\x80' || (character >= '\xa0' && character <= '\xff') || cp1252.includes(character));
    default: return !/[^\0-\x7f]/.test(text);
  }
}

const width: Readonly<Record<string, number>> = { ascii: 0, latin1: 1, utf8: 2, utf8mb3: 2, utf8mb4: 3 };

/** Every text of one is a text of the other. */
export function charsetHolds(target: string, source: string): boolean {
  return target === source || target === 'utf8mb4' || ((width[target] ?? -1) >= 2 && (width[target] ?? -1) >= (width[source] ?? 9)) || (width[source] === 0 && width[target] !== undefined);
}
