/**
 * One connection's life of a change stream: read saved state, check it against the source, stream, until something ends it.
 * Starting and recovering are the same: nothing here is remembered from an earlier connection but what `StreamState` holds
 * of plans and wishes.
 */
import type { Runtime } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Statement } from '../apply/apply-connection.ts';
import type { ApplierOptions, ApplyOutcome } from '../apply/applier.ts';
import type { ChangeRecord } from '../apply/change-record.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import { BoundedQueue } from '../flow/bounded-queue.ts';
import type { CaptureConnection } from './change-source.ts';
import type { TargetConnection } from './change-target.ts';
import { Confirmation } from './confirmation.ts';
import { tableAtFault, tableFault } from './eject-table.ts';
import { restoreEntries } from './restore-entries.ts';
import { SharedPipeline } from './shared-pipeline.ts';
import { flushLog, flushLogs, isSpoolFull } from './spool-room.ts';
import { loseTable } from './lost-table.ts';
import { farthest, loseCopies } from './other-server.ts';
import { spoolGap } from './saved-state.ts';
import { StreamRoutes } from './stream-routes.ts';
import type { StreamState } from './stream-state.ts';
import { TableDrains } from './table-drains.ts';
import type { TableEntry } from './table-entry.ts';
import { WriteBack } from './write-back.ts';
import { LeaveShared, TransactionRouter } from './transaction-router.ts';
import type { GatheredUnit } from './transaction-router.ts';

const TICK_MS = 1000;
const BATCH_BYTES = 4 * 1024 * 1024;

export class ConnectedStream {
  readonly #state: StreamState;
  readonly #runtime: Runtime;
  readonly #capture: CaptureConnection;
  readonly #connection: TargetConnection;
  readonly router: TransactionRouter;
  readonly pipeline: SharedPipeline;
  readonly #queue: BoundedQueue;
  readonly drains: TableDrains;
  readonly #confirmation: Confirmation;
  readonly routes: StreamRoutes;
  readonly #writeBack: WriteBack;
  readonly #abort = new AbortController();
  /** The connection to the target has ended: what is in flight says nothing about what is visible. */
  #isTargetLost = false;

  private constructor(state: StreamState, capture: CaptureConnection, connection: TargetConnection, sharedFrom: bigint) {
    this.#state = state;
    this.#runtime = state.runtime;
    this.#capture = capture;
    this.#connection = connection;
    this.routes = new StreamRoutes(state);
    this.#writeBack = new WriteBack(state);
    this.#queue = new BoundedQueue(state.options.limits.bufferBytes, () => capture.pause(), () => capture.resume());
    this.router = new TransactionRouter({
      entryOf: (relation, isNew) => this.routes.entryOf(relation, isNew),
      onBypass: (entry, lsn) => this.#onBypass(entry, lsn),
      onFrameFull: (entry) => flushLog(state, entry),
    }, sharedFrom);
    this.pipeline = new SharedPipeline(state.runtime, this.#queue, this.router, connection.applier, { batchChanges: state.options.limits.batchChanges, batchBytes: BATCH_BYTES }, {
      opening: (unit) => this.#opening(unit),
      closing: (unit) => (unit.isWhole ? [this.#move(unit.endLsn)] : []),
      flushLogs: () => flushLogs(state),
      isSpoolFull: () => isSpoolFull(state),
      onApplied: (unit, outcome) => this.#count(unit.records, outcome),
      onVisible: (unit, isSaved) => this.#onVisible(unit, isSaved),
      onRouted: () => this.drains.wake(),
      onRereads: (outcome) => this.#onRereads(outcome),
    });
    const shared = { signal: this.#abort.signal, pipeline: this.pipeline, router: this.router };
    this.drains = new TableDrains(state, {
      ...shared,
      applier: applierOptions(state),
      count: (records, outcome) => this.#count(records, outcome),
      onBypass: (entry, lsn) => this.#onBypass(entry, lsn),
      reread: (entry, own) => this.#reread(entry, own),
      commitDurably: (boundary, statements) => this.#savePosition(boundary, [...state.target.moves.durably, ...statements]),
    });
    connection.onEnd(() => this.#onTargetLost());
    this.#confirmation = new Confirmation(state, { ...shared, savePosition: (boundary) => this.#savePosition(boundary, []), sendFeedback: () => this.#sendFeedback(true) });
  }

  /** Reads and checks saved state, and starts streaming. */
  static async open(state: StreamState): Promise<ConnectedStream> {
    const { options, runtime } = state;
    await state.target.raiseTokens();
    const saved = await state.target.readStream();
    if (!saved) throw new MigrationError('MIG091', 'The stream has no row on the target', { detail: options.name });
    await restoreEntries(state, saved.lsn);
    const capture = await state.source.connect();
    try {
      const retention = await state.source.readRetention();
      const gap = spoolGap(state.spool.identity, saved, retention?.confirmed ?? 0n);
      if (gap !== undefined) for (const entry of state.entries.values()) if (entry.log) loseTable(state, entry, `its changes were in a spool that is not there any more: ${gap}`);
      const reached = farthest(state, saved.lsn);
      const source = await capture.check({ applied: saved.lsn, systemId: saved.systemId, timeline: saved.timeline, reached }, retention);
      if (saved.systemId !== undefined && saved.systemId !== source.systemId) loseCopies(state, reached);
      await state.target.saveSource(source, state.spool.identity.id);
      state.sourceIdentity = source;
      state.spool.advance(retention?.confirmed ?? 0n);
      const connection = await state.target.connect(`causeway ${options.name}`, applierOptions(state));
      const stream = new ConnectedStream(state, capture, connection, saved.lsn);
      try {
        await stream.#start(saved.lsn, retention?.confirmed ?? 0n);
      } catch (error) {
        await stream.close();
        throw error;
      }
      runtime.log.info('change stream started', { stream: options.name });
      return stream;
    } catch (error) {
      capture.close();
      throw error;
    }
  }

  async #start(applied: bigint, confirmed: bigint): Promise<void> {
    const state = this.#state;
    state.durable = confirmed;
    this.router.startsAt(confirmed);
    await this.routes.read();
    for (const entry of state.entries.values()) {
      if (entry.mode === 'shared' || entry.mode === 'draining') await this.#readShape(entry);
      entry.pendingRereads = await state.target.countRereads(entry.tableId);
      entry.pendingWritebacks = await state.target.countWinners(entry.tableId);
    }
    state.isCaughtUp = (entry) => this.drains.isCaughtUp(entry);
    await this.#capture
      .start(confirmed, {
        onBlock: (block) => {
          state.lastHeardAtMs = this.#runtime.clock.now();
          this.#queue.push(block);
          this.pipeline.wake.notify();
        },
        onReplyRequested: () => this.#sendFeedback(false),
        onEnd: (error) => this.pipeline.fail(new MigrationError('MIG023', undefined, { detail: error.message, cause: error })),
      })
      .catch((error: unknown) => {
        if (error instanceof MigrationError) throw error;
        throw new MigrationError('MIG023', undefined, { cause: error, detail: error instanceof Error ? error.message : String(error) });
      });
    state.isConnected = true;
    state.lastError = undefined;
    state.isEjecting = false;
    state.connectedAt(applied);
    for (const entry of state.entries.values()) if (entry.mode === 'draining') this.drains.start(entry);
  }

  /** What is wrong with a table stops that table alone: one that is shared leaves the others with its next change, for it has no shape. */
  async #readShape(entry: TableEntry): Promise<void> {
    entry.shape = undefined;
    try {
      entry.shape = await this.#state.readShape(entry.plan);
    } catch (error) {
      const fault = tableFault(error, entry);
      if (!fault) throw error;
      if (entry.mode !== 'draining') return;
      entry.mode = 'failed';
      entry.error = fault;
      entry.failedAt = entry.applied;
      this.drains.onFailed(entry);
    }
  }

  /** Until aborted; throws what ended it. */
  async run(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => void this.#tick(), TICK_MS);
    try {
      await this.pipeline.run(signal);
    } catch (error) {
      this.#state.isEjecting = tableAtFault(this.#state, error) !== undefined;
      throw error;
    } finally {
      clearInterval(timer);
      await this.close();
    }
  }

  async close(): Promise<void> {
    const state = this.#state;
    state.isConnected = false;
    state.isCaughtUp = () => false;
    this.#abort.abort();
    this.pipeline.end(new MigrationError('MIG023'));
    this.#capture.close();
    await this.drains.end();
    await this.#connection.close();
    await this.#writeBack.end();
    while (this.#confirmation.isTicking) await this.#runtime.clock.sleep(5);
    for (const entry of state.entries.values()) entry.log?.close();
  }

  #move(lsn: bigint): Statement {
    const { target, spool } = this.#state;
    return target.moves.shared(lsn, spool.identity.durable);
  }

  #opening(unit: GatheredUnit): readonly Statement[] {
    const first = unit.records[0]?.transaction.commitLsn ?? 0n;
    let seen: TableBinding | undefined;
    const open = (table: TableBinding): void => {
      if (table === seen) return;
      seen = table;
      const entry = this.#state.entries.get(table.plan.tableId);
      if (entry) entry.isStrict = entry.isStrictAt(first);
    };
    for (const record of unit.records) {
      if (record.op === 'truncate') record.tables.forEach(open);
      else open(record.table);
    }
    return [unit.isWhole ? this.#move(unit.endLsn) : this.#state.target.moves.tagShared()];
  }

  #onTargetLost(): void {
    if (this.#isTargetLost) return;
    this.#isTargetLost = true;
    this.#state.forgetVisible();
    this.pipeline.fail(new MigrationError('MIG002', 'The connection to the target was lost'));
  }

  #onVisible(unit: GatheredUnit, isSaved: boolean): void {
    const state = this.#state;
    if (this.#isTargetLost) return;
    for (const marker of unit.markers) state.markers.seen(marker.token, marker.lsn);
    if (unit.hasTraffic) this.#confirmation.onTraffic();
    if (isSaved) {
      state.resume = unit.endLsn;
      this.#confirmation.onSaved();
    }
    const isAdvance = unit.endLsn > state.visible || unit.transactionIds.length > 0;
    if (!isAdvance && unit.markers.length === 0) return;
    if (unit.endLsn > state.visible) state.visible = unit.endLsn;
    state.becameVisible(unit.transactionIds);
    this.drains.scheduleJoins();
  }

  #count(records: readonly ChangeRecord[], outcome: ApplyOutcome): void {
    const state = this.#state;
    let seen: TableBinding | undefined;
    let entry: TableEntry | undefined;
    const count = (record: ChangeRecord, table: TableBinding): void => {
      if (table !== seen) entry = state.entries.get(table.plan.tableId);
      seen = table;
      if (!entry) return;
      entry.counts[record.op] += 1;
      entry.sharedPending = Math.max(0, entry.sharedPending - 1);
      entry.oldestPendingAtMs = entry.sharedPending > 0 ? record.transaction.committedAtMs : undefined;
    };
    for (const record of records) {
      if (record.op === 'truncate') for (const table of record.tables) count(record, table);
      else count(record, record.table);
    }
    for (const conflict of outcome.conflicts) {
      const entry = state.entries.get(conflict.tableId);
      if (entry) {
        entry.conflicts += 1;
        if (conflict.outcome === 'target' || conflict.outcome === 'merged') WriteBack.note(entry);
      }
      state.options.onConflict(conflict);
    }
    for (const [tableId, count] of outcome.rereads) {
      const entry = state.entries.get(tableId);
      if (entry) entry.pendingRereads += count;
    }
  }

  #onBypass(entry: TableEntry, lsn: bigint): void {
    entry.bypassWrites += 1;
    this.#state.options.onBypassWrite?.(entry.tableId, this.#state.source.positionOf(lsn));
  }

  /** Rows of shared tables that have to be read again; on the shared connection, while no unit is open on it. */
  async #onRereads(outcome: ApplyOutcome): Promise<void> {
    for (const tableId of outcome.rereads.keys()) {
      const entry = this.#state.entries.get(tableId);
      if (entry?.mode === 'shared') await this.#reread(entry, this.#connection);
    }
  }

  async #reread(entry: TableEntry, connection: TargetConnection): Promise<void> {
    const state = this.#state;
    if (this.#runtime.faults.armed) await this.#runtime.faults.hit('stream.reread');
    if (!entry.shape) return;
    entry.pendingRereads = await connection.reread(state.source, entry.plan, entry.shape).catch((error: unknown) => {
      // A row that was read is one with another on the target: the others go on without the table, which meets it again by itself.
      throw entry.mode === 'shared' && error instanceof MigrationError && error.category === 'CONFLICT' ? new LeaveShared(entry, state.resume) : error;
    });
    entry.rereadsDone += 1;
    if (entry.consistentFrom !== undefined) state.setConsistentFrom(entry, await state.source.readEnd());
    state.check();
  }

  async #savePosition(boundary: bigint, statements: readonly Statement[]): Promise<void> {
    const { applier } = this.#connection;
    await applier.apply(applier.prepare({ records: [], opening: [this.#move(boundary), ...statements], closing: [], endsTransaction: true, lsn: boundary }));
    this.#state.resume = boundary;
  }

  async #tick(): Promise<void> {
    this.#retryRereads();
    this.drains.scheduleJoins();
    this.#writeBack.tick();
    await this.#confirmation.tick();
  }

  /** Rows that a unique key was in the way of, or that an earlier process left on the list. */
  #retryRereads(): void {
    this.drains.wakeForRereads();
    for (const entry of this.#state.entries.values()) {
      if (entry.mode !== 'shared' || entry.pendingRereads === 0) continue;
      this.pipeline.order(async () => (entry.mode === 'shared' && entry.pendingRereads > 0 ? this.#reread(entry, this.#connection) : undefined)).catch(() => undefined);
    }
  }

  #sendFeedback(askForAnswer: boolean): void {
    const { visible, durable } = this.#state;
    this.#capture.sendFeedback(visible > durable ? visible : durable, durable, this.#runtime.clock.now(), askForAnswer);
  }
}

function applierOptions({ entries, options, source, target }: StreamState): ApplierOptions {
  return {
    isStrict: (table: TableBinding) => entries.get(table.plan.tableId)?.isStrict ?? false,
    strategyOf: options.conflictStrategy,
    ...(options.mayHaveMarks === undefined ? {} : { mayHaveMarks: options.mayHaveMarks }),
    positionOf: (order) => source.positionOf(order),
    comparesOtherwise: source.engine !== target.engine,
    faultPrefix: 'stream',
  };
}
