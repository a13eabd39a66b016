/** What one change stream knows between its connections: its tables, its positions, and who wants to hear of them. */
import type { Runtime } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { formatLsn } from '../change.ts';
import type { TargetShape } from '../apply/bound-table.ts';
import type { VisibleAdvance } from '../ports.ts';
import type { Spool } from '../spool/spool.ts';
import { TableLog } from '../spool/table-log.ts';
import { MarkerWatch } from './marker-watch.ts';
import type { ChangeStreamOptions } from './options.ts';
import type { ChangeSource, SourceIdentity } from './change-source.ts';
import type { ChangeTarget } from './change-target.ts';
import type { TablePlan } from '../table-plan.ts';
import type { TableEntry } from './table-entry.ts';

const MAX_UNTOLD = 65_536;

export class StreamState {
  readonly runtime: Runtime;
  readonly options: ChangeStreamOptions;
  readonly spool: Spool;
  readonly source: ChangeSource;
  readonly target: ChangeTarget;
  readonly entries = new Map<string, TableEntry>();
  /** Relations of the source that belonged to no table when they were first met. */
  readonly strangers = new Set<number>();
  readonly markers: MarkerWatch;
  readonly listeners = new Set<(advance: VisibleAdvance) => void>();
  /** Routed, and of the shared tables applied. */
  visible = 0n;
  /** What listeners have been told is visible: behind `visible` while a table that is read on the target lags. */
  #told = 0n;
  #untold: number[] = [];
  /** Served and not shared: few, of perhaps many tables. */
  #behind: readonly TableEntry[] = [];
  /** What the target's row says: where a restart would begin. */
  resume = 0n;
  durable = 0n;
  isConnected = false;
  /** The captured cluster, as the last connection found it; undefined before the first. */
  sourceIdentity: SourceIdentity | undefined;
  lastError: Error | undefined;
  /** It connects anew because one table cannot go on with the others: no loss of a connection, and none of the others' business. */
  isEjecting = false;
  spoolError: Error | undefined;
  /** Why nothing is read from the source at the moment. */
  blockedBy: Error | undefined;
  lastHeardAtMs: number | undefined;
  retainedBytes: number | undefined;
  /** Set while a drain of the table has nothing left to read. */
  isCaughtUp: (entry: TableEntry) => boolean = () => false;

  constructor(runtime: Runtime, options: ChangeStreamOptions, spool: Spool, source: ChangeSource, target: ChangeTarget) {
    this.runtime = runtime;
    this.options = options;
    this.spool = spool;
    this.source = source;
    this.target = target;
    this.markers = new MarkerWatch((tableId, lsn) => this.#progress(tableId, lsn), (order) => source.positionOf(order));
  }

  entry(tableId: string): TableEntry {
    const entry = this.entries.get(tableId);
    if (!entry) throw new MigrationError('MIG072', `Table ${tableId} is not in stream ${this.options.name}`);
    return entry;
  }

  #progress(tableId: string, lsn: bigint): 'reached' | 'waiting' | Error {
    const entry = this.entries.get(tableId);
    if (!entry) return new MigrationError('MIG072', `Table ${tableId} is not in stream ${this.options.name}`);
    if (entry.mode === 'failed') return entry.error ?? new MigrationError('MIG090');
    if (entry.pendingRereads > 0 || entry.pendingWritebacks > 0 || entry.mode === 'spooling' || this.visible < lsn) return 'waiting';
    if (entry.mode === 'shared') return 'reached';
    return entry.applied >= lsn || this.isCaughtUp(entry) ? 'reached' : 'waiting';
  }

  /** Called whenever something has become visible, or a table's mode or service has changed. */
  check(): void {
    this.#behind = [...this.entries.values()].filter((entry) => entry.isServed && entry.mode !== 'shared');
    this.markers.check();
    this.#announce();
  }

  get told(): bigint {
    return this.#told;
  }

  /** Transactions that became visible with what has been routed and applied: told at once, or when no served table lags any more. */
  becameVisible(transactionIds: readonly number[]): void {
    for (const id of transactionIds) this.#untold.push(id);
    // Who waits for one that is not told asks by position after a while.
    if (this.#untold.length > MAX_UNTOLD) this.#untold.splice(0, this.#untold.length - MAX_UNTOLD / 2);
    this.markers.check();
    this.#announce();
  }

  /** A connection has begun: the target shows the shared tables up to `applied`, and those that apply by themselves up to their own. */
  connectedAt(applied: bigint): void {
    this.resume = applied;
    this.visible = applied;
    this.#untold = [];
    this.#told = applied;
    this.#behind = [...this.entries.values()].filter((entry) => entry.isServed && entry.mode !== 'shared');
    for (const entry of this.#behind) if (this.#lags(entry) && entry.applied < this.#told) this.#told = entry.applied;
    // Said even when nothing moves: who was told otherwise, by an earlier process perhaps, knows from here on what is true.
    this.tell({ position: this.source.positionOf(this.#told), transactionIds: [], isReset: true });
  }

  /** Readers of the target would not find there what they may have been told is committed (RULES 12). */
  #lags(entry: TableEntry): boolean {
    return entry.isServed && entry.mode !== 'shared' && !(entry.mode === 'draining' && this.isCaughtUp(entry));
  }

  #announce(): void {
    if (this.visible <= this.#told && this.#untold.length === 0) return;
    for (const entry of this.#behind) if (this.#lags(entry)) return;
    if (this.visible > this.#told) this.#told = this.visible;
    const transactionIds = this.#untold;
    this.#untold = [];
    this.tell({ position: this.source.positionOf(this.#told), transactionIds });
  }

  /** Kept on disk: a table that was put back to draining by a conflict must meet it again after a restart. */
  setConsistentFrom(entry: TableEntry, lsn: bigint): void {
    entry.consistentFrom = lsn;
    entry.meta = { ...entry.meta, consistentFrom: formatLsn(lsn) };
    this.saveMeta(entry);
  }

  saveMeta(entry: TableEntry): void {
    // While it is not known what the lack of it means, none is made.
    if (!entry.lacksMeta && !entry.isLost) this.spool.writeMeta(entry.meta);
  }

  async readShape(plan: TablePlan): Promise<TargetShape> {
    const shape = await this.target.readShape(plan);
    return this.source.engine === this.target.engine ? { ...shape, looseTexts: undefined, caseFolded: undefined } : shape;
  }

  openLog(entry: TableEntry): TableLog {
    return TableLog.open(this.spool.tableDirectory(entry.tableId), TableLog.segmentBytesFor(this.options.limits.spoolBytes));
  }

  get spoolBytes(): number {
    let sum = 0;
    for (const { log } of this.entries.values()) sum += log?.bytes ?? 0;
    return sum;
  }

  /** The stream itself has ended for it. */
  failed(error: Error): void {
    this.lastError = error;
    this.isEjecting = false;
  }

  /** Nothing of it is left on either server. */
  forget(): void {
    this.spool.reset();
    this.entries.clear();
    this.strangers.clear();
    this.visible = 0n;
    this.#told = 0n;
    this.#untold = [];
    this.resume = 0n;
    this.durable = 0n;
    this.lastError = undefined;
    this.blockedBy = undefined;
    this.retainedBytes = undefined;
  }

  /** The target may come back without the last of what it had shown (its commits do not wait for the disk). */
  forgetVisible(): void {
    this.visible = 0n;
    this.#told = 0n;
    this.#untold = [];
    this.tell({ position: this.source.positionOf(0n), transactionIds: [], isReset: true });
  }

  tell(advance: VisibleAdvance): void {
    for (const listener of this.listeners) {
      try {
        listener(advance);
      } catch (error) {
        this.runtime.log.error('a listener of the change stream failed', { error: String(error) });
      }
    }
  }
}
