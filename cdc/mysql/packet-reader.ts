/**
 * Cuts what a MySQL server sends into packets: 24-bit length, sequence number, payload. A payload of 2^24 − 1 bytes goes on in the next packet.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
const HEAD_BYTES = 4;
const LONGEST_PAYLOAD = 0xff_ffff;

export type TakePacket = (bytes: Buffer, at: number, end: number) => void;

export class PacketReader {
  /** Of a packet that is not whole yet. */
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes of it that have to be there before the next look: its head, then all of it. */
  #needed = HEAD_BYTES;
  /** Payloads of a packet that goes on. */
  #long: Buffer[] = [];
  #sequence = 0;

  /** A request has been sent: the answer's numbers begin behind it. */
  begin(): void {
    this.#sequence = 1;
  }

  /** Whole payloads that `piece` completes; `take` must not keep the buffer. Throws when the stream is out of step. Only a packet that pieces have cut is copied. */
  push(piece: Buffer, take: TakePacket): void {
    let at = this.#held > 0 ? this.#complete(piece, take) : 0;
    while (this.#held === 0 && piece.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + lengthAt(piece, at);
      if (end > piece.length) {
        this.#needed = end - at;
        break;
      }
      this.#whole(piece, at, end, take);
      at = end;
    }
    if (at === piece.length) return;
    this.#parts.push(piece.subarray(at));
    this.#held += piece.length - at;
  }

  /** With the packet that was begun; where the next one begins in `piece`. */
  #complete(piece: Buffer, take: TakePacket): number {
    let at = 0;
    for (;;) {
      const missing = this.#needed - this.#held;
      // What is left is kept by the caller.
      if (piece.length - at < missing) return at;
      this.#parts.push(piece.subarray(at, at + missing));
      at += missing;
      const bytes = Buffer.concat(this.#parts, this.#needed);
      const end = HEAD_BYTES + lengthAt(bytes, 0);
      if (end > bytes.length) {
        this.#parts = [bytes];
        this.#held = bytes.length;
        this.#needed = end;
        continue;
      }
      this.#parts = [];
      this.#held = 0;
      this.#needed = HEAD_BYTES;
      this.#whole(bytes, 0, end, take);
      return at;
    }
  }

  #whole(bytes: Buffer, at: number, end: number, take: TakePacket): void {
    if (bytes[at + 3] !== this.#sequence) throw new Error(`packet ${bytes[at + 3]} instead of ${this.#sequence}: the connection is out of step`);
    this.#sequence = (this.#sequence + 1) & 0xff;
    const length = end - at - HEAD_BYTES;
    if (length === LONGEST_PAYLOAD || this.#long.length > 0) this.#join(bytes, at + HEAD_BYTES, end, length, take);
    else take(bytes, at + HEAD_BYTES, end);
  }

  #join(bytes: Buffer, at: number, end: number, length: number, take: TakePacket): void {
    this.#long.push(Buffer.from(bytes.subarray(at, end)));
    if (length === LONGEST_PAYLOAD) return;
    const whole = Buffer.concat(this.#long);
    this.#long = [];
    take(whole, 0, whole.length);
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
}
