/**
 * A change stream from whatever `ChangeSource` into whatever `ChangeTarget` it is given (contract: `ChangeStream` in `cdc/ports.ts`).
 *
 * States: idle (made, or between two runs) → connected (`ConnectedStream`) → idle. Tables, their modes and intervals outlive a
 * connection; where each table really is, is read from the target and the spool at every start.
 */
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import { orderOf } from '../change.ts';
import type { Position } from '../change.ts';
import type { ChangeStream, SavedPositions, StreamHealth, TableStreamStatus, VisibleAdvance } from '../ports.ts';
import { Spool } from '../spool/spool.ts';
import type { TablePlan } from '../table-plan.ts';
import { closeAt, openAt } from './authority.ts';
import type { ChangeSource } from './change-source.ts';
import type { ChangeTarget } from './change-target.ts';
import { ConnectionHolder } from './connection-holder.ts';
import { dropFromServers } from './drop-stream.ts';
import type { ChangeStreamOptions, RestoredTable } from './options.ts';
import { ejectTable, tableAtFault } from './eject-table.ts';
import { assertNotLost } from './lost-table.ts';
import { goOffline, OfflineCapture, takeUpSpooled } from './offline-capture.ts';
import { stoppedBytes } from './spool-room.ts';
import { StreamState } from './stream-state.ts';
import { TableEntry } from './table-entry.ts';
import { WrittenMarkers } from './written-markers.ts';

/** What the implementation offers beyond the contract. */
export interface OpenedStream extends ChangeStream {
  /** What the stream needs on both servers. Idempotent; done by `run` and `addTable` too. */
  prepare(): Promise<void>;
  /** Hands in the tables of an earlier process, before the first `run` or `addTable`. */
  restore(tables: readonly RestoredTable[]): void;
  /** A new plan for a table that is spooling or failed, after its definition changed; the table is then `spooling`. */
  replan(plan: TablePlan): Promise<void>;
  /** Keyless tables: changes that `snapshot` (text of `txid_current_snapshot()`) saw are in the copy, and are left out. */
  startFromSnapshot(tableId: string, snapshot: string): Promise<void>;
  /** Logs DDL in-stream where the user may (RULES 6); false where it may not. */
  installDdlLog(): Promise<boolean>;
  close(): Promise<void>;
}

const OFFLINE_AFTER_MS = 10_000;
const EJECT_PATIENCE_MS = 5_000;

export function openStream(runtime: Runtime, options: ChangeStreamOptions, source: ChangeSource, target: ChangeTarget): OpenedStream {
  return new Stream(runtime, options, source, target);
}

class Stream implements OpenedStream {
  readonly #runtime: Runtime;
  readonly #options: ChangeStreamOptions;
  readonly #state: StreamState;
  readonly #connection: ConnectionHolder;
  #preparing: Promise<void> | undefined;
  #ejections = 0;
  readonly #markers: WrittenMarkers;

  constructor(runtime: Runtime, options: ChangeStreamOptions, source: ChangeSource, target: ChangeTarget) {
    this.#runtime = runtime;
    this.#options = options;
    this.#state = new StreamState(runtime, options, Spool.open(options.spoolDirectory), source, target);
    this.#connection = new ConnectionHolder(this.#state);
    this.#markers = new WrittenMarkers(this.#state);
  }

  get name(): string {
    return this.#options.name;
  }

  restore(tables: readonly RestoredTable[]): void {
    for (const { plan, mode, intervals, isServed } of tables) {
      const entry = this.#newEntry(plan);
      entry.lacksMeta = this.#state.spool.readMeta(plan.tableId) === undefined;
      entry.mode = mode === 'spooling' ? 'spooling' : 'draining';
      entry.intervals = intervals.map(({ from, to }) => ({ from: orderOf(from), to: to && orderOf(to) }));
      entry.hasIntervals = intervals.length > 0;
      entry.isServed = isServed ?? false;
      this.#pauseWanted.set(entry, mode === 'spooling');
      this.#state.entries.set(plan.tableId, entry);
    }
  }

  /** Tables that may be shared on the target but are wanted spooling. */
  readonly #pauseWanted = new Map<TableEntry, boolean>();

  #newEntry(plan: TablePlan): TableEntry {
    const meta = this.#state.spool.readMeta(plan.tableId) ?? { tableId: plan.tableId, columns: undefined };
    this.#state.source.expect(plan, meta.columns);
    return new TableEntry(plan, this.#options.direction === 'forward', meta);
  }

  prepare(): Promise<void> {
    this.#preparing ??= this.#prepare().catch((error: unknown) => {
      this.#preparing = undefined;
      throw error;
    });
    return this.#preparing;
  }

  async #prepare(): Promise<void> {
    const { source, target, spool } = this.#state;
    await target.prepare();
    await source.prepare();
    if (!(await target.readStream())) {
      // No row: nothing was ever streamed, so what is kept there is of a beginning that was interrupted.
      const from = (await source.readRetention())?.confirmed ?? (await source.begin());
      spool.advance(from);
      await target.insertStream(from, spool.identity.id);
    }
    await target.raiseTokens();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#runOnce(signal);
        return;
      } catch (thrown) {
        if (signal.aborted) break;
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        if (await this.#eject(error, signal)) continue;
        this.#state.failed(error);
        if (await this.#captureOffline(signal)) continue;
        if (error instanceof MigrationError && !error.retryable) this.#state.markers.fail(error);
        throw error;
      }
    }
    this.#state.isEjecting = false;
  }

  /** What a table is at fault for is its own error, not the stream's: the others are in no trouble, and stay what they are. */
  async #eject(error: Error, signal: AbortSignal): Promise<boolean> {
    const entry = tableAtFault(this.#state, error);
    if (!entry) return false;
    // Commits wait until it is connected again: where that takes long, it is trouble for all.
    const ejection = (this.#ejections += 1);
    this.#runtime.clock.sleep(EJECT_PATIENCE_MS, signal).then(() => {
      if (this.#state.isEjecting && this.#ejections === ejection) this.#state.failed(error);
    }, () => undefined);
    try {
      await this.#connection.exclusively(() => ejectTable(this.#state, entry, error));
      return true;
    } catch (trouble) {
      this.#state.failed(trouble instanceof Error ? trouble : new Error(String(trouble)));
      throw trouble;
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    this.#preparing = undefined;
    await this.prepare();
    await this.#connection.exclusively(() => takeUpSpooled(this.#state));
    this.#targetLostAtMs = undefined;
    try {
      await this.#connection.connect(async (connected) => {
        for (const [entry, isWanted] of this.#pauseWanted) if (isWanted && entry.mode === 'shared') void connected.pipeline.order(() => connected.drains.leave(entry)).catch(() => undefined);
        this.#pauseWanted.clear();
        await connected.run(signal);
      });
    } finally {
      this.#state.check();
    }
  }

  /** True when the target could not be reached, for long, and answers now. */
  async #captureOffline(signal: AbortSignal): Promise<boolean> {
    const state = this.#state;
    const { clock, log } = this.#runtime;
    // Without a connection before, nobody can say that this is the cluster that was captured.
    if (!state.sourceIdentity || state.entries.size === 0) return false;
    if (await state.target.answers()) {
      this.#targetLostAtMs = undefined;
      return false;
    }
    this.#targetLostAtMs ??= clock.monotonicMs();
    if (clock.monotonicMs() - this.#targetLostAtMs < (this.#options.offlineAfterMs ?? OFFLINE_AFTER_MS)) return false;
    const confirmed = await this.#connection.exclusively(() => goOffline(state));
    log.warn('the target cannot be reached: changes are kept in the spool', { stream: this.name });
    await OfflineCapture.run(state, confirmed, signal);
    return true;
  }

  #targetLostAtMs: number | undefined;

  async addTable(plan: TablePlan): Promise<Position> {
    await this.prepare();
    const state = this.#state;
    const known = state.entries.get(plan.tableId);
    if (known) assertNotLost(known);
    else await this.#register(plan);
    await state.source.captureTable(plan);
    return state.source.positionOf(await state.source.readDurableEnd());
  }

  async #register(plan: TablePlan): Promise<void> {
    const state = this.#state;
    await state.source.checkTable(plan);
    // What an earlier life left behind says nothing about this one.
    state.spool.forget(plan.tableId);
    await state.target.forgetTable(plan.tableId);
    const entry = this.#newEntry(plan);
    entry.meta = { tableId: plan.tableId, columns: await state.source.readColumns(plan.source) };
    state.source.expect(plan, entry.meta.columns);
    state.spool.writeMeta(entry.meta);
    state.spool.advance(state.durable);
    // What committed before is not the table's, also when the source sends it again: an earlier life of the table in this stream may have had it.
    const from = await state.source.readDurableEnd();
    await state.target.setMembership(plan.tableId, 'private', from);
    const enter = async (): Promise<void> => {
      entry.applied = from;
      entry.log = state.openLog(entry);
      state.entries.set(plan.tableId, entry);
      await this.#connection.current?.routes.read();
      this.#connection.current?.router.forgetRoutes();
    };
    await this.#connection.atBoundary(enter);
  }

  async removeTable(tableId: string): Promise<void> {
    const state = this.#state;
    const entry = state.entries.get(tableId);
    if (!entry) return;
    await this.pauseTable(tableId);
    await state.source.releaseTable(entry.plan);
    await this.#connection.atBoundary(async () => {
      state.entries.delete(tableId);
      await this.#connection.current?.routes.read();
      this.#connection.current?.router.forgetRoutes();
      entry.log?.remove();
      entry.log = undefined;
      state.spool.forget(tableId);
      await state.target.forgetTable(tableId);
    });
    state.check();
  }

  async startDraining(tableId: string): Promise<void> {
    const state = this.#state;
    const entry = state.entry(tableId);
    this.#pauseWanted.delete(entry);
    if (entry.mode === 'draining' || entry.mode === 'shared') return;
    assertNotLost(entry);
    // The copy may hold rows from any instant before now, and is made once: whoever goes on later must meet again what has stopped the table. On the way back there is no copy.
    if (entry.consistentFrom === undefined) state.setConsistentFrom(entry, entry.isForward ? await state.source.readEnd() : 0n);
    await this.#drain(entry);
  }

  async #drain(entry: TableEntry): Promise<void> {
    const state = this.#state;
    entry.shape = await state.readShape(entry.plan);
    await this.#connection.exclusively(() => {
      assertNotLost(entry);
      entry.isStopped = false;
      entry.error = undefined;
      entry.failedChange = undefined;
      entry.mode = 'draining';
      this.#connection.current?.drains.start(entry);
    });
    state.check();
  }

  async pauseTable(tableId: string): Promise<void> {
    const entry = this.#state.entry(tableId);
    const isShared = await this.#connection.exclusively(() => {
      if (entry.mode === 'shared') return true;
      if (entry.isLost) return false;
      entry.mode = 'spooling';
      entry.error = undefined;
      return false;
    });
    if (isShared) {
      await this.#connection.atBoundary(async () => {
        if (entry.mode !== 'shared') return;
        // Without a connection nothing is being applied; it leaves when there is one again.
        if (this.#connection.current) await this.#connection.current.drains.leave(entry);
        else this.#pauseWanted.set(entry, true);
      });
      return;
    }
    await this.#connection.current?.drains.endDrain(entry);
    // It may have joined in between.
    if ((entry.mode as TableStreamStatus['mode']) === 'shared') await this.pauseTable(tableId);
  }

  async skipFailedChange(tableId: string): Promise<void> {
    const entry = this.#state.entry(tableId);
    if (entry.mode !== 'failed' || entry.failedChange === undefined) {
      throw new MigrationError('MIG074', 'The table has not failed on a single change', { tableName: entry.plan.source.name });
    }
    entry.skip.add(entry.failedChange);
    await this.#drain(entry);
  }

  async replan(plan: TablePlan): Promise<void> {
    const state = this.#state;
    const entry = state.entry(plan.tableId);
    assertNotLost(entry);
    await this.pauseTable(plan.tableId);
    const columns = await state.source.readColumns(plan.source);
    state.source.expect(plan, columns);
    await this.#connection.atBoundary(async () => {
      entry.plan = plan;
      entry.meta = { ...entry.meta, columns };
      state.saveMeta(entry);
      await this.#connection.current?.routes.read();
      this.#connection.current?.router.forgetRoutes();
    });
  }

  async startFromSnapshot(tableId: string, snapshot: string): Promise<void> {
    const entry = this.#state.entry(tableId);
    entry.meta = { ...entry.meta, baseSnapshot: snapshot };
    this.#state.saveMeta(entry);
    await Promise.resolve();
  }

  installDdlLog(): Promise<boolean> {
    return this.#state.source.installDdlLog();
  }

  setServed(tableIds: readonly string[], isServed: boolean): void {
    for (const tableId of tableIds) {
      const entry = this.#state.entries.get(tableId);
      if (entry) entry.isServed = isServed;
    }
    this.#state.check();
  }

  setStopped(tableIds: ReadonlySet<string>): void {
    for (const [tableId, entry] of this.#state.entries) entry.isStopped = tableIds.has(tableId);
  }

  status(tableId: string): TableStreamStatus | undefined {
    const now = this.#runtime.clock.now();
    const { lastHeardAtMs } = this.#state;
    const silentMs = lastHeardAtMs === undefined ? undefined : Math.max(0, now - lastHeardAtMs);
    return this.#state.entries.get(tableId)?.status(now, silentMs !== undefined && silentMs > SILENT_MS ? silentMs : 0);
  }

  writeMarker(): Promise<string> {
    return this.#markers.write();
  }

  waitForMarker(token: string, tableIds: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<Position> {
    return this.#markers.wait(token, tableIds, timeoutMs, signal);
  }

  async readEnd(): Promise<Position> {
    return this.#state.source.positionOf(await this.#state.source.readEnd());
  }

  onVisible(listener: (advance: VisibleAdvance) => void): () => void {
    this.#state.listeners.add(listener);
    return () => this.#state.listeners.delete(listener);
  }

  async openInterval(tableId: string, from: Position): Promise<void> {
    const entry = this.#state.entry(tableId);
    entry.intervals = openAt(entry.intervals, orderOf(from));
    entry.hasIntervals = true;
    await Promise.resolve();
  }

  async closeInterval(tableId: string, to: Position): Promise<void> {
    const entry = this.#state.entry(tableId);
    if (!entry.hasIntervals && entry.isForward) entry.intervals = [{ from: 0n, to: undefined }];
    entry.intervals = closeAt(entry.intervals, orderOf(to));
    entry.hasIntervals = true;
    await Promise.resolve();
  }

  health(): StreamHealth {
    const state = this.#state;
    const position = (lsn: bigint): Position | undefined => (lsn === 0n ? undefined : state.source.positionOf(lsn));
    return {
      connected: state.isConnected || state.isEjecting, lastError: state.lastError, blockedBy: state.isConnected ? state.blockedBy : undefined, durable: position(state.durable), visible: position(state.told),
      resume: position(state.resume), spoolBytes: state.spoolBytes, spoolLimit: this.#options.limits.spoolBytes, stoppedBytes: stoppedBytes(state), retainedBytes: state.retainedBytes,
    };
  }

  savedPositions(tableIds: readonly string[]): SavedPositions {
    const entries = tableIds.map((tableId) => this.#state.entry(tableId)).filter((entry) => entry.mode !== 'shared');
    return { stream: this.name, shared: this.#state.resume, tables: entries.map(({ tableId, applied }) => ({ tableId, lsn: applied })) };
  }

  async drop(): Promise<void> {
    await dropFromServers(this.#state);
    this.#state.forget();
    this.#preparing = undefined;
  }

  async close(): Promise<void> {
    await this.#state.source.close();
    await this.#state.target.close();
  }
}

const SILENT_MS = 30_000;
