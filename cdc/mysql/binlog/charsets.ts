/**
 * Text of every character set of the server. Unicode is read here; of all others the server itself is asked once how it turns each code into
 * Unicode, so that the binlog's texts are those that the server's own SELECT gives.
 */
import { MigrationError } from '../../../config/migration-error.ts';
import type { QueryRow } from './replica-connection.ts';

export type TextReader = (buffer: Buffer, start: number, end: number) => string;
export type AskServer = (text: string) => Promise<readonly QueryRow[]>;

export const BINARY = 'binary';

const twoByte: ReadonlySet<string> = new Set(['big5', 'cp932', 'euckr', 'gb2312', 'gbk', 'sjis', 'ujis', 'eucjpms', 'gb18030']);
/** First byte of the codes of three bytes in the Japanese EUC sets. */
const THREE_BYTE_LEAD = 0x8f;
const threeByte: ReadonlySet<string> = new Set(['ujis', 'eucjpms']);

const unicode: Readonly<Record<string, TextReader>> = {
  utf8: readUtf8, utf8mb3: readUtf8, utf8mb4: readUtf8, ucs2: readUtf16, utf16: readUtf16, utf16le: (buffer, start, end) => buffer.toString('utf16le', start, end), utf32: readUtf32,
};

export class Charsets {
  readonly #ask: AskServer;
  readonly #readers = new Map<string, TextReader>();
  #names: ReadonlyMap<number, string> | undefined;

  constructor(ask: AskServer) {
    this.#ask = ask;
  }

  /** Character set of a collation. */
  async nameOf(collation: number): Promise<string> {
    this.#names ??= await this.#readNames();
    const name = this.#names.get(collation);
    if (name === undefined) throw new MigrationError('MIG012', `the binlog names a collation that the server does not list: ${collation}`);
    return name;
  }

  async #readNames(): Promise<ReadonlyMap<number, string>> {
    const names = new Map<number, string>();
    const add = (rows: readonly QueryRow[]): void => {
      for (const [id, name] of rows) if (typeof id === 'string' && typeof name === 'string') names.set(Number(id), name);
    };
    add(await this.#ask('SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS'));
    // MariaDB lists the collations that several character sets share there only, and older servers have no ids there.
    const columns = await this.#ask("SHOW COLUMNS FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY LIKE 'ID'");
    if (columns.length > 0) add(await this.#ask('SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY'));
    return names;
  }

  /** Not of `binary`. */
  async readerOf(charset: string): Promise<TextReader> {
    const known = unicode[charset] ?? this.#readers.get(charset);
    if (known) return known;
    const made = await this.#makeReader(charset);
    this.#readers.set(charset, made);
    return made;
  }

  async #makeReader(charset: string): Promise<TextReader> {
    const [longest] = await this.#ask(`SELECT MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME = '${charset}'`);
    if (!twoByte.has(charset) && longest?.[0] !== '1') throw new MigrationError('MIG012', `texts in the character set ${charset} cannot be read from the binlog`);
    const singles: string[] = [];
    for (const [code, text] of await this.#ask(codesQuery(charset, '', 1))) singles[Number.parseInt(code ?? '', 16)] = fromHex(text);
    const pairs = twoByte.has(charset) ? withoutSingles(await this.#readPairs(charset, ''), singles) : undefined;
    const triples = threeByte.has(charset) ? await this.#readPairs(charset, THREE_BYTE_LEAD.toString(16)) : undefined;
    return tableReader(singles, pairs, triples, charset === 'gb18030' ? fourByteReader() : undefined);
  }

  async #readPairs(charset: string, prefix: string): Promise<readonly (string | undefined)[]> {
    const pairs = new Array<string | undefined>(0x1_0000).fill(undefined);
    for (const [code, text] of await this.#ask(codesQuery(charset, prefix, 2))) pairs[Number.parseInt(code ?? '', 16)] = fromHex(text);
    return pairs;
  }
}

/** MySQL 5.6 counts any two bytes as a character, also where the first one is a character by itself and the second begins another. No byte is both a character and the first of two. */
function withoutSingles(pairs: readonly (string | undefined)[], singles: readonly (string | undefined)[]): readonly (string | undefined)[] {
  const isCharacter = (byte: number): boolean => ![undefined, '', UNKNOWN].includes(singles[byte]);
  return pairs.map((text, code) => (isCharacter(code >> 8) ? undefined : text));
}

const hexDigits = `(${[...'0123456789ABCDEF'].map((digit, index) => `SELECT '${digit}'${index === 0 ? ' AS c' : ''}`).join(' UNION ALL ')})`;

/** Every code of so many bytes behind the prefix that is one character, and what it is in UTF-8; codes of more than one byte begin above ASCII. */
function codesQuery(charset: string, prefix: string, bytes: 1 | 2): string {
  const tables = Array.from({ length: bytes * 2 }, (_, index) => `${hexDigits} AS d${index}`);
  const code = `CONCAT(${tables.map((_, index) => `d${index}.c`).join(', ')})`;
  const text = `CONVERT(UNHEX(CONCAT('${prefix}', code)) USING ${charset})`;
  const high = bytes === 2 ? `WHERE d0.c >= '8'` : '';
  return `SELECT code, HEX(CONVERT(${text} USING utf8mb4)) FROM (SELECT ${code} AS code FROM ${tables.join(' CROSS JOIN ')} ${high}) AS codes WHERE CHAR_LENGTH(${text}) = 1`;
}

function fromHex(hex: string | null | undefined): string {
  return Buffer.from(hex ?? '', 'hex').toString('utf8');
}

/** What the server cannot turn into Unicode it prints as a question mark. */
const UNKNOWN = '?';

function tableReader(singles: readonly (string | undefined)[], pairs?: readonly (string | undefined)[], triples?: readonly (string | undefined)[], fourByte?: (bytes: Buffer) => string): TextReader {
  const isAscii = singles.slice(0, 128).every((text, code) => text === String.fromCharCode(code));
  return (buffer, start, end) => {
    if (isAscii && isPlain(buffer, start, end)) return buffer.toString('latin1', start, end);
    let text = '';
    for (let at = start; at < end; ) {
      const first = buffer[at] ?? 0;
      const second = buffer[at + 1] ?? 0;
      if (pairs && at + 1 < end && first >= 0x80) {
        if (fourByte && second >= 0x30 && second <= 0x39) {
          text += fourByte(buffer.subarray(at, at + 4));
          at += 4;
          continue;
        }
        const triple = first === THREE_BYTE_LEAD ? triples?.[(second << 8) | (buffer[at + 2] ?? 0)] : undefined;
        const pair = triple ?? pairs[(first << 8) | second];
        if (pair !== undefined) {
          text += pair;
          at += triple === undefined ? 2 : 3;
          continue;
        }
      }
      text += singles[first] ?? UNKNOWN;
      at += 1;
    }
    return text;
  };
}

/** The codes of four bytes are counted through all of Unicode: no table is needed. */
function fourByteReader(): (bytes: Buffer) => string {
  const decoder = new TextDecoder('gb18030');
  return (bytes) => decoder.decode(bytes);
}

function isPlain(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((buffer[at] as number) >= 0x80) return false;
  return true;
}

function readUtf8(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('utf8', start, end);
}

/** Big endian. */
function readUtf16(buffer: Buffer, start: number, end: number): string {
  return Buffer.from(buffer.subarray(start, end)).swap16().toString('utf16le');
}

function readUtf32(buffer: Buffer, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 4) text += String.fromCodePoint(buffer.readUInt32BE(at));
  return text;
}
