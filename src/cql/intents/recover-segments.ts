/**
 * Reads the segments that a process left behind.
 *
 * What is behind the last whole record of the last segment is the write that the process was at when it was killed: nobody was told of it. Anything else that
 * cannot be read once could, and is reported with the tickets that are lost; what can be read behind it is taken all the same. A damaged file is kept.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { MigrationError } from '../../../config/migration-error.ts';
import { END_BYTES, findRecord, formatOf, nameIntent, readEnd, readIntent, readOrigin, readRecord, readStatement, RecordBuffer, RecordKind } from './log-records.ts';
import type { LogRecord } from './log-records.ts';
import type { IntentOrigin, IntentStatement, LogDamage } from './intent-log.ts';
import { LogSegment } from './log-segment.ts';

export interface RecoveredSegments {
  /** In the order of their tickets; all of them sealed, their tickets released. */
  readonly segments: readonly LogSegment[];
  readonly nextTicket: number;
  readonly damages: readonly LogDamage[];
  /** Bytes of a write that was torn by the end of the process. */
  readonly tornBytes: number;
}

const DIGITS = 16;

export function segmentBase(directory: string, firstTicket: number): string {
  return path.join(directory, String(firstTicket).padStart(DIGITS, '0'));
}

export function recoverSegments(directory: string): RecoveredSegments {
  const names = fs.readdirSync(directory).sort();
  const logs = names.filter((name) => /^\d{16}\.intents$/.test(name));
  // A file of ends whose segment is gone: the process ended between the two removals.
  for (const name of names) if (/^\d{16}\.ends$/.test(name) && !names.includes(name.replace(/ends$/, 'intents'))) fs.rmSync(path.join(directory, name), { force: true });
  const damages: LogDamage[] = names.filter((name) => name.endsWith('.damaged')).map((name) => keptAside(directory, name));
  const named: Interned = { origins: new Map(), statements: new Map() };
  const segments: LogSegment[] = [];
  let tornBytes = 0;
  let nextTicket = Math.max(1, ...names.filter((name) => name.endsWith('.damaged')).map((name) => ticketOf(name) + 1));
  logs.forEach((name, index) => {
    const segment = new LogSegment(path.join(directory, name.slice(0, DIGITS)), ticketOf(name));
    const reading = new SegmentReading(segment, named, index === logs.length - 1);
    reading.run();
    readEnds(segment, reading.damages);
    segment.isDamaged = reading.damages.length > 0;
    damages.push(...reading.damages);
    tornBytes += reading.tornBytes;
    nextTicket = Math.max(nextTicket, reading.sealedAt ?? 0, segment.nextTicket);
    if (segment.nextTicket === segment.firstTicket && !segment.isDamaged) {
      // Without tickets. The last one has the name that the next segment takes, and stays until that is written: its name tells which tickets were used.
      if (index < logs.length - 1) fs.rmSync(segment.file, { force: true });
      fs.rmSync(segment.endsFile, { force: true });
      return;
    }
    if (reading.sealedAt === undefined) seal(segment, reading);
    segment.isSealed = true;
    segment.releaseAll();
    segments.push(segment);
    // No file that is kept has the name of the next segment.
    nextTicket = Math.max(nextTicket, segment.firstTicket + 1);
  });
  return { segments, nextTicket, damages, tornBytes };
}

function ticketOf(name: string): number {
  return Number(name.slice(0, DIGITS));
}

/** Cuts what was torn, and ends the segment: from now on its end is known. What is damaged stays in it. */
function seal(segment: LogSegment, { tornBytes }: { readonly tornBytes: number }): void {
  const end = new RecordBuffer();
  end.seal(segment.nextTicket);
  segment.size -= tornBytes;
  fs.truncateSync(segment.file, segment.size);
  fs.appendFileSync(segment.file, end.bytes.subarray(0, end.length), { flush: true });
  segment.size += end.length;
}

function keptAside(directory: string, name: string): LogDamage {
  const file = path.join(directory, name);
  return { file, offset: 0, bytes: fs.statSync(file).size, fromTicket: ticketOf(name), toTicket: undefined, what: 'kept from an earlier damage; delete it when the tables have been scanned' };
}

/** The same origin or statement of many segments is one object. */
interface Interned {
  readonly origins: Map<string, IntentOrigin>;
  readonly statements: Map<string, IntentStatement>;
}

function intern<Value>(map: Map<string, Value>, key: string, value: Value): Value {
  const known = map.get(key);
  if (known === undefined) map.set(key, value);
  return known ?? value;
}

class SegmentReading {
  readonly segment: LogSegment;
  readonly damages: LogDamage[] = [];
  tornBytes = 0;
  sealedAt: number | undefined;
  readonly #named: Interned;
  readonly #isLast: boolean;
  readonly #bytes: Buffer;

  constructor(segment: LogSegment, named: Interned, isLast: boolean) {
    this.segment = segment;
    this.#named = named;
    this.#isLast = isLast;
    this.#bytes = fs.readFileSync(segment.file);
    segment.size = this.#bytes.length;
  }

  run(): void {
    let at = 0;
    while (at < this.#bytes.length) {
      const record = readRecord(this.#bytes, at);
      if (typeof record === 'object') {
        this.#take(record, at);
        at = record.end;
        continue;
      }
      const next = findRecord(this.#bytes, at + 1);
      if (next === -1) {
        this.#unreadableEnd(at, record === 'short');
        return;
      }
      this.#damage(at, next - at, this.#ticketAt(next), 'the bytes are not what was written');
      at = next;
    }
    if (this.sealedAt === undefined && !this.#isLast) this.#damage(at, 0, undefined, 'the end of the segment is missing');
  }

  #take(record: LogRecord, at: number): void {
    const { segment } = this;
    switch (record.kind) {
      case RecordKind.head:
        if (!formatOf(record)) throw new MigrationError('MIG091', 'The intent log has a format that this version does not read', { detail: `File ${segment.file}.`, hint: 'Start the version that wrote it and let it drain (queued writes 0), then change over.' });
        return;
      case RecordKind.origin: {
        const { number, origin } = readOrigin(record);
        segment.origins[number] = intern(this.#named.origins, JSON.stringify([origin.version, origin.keyspace, origin.user]), origin);
        return;
      }
      case RecordKind.statement: {
        const { number, statement } = readStatement(record);
        segment.statements[number] = intern(this.#named.statements, `${statement.id.toString('latin1')}${JSON.stringify([statement.keyspace, statement.text])}`, statement);
        return;
      }
      case RecordKind.intent:
        this.#takeIntent(record, at);
        return;
      case RecordKind.seal:
        if (record.ticket > segment.nextTicket && this.damages.length === 0) this.#damage(at, 0, record.ticket, 'records are missing before the end');
        this.sealedAt = record.ticket;
        return;
      default:
        this.#damage(at, record.end - at, segment.nextTicket, `a record of the unknown kind ${record.kind}`);
    }
  }

  #takeIntent(record: LogRecord, at: number): void {
    const { segment } = this;
    if (record.ticket < segment.nextTicket) return this.#damage(at, record.end - at, segment.nextTicket, `intent ${record.ticket} stands behind a later one`);
    if (record.ticket > segment.nextTicket && this.damages.length === 0) this.#damage(at, 0, record.ticket, 'records are missing');
    const parts = readIntent(record);
    if (!nameIntent(record, parts, parts.owes, segment)) {
      this.#damage(at, record.end - at, record.ticket + 1, `intent ${record.ticket} names a statement that cannot be read`);
      segment.nextTicket = record.ticket + 1;
      return;
    }
    segment.add(record.ticket, at, parts.owes);
    segment.newestMs = Math.max(segment.newestMs, parts.atMs);
  }

  /** Ticket of the first intent or seal at or behind the offset; what lies before it is lost. */
  #ticketAt(offset: number): number | undefined {
    for (let at = offset; at !== -1 && at < this.#bytes.length; ) {
      const record = readRecord(this.#bytes, at);
      if (typeof record !== 'object') at = findRecord(this.#bytes, at + 1);
      else if (record.kind === RecordKind.intent || record.kind === RecordKind.seal) return record.ticket;
      else at = record.end;
    }
    return undefined;
  }

  #unreadableEnd(at: number, isShort: boolean): void {
    const rest = this.#bytes.subarray(at);
    const isTorn = this.#isLast && this.sealedAt === undefined && (isShort || rest.every((byte) => byte === 0));
    if (isTorn) this.tornBytes += rest.length;
    else if (this.sealedAt === undefined || !rest.every((byte) => byte === 0)) this.#damage(at, rest.length, undefined, 'the end of the segment cannot be read');
  }

  #damage(offset: number, bytes: number, toTicket: number | undefined, what: string): void {
    const { segment } = this;
    this.damages.push({ file: segment.file, offset, bytes, fromTicket: Math.min(segment.nextTicket, toTicket ?? segment.nextTicket), toTicket, what });
  }
}

function readEnds(segment: LogSegment, damages: LogDamage[]): void {
  const bytes = fs.existsSync(segment.endsFile) ? fs.readFileSync(segment.endsFile) : Buffer.alloc(0);
  const whole = bytes.length - (bytes.length % END_BYTES);
  for (let at = 0; at < whole; at += END_BYTES) {
    const end = readEnd(bytes, at);
    if (end) {
      segment.applyEnd(end);
      segment.endsWritten = at + END_BYTES;
      continue;
    }
    // The last ones may be torn. One that is lost sends a write again that has ended, which its timestamp makes harmless while no tombstone was purged.
    if (bytes.subarray(at + END_BYTES).some((byte) => byte !== 0)) damages.push({ file: segment.endsFile, offset: at, bytes: END_BYTES, fromTicket: segment.firstTicket, toTicket: undefined, what: 'an end cannot be read: an ended write may be sent again' });
  }
}
