/** `SourceSide` of PostgreSQL. */
import type { ClientBase } from 'pg';
import type { QualifiedName, Side } from '../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../config/runtime.ts';
import { conflictStrategies, dualWriteModes } from '../../grammar/migration/options.ts';
import { parseLsn } from '../change.ts';
import type { Position } from '../change.ts';
import type { SavedPositions } from '../ports.ts';
import type { AcceptedOptions, DefinitionLoss, DropEffort, FenceRequest, SourceSide, TablePair } from '../source-side.ts';
import { assertSaved } from '../stream/saved-positions.ts';
import type { TablePlan } from '../table-plan.ts';
import type { LoginTableRights } from '../user-rights.ts';
import { AdminConnection } from './admin-connection.ts';
import { planForeignKeys, planSchema } from './create-schema.ts';
import type { ForeignKeyStep, SchemaPlan } from './create-schema.ts';
import type { TableDefinition } from './definition.ts';
import type { CarriedTable, Dependant } from './dependants.ts';
import { dropIdleFences } from './drop-fences.ts';
import { installFence, installFenceSupport, readIdleFences, removeFence } from './fence.ts';
import type { Finding } from './finding.ts';
import { groupOf, tableGroups } from './groups.ts';
import type { TableGroup } from './groups.ts';
import { findTable, introspectTable, listTables } from './introspect.ts';
import { reverseFindings } from './local-findings.ts';
import { lockedTransaction } from './locked-transaction.ts';
import { writeMarkerRow } from './marker-row.ts';
import { planTable } from './plan-table.ts';
import type { PlanOptions } from './plan-table.ts';
import { preflightTable } from './preflight.ts';
import type { PreflightOptions } from './preflight.ts';
import { quoteTable } from './quote.ts';
import { readRoleRights } from './login-rights.ts';
import { readDependants } from './read-dependants.ts';
import { readServerVersion } from './read-json.ts';
import { routingRelations } from './relations.ts';
import type { RoutingRelations } from './relations.ts';
import { grantSequences } from './sequence-grants.ts';
import { advancePairs, pairSequences } from './sequences.ts';
import type { SequencePair } from './sequences.ts';
import type { ServerAddress } from './server-address.ts';

export class PostgresSourceSide implements SourceSide {
  readonly engine = 'PostgreSQL';
  readonly door = undefined;
  readonly accepts: AcceptedOptions = { cdcMode: ['logical_replication'], dualWriteMode: dualWriteModes, conflictStrategy: conflictStrategies, whereClause: true };
  readonly mapsTypes = false;
  readonly decisions = undefined;
  readonly #runtime: Runtime;
  readonly #admin: AdminConnection;
  /** For cutover and rollback alone: inside a pause nobody waits behind a table driver's statement. */
  readonly #switch: AdminConnection;

  constructor(runtime: Runtime, address: ServerAddress) {
    this.#runtime = runtime;
    this.#admin = new AdminConnection(address, 'causeway control');
    this.#switch = new AdminConnection(address, 'causeway control');
  }

  // Tables

  listTables(schema: string | undefined): Promise<readonly QualifiedName[]> {
    return this.#admin.use((client) => listTables(client, schema));
  }

  findTable(table: QualifiedName): Promise<TableDefinition | undefined> {
    return this.#admin.use((client) => findTable(client, table));
  }

  introspectTable(table: QualifiedName): Promise<TableDefinition> {
    return this.#admin.use((client) => introspectTable(client, table));
  }

  planTable(definition: TableDefinition, options: PlanOptions): TablePlan {
    return planTable(definition, options);
  }

  planSchema(definition: TableDefinition, plan: TablePlan, localVersion: number): SchemaPlan {
    return planSchema(definition, plan, { localVersion });
  }

  planForeignKeys(definition: TableDefinition, targetOf: (source: QualifiedName) => QualifiedName | undefined): readonly ForeignKeyStep[] {
    return planForeignKeys(definition, targetOf);
  }

  preflight(local: ClientBase, options: PreflightOptions): Promise<readonly Finding[]> {
    return this.#admin.use((client) => preflightTable(client, local, options));
  }

  wayBackFindings(definition: TableDefinition, plan: TablePlan): Promise<readonly Finding[]> {
    return Promise.resolve(reverseFindings(definition, plan));
  }

  migratedTable(): undefined {
    return undefined;
  }

  /** Local is of the same engine. */
  definitionLosses(): readonly DefinitionLoss[] {
    return [];
  }

  groupOf(table: QualifiedName): Promise<TableGroup> {
    return this.#admin.use((client) => groupOf(client, table));
  }

  tableGroups(): Promise<readonly TableGroup[]> {
    return this.#admin.use((client) => tableGroups(client));
  }

  routingRelations(tables: readonly QualifiedName[], others: readonly QualifiedName[]): Promise<RoutingRelations> {
    return this.#admin.use((client) => routingRelations(client, tables, others));
  }

  readDependants(tables: readonly CarriedTable[]): Promise<{ readonly all: readonly Dependant[]; readonly sourceVersion: number }> {
    return this.#admin.use(async (client) => ({ all: await readDependants(client, tables), sourceVersion: await readServerVersion(client) }));
  }

  takenNames(names: readonly QualifiedName[]): Promise<readonly QualifiedName[]> {
    return this.#admin.use(async (client) => {
      const { rows } = await client.query<{ place: number }>('SELECT ordinality::int AS place FROM unnest($1::text[]) WITH ORDINALITY AS x(name) WHERE to_regclass(name) IS NOT NULL', [names.map(quoteTable)]);
      return rows.flatMap(({ place }) => names[place - 1] ?? []);
    });
  }

  /** Asked of the catalogs by the control's own login: nobody has to log in for it. */
  readRights({ user }: ServerAddress, tables: readonly QualifiedName[]): Promise<readonly LoginTableRights[] | undefined> {
    return this.#admin.use((client) => readRoleRights(client, user, tables));
  }

  mayUpdate(table: QualifiedName): Promise<boolean> {
    return this.#admin.use(async (client) => {
      const { rows } = await client.query<{ ok: boolean }>("SELECT has_table_privilege($1, 'UPDATE') AS ok", [quoteTable(table)]);
      return rows[0]?.ok === true;
    });
  }

  countRows(table: QualifiedName): Promise<string> {
    return this.#admin.use(async (client) => {
      const { rows } = await client.query<{ n: string }>(`SELECT count(*)::text AS n FROM ${quoteTable(table)}`);
      return rows[0]?.n ?? '0';
    });
  }

  // Changes of authority

  prepare(token: bigint): Promise<void> {
    return this.#admin.use(async (client) => {
      await installFenceSupport(client);
      await client.query('UPDATE causeway.fence SET token = $1 WHERE token <> $1', [String(token)]);
    });
  }

  async warmUp(): Promise<void> {
    await this.#switch.use((client) => client.query('SELECT 1'));
  }

  prepareFence(): Promise<void> {
    return Promise.resolve();
  }

  fence(tables: readonly QualifiedName[], { epoch, token, timeoutMs, fence, marker, partitions }: Parameters<SourceSide['fence']>[1]): Promise<void> {
    return lockedTransaction(this.#runtime, this.#switch, { tables: [...tables, ...partitions], timeoutMs }, async (client) => {
      if (fence) await installFence(client, tables, { epoch, token: String(token) });
      else await client.query(`LOCK TABLE ${tables.map(quoteTable).join(', ')} IN SHARE ROW EXCLUSIVE MODE`);
      await writeMarkerRow(client, marker.stream, marker.token);
    });
  }

  fenceAgain(tables: readonly QualifiedName[], { epoch, token, timeoutMs, partitions }: FenceRequest): Promise<void> {
    return lockedTransaction(this.#runtime, this.#admin, { tables: [...tables, ...partitions], timeoutMs }, (client) => installFence(client, tables, { epoch, token: String(token) }));
  }

  unfence(tables: readonly QualifiedName[], timeoutMs: number, saved?: SavedPositions): Promise<void> {
    return lockedTransaction(this.#runtime, saved ? this.#switch : this.#admin, { tables, timeoutMs }, async (client) => {
      if (saved) await assertSaved(client, saved);
      await removeFence(client, tables);
    });
  }

  assertSaved(saved: SavedPositions): Promise<void> {
    return this.#switch.use((client) => assertSaved(client, saved));
  }

  dropFences(tables: readonly QualifiedName[], { timeoutMs }: DropEffort): Promise<readonly QualifiedName[]> {
    return dropIdleFences(this.#runtime, this.#admin, 'fence', tables, timeoutMs);
  }

  idleFences(): Promise<readonly QualifiedName[]> {
    return this.#admin.use((client) => readIdleFences(client, 'fence'));
  }

  position(): Promise<Position> {
    return this.#switch.use(readFlushedPosition);
  }

  async blockers(pids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
    return this.#switch.use((client) => readBlockers(client, pids));
  }

  async openWriters(tables: readonly QualifiedName[]): Promise<{ readonly count: number; readonly longestMs: number }> {
    const { rows } = await this.#admin.use((client) => client.query<{ ms: string; n: string }>(
      `SELECT coalesce(max(extract(epoch FROM clock_timestamp() - a.xact_start)) * 1000, 0)::bigint::text AS ms, count(*)::text AS n FROM pg_stat_activity a
        WHERE a.pid <> pg_backend_pid() AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.relation = ANY ($1::regclass[]) AND l.mode IN ('RowExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock'))`,
      [tables.map(quoteTable)]));
    return { count: Number(rows[0]?.n ?? 0), longestMs: Number(rows[0]?.ms ?? 0) };
  }

  // Sequences

  pairSequences(to: Side, local: ClientBase, tables: readonly TablePair[]): Promise<readonly SequencePair[]> {
    return this.#switch.use((source) => (to === 'local'
      ? pairSequences(source, local, tables.map((table) => ({ from: table.source, to: table.target })))
      : pairSequences(local, source, tables.map((table) => ({ from: table.target, to: table.source })))));
  }

  async advanceSequences(to: Side, local: ClientBase, pairs: readonly SequencePair[], margin: number): Promise<void> {
    await this.#switch.use((source) => (to === 'local' ? advancePairs(source, local, pairs, margin) : advancePairs(local, source, pairs, margin)));
  }

  grantSequences(local: ClientBase, tables: readonly TablePair[], rolesOf: (grantee: string) => readonly string[]): Promise<readonly string[]> {
    return this.#admin.use(async (source) => grantSequences(source, local, await pairSequences(source, local, tables.map((table) => ({ from: table.source, to: table.target }))), rolesOf));
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin.close(), this.#switch.close()]);
  }
}

/** What commits from now on lies behind it, also after a crash of the server, which may take back what it has not flushed. */
export async function readFlushedPosition(client: ClientBase): Promise<Position> {
  const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return { type: 'postgresql_lsn', lsn: parseLsn(rows[0]?.lsn ?? '') };
}

/** Pairs of backends, blocked and blocking. */
export async function readBlockers(client: ClientBase, pids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
  const { rows } = await client.query<{ blocked: number; blocking: number }>('SELECT p AS blocked, unnest(pg_blocking_pids(p)) AS blocking FROM unnest($1::int[]) p', [[...pids]]);
  return rows.map((row) => [row.blocked, row.blocking] as const);
}
