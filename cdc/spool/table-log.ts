/**
 * The changes of one table, on disk, in commit order: an append-only file in segments.
 *
 * A frame is `length u32 | crc32 u32 | flags u8 | end u64 | payload`; the checksum covers what follows it. Flag 1 says that the frame ends at
 * a transaction's end, `end` is that transaction's position. A payload is a run of pgoutput messages, each behind its u32
 * length, and begins with the table's relation message, so that reading can start at any frame.
 *
 * On open, everything behind the last frame that ends a transaction is cut off: a torn write, or the head of a transaction
 * whose rest was never captured. It is captured again, because nothing of it was confirmed.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { crc32 } from 'node:zlib';
import { DamagedLog, isFileDamage } from './damaged-log.ts';
import { syncDirectory } from './write-durably.ts';

const HEAD_BYTES = 17;
const FRAME_FLUSH_BYTES = 256 * 1024;
const MAX_FRAME_BYTES = 0x7fff_0000;
const WORTH_DROPPING_BYTES = 256 * 1024;
const LARGEST_SEGMENT_BYTES = 64 * 1024 * 1024;

export interface LogFrame {
  readonly offset: number;
  readonly nextOffset: number;
  readonly payload: Buffer;
}

interface Segment {
  readonly start: number;
  readonly file: string;
  size: number;
}

export class TableLog {
  readonly directory: string;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  #fd: number | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #lastEnd = 0n;
  #wholeEnd = 0;
  #dirty = false;
  /** Index in `#pending` where a transaction begins that has not ended; undefined between transactions. */
  #openFrom: number | undefined;
  #relation: Buffer | undefined;
  /** The relation that was described last when the open transaction began: its rest may be the first to be read. */
  #relationAtBegin: Buffer | undefined;

  private constructor(directory: string, segmentBytes: number) {
    this.directory = directory;
    this.#segmentBytes = segmentBytes;
  }

  /** Opens the log, cutting a torn tail; makes it when there is none. */
  static open(directory: string, segmentBytes = LARGEST_SEGMENT_BYTES): TableLog {
    if (fs.mkdirSync(directory, { recursive: true }) !== undefined) syncDirectory(path.dirname(directory));
    const log = new TableLog(directory, segmentBytes);
    log.#recover();
    return log;
  }

  /** Small enough for a spool of so many bytes to be given back in parts. */
  static segmentBytesFor(spoolBytes: number): number {
    return Math.min(LARGEST_SEGMENT_BYTES, Math.max(WORTH_DROPPING_BYTES, Math.floor(spoolBytes / 16)));
  }

  static exists(directory: string): boolean {
    return segmentNames(directory).length > 0;
  }

  /** `startOffset` of the log that lies there, without opening it; 0 where there is none. */
  static startIn(directory: string): number {
    return startOf(segmentNames(directory)[0] ?? '0.log');
  }

  /** Offset behind the last written frame. */
  get endOffset(): number {
    const last = this.#segments.at(-1);
    return last ? last.start + last.size : 0;
  }

  /** Offset behind the last frame that ends a transaction: what may be read. */
  get wholeEndOffset(): number {
    return this.#wholeEnd;
  }

  get startOffset(): number {
    return this.#segments[0]?.start ?? 0;
  }

  get bytes(): number {
    return this.endOffset - this.startOffset + this.#pendingBytes;
  }

  /** Position of the last transaction in the log; 0 when it is empty. */
  get lastEnd(): bigint {
    return this.#lastEnd;
  }

  get hasPending(): boolean {
    return this.#pendingBytes > 0;
  }

  /** Adds one message to the frame that is being built, which begins with `relation`. */
  append(relation: Buffer, message: Buffer): void {
    if (this.#pendingBytes === 0) this.#push(relation);
    this.#relation = relation;
    this.#push(message);
  }

  #push(message: Buffer): void {
    const head = Buffer.allocUnsafe(4);
    head.writeUInt32BE(message.length, 0);
    this.#pending.push(head, message);
    this.#pendingBytes += 4 + message.length;
  }

  beginTransaction(): void {
    this.#openFrom = this.#pending.length;
    this.#relationAtBegin = this.#relation;
  }

  /** The transaction whose messages were appended is whole; nothing is on disk before `flush`. */
  endTransaction(endLsn: bigint): void {
    this.#lastEnd = endLsn;
    this.#openFrom = undefined;
  }

  get wantsFlush(): boolean {
    return this.#pendingBytes >= FRAME_FLUSH_BYTES;
  }

  /**
   * Writes what was appended. Whole transactions never share a frame with the head of one that goes on: recovery cuts such heads.
   * Throws what the file system throws; what was not written is then still there to be written again.
   */
  flush(): void {
    if (this.#pendingBytes === 0) return;
    if (this.#openFrom === undefined) {
      this.#writeFrame(this.#pending, true);
    } else {
      if (this.#openFrom > 0) this.#splitAt(this.#openFrom);
      if (this.#pending.length > 0) this.#writeFrame(this.#pending, false);
      this.#openFrom = 0;
    }
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  #splitAt(index: number): void {
    this.#writeFrame(this.#pending.slice(0, index), true);
    const rest = this.#pending.slice(index);
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#openFrom = 0;
    if (rest.length === 0) return;
    if (this.#relationAtBegin) this.#push(this.#relationAtBegin);
    for (const part of rest) {
      this.#pending.push(part);
      this.#pendingBytes += part.length;
    }
  }

  #writeFrame(parts: readonly Buffer[], whole: boolean): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length > MAX_FRAME_BYTES) throw new RangeError('spool frame too large');
    const frame = Buffer.concat([Buffer.alloc(HEAD_BYTES), ...parts], HEAD_BYTES + length);
    frame.writeUInt32BE(length, 0);
    frame[8] = whole ? 1 : 0;
    frame.writeBigUInt64BE(this.#lastEnd, 9);
    frame.writeUInt32BE(crc32(frame.subarray(8)), 4);
    const segment = this.#writableSegment();
    this.#writeWhole(segment, frame);
    segment.size += frame.length;
    if (whole) this.#wholeEnd = segment.start + segment.size;
    this.#dirty = true;
  }

  #writeWhole(segment: Segment, frame: Buffer): void {
    const fd = this.#fd;
    if (fd === undefined) throw new Error('spool segment is not open');
    try {
      for (let written = 0; written < frame.length; ) written += fs.writeSync(fd, frame, written, frame.length - written, segment.size + written);
    } catch (error) {
      // A full disk may have taken a part; the next try writes over it, a crash before that cuts it.
      fs.ftruncateSync(fd, segment.size);
      throw error;
    }
  }

  #writableSegment(): Segment {
    const last = this.#segments.at(-1);
    return last && this.#fd !== undefined && last.size < this.#segmentBytes ? last : this.#newSegment();
  }

  #newSegment(): Segment {
    return this.#openSegment(this.endOffset);
  }

  #openSegment(start: number): Segment {
    const file = path.join(this.directory, `${String(start).padStart(16, '0')}.log`);
    const fd = fs.openSync(file, 'w+');
    if (this.#fd !== undefined) {
      fs.fsyncSync(this.#fd);
      fs.closeSync(this.#fd);
    }
    syncDirectory(this.directory);
    this.#fd = fd;
    const segment = { start, file, size: 0 };
    this.#segments.push(segment);
    return segment;
  }

  /** Makes everything flushed so far durable. */
  async sync(): Promise<void> {
    if (!this.#dirty || this.#fd === undefined) return;
    this.#dirty = false;
    const fd = this.#fd;
    try {
      await new Promise<void>((resolve, reject) => fs.fsync(fd, (error) => (error && error.code !== 'EBADF' ? reject(error) : resolve())));
    } catch (error) {
      this.#dirty = true;
      throw error;
    }
  }

  /** Frames from `offset` to the end of the last whole transaction, as it is when the reader gets there. Throws `DamagedLog`. */
  *frames(offset: number): Generator<LogFrame> {
    let at = offset;
    while (at < this.#wholeEnd) {
      const frame = this.#readFrame(at);
      if (!frame) throw new DamagedLog(`${this.directory} cannot be read at ${at}`);
      yield frame;
      at = frame.nextOffset;
    }
  }

  #readFrame(offset: number): LogFrame | undefined {
    const segment = this.#segments.find((candidate) => offset >= candidate.start && offset < candidate.start + candidate.size);
    if (!segment) return undefined;
    try {
      const fd = fs.openSync(segment.file, 'r');
      try {
        return readFrameAt(fd, segment, offset, segment.size);
      } finally {
        fs.closeSync(fd);
      }
    } catch (error) {
      throw isFileDamage(error) ? new DamagedLog(`${segment.file} cannot be read at ${offset - segment.start}`, error) : error;
    }
  }

  /** All of it has been applied, by an account that has gone farther than the log: what comes next has its place at `offset`. */
  continueAt(offset: number): void {
    if (offset <= this.endOffset || this.hasPending) throw new RangeError('a log goes on behind what it holds');
    const old = this.#segments;
    this.#segments = [];
    this.#openSegment(offset);
    this.#wholeEnd = offset;
    for (const { file } of old) fs.rmSync(file, { force: true });
  }

  /** Deletes the segments that lie wholly before `offset`. The last one too when it is worth it, behind a new one that keeps the place. */
  dropBefore(offset: number): void {
    const last = this.#segments.at(-1);
    if (last && offset >= last.start + last.size && last.size >= WORTH_DROPPING_BYTES) this.#newSegment();
    while (this.#segments.length > 1) {
      const [first] = this.#segments;
      if (!first || first.start + first.size > offset) return;
      fs.rmSync(first.file, { force: true });
      this.#segments.shift();
    }
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    fs.rmSync(this.directory, { recursive: true, force: true });
    this.#segments = [];
  }

  #recover(): void {
    const segments = segmentNames(this.directory).map((name) => ({ start: startOf(name), file: path.join(this.directory, name), size: 0 }));
    let keepTo = segments[0]?.start ?? 0;
    for (const segment of segments) {
      if (segment.start !== scannedTo(segments, segment)) break;
      const scan = scanSegment(segment);
      if (scan.lastWhole !== undefined) {
        keepTo = scan.lastWhole.offset;
        this.#lastEnd = scan.lastWhole.end;
      }
      if (scan.torn) break;
    }
    this.#cut(segments, keepTo);
  }

  #cut(segments: Segment[], keepTo: number): void {
    this.#wholeEnd = keepTo;
    for (const segment of segments) {
      if (segment.start >= keepTo && segment !== segments[0]) {
        fs.rmSync(segment.file, { force: true });
        continue;
      }
      const size = Math.min(keepTo - segment.start, fs.statSync(segment.file).size);
      fs.truncateSync(segment.file, size);
      segment.size = size;
      this.#segments.push(segment);
    }
    const last = this.#segments.at(-1);
    if (last) this.#fd = fs.openSync(last.file, 'r+');
    if (this.#fd !== undefined) fs.fsyncSync(this.#fd);
  }
}

/** In order. */
function segmentNames(directory: string): readonly string[] {
  return fs.existsSync(directory) ? fs.readdirSync(directory).filter((name) => name.endsWith('.log')).sort() : [];
}

function startOf(segmentName: string): number {
  return Number(segmentName.slice(0, -'.log'.length));
}

function scannedTo(segments: readonly Segment[], segment: Segment): number {
  const before = segments[segments.indexOf(segment) - 1];
  return before ? before.start + before.size : segment.start;
}

/** `size`: of the segment. A length beyond it is not believed, or a byte that changed would cost gigabytes of memory. */
function readFrameAt(fd: number, segment: Segment, offset: number, size: number): LogFrame | undefined {
  const at = offset - segment.start;
  const head = Buffer.alloc(HEAD_BYTES);
  if (fs.readSync(fd, head, 0, HEAD_BYTES, at) < HEAD_BYTES) return undefined;
  const length = head.readUInt32BE(0);
  if (at + HEAD_BYTES + length > size) return undefined;
  const payload = Buffer.allocUnsafe(length);
  if (fs.readSync(fd, payload, 0, length, at + HEAD_BYTES) < length) return undefined;
  if (crc32(payload, crc32(head.subarray(8))) !== head.readUInt32BE(4)) return undefined;
  return { offset, nextOffset: offset + HEAD_BYTES + length, payload };
}

interface SegmentScan {
  readonly lastWhole: { readonly offset: number; readonly end: bigint } | undefined;
  readonly torn: boolean;
}

function scanSegment(segment: Segment): SegmentScan {
  const fd = fs.openSync(segment.file, 'r');
  const fileSize = fs.fstatSync(fd).size;
  let lastWhole: SegmentScan['lastWhole'];
  let at = 0;
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    while (at + HEAD_BYTES <= fileSize) {
      fs.readSync(fd, head, 0, HEAD_BYTES, at);
      const frame = readFrameAt(fd, segment, segment.start + at, fileSize);
      if (!frame) break;
      at = frame.nextOffset - segment.start;
      if (head[8] === 1) lastWhole = { offset: frame.nextOffset, end: head.readBigUInt64BE(9) };
    }
  } finally {
    fs.closeSync(fd);
  }
  segment.size = at;
  return { lastWhole, torn: at < fileSize };
}
