/** A session that does nothing for hours must not keep the 10 MB in which its last statement came. */
import { ownCopy } from '../wire/own-copy.ts';

const SMALL_CHUNK_BYTES = 4 * 1024;

/** A part of a received chunk that outlives it: a copy where the chunk is much larger, as a part keeps the whole. */
export function keptBytes(chunk: Buffer, start: number, end: number): Buffer {
  const part = chunk.subarray(start, end);
  return chunk.length > SMALL_CHUNK_BYTES && part.length * 4 < chunk.length ? ownCopy(part) : part;
}
