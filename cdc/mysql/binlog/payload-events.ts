/**
 * The events inside a compressed transaction. A small one is read at once; a large one piece by piece, so that it is never whole in memory.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Transaction__payload__event.html
 */
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import type { ZstdDecompress } from 'node:zlib';
import { Cursor } from './cursor.ts';
import { HEADER_BYTES } from './event.ts';
import type { CheckedEvent } from './event.ts';

export interface PayloadEvents {
  /** Undefined when nothing more is there yet, or nothing more will come. */
  next(): CheckedEvent | undefined;
  readonly isDone: boolean;
}

const payloadField = { end: 0, size: 1, compression: 2, uncompressedSize: 3 } as const;
const payloadCompression = { zstd: 0, none: 255 } as const;
const LARGE_BYTES = 16 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** What the format of zstd allows. */
const WINDOW_LOG = 31;
const LENGTH_AT = 9;

/** `onMore`: `next` or `isDone` may answer otherwise than before. */
export function openPayload(body: Buffer, onMore: () => void, largeBytes = LARGE_BYTES): PayloadEvents {
  const cursor = new Cursor().point(body, 0, body.length);
  let compression: number = payloadCompression.none;
  let size = 0;
  for (let field = cursor.packed(); field !== payloadField.end; field = cursor.packed()) {
    const end = cursor.packed() + cursor.at;
    if (field === payloadField.compression) compression = cursor.packed();
    else if (field === payloadField.uncompressedSize) size = cursor.packed();
    cursor.at = end;
  }
  const data = body.subarray(cursor.at);
  const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG };
  if (compression === payloadCompression.none) return new WholePayload(data);
  if (compression !== payloadCompression.zstd) throw new RangeError(`a transaction is compressed by method ${compression}`);
  if (size > largeBytes) return new LargePayload(data, size, params, onMore);
  const plain = zstdDecompressSync(data, { maxOutputLength: Math.max(size, 1), params });
  if (plain.length !== size) throw wrongLength();
  return new WholePayload(plain);
}

function wrongLength(): RangeError {
  return new RangeError('a compressed transaction has another length than it says');
}

/** Its length with its header; undefined when the header is not there. */
function eventLength(bytes: Buffer, at: number): number | undefined {
  if (bytes.length - at < HEADER_BYTES) return undefined;
  const length = bytes.readUInt32LE(at + LENGTH_AT);
  if (length < HEADER_BYTES) throw new RangeError('an event in a compressed transaction is shorter than its header');
  return length;
}

class WholePayload implements PayloadEvents {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(): CheckedEvent | undefined {
    if (this.isDone) return undefined;
    const length = eventLength(this.#bytes, this.#at);
    if (length === undefined || this.#at + length > this.#bytes.length) throw wrongLength();
    const event = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { event, body: event.subarray(HEADER_BYTES) };
  }
}

/** The decompressor stops by itself while its pieces are not taken. */
class LargePayload implements PayloadEvents {
  readonly #pieces: ZstdDecompress;
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Behind `#piece`, which lacks the rest of an event. */
  #more: Buffer[] = [];
  #have = 0;
  /** Still to come out of the decompressor. */
  #left: number;
  #isEnded = false;
  #failure: Error | undefined;

  constructor(data: Buffer, size: number, params: Readonly<Record<number, number>>, onMore: () => void) {
    this.#left = size;
    this.#pieces = createZstdDecompress({ params, chunkSize: PIECE_BYTES });
    this.#pieces.on('readable', onMore);
    this.#pieces.on('end', () => {
      this.#isEnded = true;
      onMore();
    });
    this.#pieces.on('error', (error) => {
      this.#failure = error;
      onMore();
    });
    this.#pieces.end(data);
  }

  get isDone(): boolean {
    return this.#isEnded && this.#have === 0 && this.#failure === undefined;
  }

  next(): CheckedEvent | undefined {
    for (;;) {
      if (this.#failure) throw this.#failure;
      const event = this.#take();
      if (event) return { event, body: event.subarray(HEADER_BYTES) };
      const more: unknown = this.#pieces.read();
      if (!Buffer.isBuffer(more)) {
        if (this.#isEnded && (this.#have > 0 || this.#left !== 0)) throw wrongLength();
        return undefined;
      }
      this.#left -= more.length;
      if (this.#left < 0) throw wrongLength();
      this.#more.push(more);
      this.#have += more.length;
    }
  }

  #take(): Buffer | undefined {
    if (this.#have < HEADER_BYTES) return undefined;
    // Joined for the header at most once in a piece, and then for the whole event.
    if (this.#piece.length - this.#at < HEADER_BYTES) this.#join();
    const length = eventLength(this.#piece, this.#at);
    if (length === undefined || this.#have < length) return undefined;
    if (this.#piece.length - this.#at < length) this.#join();
    const event = this.#piece.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#have -= length;
    return event;
  }

  #join(): void {
    this.#piece = Buffer.concat([this.#piece.subarray(this.#at), ...this.#more]);
    this.#more = [];
    this.#at = 0;
  }
}
