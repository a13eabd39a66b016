/**
 * Cuts what a MySQL server sends into packets: 24-bit length, sequence number, payload. A payload of 2^24 − 1 bytes goes on in the next packet.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
const HEAD_BYTES = 4;
const LONGEST_PAYLOAD = 0xff_ffff;

export type TakePacket = (bytes: Buffer, at: number, end: number) => void;

export class PacketReader {
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes that have to be there before the next look can find a whole packet. */
  #needed = HEAD_BYTES;
  /** Payloads of a packet that goes on. */
  #long: Buffer[] = [];
  #sequence = 0;

  /** A request has been sent: the answer's numbers begin behind it. */
  begin(): void {
    this.#sequence = 1;
  }

  /** Whole payloads that `piece` completes; `take` must not keep the buffer. Throws when the stream is out of step. */
  push(piece: Buffer, take: TakePacket): void {
    let bytes = piece;
    if (this.#held > 0) {
      this.#parts.push(piece);
      this.#held += piece.length;
      if (this.#held < this.#needed) return;
      bytes = Buffer.concat(this.#parts, this.#held);
    }
    let at = 0;
    let needed = HEAD_BYTES;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
      const end = at + HEAD_BYTES + length;
      if (end > bytes.length) {
        needed = HEAD_BYTES + length;
        break;
      }
      if (bytes[at + 3] !== this.#sequence) throw new Error(`packet ${bytes[at + 3]} instead of ${this.#sequence}: the connection is out of step`);
      this.#sequence = (this.#sequence + 1) & 0xff;
      if (length === LONGEST_PAYLOAD || this.#long.length > 0) this.#join(bytes, at + HEAD_BYTES, end, length, take);
      else take(bytes, at + HEAD_BYTES, end);
      at = end;
    }
    this.#parts = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#held = bytes.length - at;
    this.#needed = needed;
  }

  #join(bytes: Buffer, at: number, end: number, length: number, take: TakePacket): void {
    this.#long.push(Buffer.from(bytes.subarray(at, end)));
    if (length === LONGEST_PAYLOAD) return;
    const whole = Buffer.concat(this.#long);
    this.#long = [];
    take(whole, 0, whole.length);
  }
}
