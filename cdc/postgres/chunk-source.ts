/** A PostgreSQL database as the side that a load reads. */
import { buildKey } from '../snapshot/build-key.ts';
import { keyChunks, wholeTable } from '../snapshot/chunk.ts';
import type { Chunk, ChunkSize, CopyFormat } from '../snapshot/chunk.ts';
import type { ChunkReader, ChunkSource, SnapshotRead } from '../snapshot/chunk-source.ts';
import type { TablePlan } from '../table-plan.ts';
import { cutBlocks, estimateRows, readKeyBounds, readRelations, TID_RANGE_VERSION } from './chunk-reader-ranges.ts';
import { copyOutSql, describeSnapshot, exportSnapshot, importSnapshot, openReader } from './chunk-reader.ts';
import { connectServer } from './connect.ts';
import type { CopyConnection, CopySink } from './copy-connection.ts';
import { chooseFormat, readWireTypes } from './row-writer-format.ts';
import type { ServerAddress } from './server-address.ts';

export interface PostgresChunkSourceOptions {
  readonly source: ServerAddress;
  readonly target: ServerAddress;
  /** Builds the plan's key on the target when it is not there; idempotent. Default: under the name that it has on the source. */
  readonly buildKey?: (plan: TablePlan, signal: AbortSignal) => Promise<void>;
}

export class PostgresChunkSource implements ChunkSource {
  readonly sharesSnapshots = true;
  readonly #options: PostgresChunkSourceOptions;

  constructor(options: PostgresChunkSourceOptions) {
    this.#options = options;
  }

  estimateRows(plan: TablePlan, signal: AbortSignal): Promise<number> {
    return this.#once(signal, (connection) => estimateRows(connection, plan));
  }

  /** The transaction that exports the snapshot is the first reader's own. */
  async openSnapshot(plan: TablePlan, workers: number, size: ChunkSize, onSnapshot: (snapshot: string) => Promise<void>, signal: AbortSignal): Promise<SnapshotRead> {
    const connections: CopyConnection[] = [];
    try {
      const first = await openReader(this.#options.source, signal);
      connections.push(first);
      const snapshot = await exportSnapshot(first);
      if (plan.keyKind === 'full') await onSnapshot(await describeSnapshot(first));
      const chunks = await planSnapshotChunks(first, plan, workers, size);
      for (let count = Math.min(workers, chunks.length); count > 1; count -= 1) {
        const reader = await openReader(this.#options.source, signal);
        connections.push(reader);
        await importSnapshot(reader, snapshot);
      }
      return { chunks, readers: connections.map((connection) => new CopyReader(connection, plan)) };
    } catch (error) {
      await Promise.all(connections.map((connection) => connection.abandon()));
      throw error;
    }
  }

  async openReader(plan: TablePlan, signal: AbortSignal): Promise<ChunkReader> {
    return new CopyReader(await openReader(this.#options.source, signal), plan);
  }

  readKeyBounds(plan: TablePlan, order: readonly string[], size: ChunkSize, signal: AbortSignal): Promise<readonly (readonly string[])[]> {
    return this.#once(signal, (connection) => readKeyBounds(connection, plan, order, size));
  }

  async buildKey(plan: TablePlan, signal: AbortSignal): Promise<void> {
    if (this.#options.buildKey) return this.#options.buildKey(plan, signal);
    const source = await connectServer(this.#options.source, { applicationName: 'causeway load', signal });
    const target = await connectServer(this.#options.target, { applicationName: 'causeway load', signal }).catch(async (error: unknown) => {
      await source.end();
      throw error;
    });
    try {
      await buildKey(source, target, plan);
    } finally {
      await Promise.all([source.end().catch(() => undefined), target.end().catch(() => undefined)]);
    }
  }

  async #once<T>(signal: AbortSignal, work: (connection: CopyConnection) => Promise<T>): Promise<T> {
    const connection = await openReader(this.#options.source, signal);
    try {
      return await work(connection);
    } finally {
      connection.close();
    }
  }
}

async function planSnapshotChunks(reader: CopyConnection, plan: TablePlan, workers: number, size: ChunkSize): Promise<Chunk[]> {
  const [version] = await reader.exec("SELECT current_setting('server_version_num')");
  if (Number(version?.rows[0]?.[0]) >= TID_RANGE_VERSION) return cutBlocks(plan, await readRelations(reader, plan.source), size);
  // Key ranges of the same snapshot: only to share the work between several workers.
  if (workers === 1 || plan.keyKind === 'full') return [wholeTable(plan)];
  return keyChunks(plan, plan.key, await readKeyBounds(reader, plan, plan.key, size));
}

/** The server's own `COPY … TO STDOUT`. */
class CopyReader implements ChunkReader {
  readonly #connection: CopyConnection;
  readonly #plan: TablePlan;

  constructor(connection: CopyConnection, plan: TablePlan) {
    this.#connection = connection;
    this.#plan = plan;
  }

  async read(chunk: Chunk, format: CopyFormat, sink: CopySink): Promise<void> {
    await this.#connection.copyOut(copyOutSql(this.#plan, chunk, format), sink);
  }

  async chooseFormat(target: CopyConnection): Promise<CopyFormat> {
    const names = this.#plan.columns.map((column) => column.name);
    return chooseFormat(names, await readWireTypes(this.#connection, this.#plan.source), await readWireTypes(target, this.#plan.target));
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  close(): void {
    this.#connection.close();
  }

  abandon(): Promise<void> {
    return this.#connection.abandon();
  }
}
