/**
 * Cuts the bytes of a MySQL connection into packets; a payload of 16 MB − 1 goes on in the next packet.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
const HEADER = 4;
const LARGEST = 0xff_ffff;

export type PacketHandler = (payload: Buffer, sequence: number) => void;

export class PacketSplitter {
  readonly #onPacket: PacketHandler;
  /** Of a packet that pieces have cut; joined once, when it is whole. */
  #chunks: Buffer[] = [];
  #have = 0;
  #need = HEADER;
  #largeParts: Buffer[] = [];

  constructor(onPacket: PacketHandler) {
    this.#onPacket = onPacket;
  }

  /** Payloads are parts of the chunk, but for one that was cut. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#have > 0) {
      const end = at + this.#need - this.#have;
      if (end > chunk.length) {
        this.#keep(chunk, at);
        return;
      }
      this.#complete(chunk.subarray(at, end));
      at = end;
    }
    while (chunk.length - at >= HEADER) {
      const end = at + HEADER + lengthAt(chunk, at);
      if (end > chunk.length) {
        this.#need = end - at;
        break;
      }
      this.#deliver(chunk.subarray(at + HEADER, end), chunk[at + 3] as number);
      at = end;
    }
    this.#keep(chunk, at);
  }

  #keep(chunk: Buffer, at: number): void {
    if (at === chunk.length) return;
    this.#chunks.push(chunk.subarray(at));
    this.#have += chunk.length - at;
  }

  /** With the last bytes of its head, or of all of it. */
  #complete(rest: Buffer): void {
    const bytes = Buffer.concat([...this.#chunks, rest], this.#need);
    const end = HEADER + lengthAt(bytes, 0);
    this.#have = end > bytes.length ? bytes.length : 0;
    this.#need = end > bytes.length ? end : HEADER;
    this.#chunks = end > bytes.length ? [bytes] : [];
    if (this.#have === 0) this.#deliver(bytes.subarray(HEADER), bytes[3] as number);
  }

  #deliver(payload: Buffer, sequence: number): void {
    if (payload.length === LARGEST) {
      this.#largeParts.push(payload);
      return;
    }
    if (this.#largeParts.length > 0) {
      this.#largeParts.push(payload);
      payload = Buffer.concat(this.#largeParts);
      this.#largeParts = [];
    }
    this.#onPacket(payload, sequence);
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
}

/** Of payloads up to 16 MB, as commands are. */
export function packet(payload: Buffer, sequence: number): Buffer {
  const head = Buffer.alloc(HEADER);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, payload]);
}
