/** Frames that do not go as they came: with a timestamp put in, with another text, or with the mark of their paging state taken off. They are made anew once, and are from then on the request's frame. */
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

/** A paging state is good for the cluster that gave it only: its first byte says which. */
const MARKS = [0xc5, 0xc6] as const;

export function markOf(cluster: ClusterIndex): number {
  return MARKS[cluster];
}

/** The cluster whose paging state begins with this byte; undefined for one that the proxy did not give. */
export function clusterOfMark(mark: number): ClusterIndex | undefined {
  return mark === MARKS[0] ? 0 : mark === MARKS[1] ? 1 : undefined;
}

/** The frame with its paging state as its cluster gave it. `stateAt`: of the state behind its length. */
export function unmarked(buffer: Buffer, start: number, end: number, stateAt: number, stateBytes: number): Buffer {
  const out = Buffer.allocUnsafe(end - start - 1);
  buffer.copy(out, 0, start, stateAt);
  buffer.copy(out, stateAt - start, stateAt + 1, end);
  out.writeInt32BE(stateBytes - 1, stateAt - start - 4);
  out.writeUInt32BE(out.length - HEADER_BYTES, 5);
  return out;
}

/** The frame of rows with their paging state marked. `lengthAt`: of the state's length. */
export function marked(buffer: Buffer, start: number, end: number, lengthAt: number, cluster: ClusterIndex): Buffer {
  const out = Buffer.allocUnsafe(end - start + 1);
  const at = lengthAt - start;
  buffer.copy(out, 0, start, lengthAt + 4);
  out.writeInt32BE(buffer.readInt32BE(lengthAt) + 1, at);
  out[at + 4] = markOf(cluster);
  buffer.copy(out, at + 5, lengthAt + 4, end);
  out.writeUInt32BE(out.length - HEADER_BYTES, 5);
  return out;
}
