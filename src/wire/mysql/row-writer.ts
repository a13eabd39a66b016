/**
 * Writes the rows of a result set as packets, in place: nothing is made for a row or for a value that is passed on as it came.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
 */
import { writeBinaryValue } from './binary-value.ts';
import { ColumnType } from './column-definition.ts';
import { HEADER_BYTES, MAX_PACKET_BYTES, nextSequence, writePackets } from './packets.ts';

const CHUNK_BYTES = 64 * 1024;
/** The first two bits of a binary row's map of NULLs are not used. */
const UNUSED_BITS = 2;
const MINUS = 0x2d;
const ZERO = 0x30;
/** So many digits are exact as a number. */
const SAFE_DIGITS = 15;
const HIGH_WORD = 2 ** 32;

export class RowWriter {
  readonly #isBinary: boolean;
  readonly #columns: number;
  #out: Buffer = Buffer.alloc(0);
  #at = 0;
  #start = 0;
  #sequence: number;

  /** `sequence`: of the first row's packet. */
  constructor(isBinary: boolean, columns: number, sequence: number) {
    this.#isBinary = isBinary;
    this.#columns = columns;
    this.#sequence = sequence;
  }

  /** Of the packet that comes next. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Written and not taken. */
  get bytes(): number {
    return this.#at;
  }

  beginRow(): void {
    const nullBytes = this.#isBinary ? (this.#columns + 7 + UNUSED_BITS) >> 3 : 0;
    const head = HEADER_BYTES + (this.#isBinary ? 1 + nullBytes : 0);
    this.#ensure(head);
    this.#start = this.#at;
    this.#out.fill(0, this.#at, this.#at + head);
    this.#at += head;
  }

  null(index: number): void {
    if (this.#isBinary) {
      const bit = index + UNUSED_BITS;
      const at = this.#start + HEADER_BYTES + 1 + (bit >> 3);
      this.#out[at] = (this.#out[at] ?? 0) | (1 << (bit & 7));
    } else {
      this.#ensure(1);
      this.#out[this.#at++] = 0xfb;
    }
  }

  /** Bytes with their length before them: each value of a text row, and a binary row's texts. */
  bytesOf(from: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#ensure(length + 9);
    this.#length(length);
    from.copy(this.#out, this.#at, start, end);
    this.#at += length;
  }

  /** A value of this type in a binary row, whose text (digits, a moment) stands there. */
  typed(type: number, from: Buffer, start: number, end: number): void {
    switch (type) {
      case ColumnType.tiny:
        return this.#integer(from, start, end, 1);
      case ColumnType.short:
      case ColumnType.year:
        return this.#integer(from, start, end, 2);
      case ColumnType.long:
      case ColumnType.int24:
        return this.#integer(from, start, end, 4);
      case ColumnType.longLong:
        return this.#integer(from, start, end, 8);
      case ColumnType.float:
      case ColumnType.double:
      case ColumnType.date:
      case ColumnType.dateTime:
      case ColumnType.timestamp:
      case ColumnType.time:
        return this.#raw(writeBinaryValue(from.toString('latin1', start, end), type));
      default:
        return this.bytesOf(from, start, end);
    }
  }

  endRow(): void {
    const length = this.#at - this.#start - HEADER_BYTES;
    if (length < MAX_PACKET_BYTES) {
      this.#out.writeUIntLE(length, this.#start, 3);
      this.#out[this.#start + 3] = this.#sequence;
      this.#sequence = (this.#sequence + 1) & 0xff;
      return;
    }
    const payload = Buffer.copyBytesFrom(this.#out, this.#start + HEADER_BYTES, length);
    this.#at = this.#start;
    this.#raw(writePackets(payload, this.#sequence));
    this.#sequence = nextSequence(payload, this.#sequence);
  }

  /** Of a row that cannot be written to its end. */
  dropRow(): void {
    this.#at = this.#start;
  }

  /** What has been written; it is the taker's from now on. */
  take(): Buffer {
    const taken = this.#out.subarray(0, this.#at);
    this.#out = this.#out.subarray(this.#at);
    this.#at = 0;
    return taken;
  }

  #raw(bytes: Buffer): void {
    this.#ensure(bytes.length);
    bytes.copy(this.#out, this.#at);
    this.#at += bytes.length;
  }

  #length(length: number): void {
    const out = this.#out;
    if (length < 0xfb) out[this.#at++] = length;
    else if (length <= 0xffff) {
      out[this.#at] = 0xfc;
      this.#at = out.writeUInt16LE(length, this.#at + 1);
    } else if (length <= 0xffffff) {
      out[this.#at] = 0xfd;
      this.#at = out.writeUIntLE(length, this.#at + 1, 3);
    } else {
      out[this.#at] = 0xfe;
      this.#at = out.writeUInt32LE(length, this.#at + 1);
      this.#at = out.writeUInt32LE(0, this.#at);
    }
  }

  /** Two's complement, so that a sign of the column makes no difference. */
  #integer(from: Buffer, start: number, end: number, width: 1 | 2 | 4 | 8): void {
    this.#ensure(width);
    const isNegative = from[start] === MINUS;
    const first = isNegative ? start + 1 : start;
    if (end - first > SAFE_DIGITS) {
      this.#at = this.#out.writeBigUInt64LE(BigInt.asUintN(64, BigInt(from.toString('latin1', start, end))), this.#at);
      return;
    }
    let value = 0;
    for (let at = first; at < end; at += 1) {
      const digit = (from[at] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) throw new RangeError(`${from.toString('latin1', start, end)} is no integer`);
      value = value * 10 + digit;
    }
    if (isNegative) value = -value;
    if (width < 8) {
      const modulus = 2 ** (8 * width);
      this.#at = this.#out.writeUIntLE(value < 0 ? value + modulus : value, this.#at, width);
      return;
    }
    const high = Math.floor(value / HIGH_WORD);
    this.#at = this.#out.writeUInt32LE(value - high * HIGH_WORD, this.#at);
    this.#at = this.#out.writeInt32LE(high, this.#at);
  }

  /** The rest of a chunk is used up before there is another: what was taken of it is not written again. */
  #ensure(more: number): void {
    if (this.#out.length - this.#at >= more) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, 2 * (this.#at + more)));
    this.#out.copy(grown, 0, 0, this.#at);
    this.#out = grown;
  }
}
