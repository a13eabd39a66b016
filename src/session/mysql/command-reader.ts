/**
 * What a MySQL client sends, one command at a time: the next one is looked at when the answer of the one before has come, however many have
 * been sent at once. Small ones are handed over whole; of large ones the bytes pass as they come.
 *
 * States: command (the next one is to begin, or is gathered) → passing (its bytes go on as they come) → held (answer awaited) → command;
 * file (of LOAD DATA LOCAL, up to an empty packet); packet (the parts of a password exchange).
 */
import { HEADER_BYTES, MAX_PACKET_BYTES, readPayload } from '../../wire/mysql/packets.ts';
import type { ReadPayload } from '../../wire/mysql/packets.ts';

export interface CommandSink {
  /** Asked when a command's first bytes have come, or as it has none: `head` begins with the command, `length` is that of its first packet. `more`: not enough of them. */
  plan(head: Buffer, length: number): 'whole' | 'pass' | 'more';
  /** `packets`: as they came. Returns true when it is answered or needs no answer, and the next one may come. */
  command(payload: Buffer, packets: Buffer, sequence: number): boolean;
  /** Bytes of a command that passes, or of a file. */
  pass(bytes: Buffer): void;
  /** The last byte of a command that passed has been handed over. Returns as `command`. */
  passed(): boolean;
  /** The file is at its end. */
  fileEnded(): void;
  /** A packet that is no command. */
  packet(payload: Buffer, sequence: number): void;
  tooLarge(): void;
}

const none = Buffer.alloc(0);

export class CommandReader {
  readonly #sink: CommandSink;
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Fewer are of no use. */
  #needed = HEADER_BYTES;
  #state: 'command' | 'passing' | 'held' | 'file' | 'packet' = 'command';
  /** Of the packet that passes. */
  #left = 0;
  #isLast = false;
  #continues = false;
  #isRunning = false;
  #isOver = false;

  constructor(sink: CommandSink, maxBytes: number) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** That have come and wait for an answer to what is before them. */
  get heldBytes(): number {
    return this.#state === 'held' ? this.#bytes : 0;
  }

  /** That have come and are neither handed over nor passed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A part of a command has come. */
  get isReceiving(): boolean {
    return this.#state !== 'held' && (this.#bytes > 0 || this.#state !== 'command');
  }

  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#bytes += chunk.length;
    this.#run();
  }

  /** The answer is complete. */
  next(): void {
    this.#enter('command');
  }

  file(): void {
    this.#enter('file');
  }

  packets(): void {
    this.#enter('packet');
  }

  hold(): void {
    this.#state = 'held';
  }

  stop(): void {
    this.#isOver = true;
    this.#parts = [];
    this.#bytes = 0;
  }

  #enter(state: 'command' | 'file' | 'packet'): void {
    this.#state = state;
    this.#needed = HEADER_BYTES;
    this.#left = 0;
    this.#isLast = false;
    this.#continues = false;
    this.#run();
  }

  /** All that has come, in one piece. */
  #joined(): Buffer {
    const [only] = this.#parts;
    if (this.#parts.length === 1 && only) return only;
    const joined = this.#parts.length === 0 ? none : Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #take(count: number): void {
    const joined = this.#joined();
    this.#bytes -= count;
    this.#parts = this.#bytes === 0 ? [] : [joined.subarray(count)];
  }

  /** What a sink does may come back here; the loop that is running goes on then. */
  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (!this.#isOver && this.#state !== 'held' && this.#bytes >= this.#needed && this.#step());
    } finally {
      this.#isRunning = false;
    }
  }

  /** False when more bytes are needed. */
  #step(): boolean {
    switch (this.#state) {
      case 'command':
        return this.#command();
      case 'packet':
        return this.#packet();
      case 'passing':
      case 'file':
        return this.#through();
      case 'held':
        return false;
      default:
        return this.#state satisfies never;
    }
  }

  #command(): boolean {
    const bytes = this.#joined();
    const length = (bytes[0] as number) | ((bytes[1] as number) << 8) | ((bytes[2] as number) << 16);
    const head = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
    const plan = this.#sink.plan(head, length);
    if (plan === 'more') {
      this.#needed = bytes.length + 1;
      return false;
    }
    if (plan !== 'whole') {
      this.#state = 'passing';
      this.#needed = HEADER_BYTES;
      return true;
    }
    // Nearly always one command has come, and nothing else.
    if (bytes.length === HEADER_BYTES + length && length < MAX_PACKET_BYTES && length <= this.#maxBytes) {
      this.#state = 'held';
      this.#parts = [];
      this.#bytes = 0;
      if (this.#sink.command(head, bytes, bytes[3] as number)) this.next();
      return true;
    }
    const read = this.#whole(bytes);
    if (!read) return false;
    this.#state = 'held';
    this.#take(read.length);
    if (this.#sink.command(read.payload, bytes.subarray(0, read.length), read.sequence)) this.next();
    return true;
  }

  #packet(): boolean {
    const bytes = this.#joined();
    const read = this.#whole(bytes);
    if (!read) return false;
    this.#needed = HEADER_BYTES;
    this.#take(read.length);
    this.#sink.packet(read.payload, read.sequence);
    return true;
  }

  /** Undefined: it has not all come, or is too large. */
  #whole(bytes: Buffer): Extract<ReadPayload, { type: 'payload' }> | undefined {
    const read = readPayload(bytes, this.#maxBytes);
    if (read.type === 'payload') return read;
    if (read.type === 'too_large') this.#sink.tooLarge();
    else this.#needed = neededFor(bytes);
    return undefined;
  }

  /** As much as there is of a command that passes. */
  #through(): boolean {
    const bytes = this.#joined();
    const isFile = this.#state === 'file';
    let at = 0;
    let isDone = false;
    while (!isDone) {
      const part = Math.min(this.#left, bytes.length - at);
      this.#left -= part;
      at += part;
      if (this.#left > 0) break;
      if (this.#isLast) isDone = true;
      else {
        if (bytes.length - at < HEADER_BYTES) break;
        const length = bytes.readUIntLE(at, 3);
        at += HEADER_BYTES;
        this.#left = length;
        // A file ends with an empty packet that does not go on with the one before.
        this.#isLast = isFile ? length === 0 && !this.#continues : length < MAX_PACKET_BYTES;
        this.#continues = length === MAX_PACKET_BYTES;
      }
    }
    const passed = bytes.subarray(0, at);
    this.#take(at);
    this.#needed = this.#left > 0 ? 1 : HEADER_BYTES;
    if (!isDone) {
      if (passed.length > 0) this.#sink.pass(passed);
      return this.#bytes >= this.#needed && at > 0;
    }
    this.#isLast = false;
    this.#state = 'held';
    this.#sink.pass(passed);
    if (isFile) this.#sink.fileEnded();
    else if (this.#sink.passed()) this.next();
    return true;
  }
}

/** So many bytes are there at least when the payload is complete, or its next packet begins. */
function neededFor(bytes: Buffer): number {
  let at = 0;
  while (bytes.length - at >= HEADER_BYTES) {
    const end = at + HEADER_BYTES + bytes.readUIntLE(at, 3);
    if (end > bytes.length) return end;
    at = end;
  }
  return at + HEADER_BYTES;
}
