/**
 * Everything between one source server and local: the two change streams, the loader, and what cutover and rollback do on
 * either side. Decides nothing; `cutover.ts` and `rollback.ts` give the order.
 */
import type { ClientBase } from 'pg';
import type { AuthorityInterval, TableRecord } from '../../catalog/records.ts';
import type { QualifiedName, Side } from '../../catalog/routing-snapshot.ts';
import type { Position } from '../../cdc/change.ts';
import { dropIdleFences } from '../../cdc/postgres/drop-fences.ts';
import { installFenceSupport, installGuard, readFences, readIdleFences, removeGuard } from '../../cdc/postgres/fence.ts';
import type { SequencePair } from '../../cdc/postgres/sequences.ts';
import { introspectTable } from '../../cdc/postgres/introspect.ts';
import { lockedTransaction } from '../../cdc/postgres/locked-transaction.ts';
import { writeMarkerRow } from '../../cdc/postgres/marker-row.ts';
import { beginMarking, installMarks } from '../../cdc/postgres/marks.ts';
import { planTable } from '../../cdc/postgres/plan-table.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import { readBlockers, readFlushedPosition } from '../../cdc/postgres/source-side.ts';
import type { DropEffort, SourceSide, TablePair } from '../../cdc/source-side.ts';
import type { ChangeStream, SavedPositions, TableLoader } from '../../cdc/ports.ts';
import { assertSaved } from '../../cdc/stream/saved-positions.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { localRolesOf } from '../../cdc/user-rights.ts';
import type { GatewayLogin } from '../../cdc/user-rights.ts';
import type { TableComparer } from '../../cdc/validate/table-comparer.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { AdminConnection } from '../../cdc/postgres/admin-connection.ts';
import { Turnstile } from '../../cdc/flow/turnstile.ts';
import { LoadRates } from './load-rates.ts';
import type { LossBook } from './loss-book.ts';
import { LocalSchema } from './local-schema.ts';
import { isTwoPhase } from './markable-table.ts';
import { RightsWatch } from './rights-watch.ts';
import { StreamLifetime } from './stream-lifetime.ts';
import type { StreamSwitches } from './stream-lifetime.ts';
import { restorePosition, storePosition } from './stored-position.ts';
import { detailsOf, displayName } from './table-details.ts';

export interface SourceFlowParts {
  readonly serverName: string;
  readonly source: ServerAddress;
  readonly sourceSide: SourceSide;
  readonly local: ServerAddress;
  readonly forward: ChangeStream;
  readonly reverse: ChangeStream;
  readonly loader: TableLoader;
  readonly comparer: TableComparer;
  readonly catalog: Catalog;
  readonly token: bigint;
  readonly switches: StreamSwitches;
  /** Options of the table that streams and loader go by: `conflict_strategy`, `type_map`, `dual_write_mode`. */
  readonly noteOptions: (record: TableRecord) => void;
  readonly losses: LossBook;
  readonly logins: readonly GatewayLogin[];
}

interface ReleaseMark {
  readonly epoch: number;
  readonly attemptId: string;
  /** What the side that is released has to have. */
  readonly saved: SavedPositions;
}

interface SwitchMark {
  readonly epoch: number;
  readonly attemptId: string;
  readonly timeoutMs: number;
}

/** Who waits behind its locks waits no longer than this. */
const PREPARE_FENCE_MS = 500;
const AUTHORITY_SQL = 'INSERT INTO causeway.authority (table_id, epoch, side, token) VALUES ($1, $2, $3, $4) ON CONFLICT (table_id, epoch) DO UPDATE SET side = excluded.side, token = excluded.token, changed_at = now()';
export class SourceFlow {
  readonly serverName: string;
  readonly source: ServerAddress;
  readonly sourceSide: SourceSide;
  readonly local: ServerAddress;
  readonly forward: ChangeStream;
  readonly reverse: ChangeStream;
  readonly loader: TableLoader;
  readonly comparer: TableComparer;
  readonly schema: LocalSchema;
  readonly rates: LoadRates;
  readonly localAdmin: AdminConnection;
  readonly rights: RightsWatch;
  /** One cutover or rollback at a time: their pauses must not wait for each other's locks. */
  readonly switching = new Turnstile(1);
  /** For cutover and rollback alone: inside a pause nobody waits behind a table driver's statement. */
  readonly #switchLocal: AdminConnection;
  readonly #catalog: Catalog;
  readonly #runtime: Runtime;
  readonly #token: bigint;
  readonly streams: StreamLifetime;
  readonly noteOptions: (record: TableRecord) => void;
  readonly losses: LossBook;
  /** Of users of the gateway who reach this source's tables. */
  readonly logins: readonly GatewayLogin[];

  constructor(runtime: Runtime, parts: SourceFlowParts) {
    this.#runtime = runtime;
    this.serverName = parts.serverName;
    this.source = parts.source;
    this.local = parts.local;
    this.forward = parts.forward;
    this.reverse = parts.reverse;
    this.loader = parts.loader;
    this.comparer = parts.comparer;
    this.#catalog = parts.catalog;
    this.#token = parts.token;
    this.streams = new StreamLifetime(runtime, parts.catalog, parts.serverName, parts.switches);
    this.noteOptions = parts.noteOptions;
    this.losses = parts.losses;
    this.logins = parts.logins;
    this.rates = new LoadRates();
    this.sourceSide = parts.sourceSide;
    this.localAdmin = new AdminConnection(parts.local, 'causeway control');
    this.#switchLocal = new AdminConnection(parts.local, 'causeway control');
    this.rights = new RightsWatch(parts.catalog, parts.serverName, this.localAdmin);
    this.schema = new LocalSchema(runtime, parts.sourceSide, this.localAdmin, parts.local, (role) => localRolesOf(parts.logins, role));
  }

  /** Bookkeeping and fence functions on both sides; fences of an earlier control process obey this one's token from now on. */
  async prepare(): Promise<void> {
    await this.sourceSide.prepare(this.#token);
    await this.localAdmin.use(async (client) => {
      await installFenceSupport(client);
      await client.query('UPDATE causeway.fence SET token = $1 WHERE token <> $1', [String(this.#token)]);
      await installMarks(client);
    });
  }

  async warmUp(): Promise<void> {
    await Promise.all([this.sourceSide.warmUp(), this.#switchLocal.use((client) => client.query('SELECT 1'))]);
  }

  /** An error when changes do not come to local: it cannot be reached, or the stream does not read. */
  localTrouble(): Error | undefined {
    const { connected, blockedBy, lastError } = this.forward.health();
    return connected ? blockedBy : lastError;
  }

  /** Clients' transactions may write rows of these to local from now on, behind the guard. Idempotent. */
  async beginMarking(records: readonly TableRecord[]): Promise<void> {
    for (const record of records.filter(isTwoPhase)) await this.localAdmin.use((client) => beginMarking(client, record.tableId, record.target));
  }

  async ensureForwardInterval(record: TableRecord, from: Position): Promise<void> {
    const intervals = await this.#catalog.intervals(record.tableId);
    if (intervals.some((interval) => interval.direction === 'forward')) return;
    await this.#catalog.openInterval({ tableId: record.tableId, direction: 'forward', position: storePosition(from) });
    await this.forward.openInterval(record.tableId, from);
  }

  /** The forward stream has begun anew: a table that local is the authority for is in step with it, and a rollback opens its next interval. */
  async followAgain(record: TableRecord): Promise<void> {
    await this.forward.addTable(detailsOf(record).plan);
    await this.applyIntervals(record.tableId, await this.#catalog.intervals(record.tableId));
    await this.forward.startDraining(record.tableId);
  }

  /** Tells the streams what the catalog says of who was the authority when (RULES 11). Idempotent. */
  async applyIntervals(tableId: string, intervals: readonly AuthorityInterval[]): Promise<void> {
    for (const interval of intervals) {
      const stream = interval.direction === 'forward' ? this.forward : this.reverse;
      // After a rollback the reverse stream has let go of the table; its intervals are history.
      if (stream.status(tableId) === undefined) continue;
      await stream.openInterval(tableId, restorePosition(interval.from));
      if (interval.to) await stream.closeInterval(tableId, restorePosition(interval.to));
    }
  }

  /** The reverse stream captures local before the barrier; until an interval is opened it delivers nothing (RULES 16). */
  async prepareReverse(records: readonly TableRecord[], timeoutMs: number): Promise<void> {
    await this.streams.runReverse();
    await this.#within(timeoutMs, 'the reverse stream does not start', async () => {
      while (!this.reverse.health().connected) {
        const { lastError } = this.reverse.health();
        if (lastError instanceof MigrationError && !lastError.retryable) throw lastError;
        await this.#runtime.clock.sleep(10);
      }
      for (const record of records) await this.reverse.addTable(await this.#planReverse(record));
    });
  }

  /** From local's own definition: its types and columns have other numbers than the source's. Kept, for a restart. */
  async #planReverse(record: TableRecord): Promise<TablePlan> {
    const { plan } = detailsOf(record);
    const definition = await this.localAdmin.use((client) => introspectTable(client, plan.target));
    const planned = planTable(definition, { tableId: record.tableId, columns: plan.columns.map((column) => column.name), targetSchema: plan.source.schema, targetTable: plan.source.name });
    const fresh = await this.#catalog.table(record.tableId);
    await this.#catalog.changeTable(record.tableId, { details: { ...(fresh ?? record).details, reversePlan: planned } });
    return planned;
  }

  async assertReverseReady(records: readonly TableRecord[], timeoutMs: number): Promise<void> {
    const token = await this.reverse.writeMarker();
    await this.reverse.waitForMarker(token, records.map((record) => record.tableId), timeoutMs);
    for (const record of records) {
      const status = this.reverse.status(record.tableId);
      if (status?.mode === 'shared' || status?.mode === 'draining') continue;
      throw new MigrationError('MIG060', `the reverse stream of ${displayName(record.source)} is ${status?.mode ?? 'not running'}`, { detail: status?.error?.message ?? 'Its changes have not been carried to the source.' });
    }
  }

  /** Before the pause, where it can be had soon: what fencing the source needs. Else `fenceSource` sees to it, once no client is in the way. */
  async prepareFence(records: readonly TableRecord[], timeoutMs: number): Promise<void> {
    if (timeoutMs < 10 * PREPARE_FENCE_MS) return;
    try {
      await this.sourceSide.prepareFence(sourceTables(records), PREPARE_FENCE_MS);
    } catch (error) {
      if (!(error instanceof MigrationError && error.code === 'MIG052')) throw error;
      this.#runtime.log.info('the fence is made in the pause', { reason: error.detail ?? error.message });
    }
  }

  /** Rule 10: ONE source transaction locks out writers, installs the fence and writes this attempt's marker. Returns the marker's token. */
  async fenceSource(records: readonly TableRecord[], mark: SwitchMark & { readonly fence: boolean }): Promise<string> {
    const marker = `cutover:${mark.attemptId}`;
    const { epoch, fence, timeoutMs } = mark;
    await this.sourceSide.fence(sourceTables(records), { epoch, token: this.#token, partitions: partitionsOf(records), timeoutMs, fence, marker: { stream: this.forward.name, token: marker } });
    return marker;
  }

  async fenceSourceAgain(records: readonly TableRecord[]): Promise<void> {
    const fenced = records.filter((record) => detailsOf(record).noFence !== true);
    await this.sourceSide.fenceAgain(sourceTables(fenced), { epoch: maxEpoch(records), token: this.#token, partitions: partitionsOf(fenced), timeoutMs: 10_000 });
  }

  async unfenceSource(records: readonly TableRecord[]): Promise<void> {
    await this.sourceSide.unfence(sourceTables(records), 10_000);
  }

  /** The other direction's fence: stops local's writers and writes the marker into local's stream. */
  async fenceLocal(records: readonly TableRecord[], mark: SwitchMark): Promise<string> {
    const marker = `rollback:${mark.attemptId}`;
    await this.#locked(this.#switchLocal, records, mark.timeoutMs, async (client) => {
      await installGuard(client, records.map((record) => record.target), { epoch: mark.epoch, token: String(this.#token) });
      await writeMarkerRow(client, this.reverse.name, marker);
    });
    return marker;
  }

  /** Takes no lock where the guard stands already. */
  async guardLocal(records: readonly TableRecord[]): Promise<void> {
    const standing = await this.localAdmin.use((client) => readFences(client));
    const isGuarded = (name: QualifiedName): boolean => standing.some((fence) => fence.kind === 'guard' && fence.complete && fence.token === String(this.#token) && fence.schema === name.schema && fence.name === name.name);
    if (records.every((record) => isGuarded(record.target))) return;
    await this.#locked(this.localAdmin, records, 30_000, (client) => installGuard(client, records.map((record) => record.target), { epoch: maxEpoch(records), token: String(this.#token) }));
  }

  async unguardLocal(records: readonly TableRecord[]): Promise<void> {
    await this.#locked(this.localAdmin, records, 10_000, (client) => removeGuard(client, records.map((record) => record.target)));
  }

  /** Removes what fences on the source that no longer stand have left. Returns where it stays. */
  dropFences(records: readonly TableRecord[], effort: DropEffort): Promise<readonly QualifiedName[]> {
    return this.sourceSide.dropFences(sourceTables(records), effort);
  }

  /** The same of guards on local, by the tables' names there; never inside a pause. */
  dropGuards(tables: readonly QualifiedName[], timeoutMs: number): Promise<readonly QualifiedName[]> {
    return dropIdleFences(this.#runtime, this.localAdmin, 'guard', tables, timeoutMs);
  }

  /** Tables on local of whose guards something has stayed. */
  idleGuards(): Promise<readonly QualifiedName[]> {
    return this.localAdmin.use((client) => readIdleFences(client, 'guard'));
  }

  /** Local, which must still have what was drained, becomes writable, with the record of who the authority is (RULES 14). Returns the position from which local's own changes count. */
  async releaseLocal(records: readonly TableRecord[], mark: ReleaseMark): Promise<Position> {
    const from = await this.position('local');
    await this.#locked(this.#switchLocal, records, 10_000, async (client) => {
      await assertSaved(client, mark.saved);
      await removeGuard(client, records.map((record) => record.target));
      for (const { tableId } of records) await client.query(AUTHORITY_SQL, [tableId, mark.epoch, 'local', String(this.#token)]);
    });
    return from;
  }

  /** The migration has ended on the source: no record of local's having been the authority is left. */
  async forgetAuthority(record: TableRecord): Promise<void> {
    await this.localAdmin.use((client) => client.query('DELETE FROM causeway.authority WHERE table_id = $1', [record.tableId]));
  }

  /** The source, which must still have what was drained, becomes writable. */
  async releaseSource(records: readonly TableRecord[], mark: ReleaseMark): Promise<Position> {
    const from = await this.position('source');
    await this.sourceSide.assertSaved(mark.saved);
    await this.#locked(this.#switchLocal, records, 10_000, async (client) => {
      for (const { tableId } of records) await client.query(AUTHORITY_SQL, [tableId, mark.epoch, 'source', String(this.#token)]);
    });
    await this.sourceSide.unfence(sourceTables(records), 10_000, mark.saved);
    return from;
  }

  /** Which sequences go with the tables to that side: found before the pause, carried inside it. */
  findSequences(to: Side, records: readonly TableRecord[]): Promise<readonly SequencePair[]> {
    return this.#switchLocal.use((local) => this.sourceSide.pairSequences(to, local, records.map(pairOf)));
  }

  carrySequences(to: Side, pairs: readonly SequencePair[], margin: number): Promise<void> {
    return this.#switchLocal.use((local) => this.sourceSide.advanceSequences(to, local, pairs, margin));
  }

  /** What commits from now on lies behind it, also after a crash of the server, which may take back what it has not flushed. */
  async position(side: Side): Promise<Position> {
    return side === 'source' ? this.sourceSide.position() : this.#switchLocal.use(readFlushedPosition);
  }

  blockers(side: Side, pids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
    return side === 'source' ? this.sourceSide.blockers(pids) : this.#switchLocal.use((client) => readBlockers(client, pids));
  }

  async close(): Promise<void> {
    await this.losses.save().catch((error: unknown) => this.#runtime.log.warn('losses of values could not be recorded', { error: String(error) }));
    await Promise.all([this.sourceSide.close(), this.localAdmin.close(), this.#switchLocal.close()]);
  }

  /** A transaction of local's that locks the tables there. */
  #locked(admin: AdminConnection, records: readonly TableRecord[], timeoutMs: number, work: (client: ClientBase) => Promise<void>): Promise<void> {
    return lockedTransaction(this.#runtime, admin, { tables: localTables(records), timeoutMs }, work);
  }

  async #within(timeoutMs: number, what: string, work: () => Promise<void>): Promise<void> {
    const timer = new AbortController();
    const late = this.#runtime.clock.sleep(timeoutMs, timer.signal).then(() => {
      throw new MigrationError('MIG051', undefined, { detail: what });
    });
    late.catch(() => undefined);
    try {
      await Promise.race([work(), late]);
    } finally {
      timer.abort();
    }
  }
}

/** The plan of the other direction, as the last cutover made it: from local back to the source, whole rows by the same columns. */
export function reversePlan(record: TableRecord): TablePlan {
  const { plan, reversePlan: planned } = detailsOf(record);
  return planned ?? { ...plan, source: plan.target, target: plan.source, where: undefined };
}

function maxEpoch(records: readonly TableRecord[]): number {
  return Math.max(0, ...records.map((record) => record.epoch));
}

function pairOf({ source, target }: TableRecord): TablePair {
  return { source, target };
}

/** With the partitions, which writers lock by themselves. */
function localTables(records: readonly TableRecord[]): QualifiedName[] {
  return records.flatMap((record) => [record.target, ...partitionsOf([record]).map(({ name }) => ({ schema: record.target.schema, name }))]);
}

function partitionsOf(records: readonly TableRecord[]): QualifiedName[] {
  return records.flatMap((record) => detailsOf(record).partitions ?? []);
}

function sourceTables(records: readonly TableRecord[]): QualifiedName[] {
  return records.map((record) => record.source);
}
