/** Compressed bodies: what a STARTUP may ask for, and frames made plain or small again. */
import { HEADER_BYTES, headerFlags, MAX_BODY_BYTES, writeHeader } from './frame.ts';
import { lz4Compress, lz4Decompress } from './lz4.ts';
import { snappyCompress, snappyDecompress } from './snappy.ts';

export type Compression = 'lz4' | 'snappy';

/** In the order in which SUPPORTED names them. */
export const compressions: readonly Compression[] = ['lz4', 'snappy'];

export function compressionOf(name: string): Compression | undefined {
  return compressions.find((known) => known === name.toLowerCase());
}

/** The frame with a plain body and without the flag. */
export function plainFrame(buffer: Buffer, start: number, end: number, compression: Compression, maxBytes = MAX_BODY_BYTES): Buffer {
  const body = buffer.subarray(start + HEADER_BYTES, end);
  // An empty body is sent as it is by some, with the flag.
  const plain = body.length === 0 ? body : compression === 'lz4' ? lz4Decompress(body, maxBytes) : snappyDecompress(body, maxBytes);
  return reframe(buffer, start, plain, (buffer.readUInt8(start + 1)) & ~headerFlags.compressed);
}

/** The frame with a compressed body; undefined when that is no shorter. */
export function compressedFrame(buffer: Buffer, start: number, end: number, compression: Compression): Buffer | undefined {
  const body = buffer.subarray(start + HEADER_BYTES, end);
  const small = compression === 'lz4' ? lz4Compress(body) : snappyCompress(body);
  return small.length < body.length ? reframe(buffer, start, small, buffer.readUInt8(start + 1) | headerFlags.compressed) : undefined;
}

function reframe(buffer: Buffer, start: number, body: Buffer, flags: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  writeHeader(out, 0, buffer.readUInt8(start), flags, buffer.readInt16BE(start + 2), buffer.readUInt8(start + 4), body.length);
  body.copy(out, HEADER_BYTES);
  return out;
}
