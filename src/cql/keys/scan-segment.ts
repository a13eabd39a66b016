/** Reads the writes of one segment of the log in small pieces: the proxy serves its clients in between. What is appended meanwhile may be seen or not. */
import * as fs from 'node:fs';
import { opcodes } from '../../wire/cql/frame.ts';
import type { Intent, IntentOrigin, IntentStatement } from '../intents/intent-log.ts';
import { END_BYTES, EndKind, findRecord, formatOf, HEAD_BYTES, nameIntent, onlyStatement, readEnd, readIntent, readOrigin, readRecord, readStatement, RecordKind } from '../intents/log-records.ts';
import type { LogRecord } from '../intents/log-records.ts';

/** About a millisecond's work. */
const PIECE_BYTES = 64 * 1024;

/** A place in a segment, with what stands before it and is needed behind it. */
export interface SegmentPlace {
  readonly offset: number;
  readonly origins: IntentOrigin[];
  readonly statements: IntentStatement[];
}

export function beginOfSegment(): SegmentPlace {
  return { offset: 0, origins: [], statements: [] };
}

export interface ScannedSegment {
  readonly place: SegmentPlace;
  /** Nothing is left behind the place. */
  readonly isAtEnd: boolean;
}

/** What stands in the log does not tell which keys were written. */
export class KeysUnknown extends Error {}

/**
 * `visit` is given the writes in order, without executions of a statement that is not meant (`isAbout`), the body as a view; it ends the scan by false. `mayBeTorn`: another process may be at its last record, of which no cluster has anything yet.
 * Throws KeysUnknown, and what the file system throws.
 */
export async function scanSegment(file: string, from: SegmentPlace, mayBeTorn: boolean, isAbout: (statement: IntentStatement) => boolean, visit: (intent: Intent) => boolean): Promise<ScannedSegment> {
  const { origins, statements } = from;
  let { offset } = from;
  await using handle = await fs.promises.open(file, 'r');
  let wanted = PIECE_BYTES;
  for (;;) {
    const piece = Buffer.allocUnsafe(wanted);
    const { bytesRead } = await handle.read(piece, 0, wanted, offset);
    const bytes = piece.subarray(0, bytesRead);
    let at = 0;
    for (;;) {
      const record = readRecord(bytes, at);
      if (record === 'bad') throw new KeysUnknown(`${file} cannot be read at ${offset + at}`);
      if (record === 'short') break;
      const intent = take(file, record, origins, statements, isAbout);
      at = record.end;
      if (intent && !visit(intent)) return { place: { offset: offset + at, origins, statements }, isAtEnd: false };
    }
    offset += at;
    if (bytesRead < wanted) {
      const isTorn = at < bytesRead;
      if (isTorn && (!mayBeTorn || findRecord(bytes, at + 1) !== -1)) throw new KeysUnknown(`${file} cannot be read at ${offset}`);
      return { place: { offset, origins, statements }, isAtEnd: true };
    }
    // A record that is longer than a piece is read as one.
    wanted = at > 0 || bytesRead < HEAD_BYTES ? PIECE_BYTES : Math.max(PIECE_BYTES, HEAD_BYTES + bytes.readUInt32BE(8));
  }
}

function take(file: string, record: LogRecord, origins: IntentOrigin[], statements: IntentStatement[], isAbout: (statement: IntentStatement) => boolean): Intent | undefined {
  switch (record.kind) {
    case RecordKind.head:
      if (!formatOf(record)) throw new KeysUnknown(`${file} has a format that this version does not read`);
      return undefined;
    case RecordKind.origin: {
      const { number, origin } = readOrigin(record);
      origins[number] = origin;
      return undefined;
    }
    case RecordKind.statement: {
      const { number, statement } = readStatement(record);
      statements[number] = statement;
      return undefined;
    }
    case RecordKind.intent: {
      if (record.opcode === opcodes.execute) {
        const statement = statements[onlyStatement(record)];
        if (statement && !isAbout(statement)) return undefined;
      }
      const intent = nameIntent(record, readIntent(record), 0, { origins, statements });
      if (!intent) throw new KeysUnknown(`${file} names a statement that it does not have`);
      return intent;
    }
    case RecordKind.seal: return undefined;
    default: throw new KeysUnknown(`${file} has a record of the unknown kind ${record.kind}`);
  }
}

/** By the place of a ticket in its segment: 1 when it has ended. Empty when there is no file of ends. */
export async function readEnded(file: string): Promise<Uint8Array> {
  let bytes: Buffer;
  try {
    bytes = await fs.promises.readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Uint8Array(0);
    throw error;
  }
  let ended = new Uint8Array(bytes.length / END_BYTES);
  for (let at = 0; at + END_BYTES <= bytes.length; at += END_BYTES) {
    const end = readEnd(bytes, at);
    if (!end || end.what === EndKind.owes) continue;
    if (end.index >= ended.length) {
      const larger = new Uint8Array(Math.min(0xffffffff, Math.max(end.index + 1, ended.length * 2)));
      larger.set(ended);
      ended = larger;
    }
    ended[end.index] = 1;
  }
  return ended;
}
