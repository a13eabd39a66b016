/**
 * A place in a server's binlogs as one number that grows along the stream: the number of the file above the offset in it, and above both the
 * number of the server, counted up by one whenever another one is read, whose files begin anew.
 */
import type { BinlogPosition } from '../change.ts';

const OFFSET_BITS = 34n;
const FILE_BITS = 22n;
const GENERATION_BITS = 8n;
const mask = (bits: bigint): bigint => (1n << bits) - 1n;

/** Within its bits. */
export const LARGEST_OFFSET = Number(mask(OFFSET_BITS));

export interface BinlogFile {
  /** Of `binlog.000042` that is `binlog`, and 6 digits. */
  readonly base: string;
  readonly digits: number;
}

export function readFileName(file: string): BinlogFile & { readonly number: bigint } {
  const match = /^(.*)\.(\d+)$/s.exec(file);
  if (match?.[1] === undefined || match[2] === undefined) throw new RangeError(`not the name of a binlog: ${file}`);
  return { base: match[1], digits: match[2].length, number: BigInt(match[2]) };
}

export function packOrder(generation: number, file: string, offset: number): bigint {
  const { number } = readFileName(file);
  const place = BigInt(offset);
  if (number > mask(FILE_BITS) || place > mask(OFFSET_BITS) || BigInt(generation) > mask(GENERATION_BITS)) throw new RangeError(`binlog ${file}:${offset} is beyond what a position holds`);
  return (BigInt(generation) << (FILE_BITS + OFFSET_BITS)) | (number << OFFSET_BITS) | place;
}

/** The smallest position on that server. */
export function packGeneration(generation: number): bigint {
  return BigInt(generation) << (FILE_BITS + OFFSET_BITS);
}

export function generationOf(order: bigint): number {
  return Number(order >> (FILE_BITS + OFFSET_BITS));
}

export function unpackOrder(order: bigint, { base, digits }: BinlogFile): BinlogPosition {
  const number = (order >> OFFSET_BITS) & mask(FILE_BITS);
  return { type: 'mysql_binlog', order, file: `${base}.${String(number).padStart(digits, '0')}`, offset: order & mask(OFFSET_BITS) };
}
