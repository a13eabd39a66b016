/**
 * Numbers of types inside binary values, put into those of the other side in their place: the header of an array, the fields of a composite, and whatever
 * these hold. No message says how they look; it is what `array_send` and `record_send` of the server write, and drivers read.
 *
 * Lengths never change, so nothing is copied. A value that is not what its type says is left as it is: the server will say so.
 */
import type { Side } from '../../catalog/routing-snapshot.ts';
import { int32 } from '../wire/message.ts';
import type { ObjectNumbers, ValueShape } from './object-numbers.ts';

const ARRAY_HEADER_BYTES = 12;
const MAX_DIMENSIONS = 6;

/** False: a number is not known yet; nothing may have been written then, so it is asked first without `writes`. */
export function renumberValue(numbers: ObjectNumbers, from: Side, shape: ValueShape, buffer: Buffer, start: number, end: number, writes: boolean): boolean {
  switch (shape) {
    case 'plain':
      return true;
    case 'array':
      return renumberArray(numbers, from, buffer, start, end, writes);
    case 'record':
      return renumberRecord(numbers, from, buffer, start, end, writes);
    default:
      return shape satisfies never;
  }
}

function renumberArray(numbers: ObjectNumbers, from: Side, buffer: Buffer, start: number, end: number, writes: boolean): boolean {
  if (end - start < ARRAY_HEADER_BYTES) return true;
  const dimensions = buffer.readInt32BE(start);
  const type = buffer.readUInt32BE(start + 8);
  const shape = numbers.shapeOf(from, type);
  if (shape === undefined) return false;
  if (writes) buffer.writeUInt32BE(numbers.otherOf(from, type), start + 8);
  if (shape === 'plain' || dimensions < 0 || dimensions > MAX_DIMENSIONS) return true;
  for (let at = start + ARRAY_HEADER_BYTES + 8 * dimensions; at + 4 <= end; ) {
    const length = buffer.readInt32BE(at);
    at += 4;
    if (length < 0) continue;
    if (length > end - at) return true;
    if (!renumberValue(numbers, from, shape, buffer, at, at + length, writes)) return false;
    at += length;
  }
  return true;
}

function renumberRecord(numbers: ObjectNumbers, from: Side, buffer: Buffer, start: number, end: number, writes: boolean): boolean {
  if (end - start < 4) return true;
  let at = start + 4;
  for (let fields = buffer.readInt32BE(start); fields > 0 && at + 8 <= end; fields -= 1) {
    const type = buffer.readUInt32BE(at);
    const length = Math.max(buffer.readInt32BE(at + 4), 0);
    const shape = numbers.shapeOf(from, type);
    if (shape === undefined) return false;
    if (length > end - at - 8) return true;
    if (writes) buffer.writeUInt32BE(numbers.otherOf(from, type), at);
    if (!renumberValue(numbers, from, shape, buffer, at + 8, at + 8 + length, writes)) return false;
    at += 8 + length;
  }
  return true;
}

/** False for what is too short to hold a number, and for any text. */
export function mayHoldNumbers(buffer: Buffer, start: number, end: number): boolean {
  return end - start >= ARRAY_HEADER_BYTES && buffer[start] === 0 && buffer[start + 1] === 0;
}

/** A number in a row, as text or in its four bytes. */
export function withNumber(value: Buffer, isBinary: boolean, renumber: (oid: number) => number): Buffer {
  if (isBinary) return value.length === 4 ? int32(renumber(value.readUInt32BE(0)) | 0) : value;
  const text = value.toString('latin1');
  return /^\d{1,10}$/.test(text) ? Buffer.from(String(renumber(Number(text)))) : value;
}
