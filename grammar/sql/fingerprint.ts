/**
 * The class of a text: the text with its constants taken out, so that texts which differ in constants only share one parse.
 *
 * Written after PostgreSQL's scanner rules. Equal classes must mean equal facts, validity included, so whatever could make a
 * constant matter to the grammar ends the attempt (`undefined`, the text then stands for itself): neighbouring strings (they may
 * be one), escapes that the scanner checks, hexadecimal and other rare numbers, `U&` forms, anything unterminated. Constants keep
 * their token class: string, integer that fits 32 bits, other number, bit string, hexadecimal string. Names, quoted ones too,
 * are kept byte by byte. Rows of VALUES that are equal once their constants are gone count as one.
 *
 * It assumes `standard_conforming_strings = on`, as the grammar here does.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
const mark = { string: 1, integer: 2, number: 3, bits: 4, hex: 5 } as const;

/** Classes of bytes. */
const space = 1;
const wordStart = 2;
const digit = 3;
const plain = 4;
const quote = 5;
const doubleQuote = 6;
const dollar = 7;
const dot = 8;
const dash = 9;
const slash = 10;
const open = 11;
const close = 12;

const maxDepth = 64;

/** Reads texts into classes. Holds one buffer that grows to the longest text; not re-entrant. */
export class Fingerprinter {
  readonly #classes = byteClasses();
  #out = Buffer.alloc(4096);
  #length = 0;
  #bytes: Uint8Array = this.#out;
  #at = 0;
  #end = 0;
  /** The last word was FLOAT: its precision is checked by the grammar. */
  #afterFloat = false;
  #sawMerge = false;
  #hasConstants = false;
  // Rows of VALUES: depth at which they stand (-1: none), where the last whole one began and ended, where the present one began.
  #depth = 0;
  #rowsDepth = -1;
  #awaitsRow = false;
  #rowStart = 0;
  #lastRowStart = -1;
  #lastRowEnd = -1;

  /** True when the text last read had constants in it: without any, its class is little more than itself. */
  get hasConstants(): boolean {
    return this.#hasConstants;
  }

  /** A key for maps: one character per byte. `bytes` are UTF-8. */
  read(bytes: Uint8Array, start: number, end: number): string | undefined {
    this.#begin(bytes, start, end);
    while (this.#at < this.#end) if (!this.#token()) return undefined;
    return this.#out.toString('latin1', 0, this.#length);
  }

  #begin(bytes: Uint8Array, start: number, end: number): void {
    if (this.#out.length < end - start) this.#out = Buffer.alloc(2 * (end - start));
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#length = 0;
    this.#afterFloat = false;
    this.#sawMerge = false;
    this.#hasConstants = false;
    this.#depth = 0;
    this.#rowsDepth = -1;
    this.#awaitsRow = false;
    this.#lastRowStart = -1;
  }

  #token(): boolean {
    const byte = this.#bytes[this.#at] ?? 0;
    switch (this.#classes[byte]) {
      case space: this.#at += 1; this.#emitSpace(); return true;
      case wordStart: return this.#word(byte);
      case digit: return this.#number();
      case quote: return this.#string(mark.string, false);
      case doubleQuote: return this.#quotedName();
      case dollar: return this.#dollar();
      case dot: return this.#classAt(this.#at + 1) === digit ? this.#number() : this.#copy(byte);
      case dash: return this.#byteAt(this.#at + 1) === 0x2d ? this.#lineComment() : this.#copy(byte);
      case slash: return this.#byteAt(this.#at + 1) === 0x2a ? this.#blockComment() : this.#copy(byte);
      case open: return this.#openParenthesis();
      case close: return this.#closeParenthesis();
      case plain: return this.#copy(byte);
      default: return false;
    }
  }

  #byteAt(at: number): number {
    return at < this.#end ? (this.#bytes[at] ?? 0) : 0;
  }

  #classAt(at: number): number {
    return at < this.#end ? (this.#classes[this.#bytes[at] ?? 0] ?? 0) : 0;
  }

  #emit(byte: number): void {
    this.#out[this.#length++] = byte;
  }

  #emitSpace(): void {
    if (this.#length > 0 && this.#out[this.#length - 1] !== 0x20) this.#emit(0x20);
  }

  #copy(byte: number): boolean {
    // Anything but a comma ends a list of rows.
    if (this.#rowsDepth === this.#depth) {
      if (byte === 0x2c) this.#awaitsRow = true;
      else this.#rowsDepth = -1;
    }
    this.#emit(byte);
    this.#at += 1;
    return true;
  }

  #constant(kind: number): boolean {
    this.#hasConstants = true;
    this.#leaveRows();
    this.#emit(kind);
    return true;
  }

  /** A token that is neither `(` nor `,` stands between rows: there are no more of them. */
  #leaveRows(): void {
    if (this.#rowsDepth === this.#depth) this.#rowsDepth = -1;
  }

  #word(first: number): boolean {
    const start = this.#at;
    let at = start + 1;
    while (isWordByte(this.#classAt(at))) at += 1;
    if (at - start === 1) {
      const next = this.#byteAt(at);
      if (next === 0x27) return this.#prefixedString(first | 0x20, first);
      if ((first | 0x20) === 0x75 && next === 0x26 && isQuote(this.#byteAt(at + 1))) return false;
    }
    this.#leaveRows();
    for (let index = start; index < at; index += 1) this.#emit(this.#bytes[index] ?? 0);
    this.#at = at;
    this.#noteWord(start, at - start);
    return true;
  }

  #noteWord(start: number, length: number): void {
    this.#afterFloat = length === 5 && this.#isWord(start, 'float');
    if (length === 5 && this.#isWord(start, 'merge')) this.#sawMerge = true;
    // MERGE takes one row only: there a second one is an error.
    if (length !== 6 || this.#sawMerge || !this.#isWord(start, 'values')) return;
    this.#rowsDepth = this.#depth;
    this.#awaitsRow = true;
    this.#lastRowStart = -1;
  }

  #isWord(start: number, word: string): boolean {
    for (let index = 0; index < word.length; index += 1) if (((this.#bytes[start + index] ?? 0) | 0x20) !== word.charCodeAt(index)) return false;
    return true;
  }

  #prefixedString(prefix: number, first: number): boolean {
    this.#at += 1;
    if (prefix === 0x65) return this.#string(mark.string, true);
    if (prefix === 0x62) return this.#rawString(mark.bits);
    if (prefix === 0x78) return this.#rawString(mark.hex);
    // `n'…'` is the word NCHAR and a string; any other word before a string is a type's name.
    this.#leaveRows();
    this.#emit(first);
    return this.#string(mark.string, false);
  }

  #string(kind: number, escapes: boolean): boolean {
    let at = this.#at + 1;
    for (;;) {
      const byte = this.#byteAt(at);
      if (at >= this.#end) return false;
      if (byte === 0x27) {
        if (this.#byteAt(at + 1) !== 0x27) break;
        at += 2;
      } else if (escapes && byte === 0x5c) {
        if (!isSimpleEscape(this.#byteAt(at + 1))) return false;
        at += 2;
      } else at += 1;
    }
    this.#at = at + 1;
    return this.#isFollowedByString() ? false : this.#constant(kind);
  }

  #rawString(kind: number): boolean {
    let at = this.#at + 1;
    while (at < this.#end && this.#byteAt(at) !== 0x27) at += 1;
    if (at >= this.#end) return false;
    this.#at = at + 1;
    return this.#isFollowedByString() ? false : this.#constant(kind);
  }

  /** Strings with only space and comments between them may be one string, or an error, as the line breaks fall. */
  #isFollowedByString(): boolean {
    let at = this.#at;
    for (;;) {
      const kind = this.#classAt(at);
      if (kind === space) at += 1;
      else if ((kind === dash && this.#byteAt(at + 1) === 0x2d) || (kind === slash && this.#byteAt(at + 1) === 0x2a)) {
        const behind = kind === dash ? this.#lineCommentEnd(at) : this.#blockCommentEnd(at);
        if (behind < 0) return true;
        at = behind;
      } else return kind === quote;
    }
  }

  #quotedName(): boolean {
    this.#leaveRows();
    let at = this.#at;
    do {
      this.#emit(this.#bytes[at] ?? 0);
      at += 1;
      // A doubled quote looks like the end of one name and the begin of the next: copied, it comes to the same.
      if (at >= this.#end) return false;
    } while (this.#bytes[at] !== 0x22);
    this.#emit(0x22);
    this.#at = at + 1;
    this.#afterFloat = false;
    return true;
  }

  #dollar(): boolean {
    const start = this.#at;
    let at = start + 1;
    if (this.#classAt(at) === digit) {
      while (this.#classAt(at) === digit) at += 1;
      if (this.#classAt(at) === wordStart) return false;
      this.#leaveRows();
      for (let index = start; index < at; index += 1) this.#emit(this.#bytes[index] ?? 0);
      this.#at = at;
      return true;
    }
    while (this.#classAt(at) === wordStart || (at > start + 1 && this.#classAt(at) === digit)) at += 1;
    if (this.#byteAt(at) !== 0x24) return false;
    const behind = this.#dollarEnd(start, at + 1 - start);
    if (behind < 0) return false;
    this.#at = behind;
    return this.#constant(mark.string);
  }

  /** Offset behind the closing delimiter, which has the bytes of the opening one. */
  #dollarEnd(start: number, length: number): number {
    for (let at = start + length; at + length <= this.#end; at += 1) {
      if (this.#bytes[at] !== 0x24) continue;
      let same = 1;
      while (same < length && this.#bytes[at + same] === this.#bytes[start + same]) same += 1;
      if (same === length) return at + length;
    }
    return -1;
  }

  /** Decimal integers, and numbers with a point or an exponent; any other form, or anything glued to them, ends the attempt. */
  #number(): boolean {
    const start = this.#at;
    let at = this.#digits(start);
    const whole = at - start;
    let isInteger = true;
    if (this.#byteAt(at) === 0x2e) {
      isInteger = false;
      at = this.#digits(at + 1);
    }
    if ((this.#byteAt(at) | 0x20) === 0x65) {
      isInteger = false;
      const sign = this.#byteAt(at + 1);
      const exponent = sign === 0x2b || sign === 0x2d ? at + 2 : at + 1;
      at = this.#digits(exponent);
      if (at === exponent) return false;
    }
    const next = this.#classAt(at);
    if (next === wordStart || next === digit || next === dot || next === dollar) return false;
    this.#at = at;
    if (this.#afterFloat) return this.#keep(start, at);
    return this.#constant(isInteger && this.#fits(start, whole) ? mark.integer : mark.number);
  }

  #digits(from: number): number {
    let at = from;
    while (this.#classAt(at) === digit) at += 1;
    return at;
  }

  #fits(start: number, length: number): boolean {
    if (length <= 9) return true;
    let value = 0;
    for (let index = start; index < start + length && value <= 0x7fffffff; index += 1) value = value * 10 + (this.#bytes[index] ?? 0) - 0x30;
    return value <= 0x7fffffff;
  }

  #keep(start: number, end: number): boolean {
    this.#leaveRows();
    for (let index = start; index < end; index += 1) this.#emit(this.#bytes[index] ?? 0);
    return true;
  }

  #lineComment(): boolean {
    this.#at = this.#lineCommentEnd(this.#at);
    this.#emitSpace();
    return true;
  }

  #lineCommentEnd(from: number): number {
    let at = from;
    while (at < this.#end && this.#bytes[at] !== 0x0a && this.#bytes[at] !== 0x0d) at += 1;
    return at;
  }

  #blockComment(): boolean {
    const behind = this.#blockCommentEnd(this.#at);
    if (behind < 0) return false;
    this.#at = behind;
    this.#emitSpace();
    return true;
  }

  /** Comments nest. -1: unterminated. */
  #blockCommentEnd(from: number): number {
    let depth = 1;
    let at = from + 2;
    while (at < this.#end) {
      const byte = this.#bytes[at];
      const next = this.#byteAt(at + 1);
      if (byte === 0x2f && next === 0x2a) {
        depth += 1;
        at += 2;
      } else if (byte === 0x2a && next === 0x2f) {
        depth -= 1;
        at += 2;
        if (depth === 0) return at;
      } else at += 1;
    }
    return -1;
  }

  #openParenthesis(): boolean {
    if (this.#rowsDepth === this.#depth) {
      if (this.#awaitsRow) this.#rowStart = this.#length;
      else this.#rowsDepth = -1;
      this.#awaitsRow = false;
    }
    this.#emit(0x28);
    this.#at += 1;
    this.#depth += 1;
    return this.#depth <= maxDepth || this.#rowsDepth === -1;
  }

  #closeParenthesis(): boolean {
    // VALUES inside parentheses ends with them.
    if (this.#rowsDepth === this.#depth) this.#rowsDepth = -1;
    this.#emit(0x29);
    this.#at += 1;
    this.#depth -= 1;
    if (this.#rowsDepth === this.#depth) this.#endRow();
    return true;
  }

  #endRow(): void {
    const length = this.#length - this.#rowStart;
    const isRepeated = this.#lastRowStart >= 0 && this.#lastRowEnd - this.#lastRowStart === length
      && this.#out.compare(this.#out, this.#rowStart, this.#length, this.#lastRowStart, this.#lastRowEnd) === 0;
    if (isRepeated) this.#length = this.#lastRowEnd;
    else {
      this.#lastRowStart = this.#rowStart;
      this.#lastRowEnd = this.#length;
    }
  }
}

function byteClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let byte = 0x21; byte < 0x7f; byte += 1) classes[byte] = plain;
  for (const byte of [0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d]) classes[byte] = space;
  for (let byte = 0; byte < 26; byte += 1) classes[0x41 + byte] = classes[0x61 + byte] = wordStart;
  for (let byte = 0x80; byte < 0x100; byte += 1) classes[byte] = wordStart;
  classes[0x5f] = wordStart;
  for (let byte = 0x30; byte < 0x3a; byte += 1) classes[byte] = digit;
  for (const [character, kind] of [["'", quote], ['"', doubleQuote], ['$', dollar], ['.', dot], ['-', dash], ['/', slash], ['(', open], [')', close]] as const) {
    classes[character.charCodeAt(0)] = kind;
  }
  return classes;
}

function isWordByte(kind: number): boolean {
  return kind === wordStart || kind === digit || kind === dollar;
}

function isQuote(byte: number): boolean {
  return byte === 0x27 || byte === 0x22;
}

/** Backslash, quote, and the letters that stand for one control character. Octal, hexadecimal and Unicode escapes are checked by the scanner. */
function isSimpleEscape(byte: number): boolean {
  return byte === 0x5c || byte === 0x27 || byte === 0x6e || byte === 0x74 || byte === 0x72 || byte === 0x62 || byte === 0x66;
}
