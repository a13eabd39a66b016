/**
 * What a load asks of the server that it reads. Rows come as `CopyData` frames, one row in each, in the form in which `COPY … FROM STDIN` of
 * the target takes them, so that whatever stands between the two servers hands on bytes.
 */
import type { CopyConnection, CopySink } from '../postgres/copy-connection.ts';
import type { TablePlan } from '../table-plan.ts';
import type { Chunk, ChunkSize, CopyFormat } from './chunk.ts';

/** One connection that reads one chunk at a time. `pause` and `resume` hold the rows back. */
export interface ChunkReader {
  /** Resolves when the server has sent everything; the reader can be used again after a failure, unless the connection is lost. */
  read(chunk: Chunk, format: CopyFormat, sink: CopySink): Promise<void>;
  /** The form in which both sides understand every value, asked before the first `read`; `target` is the connection that will copy in. */
  chooseFormat(target: CopyConnection): Promise<CopyFormat>;
  pause(): void;
  resume(): void;
  /** Ends an idle reader in good order. */
  close(): void;
  /** Ends it at once. Safe to call twice. */
  abandon(): Promise<void>;
}

export interface SnapshotRead {
  readonly readers: readonly ChunkReader[];
  readonly chunks: readonly Chunk[];
}

export interface ChunkSource {
  /**
   * A first load reads one snapshot that all readers share. Without: it reads key ranges from the start, each as it is when it is read, and takes
   * no table without a key (MIG013).
   */
  readonly sharesSnapshots: boolean;
  /** An estimate, for show. */
  estimateRows(plan: TablePlan, signal: AbortSignal): Promise<number>;
  /** Only where snapshots are shared. `onSnapshot` is told the snapshot of a keyless table before a row of it is read. */
  openSnapshot(plan: TablePlan, workers: number, size: ChunkSize, onSnapshot: (snapshot: string) => Promise<void>, signal: AbortSignal): Promise<SnapshotRead>;
  openReader(plan: TablePlan, signal: AbortSignal): Promise<ChunkReader>;
  /** Lower bounds of all chunks but the first, in the order of the source. */
  readKeyBounds(plan: TablePlan, order: readonly string[], size: ChunkSize, signal: AbortSignal): Promise<readonly (readonly string[])[]>;
  /** The plan's key on the target, which may be there already. */
  buildKey(plan: TablePlan, signal: AbortSignal): Promise<void>;
}
