/**
 * The class of a text: the text with its constants taken out, so that texts which differ in constants only share one parse.
 *
 * Equal classes must mean equal facts, validity included, so whatever could make a constant matter to the grammar ends the
 * attempt (`undefined`, the text then stands for itself): neighbouring strings (they may be one), escapes that the scanner
 * checks, hexadecimal and other rare numbers, `U&` forms, anything unterminated. Constants keep their token class: string,
 * integer that fits 32 bits, other number, bit string, hexadecimal string. Names, quoted ones too, are kept byte by byte. Runs of
 * spaces and comments are one space. Rows of VALUES that are equal once their constants are gone count as one.
 *
 * It assumes `standard_conforming_strings = on`, as the grammar here does.
 */
import { byteClass, byteClasses } from './byte-classes.ts';
import {
  blockCommentEnd, byteAt, classAt, dollarStringEnd, escapeStringEnd, isFollowedByString, isSmallInteger, lineCommentEnd, nextQuoteEnd, numberEnd,
  parameterEnd, stringEnd, wordEnd,
} from './token-ends.ts';
import { ValueRows } from './value-rows.ts';

/** Stand for constants; no text has these bytes. */
export const constantMarks = { string: 1, integer: 2, number: 3, bits: 4, hex: 5 } as const;

/** Reads texts into classes. Holds one buffer that grows to the longest text. */
export class Fingerprinter {
  #out = Buffer.alloc(4096);
  #length = 0;
  #bytes: Uint8Array = this.#out;
  #end = 0;
  /** The last word was FLOAT: the grammar checks its precision. */
  #afterFloat = false;
  #sawMerge = false;
  #hasConstants = false;
  readonly #rows = new ValueRows();

  /** True when the text last read had constants in it: without any, its class is little more than itself. */
  get hasConstants(): boolean {
    return this.#hasConstants;
  }

  /** A key for maps: one character per byte. `bytes` from `start` to `end` are UTF-8. */
  read(bytes: Uint8Array, start: number, end: number): string | undefined {
    if (this.#out.length < end - start) this.#out = Buffer.alloc(2 * (end - start));
    this.#bytes = bytes;
    this.#end = end;
    this.#length = 0;
    this.#afterFloat = false;
    this.#sawMerge = false;
    this.#hasConstants = false;
    this.#rows.reset();
    for (let at = start; at < end;) {
      at = this.#token(at);
      if (at < 0) return undefined;
    }
    return this.#out.toString('latin1', 0, this.#length);
  }

  /** Reads the token or space at `at`; -1 ends the attempt. */
  #token(at: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    switch (byteClasses[bytes[at] ?? 0]) {
      case byteClass.space: return this.#space(at + 1);
      case byteClass.word: return this.#word(at);
      case byteClass.digit: return this.#number(at);
      case byteClass.quote: return this.#string(constantMarks.string, stringEnd(bytes, at, end));
      // A doubled quote reads as the end of one name and the beginning of the next: copied, it comes to the same.
      case byteClass.doubleQuote: return this.#keep(at, nextQuoteEnd(bytes, at, end));
      case byteClass.dollar: return classAt(bytes, at + 1, end) === byteClass.digit ? this.#keep(at, parameterEnd(bytes, at, end)) : this.#constant(constantMarks.string, dollarStringEnd(bytes, at, end));
      case byteClass.dot: return classAt(bytes, at + 1, end) === byteClass.digit ? this.#number(at) : this.#keep(at, at + 1);
      case byteClass.dash: return byteAt(bytes, at + 1, end) === 0x2d ? this.#space(lineCommentEnd(bytes, at, end)) : this.#keep(at, at + 1);
      case byteClass.slash: return byteAt(bytes, at + 1, end) === 0x2a ? this.#space(blockCommentEnd(bytes, at, end)) : this.#keep(at, at + 1);
      case byteClass.comma: this.#rows.comma(); return this.#emit(0x2c, at + 1);
      case byteClass.open: this.#rows.open(this.#length); return this.#emit(0x28, at + 1);
      case byteClass.close: return this.#close(at + 1);
      case byteClass.plain: return this.#keep(at, at + 1);
      default: return -1;
    }
  }

  #emit(byte: number, behind: number): number {
    this.#out[this.#length++] = byte;
    return behind;
  }

  #space(behind: number): number {
    if (this.#length > 0 && this.#out[this.#length - 1] !== 0x20) this.#out[this.#length++] = 0x20;
    return behind;
  }

  #close(behind: number): number {
    this.#emit(0x29, behind);
    this.#length = this.#rows.close(this.#out, this.#length);
    return behind;
  }

  #keep(at: number, behind: number): number {
    this.#rows.other();
    for (let index = at; index < behind; index += 1) this.#out[this.#length++] = this.#bytes[index] ?? 0;
    return behind;
  }

  #constant(kind: number, behind: number): number {
    this.#hasConstants = true;
    this.#rows.other();
    return this.#emit(kind, behind);
  }

  #string(kind: number, behind: number): number {
    return behind < 0 || isFollowedByString(this.#bytes, behind, this.#end) ? -1 : this.#constant(kind, behind);
  }

  #number(at: number): number {
    const behind = numberEnd(this.#bytes, at, this.#end);
    if (behind < 0 || this.#afterFloat) return this.#keep(at, behind);
    return this.#constant(isSmallInteger(this.#bytes, at, behind) ? constantMarks.integer : constantMarks.number, behind);
  }

  #word(at: number): number {
    const behind = wordEnd(this.#bytes, at, this.#end);
    if (behind === at + 1) {
      const next = byteAt(this.#bytes, behind, this.#end);
      if (next === 0x27) return this.#prefixed(at, behind);
      if (next === 0x26 && this.#is(at, 1, 'u')) return -1;
    }
    this.#keep(at, behind);
    const length = behind - at;
    this.#afterFloat = this.#is(at, length, 'float');
    if (this.#is(at, length, 'merge')) this.#sawMerge = true;
    // MERGE takes one row only: there a second one is an error.
    if (!this.#sawMerge && this.#is(at, length, 'values')) this.#rows.begin();
    return behind;
  }

  /** A letter before a quote: `E'`, `B'`, `X'`; `N'` is the word NCHAR and a string; any other is a type's name before one. */
  #prefixed(at: number, behind: number): number {
    if (this.#is(at, 1, 'e')) return this.#string(constantMarks.string, escapeStringEnd(this.#bytes, behind, this.#end));
    if (this.#is(at, 1, 'b')) return this.#string(constantMarks.bits, nextQuoteEnd(this.#bytes, behind, this.#end));
    if (this.#is(at, 1, 'x')) return this.#string(constantMarks.hex, nextQuoteEnd(this.#bytes, behind, this.#end));
    return this.#keep(at, behind);
  }

  #is(at: number, length: number, word: string): boolean {
    if (length !== word.length) return false;
    for (let index = 0; index < length; index += 1) if (((this.#bytes[at + index] ?? 0) | 0x20) !== word.charCodeAt(index)) return false;
    return true;
  }
}
