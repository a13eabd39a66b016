/**
 * `now()`, `uuid()` and the like in prepared statements. Each cluster would answer them otherwise, so the clusters are given bind markers in their places, with a cast that says the
 * type, and the proxy binds the values: the same for both. The client is told of its own markers only.
 */
import { randomBytes } from 'node:crypto';
import type { CqlStatement } from '../../grammar/cql/statement.ts';
import { cqlTokens } from '../../grammar/cql/tokens.ts';
import { BodyReader } from '../wire/cql/body-reader.ts';
import { HEADER_BYTES } from '../wire/cql/frame.ts';
import { findParameters, newPlaces, queryFlags } from '../wire/cql/request-body.ts';
import type { BatchPlaces } from '../wire/cql/request-body.ts';
import type { PreparedResult } from '../wire/cql/result-body.ts';
import { BodyWriter } from '../wire/cql/body-writer.ts';
import { withLiterals } from './literal-functions.ts';
import { ANY_KEY } from './order-lanes.ts';
import type { TimeUuids } from './literal-functions.ts';

type CallType = 'timeuuid' | 'uuid' | 'timestamp' | 'date' | 'time';

export interface SettledCall {
  /** Its marker's number among all markers of the text that is sent. */
  readonly index: number;
  readonly type: CallType;
}

export interface SentText {
  readonly text: string;
  readonly calls: readonly SettledCall[];
}

function typeOf(name: string): CallType | undefined {
  switch (name.replaceAll('_', '')) {
    case 'now': case 'currenttimeuuid': return 'timeuuid';
    case 'uuid': return 'uuid';
    case 'currenttimestamp': return 'timestamp';
    case 'currentdate': return 'date';
    case 'currenttime': return 'time';
    default: return undefined;
  }
}

/** The text as the clusters get it; as it is, without calls, where one of them cannot be settled. */
export function sentTextOf(text: string, { kind, unstableCalls, bindNames }: CqlStatement): SentText {
  const asItIs: SentText = { text, calls: [] };
  // A marker with a name cannot stand beside one without.
  if (unstableCalls.length === 0 || kind === 'select' || bindNames.some((name) => name !== undefined)) return asItIs;
  const markers = cqlTokens(text).filter((token) => token.kind === 'bind').map(({ start }) => start);
  let out = '';
  let from = 0;
  const calls: SettledCall[] = [];
  for (const { name, isKnown, start, end } of unstableCalls) {
    const type = isKnown ? typeOf(name) : undefined;
    if (!type || start < from) return asItIs;
    out += `${text.slice(from, start)}(${type})?`;
    from = end;
    calls.push({ index: markers.filter((marker) => marker < start).length + calls.length, type });
  }
  return { text: out + text.slice(from), calls };
}

const HALF = 2 ** 31;
const DAY_MS = 86_400_000;

function valueOf(type: CallType, nowMs: number, timeUuids: TimeUuids): Buffer {
  const now = Math.floor(nowMs);
  switch (type) {
    case 'timeuuid': return Buffer.from(timeUuids.next(nowMs).replaceAll('-', ''), 'hex');
    case 'uuid': {
      const bytes = randomBytes(16);
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
      return bytes;
    }
    case 'date': {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(Math.floor(now / DAY_MS) + HALF);
      return bytes;
    }
    case 'timestamp': case 'time': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(type === 'timestamp' ? BigInt(now) : BigInt(now % DAY_MS) * 1_000_000n);
      return bytes;
    }
    default: return type satisfies never;
  }
}

/** Values with those of the calls in their places. */
function settledValues(buffer: Buffer, at: number, count: number, end: number, calls: readonly SettledCall[], nowMs: number, timeUuids: TimeUuids): Buffer {
  const reader = new BodyReader(buffer, at, end);
  const out = new BodyWriter(end - at + calls.length * 20 + 2).short(count + calls.length);
  let next = 0;
  for (let index = 0; index < count + calls.length; index += 1) {
    const call = calls[next];
    if (call?.index === index) {
      out.bytes(valueOf(call.type, nowMs, timeUuids));
      next += 1;
      continue;
    }
    const from = reader.at;
    reader.skipBytes();
    out.raw(buffer.subarray(from, reader.at));
  }
  return out.done();
}

const places = newPlaces();

/** The frame of an EXECUTE with the calls' values. A RangeError for values with names, which cannot be told from the calls'. */
export function settledExecute(buffer: Buffer, start: number, end: number, parametersAt: number, calls: readonly SettledCall[], nowMs: number, timeUuids: TimeUuids): Buffer {
  findParameters(buffer, parametersAt, end, places);
  const flags = buffer.readUInt8(places.flagsAt);
  if ((flags & queryFlags.names) !== 0) throw new RangeError('values by name and now() or uuid() in one prepared statement: bind them by position');
  const hasValues = (flags & queryFlags.values) !== 0;
  const from = hasValues ? places.valuesAt : places.flagsAt + 1;
  const valuesEnd = hasValues ? endOfValues(buffer, places.valuesAt, places.valueCount, end) : from;
  const values = settledValues(buffer, from, places.valueCount, end, calls, nowMs, timeUuids);
  const frame = Buffer.concat([buffer.subarray(start, places.flagsAt), Buffer.from([flags | queryFlags.values]), values, buffer.subarray(valuesEnd, end)]);
  frame.writeUInt32BE(frame.length - HEADER_BYTES, 5);
  return frame;
}

function endOfValues(buffer: Buffer, at: number, count: number, end: number): number {
  const reader = new BodyReader(buffer, at, end);
  for (let index = 0; index < count; index += 1) reader.skipBytes();
  return reader.at;
}

/** What a batch's child calls: prepared, or in a text. */
export interface CallingChild {
  readonly entry: { readonly sent: SentText } | undefined;
  readonly traits: { readonly facts: CqlStatement };
}

/** The frame of a BATCH with its children's calls settled: values of prepared ones, literals in texts. */
export function settledBatch(buffer: Buffer, start: number, end: number, { children }: BatchPlaces, parts: readonly CallingChild[], nowMs: number, timeUuids: TimeUuids): Buffer {
  const pieces: Buffer[] = [];
  let from = start;
  children.forEach(({ at, bytes, isPrepared, valuesAt, valueCount, end: childEnd }, index) => {
    const part = parts[index];
    const { unstableCalls = [] } = part?.traits.facts ?? {};
    const text = isPrepared || unstableCalls.length === 0 ? undefined : withLiterals(buffer.toString('utf8', at, at + bytes), unstableCalls, nowMs, timeUuids);
    if (text !== undefined) {
      pieces.push(buffer.subarray(from, at - 4), new BodyWriter(text.length + 8).longString(text).done());
      from = at + bytes;
    }
    const calls = part?.entry?.sent.calls ?? [];
    if (calls.length === 0) return;
    pieces.push(buffer.subarray(from, valuesAt - 2), settledValues(buffer, valuesAt, valueCount, end, calls, nowMs, timeUuids));
    from = childEnd;
  });
  pieces.push(buffer.subarray(from, end));
  const frame = Buffer.concat(pieces);
  frame.writeUInt32BE(frame.length - HEADER_BYTES, 5);
  return frame;
}

/** What the client is told of the markers: behind the id, without those of the calls. */
export function clientValues({ values, columnPlaces, partitionKey }: PreparedResult, version: number, calls: readonly SettledCall[]): Buffer {
  if (calls.length === 0) return values;
  const hidden = new Set(calls.map(({ index }) => index));
  const kept = columnPlaces.filter((_, index) => !hidden.has(index));
  const out = new BodyWriter(values.length).raw(values.subarray(0, 4)).int(kept.length);
  if (version >= 4) {
    const key = clientKey(partitionKey, calls);
    out.int(key.length);
    for (const index of key) out.short(index);
  }
  const [first] = columnPlaces;
  const columnsFrom = 8 + (version >= 4 ? 4 + partitionKey.length * 2 : 0);
  // Keyspace and table, where they are said once for all columns.
  if (first) out.raw(values.subarray(columnsFrom, first.from));
  for (const { from, end } of kept) out.raw(values.subarray(from, end));
  return out.done();
}

/** Numbers of the key's markers as the client counts them; none when a call is part of the key, since then nobody can compute it beforehand. */
export function clientKey(partitionKey: readonly number[], calls: readonly SettledCall[]): readonly number[] {
  if (partitionKey.some((index) => calls.some((call) => call.index === index))) return [];
  return partitionKey.map((index) => index - calls.filter((call) => call.index < index).length);
}

/** The bound values of the partition's columns, as a key; `ANY_KEY` where they are not known to be bound. */
export function partitionOf({ partitionKey, sent }: { readonly partitionKey: readonly number[]; readonly sent: SentText }, buffer: Buffer, parametersAt: number, end: number): string {
  if (partitionKey.length === 0 || sent.calls.length > 0) return ANY_KEY;
  findParameters(buffer, parametersAt, end, places);
  if ((buffer.readUInt8(places.flagsAt) & queryFlags.names) !== 0) return ANY_KEY;
  const reader = new BodyReader(buffer, places.valuesAt, end);
  const values = Array.from({ length: places.valueCount }, () => {
    const from = reader.at;
    reader.skipBytes();
    return buffer.toString('latin1', from, reader.at);
  });
  return partitionKey.map((index) => values[index] ?? ANY_KEY).join('');
}
