/** The chunks of a table, each with both sides' checksums; together they cover every key from −∞ to +∞ (RULES 29). */
import { emptySum } from '../postgres/checksum.ts';
import type { ChunkRange, ChunkSum, KeyRange } from '../postgres/checksum.ts';
import type { ComparedTables } from './compared-table.ts';

export interface ComparedChunk {
  readonly range: ChunkRange;
  readonly source: ChunkSum;
  readonly local: ChunkSum;
  /** Of the source's log, before the chunk was read. */
  readonly position: string;
  /** Estimated number of all chunks. */
  readonly total: number;
}

export interface ChunkInput {
  readonly tables: ComparedTables;
  readonly mode: { readonly type: 'full' } | { readonly type: 'sample'; readonly percent: number; readonly seed: number };
  readonly chunkRows: number;
  readonly signal?: AbortSignal;
}

const maxBuckets = 65_536;

/** Bounds come from the source; the first chunk has no lower end, the last no upper one, so rows that only local has are met too. */
export async function* rangeChunks(input: ChunkInput): AsyncGenerator<ComparedChunk> {
  const total = Math.ceil((await input.tables.source.estimateRows()) / input.chunkRows) + 1;
  let lower: readonly string[] | null = null;
  for (let at = 0; ; at += 1) {
    input.signal?.throwIfAborted();
    const rest: KeyRange = { type: 'range', lower, upper: null };
    const upper: readonly string[] | null = (await input.tables.source.nextBound(rest, input.chunkRows)) ?? null;
    if (at === 0 || upper === null || isSampled(input.mode, at)) yield await compare(input, { type: 'range', lower, upper }, total);
    if (upper === null) return;
    lower = upper;
  }
}

/** One scan of each side; a sample takes its share of the buckets. */
export async function* bucketChunks(input: ChunkInput): AsyncGenerator<ComparedChunk> {
  const { source, local } = input.tables;
  const rows = Math.max(await source.estimateRows(), await local.estimateRows());
  const of = Math.min(maxBuckets, Math.max(1, Math.ceil(rows / input.chunkRows)));
  const position = await source.readPosition();
  const [inSource, inLocal] = await Promise.all([source.checksumBuckets(of), local.checksumBuckets(of)]);
  for (let bucket = 0; bucket < of; bucket += 1) {
    input.signal?.throwIfAborted();
    if (bucket > 0 && !isSampled(input.mode, bucket)) continue;
    yield { range: { type: 'bucket', bucket, of }, source: inSource.get(bucket) ?? emptySum, local: inLocal.get(bucket) ?? emptySum, position, total: of };
  }
}

/** Chunks of an earlier report. */
export async function* givenChunks(input: ChunkInput, ranges: readonly ChunkRange[]): AsyncGenerator<ComparedChunk> {
  for (const range of ranges) {
    input.signal?.throwIfAborted();
    yield await compare(input, range, ranges.length);
  }
}

async function compare(input: ChunkInput, range: ChunkRange, total: number): Promise<ComparedChunk> {
  const { tables } = input;
  const position = await tables.source.readPosition();
  const [source, local] = await Promise.all([tables.source.checksumChunk(range), tables.local.checksumChunk(range)]);
  return { range, source, local, position, total };
}

/** The same seed, the same sample; another seed another one, so that repeated samples come round to every chunk. */
export function isSampled(mode: ChunkInput['mode'], at: number): boolean {
  if (mode.type === 'full') return true;
  let mixed = Math.imul(at ^ Math.imul(mode.seed + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) % 100_000 < mode.percent * 1_000;
}
