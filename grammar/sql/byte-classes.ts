/** What a byte of a UTF-8 text can begin, by the rules of PostgreSQL's scanner; 0 for bytes that no text should have. */
export const byteClass = {
  space: 1, word: 2, digit: 3, plain: 4, quote: 5, doubleQuote: 6, dollar: 7, dot: 8, dash: 9, slash: 10, open: 11, close: 12, comma: 13,
} as const;

export const byteClasses: Uint8Array = classify();

function classify(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let byte = 0x21; byte < 0x7f; byte += 1) classes[byte] = byteClass.plain;
  for (const byte of [0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d]) classes[byte] = byteClass.space;
  for (let letter = 0; letter < 26; letter += 1) {
    classes[0x41 + letter] = byteClass.word;
    classes[0x61 + letter] = byteClass.word;
  }
  classes[0x5f] = byteClass.word;
  for (let byte = 0x80; byte < 0x100; byte += 1) classes[byte] = byteClass.word;
  for (let byte = 0x30; byte < 0x3a; byte += 1) classes[byte] = byteClass.digit;
  const single = { "'": byteClass.quote, '"': byteClass.doubleQuote, $: byteClass.dollar, '.': byteClass.dot, '-': byteClass.dash, '/': byteClass.slash, '(': byteClass.open, ')': byteClass.close, ',': byteClass.comma };
  for (const [character, kind] of Object.entries(single)) classes[character.charCodeAt(0)] = kind;
  return classes;
}
