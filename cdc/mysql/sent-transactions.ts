/**
 * Transactions that have been handed on and are not confirmed, by GTID: each with the position that it was given on the server where it was read. When
 * another server is read after a failover it sends them again from places of its own, and by this they keep their position: what has been applied or
 * spooled is known again, and nothing is doubled.
 *
 * On disk before the stream has them, for the next process; not fsynced. After a crash of the machine some may be unknown: a stream that has more than is
 * known here does not go over to another server (`last`). They are nowhere else: they are asked for only where something is read again, and in memory
 * those between two confirmations would be what a stream of small transactions holds most of.
 */
import * as fs from 'node:fs';

/** What is confirmed is left out of the file once it is that much, and as much as the rest. */
const WORTH_REWRITING_BYTES = 256 * 1024;
/** Some 60 MB: far more than lies between two confirmations. Beyond it the oldest are forgotten, and said to be. */
const MOST = 1_000_000;
const STRETCH_BYTES = 16 * 1024;
const LINE_END = 0x0a;

/** Some lines of the file, one behind the other. */
interface Stretch {
  /** The largest position in it. */
  order: bigint;
  /** Where it ends in the file. */
  end: number;
  lines: number;
}

export class SentTransactions {
  readonly #file: string;
  readonly #most: number;
  /** Why the stream cannot go on at the server that is read now; found while reading. */
  refusal: Error | undefined;
  #last = 0n;
  #confirmed = 0n;
  #forgottenUpTo = 0n;
  #fd: number | undefined;
  /** Of whole lines in the file. */
  #fileBytes = 0;
  /** Behind those that are confirmed. */
  #stretches: Stretch[] = [];
  /** The confirmed part of the file. */
  #start = 0;
  #lines = 0;
  #unwritten = Buffer.allocUnsafeSlow(4 * 1024);
  #unwrittenBytes = 0;
  #unwrittenLines = 0;
  #unwrittenOrder = 0n;
  /** While something is read again that was handed on before. */
  #known: Map<string, bigint> | undefined;

  constructor(file: string, most = MOST) {
    this.#file = file;
    this.#most = most;
    if (!fs.existsSync(file)) return;
    const bytes = fs.readFileSync(file);
    const whole = bytes.lastIndexOf(LINE_END) + 1;
    // A line that was cut off would make the next one unreadable.
    if (whole < bytes.length) fs.truncateSync(file, whole);
    for (const [, order, lineBytes] of linesOf(bytes.toString('latin1', 0, whole))) this.#append(order, lineBytes);
  }

  /** The largest position that is known here; 0 where there is none. */
  get last(): bigint {
    return this.#last;
  }

  /** Of those up to here not all are known, though they are not confirmed. */
  get forgottenUpTo(): bigint {
    return this.#forgottenUpTo;
  }

  /** As far as they are not confirmed. */
  get gtids(): Iterable<string> {
    return this.#read(this.#confirmed).keys();
  }

  /** Those that were given a position between these. */
  between(from: bigint, to: bigint): ReadonlyMap<string, bigint> {
    if (from >= to) return new Map();
    return new Map([...this.#read(from > this.#confirmed ? from : this.#confirmed)].filter(([, given]) => given < to));
  }

  /** The last position of each, of those behind `from`. */
  #read(from: bigint): Map<string, bigint> {
    const found = new Map<string, bigint>();
    const written = this.#readFile().toString('latin1');
    for (const text of [written, this.#unwritten.toString('latin1', 0, this.#unwrittenBytes)]) {
      for (const [gtid, order] of linesOf(text)) {
        if (gtid !== '' && order > from) found.set(gtid, order);
      }
    }
    return found;
  }

  /** What is neither confirmed nor forgotten. */
  #readFile(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(this.#fileBytes - this.#start);
    if (bytes.length > 0 && fs.readSync(this.#open(), bytes, 0, bytes.length, this.#start) < bytes.length) throw new Error(`${this.#file} has lost what was written to it`);
    return bytes;
  }

  #open(): number {
    return (this.#fd ??= fs.openSync(this.#file, 'a+'));
  }

  /** Written by `flush`. */
  note(gtid: string, order: bigint): void {
    if (gtid === '') return;
    if (order <= this.#last) {
      this.#known ??= this.#read(this.#confirmed);
      if (this.#known.get(gtid) === order) return;
      this.#known.set(gtid, order);
    } else {
      this.#known = undefined;
      this.#last = order;
    }
    const line = `${order} ${gtid}\n`;
    if (this.#unwrittenBytes + line.length > this.#unwritten.length) this.#unwritten = Buffer.concat([this.#unwritten], 2 * (this.#unwrittenBytes + line.length));
    this.#unwrittenBytes += this.#unwritten.write(line, this.#unwrittenBytes, 'latin1');
    this.#unwrittenLines += 1;
    if (order > this.#unwrittenOrder) this.#unwrittenOrder = order;
  }

  /** Before what was noted is handed on. */
  flush(): void {
    if (this.#unwrittenBytes === 0) return;
    const fd = this.#open();
    try {
      fs.appendFileSync(fd, this.#unwritten.subarray(0, this.#unwrittenBytes));
    } catch (error) {
      // A part of it may be there.
      fs.ftruncateSync(fd, this.#fileBytes);
      throw error;
    }
    this.#append(this.#unwrittenOrder, this.#unwrittenBytes, this.#unwrittenLines);
    this.#unwrittenBytes = this.#unwrittenLines = 0;
    this.#unwrittenOrder = 0n;
    if (this.#lines > this.#most) this.#forget();
  }

  #append(order: bigint, bytes: number, lines = 1): void {
    if (order > this.#last) this.#last = order;
    const last = this.#stretches.at(-1);
    const start = this.#stretches.at(-2)?.end ?? this.#start;
    this.#fileBytes += bytes;
    this.#lines += lines;
    if (!last || last.end - start >= STRETCH_BYTES) {
      this.#stretches.push({ order, end: this.#fileBytes, lines });
      return;
    }
    if (order > last.order) last.order = order;
    last.end = this.#fileBytes;
    last.lines += lines;
  }

  #forget(): void {
    while (this.#lines > this.#most * 0.75 && this.#stretches.length > 0) this.#forgottenUpTo = this.#dropStretch();
    this.#rewrite();
  }

  #dropStretch(): bigint {
    const dropped = this.#stretches.shift();
    if (!dropped) return 0n;
    this.#lines -= dropped.lines;
    this.#start = dropped.end;
    return dropped.order;
  }

  /** Everything up to `order` will not be read again. */
  confirm(order: bigint): void {
    if (order > this.#confirmed) this.#confirmed = order;
    if (order >= this.#last) this.#known = undefined;
    if (this.#forgottenUpTo <= order) this.#forgottenUpTo = 0n;
    for (let first = this.#stretches[0]; first && first.order <= order; first = this.#stretches[0]) this.#dropStretch();
    if (this.#start > WORTH_REWRITING_BYTES && this.#start >= this.#fileBytes - this.#start) this.#rewrite();
  }

  /** Without what is confirmed or forgotten. */
  #rewrite(): void {
    const dropped = this.#start;
    fs.writeFileSync(`${this.#file}.new`, this.#readFile());
    fs.renameSync(`${this.#file}.new`, this.#file);
    this.close();
    for (const stretch of this.#stretches) stretch.end -= dropped;
    this.#fileBytes -= dropped;
    this.#start = 0;
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    this.#stretches = [];
    this.#known = undefined;
    this.#fileBytes = this.#start = this.#lines = this.#unwrittenBytes = this.#unwrittenLines = 0;
    this.#last = this.#confirmed = this.#forgottenUpTo = this.#unwrittenOrder = 0n;
    this.refusal = undefined;
    fs.rmSync(this.#file, { force: true });
  }
}

/** GTID, position and length of each line; a line that says nothing has neither. */
function* linesOf(text: string): Generator<readonly [gtid: string, order: bigint, bytes: number]> {
  for (let at = 0, end = text.indexOf('\n'); end >= 0; at = end + 1, end = text.indexOf('\n', at)) {
    const [, order, gtid] = /^(\d+) (\S.*)$/.exec(text.slice(at, end)) ?? [];
    yield order === undefined || gtid === undefined ? ['', 0n, end + 1 - at] : [gtid, BigInt(order), end + 1 - at];
  }
}
