/**
 * The intent log on disk: segments, written once per turn of the event loop.
 *
 * Records are written within the turn of the loop (`flush`), before the proxy sends the first byte of them to a cluster: a process that is killed has then either an intent of a write that
 * a cluster may have, or has not sent it. `writtenUpTo` moves with that, or in `fsync: group` with the fsync behind it.
 *
 * The rest is done by one loop behind: what the disk has refused, fsync, the ends that wait (then `cancelledUpTo` moves), removing segments whose tickets have all ended. Records go before the
 * ends, so that no end names a ticket that is not there. Settlements alone do not start it at once: they wait up to `SETTLE_DELAY_MS` for others.
 *
 * Writes are made at places that the log knows. When one fails, the same bytes go to the same place again and again until the disk takes them; nothing is
 * told to be written before that, and `append` refuses meanwhile. That holds for fsync as well: what it failed for is written again before the next one.
 * While every turn flushes and the disk takes it, the loop has nothing to do with records: with few of them in a turn, its own turns would be the cost.
 */
import * as fs from 'node:fs';
import type { FaultPoints } from '../../../config/faults.ts';
import { DiskPatience } from './disk-patience.ts';
import type { Batch, EndedSegment, Unsynced } from './log-batch.ts';
import { EndKind, intentBytes, RecordBuffer } from './log-records.ts';
import { REFUSED } from './intent-log.ts';
import type { Intent, IntentLog, IntentLogState, IntentOrigin, IntentStatement, LogDamage, LogRefusal } from './intent-log.ts';
import { LogSegment } from './log-segment.ts';
import { syncDirectory } from './placed-file.ts';
import { recoverSegments, segmentBase } from './recover-segments.ts';

const SETTLE_DELAY_MS = 20;
/** For who does not flush. */
const WRITE_DELAY_MS = 1;
const ENDS_WORTH_WRITING = 32 * 1024;
const LARGEST_SEGMENT_BYTES = 64 * 1024 * 1024;
/** What may wait for one write: two of them are in memory at most. */
const MOST_WAITING_BYTES = 32 * 1024 * 1024;

export interface DiskLogOptions {
  readonly directory: string;
  /** Of all segments and what waits; the ends, some 5 % of it, come on top. */
  readonly maxBytes: number;
  /** `group`: every write is followed by an fsync, for loss of power; `none`: SIGKILL loses nothing, loss of power the last seconds. */
  readonly fsync: 'none' | 'group';
  readonly faults: FaultPoints;
  /** Told once when the disk fails and once when it works again. */
  readonly onDisk: (error: Error | undefined) => void;
  /** Default: a sixteenth of `maxBytes`, 64 MiB at most. */
  readonly segmentBytes?: number;
  /** What becomes of a segment that is needed no more: when it resolves, its file is not there any more. Called again when it has thrown. Default: it is removed. */
  readonly retire?: (segment: EndedSegment) => Promise<void>;
}

export interface OpenedLog {
  readonly log: DiskLog;
  readonly damages: readonly LogDamage[];
  readonly tornBytes: number;
}

/** Reads what is there and opens a new segment behind it. Throws what the file system throws, and MIG091 for a format that is not known. */
export function openIntentLog(options: DiskLogOptions): OpenedLog {
  fs.mkdirSync(options.directory, { recursive: true });
  const { segments, nextTicket, damages, tornBytes } = recoverSegments(options.directory);
  return { log: new DiskLog(options, segments, nextTicket), damages, tornBytes };
}

export class DiskLog implements IntentLog {
  onWritten: () => void = () => undefined;
  onReleased: (from: number) => void = () => undefined;
  #writtenUpTo: number;
  #cancelledUpTo = 0;
  #cancellations = 0;
  readonly #options: DiskLogOptions;
  readonly #disk: DiskPatience;
  readonly #segmentBytes: number;
  readonly #segments: LogSegment[];
  #current: LogSegment;
  #waiting = new RecordBuffer();
  #writing = new RecordBuffer();
  #bytes = 0;
  #present = 0;
  /** The lowest ticket that was released before it was written. */
  #releasedEarly = Infinity;
  #areEndsUrgent = false;
  /** Of the current segment: until then the one before it stays, because its name is all that tells which tickets were used. */
  #isHeadWritten = false;
  /** What stands in `#writing`: the disk has refused it so far. */
  #batch: Batch | undefined;
  #unsynced: Unsynced[] = [];
  #unsyncedBytes = 0;
  #isClosed = false;
  #running: Promise<void> | undefined;
  #settleTimer: NodeJS.Timeout | undefined;
  #writeTimer: NodeJS.Timeout | undefined;

  constructor(options: DiskLogOptions, recovered: readonly LogSegment[], nextTicket: number) {
    this.#options = options;
    this.#disk = new DiskPatience(options.onDisk);
    this.#segmentBytes = options.segmentBytes ?? Math.min(LARGEST_SEGMENT_BYTES, Math.max(64 * 1024, Math.floor(options.maxBytes / 16)));
    this.#segments = [...recovered];
    this.#writtenUpTo = nextTicket - 1;
    for (const segment of recovered) {
      this.#bytes += segment.size;
      this.#present += segment.present;
    }
    this.#current = this.#newSegment(nextTicket);
    this.#start();
  }

  get writtenUpTo(): number {
    return this.#writtenUpTo;
  }

  get cancelledUpTo(): number {
    return this.#cancelledUpTo;
  }

  get refusal(): LogRefusal | undefined {
    if (this.#isClosed) return 'closed';
    return this.#disk.isFailing ? 'disk' : this.#isFullFor(0) ? 'full' : undefined;
  }

  #isFullFor(bytes: number): boolean {
    return this.#bytes + bytes > this.#options.maxBytes || this.#waiting.length + this.#unsyncedBytes + bytes > Math.max(MOST_WAITING_BYTES, bytes);
  }

  append(origin: IntentOrigin, opcode: number, owes: number, order: number, atMs: number, statements: readonly IntentStatement[], body: Buffer, from = 0, end = body.length): number {
    if (this.#isClosed || this.#disk.isFailing || this.#isFullFor(intentBytes(statements.length, end - from))) return REFUSED;
    const segment = this.#current;
    const waiting = this.#waiting;
    const before = waiting.length;
    let originNumber = segment.originNumber(origin);
    if (originNumber < 0) waiting.origin(originNumber = segment.nameOrigin(origin), origin);
    for (const statement of statements) if (segment.statementNumber(statement) < 0) waiting.statement(segment.nameStatement(statement), statement);
    const ticket = segment.nextTicket;
    segment.add(ticket, segment.size + waiting.length - before, owes);
    if (atMs > segment.newestMs) segment.newestMs = atMs;
    waiting.intent(ticket, opcode, owes, order, atMs, originNumber, statements, segment, body, from, end);
    segment.size += waiting.length - before;
    this.#bytes += waiting.length - before;
    this.#present += 1;
    if (!this.#running) this.#writeTimer ??= setTimeout(() => this.#startUnlessFlushed(), WRITE_DELAY_MS);
    return ticket;
  }

  settle(ticket: number): void {
    const segment = this.#segmentOf(ticket);
    if (!segment?.end(ticket, EndKind.settled)) return;
    this.#present -= 1;
    if (segment.endsWaiting >= ENDS_WORTH_WRITING) this.#endNow();
    else this.#settleTimer ??= setTimeout(() => this.#endNow(), SETTLE_DELAY_MS);
  }

  cancel(ticket: number): number {
    const segment = this.#segmentOf(ticket);
    if (!segment?.end(ticket, EndKind.cancelled)) return this.#cancellations;
    this.#present -= 1;
    this.#cancellations += 1;
    this.#endNow();
    return this.#cancellations;
  }

  release(ticket: number, owes: number): void {
    if (owes === 0) return this.settle(ticket);
    const segment = this.#segmentOf(ticket);
    if (!segment?.release(ticket, owes)) return;
    this.#settleTimer ??= setTimeout(() => this.#endNow(), SETTLE_DELAY_MS);
    if (ticket <= this.#writtenUpTo) this.onReleased(ticket);
    else this.#releasedEarly = Math.min(this.#releasedEarly, ticket);
  }

  nextReleased(after: number): number {
    for (const segment of this.#segments) {
      if (segment.nextTicket <= after + 1) continue;
      const ticket = segment.nextReleased(after + 1, this.#writtenUpTo);
      if (ticket !== -1) return ticket;
    }
    return -1;
  }

  read(ticket: number): Intent | undefined {
    if (ticket > this.#writtenUpTo) return undefined;
    return this.#segmentOf(ticket)?.read(ticket);
  }

  owes(ticket: number): number {
    return this.#segmentOf(ticket)?.owes(ticket) ?? 0;
  }

  state(): IntentLogState {
    const oldest = this.#segments.find((segment) => segment.present > 0);
    return {
      depth: this.#present,
      released: this.#segments.reduce((sum, segment) => sum + segment.released, 0),
      bytes: this.#bytes,
      maxBytes: this.#options.maxBytes,
      segments: this.#segments.length,
      oldestAtMs: oldest && this.#readOldest(oldest),
    };
  }

  #readOldest(segment: LogSegment): number | undefined {
    try {
      return this.read(segment.firstPresent())?.atMs;
    } catch {
      // Its replay says that it cannot be read.
      return undefined;
    }
  }

  /** Tickets are dense and rise from segment to segment. */
  #segmentOf(ticket: number): LogSegment | undefined {
    if (this.#current.holds(ticket)) return this.#current;
    const segments = this.#segments;
    let [low, high] = [0, segments.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((segments[middle]?.firstTicket ?? Infinity) <= ticket) low = middle;
      else high = middle - 1;
    }
    return segments[low]?.holds(ticket) === true ? segments[low] : undefined;
  }

  #endNow(): void {
    clearTimeout(this.#settleTimer);
    this.#settleTimer = undefined;
    this.#areEndsUrgent = true;
    this.#start();
  }

  #newSegment(firstTicket: number): LogSegment {
    const segment = new LogSegment(segmentBase(this.#options.directory, firstTicket), firstTicket);
    this.#segments.push(segment);
    const before = this.#waiting.length;
    this.#waiting.head(firstTicket);
    this.#isHeadWritten = false;
    segment.size = this.#waiting.length - before;
    this.#bytes += segment.size;
    return segment;
  }

  #start(): void {
    this.#running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#run());
  }

  #startUnlessFlushed(): void {
    this.#writeTimer = undefined;
    if (this.#batch || this.#waiting.length > 0) this.#start();
  }

  flush(): void {
    // Fault points are passed by the loop behind, which can wait at them.
    if (this.#waiting.length === 0 || this.#batch || this.#options.faults.armed) return;
    const segment = this.#current;
    this.#takeBatch();
    // To be tried again, to be synchronised, or to be looked at whether it can go.
    if (!this.#tryBatch() || this.#unsynced.length > 0 || segment !== this.#current) this.#start();
  }

  /** Never rejects: what the disk refuses is tried again. */
  async #run(): Promise<void> {
    while (this.#batch || this.#waiting.length > 0 || this.#unsynced.length > 0 || this.#areEndsUrgent) {
      if (this.#batch || this.#waiting.length > 0) await this.#writeRecords();
      if (this.#unsynced.length > 0) await this.#syncRecords();
      if (this.#areEndsUrgent) await this.#writeEnds();
      await this.#removeEnded();
    }
    this.#running = undefined;
  }

  async #writeRecords(): Promise<void> {
    await this.#hit('intents.before_write');
    if (!this.#batch && this.#waiting.length > 0) this.#takeBatch();
    while (this.#batch && !this.#tryBatch()) await this.#disk.pause();
    await this.#hit('intents.after_write');
  }

  /** All that waits is of the current segment. */
  #takeBatch(): void {
    const segment = this.#current;
    const isLast = segment.size >= this.#segmentBytes;
    if (isLast) {
      const before = this.#waiting.length;
      this.#waiting.seal(segment.nextTicket);
      segment.size += this.#waiting.length - before;
      this.#bytes += this.#waiting.length - before;
    }
    [this.#writing, this.#waiting] = [this.#waiting, this.#writing];
    this.#batch = { segment, position: segment.size - this.#writing.length, upTo: segment.nextTicket - 1, isLast };
    if (!isLast) return;
    segment.forgetNumbers();
    this.#current = this.#newSegment(segment.nextTicket);
  }

  /** False when the disk refuses. */
  #tryBatch(): boolean {
    const batch = this.#batch;
    if (!batch) return true;
    const { segment, position } = batch;
    try {
      segment.log.writeNow(this.#writing.bytes, this.#writing.length, position);
    } catch (error) {
      this.#disk.fails(error);
      return false;
    }
    this.#disk.works();
    this.#batch = undefined;
    if (this.#options.fsync === 'group') {
      const bytes = Buffer.from(this.#writing.bytes.subarray(0, this.#writing.length));
      this.#unsynced.push({ ...batch, bytes });
      this.#unsyncedBytes += bytes.length;
    }
    this.#writing.clear();
    if (this.#options.fsync === 'none') this.#areWritten([batch]);
    return true;
  }

  async #syncRecords(): Promise<void> {
    const unsynced = this.#unsynced;
    this.#unsynced = [];
    const segments = [...new Set(unsynced.map(({ segment }) => segment))];
    let isAgain = false;
    await this.#disk.insist(async () => {
      // What a failed fsync was about is not known to be in the file any more.
      if (isAgain) for (const { segment, bytes, position } of unsynced) await segment.log.write(bytes, bytes.length, position);
      isAgain = true;
      for (const { log } of segments) await log.sync();
      if (unsynced.some(({ position }) => position === 0)) await syncDirectory(this.#options.directory);
    });
    this.#unsyncedBytes -= unsynced.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#areWritten(unsynced);
  }

  #areWritten(batches: readonly Batch[]): void {
    for (const { segment, isLast, upTo } of batches) {
      if (isLast) {
        segment.isSealed = true;
        segment.log.close();
      } else if (segment === this.#current) this.#isHeadWritten = true;
      this.#writtenUpTo = Math.max(this.#writtenUpTo, upTo);
    }
    const upTo = this.#writtenUpTo;
    this.onWritten();
    const early = this.#releasedEarly;
    if (early > upTo) return;
    // What was released meanwhile and is not written yet is told of by a later write.
    this.#releasedEarly = this.#current.nextTicket - 1 > upTo ? upTo + 1 : Infinity;
    this.onReleased(early);
  }

  async #writeEnds(): Promise<void> {
    this.#areEndsUrgent = false;
    const cancelled = this.#cancellations;
    for (const segment of this.#segments.filter(({ endsWaiting }) => endsWaiting > 0)) {
      const bytes = segment.waitingEnds();
      await this.#hit('intents.before_ends');
      await this.#disk.insist(async () => {
        await segment.ends.write(bytes, bytes.length, segment.endsWritten);
        if (this.#options.fsync === 'group') await segment.ends.sync();
      });
      await this.#hit('intents.after_ends');
      segment.endsAreWritten(bytes.length);
    }
    if (cancelled === this.#cancelledUpTo) return;
    this.#cancelledUpTo = cancelled;
    this.onWritten();
  }

  async #removeEnded(): Promise<void> {
    if (!this.#isHeadWritten) return;
    const { retire = ({ file }: EndedSegment) => fs.promises.rm(file, { force: true }) } = this.#options;
    for (const segment of this.#segments.filter(({ isSealed, present, endsWaiting }) => isSealed && present === 0 && endsWaiting === 0)) {
      segment.close();
      await this.#hit('intents.before_remove');
      await this.#disk.insist(() => (segment.isDamaged ? fs.promises.rename(segment.file, `${segment.base}.damaged`) : retire(segment)));
      await this.#hit('intents.between_removes');
      await this.#disk.insist(() => fs.promises.rm(segment.endsFile, { force: true }));
      this.#segments.splice(this.#segments.indexOf(segment), 1);
      this.#bytes -= segment.size;
    }
  }

  async #hit(point: string): Promise<void> {
    if (this.#options.faults.armed) await this.#options.faults.hit(point);
  }

  /** While the disk refuses, this does not end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#writeTimer);
    await this.#running;
    this.#endNow();
    await this.#running;
    // Who is told of an answer after this comes too late: the file may be another process's by now.
    for (const segment of this.#segments.splice(0)) segment.close();
    this.#current = new LogSegment('', Number.MAX_SAFE_INTEGER);
  }
}
