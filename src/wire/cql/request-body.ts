/**
 * Where things are in QUERY, EXECUTE and BATCH of versions 3 and 4 (native_protocol_v4.spec, §4.1.4, 4.1.6, 4.1.7), without decoding them: the proxy puts in a timestamp, takes a
 * mark off a paging state, and leaves the rest as it came.
 *
 * Parameters: consistency (2), flags (1), then what the flags say in this order: values, page size, paging state, serial consistency, timestamp. The timestamp is the last, so one is
 * put in by writing eight bytes behind the body.
 *
 * Some servers close the connection on which something comes that is no such message, and clients share it: what a server would take so is a RangeError here.
 */
import { BodyReader } from './body-reader.ts';

export const queryFlags = { values: 0x01, skipMetadata: 0x02, pageSize: 0x04, pagingState: 0x08, serialConsistency: 0x10, timestamp: 0x20, names: 0x40 } as const;

/** Consistencies that read what Paxos has decided. */
export const SERIAL = 0x0008;
export const LOCAL_SERIAL = 0x0009;

export interface ParameterPlaces {
  flagsAt: number;
  /** Number of values, and the place of the first one (of its name, where values have names). */
  valueCount: number;
  valuesAt: number;
  /** Of the bytes of the paging state behind their length; −1 without. */
  pagingStateAt: number;
  pagingStateBytes: number;
  /** −1 without. */
  timestampAt: number;
}

export function newPlaces(): ParameterPlaces {
  return { flagsAt: -1, valueCount: 0, valuesAt: -1, pagingStateAt: -1, pagingStateBytes: 0, timestampAt: -1 };
}

const MOST_CONSISTENCY = 0x000a;
/** Only version 5 has the others. */
const KNOWN_FLAGS = 0x7f;
const BATCH_FLAGS = queryFlags.serialConsistency | queryFlags.timestamp;
const COUNTER_BATCH = 2;

const shared = new BodyReader(Buffer.alloc(0));

function skipConsistency(reader: BodyReader, isSerial = false): void {
  const code = reader.short();
  if (isSerial ? code !== SERIAL && code !== LOCAL_SERIAL : code > MOST_CONSISTENCY) throw new RangeError(`${code} is no ${isSerial ? 'serial ' : ''}consistency level`);
}

function skipTimestamp(reader: BodyReader): number {
  const at = reader.skip(8);
  // The lowest number stands for "none" inside of servers.
  if (reader.buffer.readUInt32BE(at) === 0x80000000 && reader.buffer.readUInt32BE(at + 4) === 0) throw new RangeError('the timestamp is out of bounds');
  return at;
}

/** Of QUERY and EXECUTE, whose parameters begin at `start`. Fills `places`, which the caller uses again; a RangeError for parameters that are none. */
export function findParameters(buffer: Buffer, start: number, end: number, places: ParameterPlaces, version = 4): void {
  const reader = shared.reset(buffer, start, end);
  skipConsistency(reader);
  places.flagsAt = reader.at;
  const flags = reader.byte();
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new RangeError(`flags ${flags}`);
  places.valueCount = 0;
  places.valuesAt = -1;
  places.pagingStateAt = -1;
  places.pagingStateBytes = 0;
  if ((flags & queryFlags.values) !== 0) {
    places.valueCount = reader.short();
    places.valuesAt = reader.at;
    skipValues(reader, places.valueCount, (flags & queryFlags.names) !== 0, version);
  }
  if ((flags & queryFlags.pageSize) !== 0) reader.skip(4);
  if ((flags & queryFlags.pagingState) !== 0) {
    const length = reader.int();
    places.pagingStateAt = reader.at;
    places.pagingStateBytes = Math.max(0, length);
    if (length > 0) reader.skip(length);
  }
  if ((flags & queryFlags.serialConsistency) !== 0) skipConsistency(reader, true);
  places.timestampAt = (flags & queryFlags.timestamp) === 0 ? -1 : skipTimestamp(reader);
  if (reader.at !== end) throw new RangeError(`${end - reader.at} bytes behind the last parameter`);
}

/** −1 is null; −2 is "not set", which only version 4 has. */
function skipValues(reader: BodyReader, count: number, named: boolean, version: number): void {
  for (let index = 0; index < count; index += 1) {
    if (named) reader.skip(reader.short());
    const length = reader.int();
    if (length > 0) reader.skip(length);
    else if (length < (version >= 4 ? -2 : -1)) throw new RangeError(`a value of ${length} bytes`);
  }
}

export interface BatchChild {
  /** Place and length of the text or of the id, behind the length that the frame has. */
  readonly at: number;
  readonly bytes: number;
  readonly isPrepared: boolean;
  readonly valuesAt: number;
  readonly valueCount: number;
  /** Behind its values. */
  readonly end: number;
}

export interface BatchPlaces {
  /** 0 logged, 1 unlogged, 2 counter. */
  readonly type: number;
  readonly children: readonly BatchChild[];
  /** Of the consistency; the flags follow it. */
  readonly consistencyAt: number;
  readonly flagsAt: number;
  readonly timestampAt: number;
}

/** The same places, counted from elsewhere: for a copy of the frame. */
export function movedBatch({ type, children, consistencyAt, flagsAt, timestampAt }: BatchPlaces, by: number): BatchPlaces {
  return {
    type, consistencyAt: consistencyAt + by, flagsAt: flagsAt + by, timestampAt: timestampAt < 0 ? -1 : timestampAt + by,
    children: children.map((child) => ({ ...child, at: child.at + by, valuesAt: child.valuesAt + by, end: child.end + by })),
  };
}

export function findBatch(buffer: Buffer, start: number, end: number, version = 4): BatchPlaces {
  const reader = shared.reset(buffer, start, end);
  const type = reader.byte();
  if (type > COUNTER_BATCH) throw new RangeError(`a batch of type ${type}`);
  const count = reader.short();
  const children: BatchChild[] = [];
  for (let index = 0; index < count; index += 1) {
    const kind = reader.byte();
    if (kind > 1) throw new RangeError(`kind ${kind} of a statement in a batch`);
    const bytes = kind === 1 ? reader.short() : reader.int();
    const at = reader.skip(bytes);
    const valueCount = reader.short();
    const valuesAt = reader.at;
    skipValues(reader, valueCount, false, version);
    children.push({ at, bytes, isPrepared: kind === 1, valuesAt, valueCount, end: reader.at });
  }
  const consistencyAt = reader.at;
  skipConsistency(reader);
  const flagsAt = reader.at;
  const flags = reader.byte();
  if ((flags & ~BATCH_FLAGS) !== 0) throw new RangeError(`flags ${flags} of a batch`);
  if ((flags & queryFlags.serialConsistency) !== 0) skipConsistency(reader, true);
  const timestampAt = (flags & queryFlags.timestamp) === 0 ? -1 : skipTimestamp(reader);
  if (reader.at !== end) throw new RangeError(`${end - reader.at} bytes behind the last parameter`);
  return { type, children, consistencyAt, flagsAt, timestampAt };
}
