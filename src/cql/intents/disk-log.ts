/**
 * The intent log on disk: segments that are written by one loop, one write for all that came in while the last one was under way.
 *
 * Each turn of the loop does three things in this order: writes the records that wait and moves `writtenUpTo`; writes the ends that wait and moves
 * `cancelledUpTo`; removes segments whose tickets have all ended. The records go before the ends, so that no end names a ticket that is not there.
 * Settlements alone do not start a turn at once: they wait up to `SETTLE_DELAY_MS` for others.
 *
 * Writes are made at places that the log knows. When one fails, the same bytes go to the same place again and again until the disk takes them; nothing is
 * told to be written before that, and `append` refuses meanwhile. That holds for fsync as well: what it failed for is written again before the next one.
 */
import * as fs from 'node:fs';
import type { FaultPoints } from '../../../config/faults.ts';
import { EndKind, intentBytes, RecordBuffer } from './log-records.ts';
import { REFUSED } from './intent-log.ts';
import type { Intent, IntentLog, IntentLogState, IntentOrigin, IntentStatement, LogDamage, LogRefusal } from './intent-log.ts';
import { LogSegment } from './log-segment.ts';
import { recoverSegments, segmentBase } from './recover-segments.ts';

const SETTLE_DELAY_MS = 20;
const ENDS_WORTH_WRITING = 32 * 1024;
const DISK_RETRY_MS = 100;
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
  #isClosed = false;
  readonly #syncIn: string | undefined;
  #isDiskFailing = false;
  #running: Promise<void> | undefined;
  #settleTimer: NodeJS.Timeout | undefined;
  readonly #numbers: number[] = [];

  constructor(options: DiskLogOptions, recovered: readonly LogSegment[], nextTicket: number) {
    this.#options = options;
    this.#syncIn = options.fsync === 'group' ? options.directory : undefined;
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
    return this.#isDiskFailing ? 'disk' : this.#isFullFor(0) ? 'full' : undefined;
  }

  #isFullFor(bytes: number): boolean {
    return this.#bytes + bytes > this.#options.maxBytes || this.#waiting.length + bytes > Math.max(MOST_WAITING_BYTES, bytes);
  }

  append(origin: IntentOrigin, opcode: number, owes: number, order: number, atMs: number, statements: readonly IntentStatement[], body: Buffer): number {
    if (this.#isClosed || this.#isDiskFailing || this.#isFullFor(intentBytes(statements.length, body.length))) return REFUSED;
    const segment = this.#current;
    const waiting = this.#waiting;
    const before = waiting.length;
    let originNumber = segment.originNumber(origin);
    if (originNumber < 0) waiting.origin(originNumber = segment.nameOrigin(origin), origin);
    const numbers = this.#numbers;
    numbers.length = 0;
    for (const statement of statements) {
      let number = segment.statementNumber(statement);
      if (number < 0) waiting.statement(number = segment.nameStatement(statement), statement);
      numbers.push(number);
    }
    const ticket = segment.nextTicket;
    segment.add(ticket, segment.size + waiting.length - before, owes);
    waiting.intent(ticket, opcode, owes, order, atMs, originNumber, numbers, body);
    segment.size += waiting.length - before;
    this.#bytes += waiting.length - before;
    this.#present += 1;
    this.#start();
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

  /** Never rejects: what the disk refuses is tried again. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0 || this.#areEndsUrgent) {
      if (this.#waiting.length > 0) await this.#writeRecords();
      if (this.#areEndsUrgent) await this.#writeEnds();
      await this.#removeEnded();
    }
    this.#running = undefined;
  }

  async #writeRecords(): Promise<void> {
    const segment = this.#current;
    const upTo = segment.nextTicket - 1;
    const isLast = segment.size >= this.#segmentBytes;
    if (isLast) {
      this.#waiting.seal(segment.nextTicket);
      segment.size += 20;
      this.#bytes += 20;
    }
    [this.#writing, this.#waiting] = [this.#waiting, this.#writing];
    const position = segment.size - this.#writing.length;
    if (isLast) {
      segment.forgetNumbers();
      this.#current = this.#newSegment(segment.nextTicket);
    }
    await this.#hit('intents.before_write');
    await this.#insist(() => segment.log.write(this.#writing.bytes, this.#writing.length, position, this.#syncIn));
    await this.#hit('intents.after_write');
    this.#writing.clear();
    if (isLast) {
      segment.isSealed = true;
      await segment.log.close();
    } else this.#isHeadWritten = true;
    this.#writtenUpTo = Math.max(this.#writtenUpTo, upTo);
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
      await this.#insist(() => segment.ends.write(bytes, bytes.length, segment.endsWritten, this.#syncIn));
      await this.#hit('intents.after_ends');
      segment.endsAreWritten(bytes.length);
    }
    if (cancelled === this.#cancelledUpTo) return;
    this.#cancelledUpTo = cancelled;
    this.onWritten();
  }

  async #removeEnded(): Promise<void> {
    if (!this.#isHeadWritten) return;
    for (const segment of this.#segments.filter(({ isSealed, present, endsWaiting }) => isSealed && present === 0 && endsWaiting === 0)) {
      await segment.close();
      await this.#hit('intents.before_remove');
      await this.#insist(() => (segment.isDamaged ? fs.promises.rename(segment.file, `${segment.base}.damaged`) : fs.promises.rm(segment.file, { force: true })));
      await this.#hit('intents.between_removes');
      await this.#insist(() => fs.promises.rm(segment.endsFile, { force: true }));
      this.#segments.splice(this.#segments.indexOf(segment), 1);
      this.#bytes -= segment.size;
    }
  }

  async #hit(point: string): Promise<void> {
    if (this.#options.faults.armed) await this.#options.faults.hit(point);
  }

  /** Until the disk does it. */
  async #insist(act: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await act();
        if (this.#isDiskFailing) {
          this.#isDiskFailing = false;
          this.#options.onDisk(undefined);
        }
        return;
      } catch (error) {
        if (!this.#isDiskFailing) {
          this.#isDiskFailing = true;
          this.#options.onDisk(error instanceof Error ? error : new Error(String(error)));
        }
        await new Promise((resolve) => setTimeout(resolve, DISK_RETRY_MS));
      }
    }
  }

  /** While the disk refuses, this does not end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
    this.#endNow();
    await this.#running;
    for (const segment of this.#segments) await segment.close();
  }
}
