/** The two forms of copying (see `load-state.ts`): plan the chunks, open the workers, empty the queue. */
import { MigrationError } from '../../config/migration-error.ts';
import { RateLimit } from '../flow/rate-limit.ts';
import type { LoadOptions } from '../ports.ts';
import { cutBlocks, keyChunks, readKeyBounds, readRelations, TID_RANGE_VERSION, wholeTable } from '../postgres/chunk-reader-ranges.ts';
import type { ChunkSize } from '../postgres/chunk-reader-ranges.ts';
import { describeSnapshot, exportSnapshot, importSnapshot, openReader } from '../postgres/chunk-reader.ts';
import type { Chunk } from '../postgres/chunk-reader.ts';
import type { CopyConnection } from '../postgres/copy-connection.ts';
import { chooseFormat, readWireTypes } from '../postgres/row-writer-format.ts';
import type { LoadHeader } from '../postgres/row-writer-ledger.ts';
import { RowWriter } from '../postgres/row-writer.ts';
import type { WriteMode } from '../postgres/row-writer.ts';
import { copyChunk } from './copy-chunk.ts';
import type { ChunkWorker } from './copy-chunk.ts';
import type { LoadContext } from './load-context.ts';
import { loadError } from './load-error.ts';

/** A chunk is what a crash may cost and what a transaction holds; larger ones gain nothing. */
const CHUNK_BYTES = 32 * 1024 * 1024;
const MIN_BACKLOG_BYTES = 64 * 1024;
const MAX_BACKLOG_BYTES = 1024 * 1024;

/** All chunks under one exported snapshot. The transaction that exports it is the first worker's own. */
export async function runSnapshotForm(context: LoadContext): Promise<void> {
  const readers: CopyConnection[] = [];
  try {
    const first = await fromSource(context, () => openReader(context.options.source, context.signal));
    readers.push(first);
    const snapshot = await fromSource(context, () => exportSnapshot(first));
    if (context.plan.keyKind === 'full') await context.options.onKeylessSnapshot?.(context.plan.tableId, await fromSource(context, () => describeSnapshot(first)));
    const chunks = await fromSource(context, () => planSnapshotChunks(context, first));
    for (let count = Math.min(context.loadOptions.parallelWorkers, chunks.length); count > 1; count -= 1) {
      const reader = await fromSource(context, () => openReader(context.options.source, context.signal));
      readers.push(reader);
      await fromSource(context, () => importSnapshot(reader, snapshot));
    }
    await runWorkers(context, readers, chunks, 'append');
  } finally {
    await Promise.all(readers.map((reader) => reader.abandon()));
  }
  await context.ledger.setPhase(context.plan.tableId, { phase: 'copied', form: 'snapshot' });
}

/** Key ranges, each under a snapshot of its own: reads only ranges that are not in `finished`. */
export async function runKeyForm(context: LoadContext, order: readonly string[], bounds: readonly (readonly string[])[], finished: ReadonlySet<number>): Promise<void> {
  const chunks = keyChunks(context.plan, order, bounds).filter((chunk) => !finished.has(chunk.chunkNo));
  const readers: CopyConnection[] = [];
  try {
    for (let count = Math.min(context.loadOptions.parallelWorkers, chunks.length); count > 0; count -= 1) {
      readers.push(await fromSource(context, () => openReader(context.options.source, context.signal)));
    }
    await runWorkers(context, readers, chunks, 'keep');
  } finally {
    await Promise.all(readers.map((reader) => reader.abandon()));
  }
  await context.ledger.setPhase(context.plan.tableId, { phase: 'copied', form: 'key' });
}

/** The bounds are saved before the first range is read: a chunk's number means the same range after any crash. */
export async function planKeyRanges(context: LoadContext): Promise<LoadHeader> {
  const { plan, loadOptions, options, signal } = context;
  const order = loadOptions.orderBy === undefined ? plan.key : [loadOptions.orderBy];
  const missing = order.find((name) => !plan.columns.some((column) => column.name === name));
  if (missing !== undefined) throw new MigrationError('MIG071', `order_by: the migration carries no column "${missing}"`, { tableName: plan.tableId });
  return fromSource(context, async () => {
    const reader = await openReader(options.source, signal);
    try {
      return { phase: 'copying', form: 'key', order, bounds: await readKeyBounds(reader, plan, order, chunkSize(loadOptions)) };
    } finally {
      reader.close();
    }
  });
}

async function planSnapshotChunks(context: LoadContext, reader: CopyConnection): Promise<Chunk[]> {
  const { plan, loadOptions } = context;
  const size = chunkSize(loadOptions);
  const [version] = await reader.exec("SELECT current_setting('server_version_num')");
  if (Number(version?.rows[0]?.[0]) >= TID_RANGE_VERSION) return cutBlocks(plan, await readRelations(reader, plan.source), size);
  // Key ranges of the same snapshot: only to share the work between several workers.
  if (loadOptions.parallelWorkers === 1 || plan.keyKind === 'full') return [wholeTable(plan)];
  return keyChunks(plan, plan.key, await readKeyBounds(reader, plan, plan.key, size));
}

function chunkSize(options: LoadOptions): ChunkSize {
  return { rows: Math.max(1, options.batchSize), bytes: CHUNK_BYTES };
}

async function runWorkers(context: LoadContext, readers: readonly CopyConnection[], chunks: readonly Chunk[], mode: WriteMode): Promise<void> {
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

async function makeWorkers(context: LoadContext, readers: readonly CopyConnection[], writers: readonly RowWriter[]): Promise<ChunkWorker[]> {
  const { plan, options, runtime, loadOptions } = context;
  const limit = new RateLimit(runtime.clock, loadOptions.rateLimitRowsPerSecond);
  const backlogBytes = Math.max(MIN_BACKLOG_BYTES, Math.min(MAX_BACKLOG_BYTES, Math.floor(options.memoryBytes / readers.length / 4)));
  const workers: ChunkWorker[] = [];
  for (const [index, reader] of readers.entries()) {
    const writer = writers[index];
    if (!writer) continue;
    const format = workers[0]?.format ?? chooseFormat(plan.columns.map((column) => column.name), await fromSource(context, () => readWireTypes(reader, plan.source)), await readWireTypes(writer.connection, plan.target));
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
