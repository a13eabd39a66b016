/**
 * Cuts the bytes of a MySQL connection into packets; a payload of 16 MB − 1 goes on in the next packet.
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
const HEADER = 4;
const LARGEST = 0xff_ffff;

export type PacketHandler = (payload: Buffer, sequence: number) => void;

export class PacketSplitter {
  readonly #onPacket: PacketHandler;
  /** Bytes that do not make a packet yet; joined once, when they do. */
  #chunks: Buffer[] = [];
  #have = 0;
  #need = HEADER;
  #largeParts: Buffer[] = [];

  constructor(onPacket: PacketHandler) {
    this.#onPacket = onPacket;
  }

  push(chunk: Buffer): void {
    if (this.#have > 0) {
      this.#chunks.push(chunk);
      this.#have += chunk.length;
      if (this.#have < this.#need) return;
      chunk = Buffer.concat(this.#chunks);
      this.#chunks = [];
      this.#have = 0;
    }
    let at = 0;
    while (chunk.length - at >= HEADER) {
      const end = at + HEADER + chunk.readUIntLE(at, 3);
      if (end > chunk.length) break;
      this.#deliver(chunk.subarray(at + HEADER, end), chunk[at + 3] ?? 0);
      at = end;
    }
    this.#keep(chunk, at);
  }

  #keep(chunk: Buffer, at: number): void {
    this.#have = chunk.length - at;
    this.#need = this.#have >= HEADER ? HEADER + chunk.readUIntLE(at, 3) : HEADER;
    if (this.#have > 0) this.#chunks.push(chunk.subarray(at));
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

/** Of payloads up to 16 MB, as commands are. */
export function packet(payload: Buffer, sequence: number): Buffer {
  const head = Buffer.alloc(HEADER);
  head.writeUIntLE(payload.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, payload]);
}
