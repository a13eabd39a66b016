/**
 * One connection's life of a change stream: read saved state, check it against the source, stream, until something ends it.
 * Starting and recovering are the same: nothing here is remembered from an earlier connection but what `StreamState` holds
 * of plans and wishes.
 */
import type { Runtime } from '../../config/runtime.ts';
import { MigrationError } from '../../config/migration-error.ts';
import { ApplyConnection } from '../apply/apply-connection.ts';
import type { Statement } from '../apply/apply-connection.ts';
import { Applier } from '../apply/applier.ts';
import type { ApplyOutcome } from '../apply/applier.ts';
import type { ChangeRecord } from '../apply/change-record.ts';
import { keyJson, newRow, oldRow } from '../apply/change-record.ts';
import type { TableBinding } from '../apply/table-binding.ts';
import type { Relation } from '../change.ts';
import { BoundedQueue } from '../flow/bounded-queue.ts';
import { ReplicationConnection, ReplicationError } from '../postgres/replication-connection.ts';
import { checkPositions, readSlot, serverVersion } from '../postgres/slot.ts';
import { readColumns, readLeaves, readTargetShape } from '../postgres/table-definition.ts';
import * as fs from 'node:fs';
import { rereadRows, countRereads } from './reread.ts';
import { currentLsn, restoreEntries } from './restore-entries.ts';
import { SharedPipeline } from './shared-pipeline.ts';
import type { StreamState } from './stream-state.ts';
import { TableDrain } from './table-drain.ts';
import type { DrainHooks } from './table-drain.ts';
import { definitionDifferences } from './table-entry.ts';
import type { TableEntry } from './table-entry.ts';
import { moveShared, privateTag, raiseTokens, readStreamRow, saveSource, setMembership, tagShared } from './target-state.ts';
import { TransactionRouter } from './transaction-router.ts';
import type { GatheredUnit } from './transaction-router.ts';

const TICK_MS = 1000;
const IDLE_SAVE_MS = 30_000;
const IDLE_SAVE_BYTES = 16n * 1024n * 1024n;
const BATCH_BYTES = 4 * 1024 * 1024;
const LOCK_TIMEOUT_MS = 2000;
const JOIN_HOLD_MS = 2000;
/** A drain this close to the end of its log is waited for at a boundary. */
const JOIN_HOLD_BYTES = 1024 * 1024;

interface RunningDrain {
  readonly drain: TableDrain;
  readonly done: Promise<void>;
}

export class ConnectedStream {
  readonly #state: StreamState;
  readonly #runtime: Runtime;
  readonly #replication: ReplicationConnection;
  readonly #connection: ApplyConnection;
  readonly #applier: Applier;
  readonly router: TransactionRouter;
  readonly pipeline: SharedPipeline;
  readonly #queue: BoundedQueue;
  readonly #drains = new Map<TableEntry, RunningDrain>();
  readonly #joining = new Set<TableEntry>();
  readonly #byName = new Map<string, TableEntry>();
  readonly #byPartition = new Map<number, TableEntry>();
  readonly #abort = new AbortController();
  #hasTraffic = false;
  #isSaving = false;
  #isTicking = false;
  #savedAtMs: number;

  private constructor(state: StreamState, replication: ReplicationConnection, connection: ApplyConnection, sharedFrom: bigint) {
    this.#state = state;
    this.#runtime = state.runtime;
    this.#replication = replication;
    this.#connection = connection;
    this.#savedAtMs = state.runtime.clock.monotonicMs();
    this.#applier = this.#newApplier(connection);
    this.#queue = new BoundedQueue(state.options.limits.bufferBytes, () => replication.pause(), () => replication.resume());
    this.router = new TransactionRouter({
      entryOf: (relation) => this.#entryOf(relation),
      onBypass: (entry, lsn) => this.#onBypass(entry, lsn),
      onFrameFull: (entry) => state.flushLog(entry),
    }, sharedFrom);
    this.pipeline = new SharedPipeline(state.runtime, this.#queue, this.router, this.#applier, { batchChanges: state.options.limits.batchChanges, batchBytes: BATCH_BYTES }, {
      opening: (unit) => this.#opening(unit),
      closing: (unit) => (unit.isWhole ? [this.#move(unit.endLsn)] : []),
      flushLogs: () => state.flushLogs(),
      isSpoolFull: () => state.isSpoolFull,
      onApplied: (unit, outcome) => this.#count(unit.records, outcome),
      onVisible: (unit, isSaved) => this.#onVisible(unit, isSaved),
      onRouted: () => this.#wakeDrains(),
      onRereads: (outcome) => this.#onRereads(outcome),
    });
  }

  /** Reads and checks saved state, and starts streaming. */
  static async open(state: StreamState): Promise<ConnectedStream> {
    const { options, runtime } = state;
    await raiseTokens(state.target, options.name, options.token);
    const saved = await readStreamRow(state.target, options.name);
    if (!saved) throw new MigrationError('MIG091', 'The stream has no row on the target', { detail: options.name });
    await restoreEntries(state, saved.lsn);
    const replication = await ReplicationConnection.open(options.source);
    try {
      const slot = await state.source.use((client) => readSlot(client, options.slotName));
      const usesSpool = [...state.entries.values()].some((entry) => entry.log !== undefined);
      const spool = usesSpool ? { ...state.spool.identity, idOnTarget: saved.spoolId, endOnTarget: saved.spoolEnd } : undefined;
      const source = await checkPositions({ applied: saved.lsn, systemId: saved.systemId, timeline: saved.timeline, spool }, options.slotName, slot, replication);
      await saveSource(state.target, options.name, source.systemId, source.timeline, state.spool.identity.id);
      state.spool.advance(slot?.confirmed ?? 0n);
      const connection = await ApplyConnection.open(options.target, `causeway ${options.name}`, {
        token: options.token, synchronousCommit: options.synchronousCommit ?? 'off', lockTimeoutMs: LOCK_TIMEOUT_MS,
      });
      const stream = new ConnectedStream(state, replication, connection, saved.lsn);
      try {
        await stream.#start(saved.lsn, slot?.confirmed ?? 0n);
      } catch (error) {
        await stream.close();
        throw error;
      }
      runtime.log.info('change stream started', { stream: options.name });
      return stream;
    } catch (error) {
      replication.close();
      throw error;
    }
  }

  async #start(applied: bigint, confirmed: bigint): Promise<void> {
    const state = this.#state;
    state.resume = applied;
    state.visible = applied;
    state.durable = confirmed;
    await this.readRoutes();
    for (const entry of state.entries.values()) {
      if (entry.mode === 'shared' || entry.mode === 'draining') entry.shape = await readTargetShape(state.target, entry.plan.target);
    }
    state.isCaughtUp = (entry) => this.#isCaughtUp(entry);
    await this.#replication
      .start({ slotName: state.options.slotName, publicationName: state.options.publicationName, from: confirmed }, {
        onBlock: (block) => {
          state.lastHeardAtMs = this.#runtime.clock.now();
          this.#queue.push(block);
          this.pipeline.wake.notify();
        },
        onReplyRequested: () => this.#sendFeedback(),
        onEnd: (error) => this.pipeline.fail(new MigrationError('MIG023', undefined, { detail: error.message, cause: error })),
      })
      .catch((error: unknown) => {
        if (error instanceof ReplicationError && error.sqlstate === '42704') throw new MigrationError('MIG020', undefined, { cause: error, detail: error.message });
        throw new MigrationError('MIG023', undefined, { cause: error, detail: error instanceof Error ? error.message : String(error) });
      });
    state.isConnected = true;
    for (const entry of state.entries.values()) if (entry.mode === 'draining') this.startDrain(entry);
  }

  /** Until aborted; throws what ended it. */
  async run(signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => void this.#tick(), TICK_MS);
    try {
      await this.pipeline.run(signal);
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
    this.#replication.close();
    for (const { drain } of this.#drains.values()) drain.wake.notify();
    await Promise.all([...this.#drains.values()].map(({ done }) => done));
    await this.#connection.close();
    while (this.#isTicking) await this.#runtime.clock.sleep(5);
    for (const entry of state.entries.values()) entry.log?.close();
  }

  /** Which plan a relation of the source belongs to. */
  async readRoutes(): Promise<void> {
    const state = this.#state;
    this.#byName.clear();
    this.#byPartition.clear();
    for (const entry of state.entries.values()) this.#byName.set(nameKey(entry.plan.source), entry);
    const partitioned = [...state.entries.values()].filter((entry) => entry.plan.isPartitioned);
    if (partitioned.length === 0 || (await state.source.use(serverVersion)) >= 130000) return;
    for (const entry of partitioned) for (const leaf of await readLeaves(state.source, entry.plan.source)) this.#byPartition.set(leaf.oid, entry);
  }

  #entryOf(relation: Relation): TableEntry | undefined {
    return this.#byName.get(nameKey(relation)) ?? this.#byPartition.get(relation.oid);
  }

  #newApplier(connection: ApplyConnection): Applier {
    const state = this.#state;
    return new Applier(this.#runtime, connection, {
      isStrict: (table: TableBinding) => state.entries.get(table.plan.tableId)?.isStrict ?? false,
      strategyOf: state.options.conflictStrategy,
      faultPrefix: 'stream',
    });
  }

  #move(lsn: bigint): Statement {
    const { options, spool } = this.#state;
    return moveShared(options.name, lsn, options.token, spool.identity.durable);
  }

  #opening(unit: GatheredUnit): readonly Statement[] {
    for (const record of unit.records) {
      for (const table of record.op === 'truncate' ? record.tables : [record.table]) {
        const entry = this.#state.entries.get(table.plan.tableId);
        if (entry) entry.isStrict = entry.isStrictAt(unit.records[0]?.transaction.commitLsn ?? 0n);
      }
    }
    return [unit.isWhole ? this.#move(unit.endLsn) : tagShared(this.#state.options.name, this.#state.options.token)];
  }

  #onVisible(unit: GatheredUnit, isSaved: boolean): void {
    const state = this.#state;
    for (const marker of unit.markers) state.markers.seen(marker.token, marker.lsn);
    if (unit.hasTraffic) this.#hasTraffic = true;
    if (isSaved) {
      state.resume = unit.endLsn;
      this.#savedAtMs = this.#runtime.clock.monotonicMs();
      this.#hasTraffic = false;
    }
    const isAdvance = unit.endLsn > state.visible || unit.transactionIds.length > 0;
    if (!isAdvance && unit.markers.length === 0) return;
    if (unit.endLsn > state.visible) state.visible = unit.endLsn;
    state.tell({ position: { type: 'postgresql_lsn', lsn: state.visible }, transactionIds: unit.transactionIds });
    state.markers.check();
    this.#scheduleJoins();
  }

  #count(records: readonly ChangeRecord[], outcome: ApplyOutcome): void {
    const state = this.#state;
    for (const record of records) {
      for (const table of record.op === 'truncate' ? record.tables : [record.table]) {
        const entry = state.entries.get(table.plan.tableId);
        if (!entry) continue;
        entry.counts[record.op] += 1;
        entry.sharedPending = Math.max(0, entry.sharedPending - 1);
        entry.oldestPendingAtMs = entry.sharedPending > 0 ? record.transaction.committedAtMs : undefined;
      }
    }
    for (const conflict of outcome.conflicts) {
      const entry = state.entries.get(conflict.tableId);
      if (entry) entry.conflicts += 1;
      state.options.onConflict(conflict);
    }
    for (const [tableId, count] of outcome.rereads) {
      const entry = state.entries.get(tableId);
      if (entry) entry.pendingRereads += count;
    }
  }

  #onBypass(entry: TableEntry, lsn: bigint): void {
    entry.bypassWrites += 1;
    this.#state.options.onBypassWrite?.(entry.tableId, { type: 'postgresql_lsn', lsn });
  }

  /** Rows of shared tables that have to be read again; on the shared connection, while no unit is open on it. */
  async #onRereads(outcome: ApplyOutcome): Promise<void> {
    for (const tableId of outcome.rereads.keys()) {
      const entry = this.#state.entries.get(tableId);
      if (entry?.mode === 'shared') await this.#reread(entry, this.#connection);
    }
  }

  async #reread(entry: TableEntry, connection: ApplyConnection): Promise<void> {
    const state = this.#state;
    if (this.#runtime.faults.armed) await this.#runtime.faults.hit('stream.reread');
    if (!entry.shape) return;
    const { options } = state;
    entry.pendingRereads = await rereadRows({ source: state.source, connection, tag: privateTag(options.name, entry.tableId), token: options.token }, entry.plan, entry.shape);
    entry.rereadsDone += 1;
    if (entry.consistentFrom !== undefined) entry.consistentFrom = await currentLsn(state);
    state.markers.check();
  }

  // Tables by themselves

  startDrain(entry: TableEntry): void {
    if (this.#drains.has(entry) || this.#abort.signal.aborted) return;
    let drain: TableDrain | undefined;
    const done = this.#openDrain(entry, (made) => (drain = made)).then(
      () => {
        this.#drains.delete(entry);
        if (entry.mode === 'failed') this.#onFailed(entry);
        // It was told to go on while it was ending.
        else if (entry.mode === 'draining') this.startDrain(entry);
      },
      (error: unknown) => {
        this.#drains.delete(entry);
        this.pipeline.fail(error instanceof Error ? error : new Error(String(error)));
      },
    );
    const running: RunningDrain = { get drain() { return drain ?? idleDrain; }, done };
    this.#drains.set(entry, running);
  }

  async #openDrain(entry: TableEntry, made: (drain: TableDrain) => void): Promise<void> {
    const { options } = this.#state;
    const connection = await ApplyConnection.open(options.target, `causeway ${options.name} ${entry.plan.target.name}`.slice(0, 63), {
      token: options.token, synchronousCommit: options.synchronousCommit ?? 'off', lockTimeoutMs: LOCK_TIMEOUT_MS,
    });
    try {
      entry.pendingRereads = await countRereads(connection, entry.tableId);
      const drain = new TableDrain(this.#runtime, entry, this.#newApplier(connection), this.#drainHooks(connection));
      made(drain);
      await drain.run(this.#abort.signal);
    } finally {
      await connection.close();
    }
  }

  #drainHooks(connection: ApplyConnection): DrainHooks {
    const state = this.#state;
    return {
      streamName: state.options.name,
      token: state.options.token,
      batchChanges: state.options.limits.batchChanges,
      presentDifferences: async (entry) => {
        const columns = await readColumns(state.source, entry.plan.source);
        return columns ? definitionDifferences(entry.plan, entry.meta.columns, { columns: columns.map((column) => ({ ...column, inKey: false })) }) : ['the table is gone'];
      },
      onApplied: (_entry, records, outcome) => this.#count(records, outcome),
      onBypass: (entry, lsn) => this.#onBypass(entry, lsn),
      onSchemaChange: (entry, lsn, differences) => state.options.onSchemaChange(entry.tableId, { position: { type: 'postgresql_lsn', lsn }, differences }),
      onSkipped: (entry, record) => state.options.onSkipped?.({
        tableId: entry.tableId, key: keyJson(record.table, record.newAt >= 0 ? newRow(record) : oldRow(record)),
        position: { type: 'postgresql_lsn', lsn: record.transaction.commitLsn }, error: entry.error,
      }),
      readRereads: (entry) => this.#reread(entry, connection),
      onProgress: () => {
        state.markers.check();
        this.#scheduleJoins();
      },
    };
  }

  #onFailed(entry: TableEntry): void {
    this.#state.markers.check();
    this.#state.options.onError(entry.tableId, entry.error ?? new MigrationError('MIG090'));
  }

  /** Resolves once the table's drain has ended, its mode having been changed before. */
  async endDrain(entry: TableEntry): Promise<void> {
    const running = this.#drains.get(entry);
    running?.drain.wake.notify();
    await running?.done;
  }

  #wakeDrains(): void {
    for (const [entry, { drain }] of this.#drains) if (entry.log && entry.spoolOffset < entry.log.wholeEndOffset) drain.wake.notify();
  }

  #isCaughtUp(entry: TableEntry): boolean {
    const running = this.#drains.get(entry);
    const { log } = entry;
    return running?.drain.isCaughtUp === true && log !== undefined && !log.hasPending && entry.spoolOffset >= log.endOffset && entry.pendingRereads === 0;
  }

  #scheduleJoins(): void {
    for (const entry of this.#drains.keys()) {
      const { log } = entry;
      if (!log || entry.mode !== 'draining' || this.#joining.has(entry) || entry.pendingRereads > 0) continue;
      if (log.endOffset - entry.spoolOffset > JOIN_HOLD_BYTES) continue;
      if (entry.consistentFrom === undefined || this.#state.visible < entry.consistentFrom) continue;
      this.#joining.add(entry);
      this.pipeline.order(() => this.#join(entry)).catch(() => undefined).finally(() => this.#joining.delete(entry));
    }
  }

  /**
   * At a boundary, with nothing in flight: the log is complete up to it, and what is left of it is waited for. Position, membership and
   * the end of the log's use commit together (RULES 4), and durably: the log is deleted after it.
   */
  async #join(entry: TableEntry): Promise<void> {
    const state = this.#state;
    if (!(await this.#holdFor(entry))) return;
    const boundary = this.router.unit.endLsn;
    if (this.#runtime.faults.armed) await this.#runtime.faults.hit('stream.join_shared');
    await this.#commitDurably(boundary, [setMembership(state.options.name, entry.tableId, 'shared', boundary, state.options.token)]);
    entry.mode = 'shared';
    entry.error = undefined;
    entry.sharedPending = 0;
    entry.oldestPendingAtMs = undefined;
    await this.endDrain(entry);
    entry.log?.remove();
    entry.log = undefined;
    this.router.forgetRoutes();
    state.markers.check();
    this.#runtime.log.info('table joined the shared applier', { stream: state.options.name, tableId: entry.tableId });
  }

  async #holdFor(entry: TableEntry): Promise<boolean> {
    const until = this.#runtime.clock.monotonicMs() + JOIN_HOLD_MS;
    while (!this.#isCaughtUp(entry)) {
      const running = this.#drains.get(entry);
      if (!running || entry.mode !== 'draining' || this.#runtime.clock.monotonicMs() > until || this.#abort.signal.aborted) return false;
      running.drain.wake.notify();
      await this.#runtime.clock.sleep(2);
    }
    return entry.mode === 'draining';
  }

  /** Takes a shared table out at a boundary; its changes go to a fresh log from there on. */
  async leave(entry: TableEntry): Promise<void> {
    const state = this.#state;
    const boundary = this.router.unit.endLsn;
    fs.rmSync(state.spool.tableDirectory(entry.tableId), { recursive: true, force: true });
    const log = state.openLog(entry);
    await this.#commitDurably(boundary, [setMembership(state.options.name, entry.tableId, 'private', boundary, state.options.token)]);
    entry.log = log;
    entry.applied = boundary;
    entry.spoolOffset = 0;
    entry.savedOffset = 0;
    entry.spooledChanges = 0;
    entry.drainedChanges = 0;
    entry.mode = 'spooling';
    this.router.forgetRoutes();
  }

  async #commitDurably(boundary: bigint, statements: readonly Statement[]): Promise<void> {
    const opening = [this.#move(boundary), { text: 'SET LOCAL synchronous_commit = on' }, ...statements];
    await this.#applier.apply(this.#applier.prepare({ records: [], opening, closing: [], endsTransaction: true, lsn: boundary }));
    this.#state.resume = boundary;
  }

  // What the source may forget (RULES 8)

  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    try {
      this.#saveIdle();
      await this.#confirm();
      this.#sendFeedback();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.pipeline.fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isTicking = false;
    }
  }

  /** Writes a position that moved past changes of no shared table; seldom while only appliers write, or two streams would keep each other busy. */
  #saveIdle(): void {
    const state = this.#state;
    const behind = state.visible - state.resume;
    const isDue = this.#hasTraffic || behind > IDLE_SAVE_BYTES || this.#runtime.clock.monotonicMs() - this.#savedAtMs > IDLE_SAVE_MS;
    if (behind <= 0n || !isDue || this.#isSaving) return;
    this.#isSaving = true;
    this.pipeline
      .order(async () => {
        const boundary = this.router.unit.endLsn;
        await this.#applier.apply(this.#applier.prepare({ records: [], opening: [this.#move(boundary)], closing: [], endsTransaction: true, lsn: boundary }));
        state.resume = boundary;
        this.#hasTraffic = false;
        this.#savedAtMs = this.#runtime.clock.monotonicMs();
      })
      .catch(() => undefined)
      .finally(() => (this.#isSaving = false));
  }

  async #confirm(): Promise<void> {
    const state = this.#state;
    const { faults } = this.#runtime;
    const applied = state.resume;
    if (state.spoolError || [...state.entries.values()].some((entry) => entry.log?.hasPending === true)) return;
    const spooled = this.router.unit.endLsn;
    const logs = [...state.entries.values()].flatMap((entry) => (entry.log ? [{ entry, log: entry.log, offset: entry.savedOffset }] : []));
    if (applied <= state.durable && logs.every(({ offset, log }) => offset <= log.startOffset)) return;
    if (faults.armed) await faults.hit('stream.before_spool_fsync');
    for (const { log } of logs) await log.sync();
    if (faults.armed) await faults.hit('stream.after_spool_fsync');
    // One synchronous commit makes everything that this side committed before it durable.
    if ((state.options.synchronousCommit ?? 'off') !== 'on') await state.target.rows({ text: "SELECT pg_logical_emit_message(true, 'causeway', '')" });
    const confirmed = applied < spooled ? applied : spooled;
    state.spool.advance(confirmed);
    for (const { entry, log, offset } of logs) if (entry.log === log) log.dropBefore(offset);
    if (faults.armed) await faults.hit('stream.before_confirm');
    if (confirmed > state.durable) state.durable = confirmed;
    const slot = await state.source.use((client) => readSlot(client, state.options.slotName));
    state.retainedBytes = slot?.retainedBytes;
  }

  #sendFeedback(): void {
    const { visible, durable } = this.#state;
    this.#replication.sendFeedback(visible > durable ? visible : durable, durable, this.#runtime.clock.now());
  }
}

const idleDrain = { isCaughtUp: false, wake: { notify: () => undefined } } as unknown as TableDrain;

function nameKey(table: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([table.schema, table.name]);
}
