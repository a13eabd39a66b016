/** Which characters a MySQL character set has, for texts on the way back. */
import { bytesPerCharacter } from '../../grammar/dialect/long-text.ts';

/** True when every character of the text can be stored. */
export type Encodable = (character: string) => boolean;

/** Character sets that hold all of Unicode: nothing to look at. */
const universal = new Set(['utf8mb4', 'utf16', 'utf16le', 'utf32', 'gb18030']);
const basicPlane = new Set(['utf8mb3', 'utf8', 'ucs2']);

/** MySQL's name → the label of the WHATWG encoding that holds the same characters. https://encoding.spec.whatwg.org/#names-and-labels */
const labels: Readonly<Record<string, string>> = {
  latin1: 'windows-1252', latin2: 'iso-8859-2', latin5: 'iso-8859-9', latin7: 'iso-8859-13', greek: 'iso-8859-7', hebrew: 'iso-8859-8', cp1250: 'windows-1250', cp1251: 'windows-1251',
  cp1256: 'windows-1256', cp1257: 'windows-1257', cp866: 'ibm866', koi8r: 'koi8-r', koi8u: 'koi8-u', tis620: 'windows-874', macroman: 'macintosh',
  gbk: 'gbk', gb2312: 'gbk', sjis: 'shift_jis', cp932: 'shift_jis', ujis: 'euc-jp', eucjpms: 'euc-jp', euckr: 'euc-kr', big5: 'big5',
};

/**
 * Undefined for a set that has every character, and for one that is not known here: there the server's own check decides.
 * The characters of a set are collected once, when the column is bound.
 */
export function encodableIn(charset: string): Encodable | undefined {
  if (universal.has(charset)) return undefined;
  if (basicPlane.has(charset)) return (character) => character.length === 1;
  if (charset === 'ascii') return (character) => character.charCodeAt(0) < 128;
  const label = labels[charset];
  if (label === undefined) return undefined;
  const known = charactersOf(label);
  return (character) => known.has(character);
}

function charactersOf(label: string): ReadonlySet<string> {
  const decoder = new TextDecoder(label);
  const known = new Set<string>();
  const add = (...bytes: number[]): void => {
    const text = decoder.decode(Uint8Array.from(bytes));
    if (!text.includes('�') && [...text].length === 1) known.add(text);
  };
  for (let first = 0; first < 256; first += 1) {
    add(first);
    if (isSingleByte(label) || first < 128) continue;
    for (let second = 0x40; second < 256; second += 1) add(first, second);
  }
  return known;
}

function isSingleByte(label: string): boolean {
  return !['gbk', 'shift_jis', 'euc-jp', 'euc-kr', 'big5'].includes(label);
}

/** Bytes of a text in the column's character set; at most so many where the set is not one of Unicode. */
export function encodedBytes(charset: string): (text: string) => number {
  if (['utf8mb4', 'utf8mb3', 'utf8', 'gb18030'].includes(charset)) return (text) => Buffer.byteLength(text);
  if (charset.startsWith('utf16') || charset === 'ucs2') return (text) => text.length * 2;
  const width = bytesPerCharacter(charset);
  return width === 4 ? (text) => [...text].length * 4 : (text) => text.length * width;
}
