/** One chunk, from `BEGIN` on the target to its COMMIT: the rows and the ledger's row become true together. */
import type { RowError } from '../postgres/row-writer-ledger.ts';
import type { RowWriter } from '../postgres/row-writer.ts';
import type { RateLimit } from '../flow/rate-limit.ts';
import type { Chunk, CopyFormat } from './chunk.ts';
import type { ChunkReader } from './chunk-source.ts';
import { copyCarefully } from './copy-carefully.ts';
import { CopyFailure, copyThrough } from './copy-through.ts';
import type { CopyFlow } from './copy-through.ts';
import type { LoadContext } from './load-context.ts';
import { isRowError, isTransient, loadError } from './load-error.ts';
import type { InFlight } from './load-tally.ts';

export interface ChunkWorker extends LoadContext {
  readonly reader: ChunkReader;
  readonly writer: RowWriter;
  readonly format: CopyFormat;
  readonly limit: RateLimit;
  readonly backlogBytes: number;
}

interface Landed {
  readonly rows: number;
  readonly bytes: number;
  readonly errors: readonly RowError[];
}

const MAX_ATTEMPTS = 5;

export async function copyChunk(worker: ChunkWorker, chunk: Chunk): Promise<void> {
  await worker.runtime.faults.hit('load.before_chunk');
  let isCareful = false;
  for (let attempt = 1; ; attempt += 1) {
    const inFlight = worker.tally.begin();
    try {
      return await copyOnce(worker, chunk, inFlight, isCareful);
    } catch (error) {
      const side = error instanceof CopyFailure ? error.side : 'target';
      const cause: unknown = error instanceof CopyFailure ? error.cause : error;
      const blamesRow: boolean = side === 'target' && !isCareful && isRowError(cause);
      const mayTryAgain = side === 'target' && isTransient(cause) && attempt < MAX_ATTEMPTS;
      if (!blamesRow && !mayTryAgain) throw loadError(side, worker.plan.tableId, cause);
      isCareful ||= blamesRow;
      await worker.writer.rollback();
    } finally {
      worker.tally.end(inFlight);
    }
  }
}

async function copyOnce(worker: ChunkWorker, chunk: Chunk, inFlight: InFlight, isCareful: boolean): Promise<void> {
  const { writer, runtime, tally } = worker;
  await writer.begin();
  const landed = await (isCareful ? landCarefully(worker, chunk, inFlight) : land(worker, chunk, inFlight));
  const done = { chunkNo: chunk.chunkNo, rows: landed.rows, bytes: landed.bytes, skipped: landed.errors.length, errors: landed.errors };
  await writer.record(chunk, done);
  await runtime.faults.hit('load.before_chunk_commit');
  await writer.commit();
  tally.end(inFlight);
  tally.finish(done);
  for (const row of landed.errors) runtime.log.warn('row skipped', { table: worker.plan.tableId, row: row.key, reason: row.message });
  await runtime.faults.hit('load.after_chunk_commit');
}

async function land(worker: ChunkWorker, chunk: Chunk, inFlight: InFlight): Promise<Landed> {
  const { reader, writer, format } = worker;
  // The end of a binary COPY comes as a message of its own, which is counted as a row.
  if (format === 'binary') inFlight.rows = -1;
  const copied = await copyThrough(reader, (sink) => reader.read(chunk, format, sink), writer.connection, writer.copyInSql(format), flowOf(worker, inFlight));
  await writer.merge();
  return { ...copied, errors: [] };
}

async function landCarefully(worker: ChunkWorker, chunk: Chunk, inFlight: InFlight): Promise<Landed> {
  const { reader, writer, plan, tally } = worker;
  const errors: RowError[] = [];
  const keyColumns = plan.keyKind === 'full' ? [] : plan.key.map((name) => ({ name, index: plan.columns.findIndex((column) => column.name === name) }));
  const copied = await copyCarefully(reader, writer, {
    read: (sink) => reader.read(chunk, 'text', sink),
    copySql: writer.copyInSql('text'),
    keyColumns,
    isRowError,
    reject: (row) => {
      tally.assertMaySkip(plan.tableId, row, errors.length);
      errors.push(row);
    },
  }, flowOf(worker, inFlight));
  return { ...copied, errors };
}

function flowOf(worker: ChunkWorker, inFlight: InFlight): CopyFlow {
  const { runtime, limit, signal, backlogBytes } = worker;
  return {
    clock: runtime.clock,
    limit,
    signal,
    backlogBytes,
    midway: runtime.faults.armed ? () => runtime.faults.hit('load.mid_chunk') : undefined,
    passed: (rows, bytes) => {
      inFlight.rows += rows;
      inFlight.bytes += bytes;
    },
  };
}
