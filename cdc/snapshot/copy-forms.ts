/** The two forms of copying (see `load-state.ts`): plan the chunks, open the workers, empty the queue. */
import { MigrationError } from '../../config/migration-error.ts';
import { RateLimit } from '../flow/rate-limit.ts';
import type { LoadOptions } from '../ports.ts';
import type { LoadHeader } from '../postgres/row-writer-ledger.ts';
import { RowWriter } from '../postgres/row-writer.ts';
import type { WriteMode } from '../postgres/row-writer.ts';
import { keyChunks } from './chunk.ts';
import type { Chunk, ChunkSize } from './chunk.ts';
import type { ChunkReader } from './chunk-source.ts';
import { copyChunk } from './copy-chunk.ts';
import type { ChunkWorker } from './copy-chunk.ts';
import type { LoadContext } from './load-context.ts';
import { loadError } from './load-error.ts';

/** A chunk is what a crash may cost and what a transaction holds; larger ones gain nothing. */
const CHUNK_BYTES = 32 * 1024 * 1024;
const MIN_BACKLOG_BYTES = 64 * 1024;
const MAX_BACKLOG_BYTES = 1024 * 1024;

/** All chunks under one snapshot. */
export async function runSnapshotForm(context: LoadContext): Promise<void> {
  const { source, plan, loadOptions, options, signal } = context;
  const onSnapshot = async (snapshot: string): Promise<void> => options.onKeylessSnapshot?.(plan.tableId, snapshot);
  const { readers, chunks } = await fromSource(context, () => source.openSnapshot(plan, loadOptions.parallelWorkers, chunkSize(loadOptions), onSnapshot, signal));
  try {
    await runWorkers(context, readers, chunks, 'append');
  } finally {
    await Promise.all(readers.map((reader) => reader.abandon()));
  }
  await context.ledger.setPhase(context.plan.tableId, { phase: 'copied', form: 'snapshot' });
}

/**
 * Key ranges, each under a snapshot of its own: reads only ranges that are not in `finished`. `appends`: nothing but ranges of this very load has
 * ever been written, so a row cannot be there yet, and the key may wait.
 */
export async function runKeyForm(context: LoadContext, order: readonly string[], bounds: readonly (readonly string[])[], finished: ReadonlySet<number>, appends: boolean): Promise<void> {
  const chunks = keyChunks(context.plan, order, bounds).filter((chunk) => !finished.has(chunk.chunkNo));
  const readers: ChunkReader[] = [];
  try {
    for (let count = Math.min(context.loadOptions.parallelWorkers, chunks.length); count > 0; count -= 1) {
      readers.push(await fromSource(context, () => context.source.openReader(context.plan, context.signal)));
    }
    await runWorkers(context, readers, chunks, appends ? 'append' : 'keep');
  } finally {
    await Promise.all(readers.map((reader) => reader.abandon()));
  }
  await context.ledger.setPhase(context.plan.tableId, { phase: 'copied', form: 'key', appends });
}

/** The bounds are saved before the first range is read: a chunk's number means the same range after any crash. */
export async function planKeyRanges(context: LoadContext, appends: boolean): Promise<LoadHeader> {
  const { plan, loadOptions, source, signal } = context;
  const order = loadOptions.orderBy === undefined ? plan.key : [loadOptions.orderBy];
  const missing = order.find((name) => !plan.columns.some((column) => column.name === name));
  if (missing !== undefined) throw new MigrationError('MIG071', `order_by: the migration carries no column "${missing}"`, { tableName: plan.tableId });
  const bounds = await fromSource(context, () => source.readKeyBounds(plan, order, chunkSize(loadOptions), signal));
  return { phase: 'copying', form: 'key', order, bounds, appends };
}

function chunkSize(options: LoadOptions): ChunkSize {
  return { rows: Math.max(1, options.batchSize), bytes: CHUNK_BYTES };
}

async function runWorkers(context: LoadContext, readers: readonly ChunkReader[], chunks: readonly Chunk[], mode: WriteMode): Promise<void> {
  const { options, plan, signal } = context;
  const writers: RowWriter[] = [];
  const abandon = (): Promise<unknown> => Promise.all([...readers, ...writers.map((writer) => writer.connection)].map((connection) => connection.abandon()));
  const onAbort = (): void => void abandon();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    while (writers.length < readers.length) {
      signal.throwIfAborted();
      writers.push(await RowWriter.open(options.target, plan, mode, options.token, signal));
    }
    await emptyQueue(await makeWorkers(context, readers, writers), chunks);
    for (const writer of writers) await writer.close();
  } finally {
    signal.removeEventListener('abort', onAbort);
    await abandon();
  }
}

async function makeWorkers(context: LoadContext, readers: readonly ChunkReader[], writers: readonly RowWriter[]): Promise<ChunkWorker[]> {
  const { options, runtime, loadOptions } = context;
  const limit = new RateLimit(runtime.clock, loadOptions.rateLimitRowsPerSecond);
  const backlogBytes = Math.max(MIN_BACKLOG_BYTES, Math.min(MAX_BACKLOG_BYTES, Math.floor(options.memoryBytes / readers.length / 4)));
  const workers: ChunkWorker[] = [];
  for (const [index, reader] of readers.entries()) {
    const writer = writers[index];
    if (!writer) continue;
    const format = await fromSource(context, () => reader.chooseFormat(writer.connection));
    workers.push({ ...context, reader, writer, format, limit, backlogBytes });
  }
  return workers;
}

/** Resolves when every chunk has landed; the first failure stops all workers, and is thrown once they have ended. */
async function emptyQueue(workers: readonly ChunkWorker[], chunks: readonly Chunk[]): Promise<void> {
  const queue = [...chunks].reverse();
  let failure: { readonly error: unknown } | undefined;
  const run = async (worker: ChunkWorker): Promise<void> => {
    try {
      for (let chunk = queue.pop(); chunk; chunk = queue.pop()) {
        worker.signal.throwIfAborted();
        await copyChunk(worker, chunk);
      }
    } catch (error) {
      failure ??= { error };
      worker.stop.abort(error);
    }
  };
  await Promise.all(workers.map(run));
  if (failure) throw failure.error;
}

async function fromSource<Result>(context: LoadContext, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    context.signal.throwIfAborted();
    throw loadError('source', context.plan.tableId, error);
  }
}
