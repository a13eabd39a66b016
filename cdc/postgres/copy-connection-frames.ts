/**
 * Message framing of COPY, apart from what the messages mean.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** `CopyData`, one per row in both directions. */
export const COPY_DATA = 0x64;
const HEADER_BYTES = 5;

/** Where a run of `CopyData` frames stands between two reads of a socket. */
export class CopyDataScan {
  #remaining = 0;
  /** Frames whose header has been seen. */
  frames = 0;

  /** Bytes of the last frame that are still to come. */
  get unfinished(): number {
    return this.#remaining;
  }

  /**
   * Returns the offset at which the run of `CopyData` bytes that starts at `from` ends: the end of `bytes`, the header of
   * another message, or a header that is not complete yet. Nothing is copied, payloads are skipped over.
   */
  skip(bytes: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const step = Math.min(this.#remaining, bytes.length - at);
      at += step;
      this.#remaining -= step;
      if (bytes.length - at < HEADER_BYTES || bytes[at] !== COPY_DATA) return at;
      this.#remaining = 1 + bytes.readUInt32BE(at + 1);
      this.frames += 1;
    }
  }
}

/** Cuts a stream of `CopyData` frames into whole frames (header included), whatever pieces it arrives in. */
export class CopyDataSplitter {
  #held: Buffer[] = [];
  #heldBytes = 0;
  #needed = HEADER_BYTES;

  /** Whole frames that this piece completes. A frame is copied only when it lies in several pieces. */
  push(piece: Buffer): Buffer[] {
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes < this.#needed) return [];
    let bytes = this.#held.length === 1 ? piece : Buffer.concat(this.#held, this.#heldBytes);
    const frames: Buffer[] = [];
    this.#needed = HEADER_BYTES;
    while (bytes.length >= HEADER_BYTES) {
      this.#needed = 1 + bytes.readUInt32BE(1);
      if (bytes.length < this.#needed) break;
      frames.push(bytes.subarray(0, this.#needed));
      bytes = bytes.subarray(this.#needed);
      this.#needed = HEADER_BYTES;
    }
    this.#held = bytes.length === 0 ? [] : [bytes];
    this.#heldBytes = bytes.length;
    return frames;
  }
}

/** The row inside a frame. */
export function framePayload(frame: Buffer): Buffer {
  return frame.subarray(HEADER_BYTES);
}

export function encodeMessage(type: string, body: Buffer): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  message.write(type, 0, 'latin1');
  message.writeUInt32BE(4 + body.length, 1);
  body.copy(message, HEADER_BYTES);
  return message;
}

export function encodeText(type: string, text: string): Buffer {
  return encodeMessage(type, Buffer.from(`${text}\0`, 'utf8'));
}

/** Columns of a `DataRow` as text. */
export function decodeDataRow(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  const count = body.readUInt16BE(0);
  let at = 2;
  for (let column = 0; column < count; column += 1) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return values;
}

/** What a server said in an `ErrorResponse`; `code` is the SQLSTATE, as in the pg client's own errors. */
export class ServerError extends Error {
  readonly code: string;
  readonly detail: string | undefined;
  readonly where: string | undefined;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'the server gave no message');
    this.name = 'ServerError';
    this.code = fields.get('C') ?? 'XX000';
    this.detail = fields.get('D');
    this.where = fields.get('W');
  }
}

/** https://www.postgresql.org/docs/current/protocol-error-fields.html */
export function decodeError(body: Buffer): ServerError {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at] ?? 0), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return new ServerError(fields);
}
