/**
 * Compares a table on two servers without a lock and without stopping anyone: chunk checksums first, rows only where
 * they differ, and what differs is looked at again once the stream has settled.
 */
import type { ClientBase } from 'pg';
import { isSameSum } from '../postgres/checksum.ts';
import type { ChunkRange, ChunkSum, KeyRange, RowDigest } from '../postgres/checksum.ts';
import { compareInPostgres } from '../postgres/compared-table.ts';
import type { TablePlan } from '../table-plan.ts';
import { bucketChunks, givenChunks, rangeChunks } from './chunks.ts';
import type { ComparedChunk } from './chunks.ts';
import type { ComparedTables } from './compared-table.ts';
import { settleCandidates } from './settle-candidates.ts';
import type { Candidate, LookUp } from './settle-candidates.ts';
import type { ChunkResult, Mismatch, MismatchType, ValidationProgress, ValidationReport } from './validation-report.ts';

export interface ValidationOptions extends ComparisonOptions {
  /**
   * Connections for this validation alone: their settings are changed, and not put back.
   */
  readonly source: ClientBase;
  readonly local: ClientBase;
}

export interface ComparisonOptions {
  readonly plan: TablePlan;
  readonly mode: { readonly type: 'full' } | { readonly type: 'sample'; readonly percent: number; readonly seed: number };
  /** The side that takes the writes; default `source`. After cutover it is local, and the stream that settles is the reverse one. */
  readonly authority?: 'source' | 'local';
  /** Resolves once everything that the authority committed before the call is visible on the other side (a marker written and waited for). */
  readonly settle: () => Promise<void>;
  /** Only these chunks (of an earlier report of the same table), for a check of what has changed since. */
  readonly ranges?: readonly ChunkRange[];
  /** Default 20,000. */
  readonly chunkRows?: number;
  /** Rounds of looking again at rows that keep changing; default 6. */
  readonly rounds?: number;
  /** Stops looking at rows after so many real differences; default 10,000. */
  readonly maxMismatches?: number;
  /** Differences listed with both rows; default 100. */
  readonly maxListed?: number;
  readonly onProgress?: (progress: ValidationProgress) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds on a clock that never goes back. */
  readonly monotonicMs: () => number;
}

/** Rows of one chunk that are held at once, and candidates before they are settled: what bounds the memory. */
const maxDigests = 50_000;
const maxCandidates = 5_000;
const lookUpBatch = 500;
const maxValueLength = 1_000;

/** Both sides are PostgreSQL. */
export async function validateTable(options: ValidationOptions): Promise<ValidationReport> {
  const started = options.monotonicMs();
  return compareTables(await compareInPostgres(options.source, options.local, options.plan), options, started);
}

/** `tables`: on connections for this validation alone. */
export async function compareTables(tables: ComparedTables, options: ComparisonOptions, started = options.monotonicMs()): Promise<ValidationReport> {
  const run = new Validation(options, tables);
  const input = { tables, mode: options.mode, chunkRows: options.chunkRows ?? 20_000, ...(options.signal === undefined ? {} : { signal: options.signal }) };
  const chunks = options.ranges !== undefined ? givenChunks(input, options.ranges) : tables.isOrdered ? rangeChunks(input) : bucketChunks(input);
  for await (const chunk of chunks) await run.take(chunk);
  await run.settle();
  return run.report(options.mode.type, tables.isOrdered ? 'key ranges' : 'hash buckets', options.monotonicMs() - started);
}

class Validation {
  private readonly options: ComparisonOptions;
  private readonly tables: ComparedTables;
  private readonly chunks: ChunkResult[] = [];
  private readonly mismatches: Mismatch[] = [];
  private readonly unsettled: (readonly string[])[] = [];
  private readonly counts: Record<MismatchType, number> = { MISSING_LOCAL: 0, MISSING_REMOTE: 0, VALUE_DIFF: 0 };
  private candidates = new Map<string, Candidate>();
  private rowsSource = 0;
  private rowsLocal = 0;
  private falseAlarms = 0;

  constructor(options: ComparisonOptions, tables: ComparedTables) {
    this.options = options;
    this.tables = tables;
  }

  async take(chunk: ComparedChunk): Promise<void> {
    const isEqual = isSameSum(chunk.source, chunk.local);
    const isFull = this.totalDifferent() >= (this.options.maxMismatches ?? 10_000);
    const at = this.chunks.push({ range: chunk.range, rowsSource: chunk.source.rows, rowsLocal: chunk.local.rows, position: chunk.position, result: isEqual || !isFull ? 'equal' : 'unread' }) - 1;
    this.rowsSource += chunk.source.rows;
    this.rowsLocal += chunk.local.rows;
    if (!isEqual && !isFull) await this.findCandidates(chunk.range, chunk, at);
    this.options.onProgress?.({ chunksDone: this.chunks.length, chunksTotal: Math.max(chunk.total, this.chunks.length), rowsSource: this.rowsSource, suspicious: this.candidates.size });
  }

  /** A chunk in which one side has far more rows than planned is halved until its digests fit. */
  private async findCandidates(range: ChunkRange, sums: { readonly source: ChunkSum; readonly local: ChunkSum }, chunk: number): Promise<void> {
    const { source, local } = this.tables;
    const larger = sums.source.rows >= sums.local.rows ? 'source' : 'local';
    if (range.type === 'range' && sums[larger].rows > maxDigests) {
      const middle = await this.tables[larger].nextBound(range, Math.ceil(sums[larger].rows / 2));
      if (middle !== undefined && middle.join('\0') !== range.upper?.join('\0')) {
        for (const half of [{ ...range, upper: middle }, { ...range, lower: middle }] satisfies KeyRange[]) {
          this.options.signal?.throwIfAborted();
          const [inSource, inLocal] = await Promise.all([source.checksumChunk(half), local.checksumChunk(half)]);
          if (!isSameSum(inSource, inLocal)) await this.findCandidates(half, { source: inSource, local: inLocal }, chunk);
        }
        return;
      }
    }
    const [inSource, inLocal] = await Promise.all([source.readDigests([range]), local.readDigests([range])]);
    for (const key of differingKeys(inSource, inLocal)) {
      this.candidates.set(key.join('\0'), { key, chunk });
      if (this.candidates.size >= maxCandidates) await this.settle();
      if (this.totalDifferent() >= (this.options.maxMismatches ?? 10_000)) return this.mark(chunk, 'unread');
    }
  }

  private totalDifferent(): number {
    return this.counts.MISSING_LOCAL + this.counts.MISSING_REMOTE + this.counts.VALUE_DIFF;
  }

  /** Worst verdict wins: a chunk with one real difference is different. */
  private mark(at: number, result: ChunkResult['result']): void {
    const chunk = this.chunks[at];
    if (chunk === undefined || chunk.result === 'different') return;
    this.chunks[at] = { ...chunk, result };
  }

  async settle(): Promise<void> {
    const candidates = [...this.candidates.values()];
    this.candidates = new Map();
    if (candidates.length === 0) return;
    const { signal } = this.options;
    const { source, local } = this.tables;
    const isReverse = this.options.authority === 'local';
    const lookUpSource: LookUp = (keys) => source.lookUpRows(keys);
    const lookUpLocal: LookUp = (keys) => local.lookUpRows(keys);
    const settled = await settleCandidates(candidates, {
      lookUpAuthority: isReverse ? lookUpLocal : lookUpSource,
      lookUpFollower: isReverse ? lookUpSource : lookUpLocal,
      settle: this.options.settle,
      rounds: this.options.rounds ?? 6,
      batch: lookUpBatch,
      ...(signal === undefined ? {} : { signal }),
    });
    this.falseAlarms += settled.equal;
    for (const candidate of settled.unsettled) {
      this.mark(candidate.chunk, 'unsettled');
      this.unsettled.push(candidate.key);
    }
    const missing = isReverse ? ({ follower: 'MISSING_REMOTE', authority: 'MISSING_LOCAL' } as const) : ({ follower: 'MISSING_LOCAL', authority: 'MISSING_REMOTE' } as const);
    const different = settled.different.map(({ key, chunk, missingOn }) => ({ key, chunk, type: missingOn === undefined ? ('VALUE_DIFF' as const) : missing[missingOn] }));
    for (const found of different) {
      this.mark(found.chunk, 'different');
      this.counts[found.type] += 1;
    }
    await this.list(different);
  }

  private async list(found: readonly (Candidate & { readonly type: MismatchType })[]): Promise<void> {
    const room = (this.options.maxListed ?? 100) - this.mismatches.length;
    const listed = found.slice(0, Math.max(0, room));
    if (listed.length === 0) return;
    const keys = listed.map((each) => each.key);
    const [inSource, inLocal] = await Promise.all([this.tables.source.readRows(keys), this.tables.local.readRows(keys)]);
    for (const [at, { key, type }] of listed.entries()) {
      const [source, local] = [inSource.get(at), inLocal.get(at)];
      const columns = source === undefined || local === undefined ? [] : this.tables.source.columns.filter((_, column) => source[column] !== local[column]);
      this.mismatches.push({ type, key, source: source?.map(cut), local: local?.map(cut), columns });
    }
  }

  report(mode: ValidationReport['mode'], method: ValidationReport['method'], durationMs: number): ValidationReport {
    const chunksUnread = this.chunks.filter((chunk) => chunk.result === 'unread').length;
    return {
      tableId: this.options.plan.tableId, mode, method, chunks: this.chunks, rowsSource: this.rowsSource, rowsLocal: this.rowsLocal, counts: this.counts,
      mismatches: this.mismatches, unsettled: this.unsettled, chunksUnread, falseAlarms: this.falseAlarms, durationMs,
      rowsPerSecond: Math.round((this.rowsSource * 1000) / Math.max(1, durationMs)), isEqual: this.totalDifferent() === 0 && chunksUnread === 0,
    };
  }
}

function cut(value: string | null): string | null {
  return value === null || value.length <= maxValueLength ? value : `${value.slice(0, maxValueLength)}…`;
}

/** Keys that one side lacks, or whose digests differ. */
export function differingKeys(source: readonly RowDigest[], local: readonly RowDigest[]): (readonly string[])[] {
  const inLocal = new Map(local.map((row) => [row.key.join('\0'), row]));
  const keys: (readonly string[])[] = [];
  for (const row of source) {
    const name = row.key.join('\0');
    if (inLocal.get(name)?.digest !== row.digest) keys.push(row.key);
    inLocal.delete(name);
  }
  for (const row of inLocal.values()) keys.push(row.key);
  return keys;
}

