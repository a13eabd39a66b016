/** The tables of a connected stream that apply by themselves: their drains, and how they join and leave the shared ones (RULES 4). */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { Statement } from '../apply/apply-connection.ts';
import type { ApplierOptions, ApplyOutcome } from '../apply/applier.ts';
import type { ChangeRecord } from '../apply/change-record.ts';
import { keyJson, newRow, oldRow } from '../apply/change-record.ts';
import type { TargetConnection } from './change-target.ts';
import { loseTable } from './lost-table.ts';
import type { SharedPipeline } from './shared-pipeline.ts';
import type { StreamState } from './stream-state.ts';
import { TableDrain } from './table-drain.ts';
import type { DrainHooks } from './table-drain.ts';
import { definitionDifferences } from './table-entry.ts';
import type { TableEntry } from './table-entry.ts';
import type { TransactionRouter } from './transaction-router.ts';

const JOIN_HOLD_MS = 500;
/** After it was waited for in vain: its lock may be held for long, and the shared tables must not stand still for it again and again. */
const JOIN_PAUSE_MS = 3000;
/** A drain this close to the end of its log is waited for at a boundary. */
const JOIN_HOLD_BYTES = 256 * 1024;

/** What a connected stream lends to the tables that apply by themselves. */
export interface DrainContext {
  readonly signal: AbortSignal;
  readonly pipeline: SharedPipeline;
  readonly router: TransactionRouter;
  readonly applier: ApplierOptions;
  count(records: readonly ChangeRecord[], outcome: ApplyOutcome): void;
  onBypass(entry: TableEntry, lsn: bigint): void;
  reread(entry: TableEntry, connection: TargetConnection): Promise<void>;
  /** One synchronous transaction of the shared applier, with the shared position at `boundary`. */
  commitDurably(boundary: bigint, statements: readonly Statement[]): Promise<void>;
}

interface RunningDrain {
  readonly drain: TableDrain;
  readonly done: Promise<void>;
}

export class TableDrains {
  readonly #state: StreamState;
  readonly #runtime: Runtime;
  readonly #context: DrainContext;
  readonly #running = new Map<TableEntry, RunningDrain>();
  readonly #joining = new Set<TableEntry>();
  readonly #notBeforeMs = new Map<TableEntry, number>();
  #wasPastStart = false;

  constructor(state: StreamState, context: DrainContext) {
    this.#state = state;
    this.#runtime = state.runtime;
    this.#context = context;
  }

  start(entry: TableEntry): void {
    if (this.#running.has(entry) || this.#context.signal.aborted) return;
    let drain: TableDrain | undefined;
    const done = this.#openDrain(entry, (made) => (drain = made)).then(
      () => {
        this.#running.delete(entry);
        if (entry.mode === 'failed') this.onFailed(entry);
        // It was told to go on while it was ending.
        else if (entry.mode === 'draining') this.start(entry);
      },
      (error: unknown) => {
        this.#running.delete(entry);
        this.#context.pipeline.fail(error instanceof Error ? error : new Error(String(error)));
      },
    );
    const running: RunningDrain = { get drain() { return drain ?? idleDrain; }, done };
    this.#running.set(entry, running);
  }

  async #openDrain(entry: TableEntry, made: (drain: TableDrain) => void): Promise<void> {
    const { options, target } = this.#state;
    const connection = await target.connect(`causeway ${options.name} ${entry.plan.target.name}`, this.#context.applier);
    try {
      entry.pendingRereads = await connection.countRereads(entry.tableId);
      const drain = new TableDrain(this.#runtime, entry, connection.applier, this.#drainHooks(connection));
      made(drain);
      await drain.run(this.#context.signal);
    } finally {
      await connection.close();
    }
  }

  #drainHooks(connection: TargetConnection): DrainHooks {
    const state = this.#state;
    return {
      moves: state.target.moves,
      batchChanges: state.options.limits.batchChanges,
      presentDifferences: async (entry) => {
        const columns = await state.source.readColumns(entry.plan.source);
        return columns ? definitionDifferences(entry.plan, entry.meta.columns, { columns: columns.map((column) => ({ ...column, inKey: false })) }) : ['the table is gone'];
      },
      onApplied: (_entry, records, outcome) => this.#context.count(records, outcome),
      onBypass: (entry, lsn) => this.#context.onBypass(entry, lsn),
      onSchemaChange: (entry, lsn, differences) => state.options.onSchemaChange(entry.tableId, { position: state.source.positionOf(lsn), differences }),
      onSkipped: (entry, record) => state.options.onSkipped?.({
        tableId: entry.tableId, key: keyJson(record.table, record.newAt >= 0 ? newRow(record) : oldRow(record)),
        position: state.source.positionOf(record.transaction.commitLsn), error: entry.error,
      }),
      onDamaged: (entry, damage) => loseTable(state, entry, `its changes in the spool were lost or damaged: ${damage.message}`),
      readRereads: (entry) => this.#context.reread(entry, connection),
      onProgress: () => {
        state.check();
        this.scheduleJoins();
      },
    };
  }

  onFailed(entry: TableEntry): void {
    this.#state.check();
    // That has been said.
    if (entry.isLost) return;
    this.#state.options.onError(entry.tableId, entry.error ?? new MigrationError('MIG090'));
  }

  /** Resolves once the table's drain has ended, its mode having been changed before. */
  async endDrain(entry: TableEntry): Promise<void> {
    const running = this.#running.get(entry);
    running?.drain.wake.notify();
    await running?.done;
  }

  /** The router has moved on: those that have something to do. */
  wake(): void {
    if (!this.#wasPastStart && this.#context.router.isPastStart) {
      this.#wasPastStart = true;
      this.#state.check();
      this.scheduleJoins();
    }
    for (const [entry, { drain }] of this.#running) if (entry.log && entry.spoolOffset < entry.log.wholeEndOffset) drain.wake.notify();
  }

  wakeForRereads(): void {
    for (const [entry, { drain }] of this.#running) if (entry.pendingRereads > 0) drain.wake.notify();
  }

  /** Resolves once all have ended; the signal has been aborted before. */
  async end(): Promise<void> {
    for (const { drain } of this.#running.values()) drain.wake.notify();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  isCaughtUp(entry: TableEntry): boolean {
    const running = this.#running.get(entry);
    const { log } = entry;
    return this.#context.router.isPastStart && running?.drain.isCaughtUp === true && log !== undefined && !log.hasPending && entry.spoolOffset >= log.endOffset && entry.pendingRereads === 0;
  }

  /** Of tables that could join now. One that could not would keep the shared tables waiting at a boundary for nothing. */
  scheduleJoins(): void {
    const { router } = this.#context;
    if (!router.isPastStart) return;
    for (const entry of this.#running.keys()) {
      const { log } = entry;
      if (!log || entry.mode !== 'draining' || this.#joining.has(entry) || entry.pendingRereads > 0) continue;
      if (log.endOffset - entry.spoolOffset > JOIN_HOLD_BYTES || entry.applied > router.unit.endLsn) continue;
      if (entry.joinsAfter !== undefined && router.unit.endLsn <= entry.joinsAfter) continue;
      if (this.#runtime.clock.monotonicMs() < (this.#notBeforeMs.get(entry) ?? 0)) continue;
      if (entry.consistentFrom === undefined || this.#state.visible < entry.consistentFrom) continue;
      this.#joining.add(entry);
      this.#context.pipeline.order(() => this.#join(entry)).catch(() => undefined).finally(() => this.#joining.delete(entry));
    }
  }

  /**
   * At a boundary, with nothing in flight: the log is complete up to it, and what is left of it is waited for. Position, membership and
   * the end of the log's use commit together (RULES 4), and durably: the log is deleted after it.
   */
  async #join(entry: TableEntry): Promise<void> {
    const state = this.#state;
    if (!(await this.#holdFor(entry))) {
      // One that stopped draining meanwhile, to have its indexes built, has kept nobody waiting.
      if (entry.mode === 'draining') this.#notBeforeMs.set(entry, this.#runtime.clock.monotonicMs() + JOIN_PAUSE_MS);
      return;
    }
    const boundary = this.#context.router.unit.endLsn;
    // After a reconnect the source is still sending what the table has applied by itself: shared at this boundary it would be applied again.
    if (entry.applied > boundary) return;
    if (this.#runtime.faults.armed) await this.#runtime.faults.hit('stream.join_shared');
    await this.#context.commitDurably(boundary, [state.target.moves.membership(entry.tableId, 'shared', boundary)]);
    entry.mode = 'shared';
    entry.joinsAfter = undefined;
    entry.error = undefined;
    entry.sharedPending = 0;
    entry.oldestPendingAtMs = undefined;
    await this.endDrain(entry);
    entry.log?.close();
    entry.log = undefined;
    state.spool.dropLog(entry.tableId);
    this.#context.router.forgetRoutes();
    state.check();
    this.#runtime.log.info('table joined the shared applier', { stream: state.options.name, tableId: entry.tableId });
  }

  async #holdFor(entry: TableEntry): Promise<boolean> {
    const until = this.#runtime.clock.monotonicMs() + JOIN_HOLD_MS;
    while (!this.isCaughtUp(entry)) {
      const running = this.#running.get(entry);
      if (!running || entry.mode !== 'draining' || this.#runtime.clock.monotonicMs() > until || this.#context.signal.aborted) return false;
      running.drain.wake.notify();
      await this.#runtime.clock.sleep(2);
    }
    return entry.mode === 'draining';
  }

  /** Takes a shared table out at a boundary; its changes go to a fresh log from there on. */
  async leave(entry: TableEntry): Promise<void> {
    const state = this.#state;
    const boundary = this.#context.router.unit.endLsn;
    state.spool.dropLog(entry.tableId);
    const log = state.openLog(entry);
    await this.#context.commitDurably(boundary, [state.target.moves.membership(entry.tableId, 'private', boundary)]);
    entry.log = log;
    entry.applied = boundary;
    entry.spoolOffset = 0;
    entry.savedOffset = 0;
    entry.spooledChanges = 0;
    entry.drainedChanges = 0;
    entry.mode = 'spooling';
    state.check();
    this.#context.router.forgetRoutes();
  }
}

const idleDrain = { isCaughtUp: false, wake: { notify: () => undefined } } as unknown as TableDrain;
