/**
 * Reads the answer to one statement as it comes, in ranges that may be split anywhere, and keeps what is needed to compare it: how many
 * rows, a digest of them in any order and one in this order. Rows are hashed as they come and not held, unless they are asked for.
 *
 * States: open → complete | failed | other (it is not the answer to one SELECT) | too_large.
 */
import { readErrorFields } from '../../wire/error-fields.ts';
import { endOfString } from '../../wire/message.ts';

export type AnswerEnd = 'open' | 'complete' | 'failed' | 'other' | 'too_large';

const T = { row: 68, rowDescription: 84, complete: 67, error: 69, suspended: 115, empty: 73, copyIn: 71, copyOut: 72, copyBoth: 87 } as const;
const HEADER_BYTES = 5;
/** Of messages other than rows, so much is looked at. */
const MAX_HELD_BYTES = 64 * 1024;
/** Types from this number on were made in the database: another has them under other numbers. */
const FIRST_OWN_TYPE = 16_384;
const none: Buffer = Buffer.alloc(0);

export class AnswerDigest {
  end: AnswerEnd = 'open';
  rows = 0;
  /** Of rows, their headers included. */
  bytes = 0;
  /** Names and types of the columns, when the answer told them. */
  columns: string | undefined;
  error: { readonly sqlstate: string; readonly message: string } | undefined;
  /** The bodies of the rows, when they are kept. */
  readonly kept: Buffer[] | undefined;
  readonly #maxBytes: number;
  // Sums do not depend on the order of what is added.
  #sumA = 0;
  #sumB = 0;
  #sumC = 0;
  #inOrderA = 0;
  #inOrderB = 0;
  #hashA = 0;
  #hashB = 0;
  /** Of a row's bytes, those that make no whole word yet. */
  #word = 0;
  #wordBytes = 0;
  #type = 0;
  #remaining = 0;
  #header: Buffer = none;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(maxBytes: number, keepsRows = false) {
    this.#maxBytes = maxBytes;
    this.kept = keepsRows ? [] : undefined;
  }

  /** Rows of a whole answer, whatever their order. */
  get anyOrder(): string {
    return `${this.rows}:${this.#sumA}:${this.#sumB}:${this.#sumC}`;
  }

  get inOrder(): string {
    return `${this.#inOrderA}:${this.#inOrderB}`;
  }

  see(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && (this.end === 'open' || this.end === 'complete')) {
      if (this.#remaining === 0) at = this.#readHeader(bytes, at);
      const to = Math.min(at + this.#remaining, bytes.length);
      if (to > at) this.#readBody(bytes, at, to);
      this.#remaining -= to - at;
      at = to;
      if (this.#remaining === 0 && this.#type !== 0) this.#endMessage();
    }
  }

  #readHeader(bytes: Buffer, at: number): number {
    let header = bytes;
    let from = at;
    let next = at + HEADER_BYTES;
    if (this.#header.length > 0 || next > bytes.length) {
      next = Math.min(bytes.length, at + HEADER_BYTES - this.#header.length);
      this.#header = Buffer.concat([this.#header, bytes.subarray(at, next)]);
      if (this.#header.length < HEADER_BYTES) return next;
      header = this.#header;
      from = 0;
      this.#header = none;
    }
    this.#type = header[from] ?? 0;
    this.#remaining = header.readUInt32BE(from + 1) - 4;
    if (this.#type === T.row) this.#beginRow();
    return next;
  }

  #beginRow(): void {
    this.rows += 1;
    this.bytes += this.#remaining + HEADER_BYTES;
    if (this.end === 'complete') this.end = 'other';
    else if (this.bytes > this.#maxBytes) this.end = 'too_large';
    this.#hashA = 0x811c9dc5;
    this.#hashB = this.#remaining;
    this.#word = 0;
    this.#wordBytes = 0;
  }

  #readBody(bytes: Buffer, from: number, to: number): void {
    if (this.#type === T.row) this.#hash(bytes, from, to);
    if (this.#type === T.row ? this.kept : this.#type === T.rowDescription || this.#type === T.error) this.#hold(bytes, from, to);
  }

  /** Four bytes at a time, counted from the row's beginning wherever the ranges are split. */
  #hash(bytes: Buffer, from: number, to: number): void {
    let a = this.#hashA;
    let b = this.#hashB;
    let at = from;
    while (at < to) {
      let word: number;
      if (this.#wordBytes === 0 && to - at >= 4) {
        word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
        at += 4;
      } else {
        this.#word |= (bytes[at++] ?? 0) << (8 * this.#wordBytes);
        this.#wordBytes += 1;
        if (this.#wordBytes < 4) continue;
        word = this.#word;
        this.#word = 0;
        this.#wordBytes = 0;
      }
      a = Math.imul(a ^ word, 0x85ebca6b);
      a = (a << 13) | (a >>> 19);
      b = Math.imul((b << 5) | (b >>> 27), 0x9e3779b1) + word | 0;
    }
    this.#hashA = a;
    this.#hashB = b;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    this.#heldBytes += to - from;
    if (this.#type === T.row || this.#heldBytes <= MAX_HELD_BYTES) this.#held.push(Buffer.from(bytes.subarray(from, to)));
  }

  #endMessage(): void {
    switch (this.#type) {
      case T.row:
        this.#endRow();
        break;
      case T.rowDescription:
        if (this.columns !== undefined && this.end === 'complete') this.end = 'other';
        this.columns = columnsOf(this.#takeHeld());
        break;
      case T.complete:
        this.end = this.end === 'open' ? 'complete' : 'other';
        break;
      case T.error:
        this.#failed(this.#takeHeld());
        break;
      case T.suspended: case T.empty: case T.copyIn: case T.copyOut: case T.copyBoth:
        this.end = 'other';
        break;
      default:
    }
    this.#type = 0;
    this.#heldBytes = 0;
  }

  #endRow(): void {
    const a = mix(this.#hashA ^ mix(this.#hashB + this.#word));
    const b = mix(this.#hashB ^ mix(this.#hashA ^ Math.imul(this.#word, 0x9e3779b1)));
    this.#sumA = (this.#sumA + a) >>> 0;
    this.#sumB = (this.#sumB + b) >>> 0;
    this.#sumC = (this.#sumC + Math.imul(a, b | 1)) >>> 0;
    this.#inOrderA = (Math.imul(this.#inOrderA, 31) + a) >>> 0;
    this.#inOrderB = mix(this.#inOrderB ^ b) >>> 0;
    this.kept?.push(this.#takeHeld());
  }

  #takeHeld(): Buffer {
    const [first = none, ...more] = this.#held;
    this.#held = [];
    return more.length === 0 ? first : Buffer.concat([first, ...more]);
  }

  #failed(body: Buffer): void {
    this.end = 'failed';
    // Readers of fields expect the header.
    const fields = readErrorFields(Buffer.concat([Buffer.alloc(HEADER_BYTES), body]), 0, HEADER_BYTES + body.length);
    this.error = { sqlstate: fields.get('C') ?? '', message: fields.get('M') ?? '' };
  }
}

/** MurmurHash3's last step: every bit of the one decides over every bit of the other. */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** Of the body of a RowDescription: https://www.postgresql.org/docs/current/protocol-message-formats.html */
function columnsOf(body: Buffer): string {
  const count = body.length >= 2 ? body.readUInt16BE(0) : 0;
  const columns: string[] = [];
  let at = 2;
  for (let index = 0; index < count; index++) {
    const end = endOfString(body, at, body.length);
    if (end < 0 || end + 19 > body.length) break;
    const type = body.readUInt32BE(end + 7);
    columns.push(`${body.toString('utf8', at, end)} ${type < FIRST_OWN_TYPE ? type : 'own'}`);
    at = end + 19;
  }
  return columns.join(', ');
}
