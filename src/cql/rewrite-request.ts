/** Frames that do not go as they came: with a timestamp put in, with another text, or with the mark of their paging state taken off. They are made anew once, and are from then on the request's frame. */
import { crc32 } from 'node:zlib';
import { HEADER_BYTES } from '../wire/cql/frame.ts';
import { queryFlags } from '../wire/cql/request-body.ts';
import type { ClusterIndex } from './modes.ts';
import { writeTimestamp } from './timestamps.ts';

/** The frame with a timestamp behind its last parameter. `flagsAt`: of the parameters' flags. */
export function stamped(buffer: Buffer, start: number, end: number, flagsAt: number, micros: number): Buffer {
  const length = end - start;
  const out = Buffer.allocUnsafe(length + 8);
  buffer.copy(out, 0, start, end);
  out[flagsAt - start] = (out[flagsAt - start] ?? 0) | queryFlags.timestamp;
  writeTimestamp(out, length, micros);
  out.writeUInt32BE(length + 8 - HEADER_BYTES, 5);
  return out;
}

/** The frame of a QUERY with another text; `textAt`: of the text's length. */
export function withText(buffer: Buffer, start: number, end: number, textAt: number, text: string): Buffer {
  const old = buffer.readInt32BE(textAt);
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes.length);
  const out = Buffer.concat([buffer.subarray(start, textAt), length, bytes, buffer.subarray(textAt + 4 + old, end)]);
  out.writeUInt32BE(out.length - HEADER_BYTES, 5);
  return out;
}

/**
 * A paging state is good for the cluster that gave it only: its first byte says which. A checksum follows, because some servers close the connection, which is others'
 * too, for a state that they cannot read.
 */
const MARKS = [0xc5, 0xc6] as const;
const MARK_BYTES = 5;

/** The cluster that gave this state; undefined for one that the proxy did not pass on. */
export function markedCluster(frame: Buffer, at: number, bytes: number): ClusterIndex | undefined {
  if (bytes <= MARK_BYTES || frame.readUInt32BE(at + 1) !== crc32(frame.subarray(at + MARK_BYTES, at + bytes))) return undefined;
  const mark = frame.readUInt8(at);
  return mark === MARKS[0] ? 0 : mark === MARKS[1] ? 1 : undefined;
}

/** The frame with its paging state as its cluster gave it. `stateAt`: of the state behind its length. */
export function unmarked(buffer: Buffer, start: number, end: number, stateAt: number, stateBytes: number): Buffer {
  const out = Buffer.allocUnsafe(end - start - MARK_BYTES);
  buffer.copy(out, 0, start, stateAt);
  buffer.copy(out, stateAt - start, stateAt + MARK_BYTES, end);
  out.writeInt32BE(stateBytes - MARK_BYTES, stateAt - start - 4);
  out.writeUInt32BE(out.length - HEADER_BYTES, 5);
  return out;
}

/** The frame of rows with their paging state marked. `lengthAt`: of the state's length. */
export function marked(buffer: Buffer, start: number, end: number, lengthAt: number, cluster: ClusterIndex): Buffer {
  const out = Buffer.allocUnsafe(end - start + MARK_BYTES);
  const at = lengthAt - start;
  const length = buffer.readInt32BE(lengthAt);
  buffer.copy(out, 0, start, lengthAt + 4);
  out.writeInt32BE(length + MARK_BYTES, at);
  out[at + 4] = MARKS[cluster];
  out.writeUInt32BE(crc32(buffer.subarray(lengthAt + 4, lengthAt + 4 + length)), at + 5);
  buffer.copy(out, at + 4 + MARK_BYTES, lengthAt + 4, end);
  out.writeUInt32BE(out.length - HEADER_BYTES, 5);
  return out;
}
