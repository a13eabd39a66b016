/**
 * Everything between one source server and local: the two change streams, the loader, and what cutover and rollback do on
 * either side. Decides nothing; `cutover.ts` and `rollback.ts` give the order.
 */
import type { ClientBase } from 'pg';
import type { AuthorityInterval, TableRecord } from '../../catalog/records.ts';
import type { QualifiedName, Side } from '../../catalog/routing-snapshot.ts';
import { parseLsn } from '../../cdc/change.ts';
import type { Position } from '../../cdc/change.ts';
import { dropFenceTriggers, installFence, installFenceSupport, installGuard, readFences, removeFence, removeGuard } from '../../cdc/postgres/fence.ts';
import { introspectTable } from '../../cdc/postgres/introspect.ts';
import { beginMarking, installMarks } from '../../cdc/postgres/marks.ts';
import { planTable } from '../../cdc/postgres/plan-table.ts';
import { grantSequences } from '../../cdc/postgres/sequence-grants.ts';
import { advancePairs, pairSequences } from '../../cdc/postgres/sequences.ts';
import type { SequencePair } from '../../cdc/postgres/sequences.ts';
import type { ServerAddress } from '../../cdc/postgres/server-address.ts';
import type { ChangeStream, SavedPositions, TableLoader } from '../../cdc/ports.ts';
import { assertSaved } from '../../cdc/stream/saved-positions.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { MigrationError } from '../../config/migration-error.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { AdminConnection } from './admin-connection.ts';
import { Turnstile } from '../../cdc/flow/turnstile.ts';
import { LoadRates } from './load-rates.ts';
import { LocalSchema } from './local-schema.ts';
import { isTwoPhase } from './markable-table.ts';
import { describeLockHolders } from './lock-holders.ts';
import { StreamLifetime } from './stream-lifetime.ts';
import type { StreamSwitches } from './stream-lifetime.ts';
import { restorePosition, storePosition } from './stored-position.ts';
import { detailsOf, displayName } from './table-details.ts';

export interface SourceFlowParts {
  readonly serverName: string;
  readonly source: ServerAddress;
  readonly local: ServerAddress;
  readonly forward: ChangeStream;
  readonly reverse: ChangeStream;
  readonly loader: TableLoader;
  readonly catalog: Catalog;
  readonly token: bigint;
  readonly switches: StreamSwitches;
  /** What the stream is to do with conflicts of the table: its option `conflict_strategy`. */
  readonly noteStrategy: (record: TableRecord) => void;
}

export type SequenceDirection = 'to_local' | 'to_source';

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

const MARKER_SQL = 'INSERT INTO causeway.marker (name, token) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET token = excluded.token, written_at = now()';
const AUTHORITY_SQL = 'INSERT INTO causeway.authority (table_id, epoch, side, token) VALUES ($1, $2, $3, $4) ON CONFLICT (table_id, epoch) DO UPDATE SET side = excluded.side, token = excluded.token, changed_at = now()';
/**
 * One attempt at the fence's lock: short, so that those who queue behind it are not held up; tried again until the budget ends. Longer
 * than the default `deadlock_timeout` of a second, after which an autovacuum that is in the way is cancelled by the server.
 */
const LOCK_ATTEMPT_MS = 1_500;

export class SourceFlow {
  readonly serverName: string;
  readonly source: ServerAddress;
  readonly local: ServerAddress;
  readonly forward: ChangeStream;
  readonly reverse: ChangeStream;
  readonly loader: TableLoader;
  readonly schema: LocalSchema;
  readonly rates: LoadRates;
  readonly sourceAdmin: AdminConnection;
  readonly localAdmin: AdminConnection;
  /** One cutover or rollback at a time: their pauses must not wait for each other's locks. */
  readonly switching = new Turnstile(1);
  /** For cutover and rollback alone: inside a pause nobody waits behind a table driver's statement. */
  readonly #switchSource: AdminConnection;
  readonly #switchLocal: AdminConnection;
  readonly #catalog: Catalog;
  readonly #runtime: Runtime;
  readonly #token: bigint;
  readonly streams: StreamLifetime;
  readonly noteStrategy: (record: TableRecord) => void;

  constructor(runtime: Runtime, parts: SourceFlowParts) {
    this.#runtime = runtime;
    this.serverName = parts.serverName;
    this.source = parts.source;
    this.local = parts.local;
    this.forward = parts.forward;
    this.reverse = parts.reverse;
    this.loader = parts.loader;
    this.#catalog = parts.catalog;
    this.#token = parts.token;
    this.streams = new StreamLifetime(runtime, parts.catalog, parts.serverName, parts.switches);
    this.noteStrategy = parts.noteStrategy;
    this.rates = new LoadRates();
    this.sourceAdmin = new AdminConnection(parts.source, 'causeway control');
    this.localAdmin = new AdminConnection(parts.local, 'causeway control');
    this.#switchSource = new AdminConnection(parts.source, 'causeway control');
    this.#switchLocal = new AdminConnection(parts.local, 'causeway control');
    this.schema = new LocalSchema(this.sourceAdmin, this.localAdmin, parts.local);
  }

  /** Bookkeeping and fence functions on both sides; fences of an earlier control process obey this one's token from now on. */
  async prepare(): Promise<void> {
    for (const admin of [this.sourceAdmin, this.localAdmin]) {
      await admin.use(async (client) => {
        await installFenceSupport(client);
        await client.query('UPDATE causeway.fence SET token = $1 WHERE token <> $1', [String(this.#token)]);
      });
    }
    await this.localAdmin.use(installMarks);
  }

  async warmUp(): Promise<void> {
    await Promise.all([this.#switchSource, this.#switchLocal].map((admin) => admin.use((client) => client.query('SELECT 1'))));
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

  /** Rule 10: ONE source transaction locks out writers, installs the fence and writes this attempt's marker. Returns the marker's token. */
  async fenceSource(records: readonly TableRecord[], mark: SwitchMark & { readonly fence: boolean }): Promise<string> {
    const marker = `cutover:${mark.attemptId}`;
    await this.#locked(this.#switchSource, 'source', records, mark.timeoutMs, async (client) => {
      const tables = records.map((record) => record.source);
      if (mark.fence) await installFence(client, tables, { epoch: mark.epoch, token: String(this.#token) });
      else await client.query(`LOCK TABLE ${records.map((record) => quoted(record.source)).join(', ')} IN SHARE ROW EXCLUSIVE MODE`);
      await client.query(MARKER_SQL, [this.forward.name, marker]);
    });
    return marker;
  }

  async fenceSourceAgain(records: readonly TableRecord[]): Promise<void> {
    const fenced = records.filter((record) => detailsOf(record).noFence !== true);
    await this.#locked(this.sourceAdmin, 'source', records, 10_000, (client) => installFence(client, fenced.map((record) => record.source), { epoch: maxEpoch(records), token: String(this.#token) }));
  }

  async unfenceSource(records: readonly TableRecord[]): Promise<void> {
    await this.#locked(this.sourceAdmin, 'source', records, 10_000, (client) => removeFence(client, records.map((record) => record.source)));
  }

  /** The other direction's fence: stops local's writers and writes the marker into local's stream. */
  async fenceLocal(records: readonly TableRecord[], mark: SwitchMark): Promise<string> {
    const marker = `rollback:${mark.attemptId}`;
    await this.#locked(this.#switchLocal, 'local', records, mark.timeoutMs, async (client) => {
      await installGuard(client, records.map((record) => record.target), { epoch: mark.epoch, token: String(this.#token) });
      await client.query(MARKER_SQL, [this.reverse.name, marker]);
    });
    return marker;
  }

  /** Takes no lock where the guard stands already. */
  async guardLocal(records: readonly TableRecord[]): Promise<void> {
    const standing = await this.localAdmin.use((client) => readFences(client));
    const isGuarded = (name: QualifiedName): boolean => standing.some((fence) => fence.kind === 'guard' && fence.complete && fence.token === String(this.#token) && fence.schema === name.schema && fence.name === name.name);
    if (records.every((record) => isGuarded(record.target))) return;
    await this.#locked(this.localAdmin, 'local', records, 30_000, (client) => installGuard(client, records.map((record) => record.target), { epoch: maxEpoch(records), token: String(this.#token) }));
  }

  async unguardLocal(records: readonly TableRecord[]): Promise<void> {
    await this.#locked(this.localAdmin, 'local', records, 10_000, (client) => removeGuard(client, records.map((record) => record.target)));
  }

  /** Removes what fences and guards that no longer stand have left; tried again by whoever calls, never inside a pause. */
  async dropFences(records: readonly TableRecord[]): Promise<void> {
    await this.#locked(this.sourceAdmin, 'source', records, 5_000, (client) => dropFenceTriggers(client, 'fence', records.map((record) => record.source)));
    await this.#locked(this.localAdmin, 'local', records, 5_000, (client) => dropFenceTriggers(client, 'guard', records.map((record) => record.target)));
  }

  /** Local, which must still have what was drained, becomes writable, with the record of who the authority is (RULES 14). Returns the position from which local's own changes count. */
  async releaseLocal(records: readonly TableRecord[], mark: ReleaseMark): Promise<Position> {
    const from = await this.position('local');
    await this.#locked(this.#switchLocal, 'local', records, 10_000, async (client) => {
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
    await this.#switchSource.use((client) => assertSaved(client, mark.saved));
    await this.#locked(this.#switchLocal, 'local', records, 10_000, async (client) => {
      for (const { tableId } of records) await client.query(AUTHORITY_SQL, [tableId, mark.epoch, 'source', String(this.#token)]);
    });
    await this.#locked(this.#switchSource, 'source', records, 10_000, async (client) => {
      await assertSaved(client, mark.saved);
      await removeFence(client, records.map((record) => record.source));
    });
    return from;
  }

  /** Which sequences go with the tables: found before the pause, carried inside it. */
  async findSequences(direction: SequenceDirection, records: readonly TableRecord[]): Promise<readonly SequencePair[]> {
    const tables = records.map((record) => (direction === 'to_local' ? { from: record.source, to: record.target } : { from: record.target, to: record.source }));
    return this.#acrossSides(direction, (from, to) => pairSequences(from, to, tables));
  }

  /** Privileges on the table's sequences, when the option `copy_grants` asks for those of the table. */
  async grantSequences(record: TableRecord): Promise<void> {
    if (record.options['copyGrants'] !== true) return;
    const pairs = await this.sourceAdmin.use((source) => this.localAdmin.use((local) => pairSequences(source, local, [{ from: record.source, to: record.target }])));
    const skipped = await this.sourceAdmin.use((source) => this.localAdmin.use((local) => grantSequences(source, local, pairs)));
    for (const reason of skipped) this.#runtime.log.warn('a privilege could not be carried', { table: displayName(record.source), reason });
  }

  async carrySequences(direction: SequenceDirection, pairs: readonly SequencePair[], margin: number): Promise<void> {
    await this.#acrossSides(direction, (from, to) => advancePairs(from, to, pairs, margin));
  }

  #acrossSides<T>(direction: SequenceDirection, work: (from: ClientBase, to: ClientBase) => Promise<T>): Promise<T> {
    const [from, to] = direction === 'to_local' ? [this.#switchSource, this.#switchLocal] : [this.#switchLocal, this.#switchSource];
    return from.use((fromClient) => to.use((toClient) => work(fromClient, toClient)));
  }

  /** What commits from now on lies behind it, also after a crash of the server, which may take back what it has not flushed. */
  async position(side: Side): Promise<Position> {
    const admin = side === 'source' ? this.#switchSource : this.#switchLocal;
    const { rows } = await admin.use((client) => client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn'));
    return { type: 'postgresql_lsn', lsn: parseLsn(rows[0]?.lsn ?? '') };
  }

  async blockers(side: Side, pids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
    const admin = side === 'source' ? this.#switchSource : this.#switchLocal;
    const { rows } = await admin.use((client) => client.query<{ blocked: number; blocking: number }>('SELECT p AS blocked, unnest(pg_blocking_pids(p)) AS blocking FROM unnest($1::int[]) p', [[...pids]]));
    return rows.map((row) => [row.blocked, row.blocking] as const);
  }

  async close(): Promise<void> {
    await Promise.all([this.sourceAdmin, this.localAdmin, this.#switchSource, this.#switchLocal].map((admin) => admin.close()));
  }

  /** A transaction whose locks are tried for in short attempts until the budget ends (RULES 10). */
  async #locked(admin: AdminConnection, side: Side, records: readonly TableRecord[], timeoutMs: number, work: (client: ClientBase) => Promise<void>): Promise<void> {
    const endMs = this.#runtime.clock.monotonicMs() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(1, Math.floor(endMs - this.#runtime.clock.monotonicMs()));
      try {
        await admin.transaction(async (client) => {
          await client.query(`SET LOCAL lock_timeout = ${Math.min(leftMs, LOCK_ATTEMPT_MS)}`);
          await hurryAutovacuum(client);
          await work(client);
        });
        return;
      } catch (error) {
        const state = error instanceof Error && 'code' in error ? error.code : undefined;
        if ((state !== '55P03' && state !== '40P01') || this.#runtime.clock.monotonicMs() >= endMs) {
          throw state === '55P03' ? await this.#lockError(admin, lockedTables(side, records), error) : error;
        }
        await this.#runtime.clock.sleep(20);
      }
    }
  }

  async #lockError(admin: AdminConnection, tables: readonly QualifiedName[], cause: unknown): Promise<MigrationError> {
    const holders = await admin.use((client) => describeLockHolders(client, tables)).catch(() => undefined);
    const detail = holders ?? 'The lock that stops writers could not be had in time, and whoever held it has ended since.';
    return new MigrationError('MIG052', 'a transaction outside the gateway holds the table', { detail, cause });
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

/** An autovacuum in the way of a lock is cancelled after `deadlock_timeout`; who may lower it does not wait a second for that. */
async function hurryAutovacuum(client: ClientBase): Promise<void> {
  await client.query("SELECT set_config('deadlock_timeout', '20ms', true) FROM pg_roles WHERE rolname = current_user AND rolsuper");
}

/** The plan of the other direction, as the last cutover made it: from local back to the source, whole rows by the same columns. */
export function reversePlan(record: TableRecord): TablePlan {
  const { plan, reversePlan: planned } = detailsOf(record);
  return planned ?? { ...plan, source: plan.target, target: plan.source, where: undefined };
}

function maxEpoch(records: readonly TableRecord[]): number {
  return Math.max(0, ...records.map((record) => record.epoch));
}

function quoted(name: { schema: string; name: string }): string {
  return `"${name.schema.replaceAll('"', '""')}"."${name.name.replaceAll('"', '""')}"`;
}

function lockedTables(side: Side, records: readonly TableRecord[]): QualifiedName[] {
  return records.flatMap((record) => {
    const named = side === 'source' ? record.source : record.target;
    return [named, ...(detailsOf(record).partitions ?? []).map((partition) => (side === 'source' ? partition : { schema: named.schema, name: partition.name }))];
  });
}
