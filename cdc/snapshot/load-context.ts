/** What the parts of one load share. */
import type { Runtime } from '../../config/runtime.ts';
import type { LoadOptions } from '../ports.ts';
import type { ChunkLedger } from '../postgres/row-writer-ledger.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { TablePlan } from '../table-plan.ts';
import type { ChunkSource } from './chunk-source.ts';
import type { LoadTally } from './load-tally.ts';

export interface LoaderOptions {
  readonly target: ServerAddress;
  /** Fencing token of the control process (RULES 14). */
  readonly token: bigint;
  /** Bound of what one `load` keeps in memory for rows on their way, all workers together; a row larger than that in careful mode excepted. */
  readonly memoryBytes: number;
  /**
   * Keyless tables: called with the snapshot of the copy (text of `txid_current_snapshot()`) before its first row is written. The stream must
   * leave out what that snapshot saw, for a keyless table has no arbiter that would make a repeated insert harmless (RULES 2).
   */
  readonly onKeylessSnapshot?: (tableId: string, snapshot: string) => Promise<void>;
}

export interface LoadContext {
  readonly runtime: Runtime;
  readonly options: LoaderOptions;
  readonly source: ChunkSource;
  readonly plan: TablePlan;
  readonly loadOptions: LoadOptions;
  readonly ledger: ChunkLedger;
  readonly tally: LoadTally;
  /** Stops every worker. */
  readonly stop: AbortController;
  readonly signal: AbortSignal;
  buildKey(): Promise<void>;
}
