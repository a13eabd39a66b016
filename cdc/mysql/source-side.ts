/** `SourceSide` of MySQL and MariaDB. */
import type { ClientBase } from 'pg';
import type { QualifiedName, Side } from '../../catalog/routing-snapshot.ts';
import type { Runtime } from '../../config/runtime.ts';
import type { MigratedTable } from '../../grammar/dialect/migrated-table.ts';
import { conflictStrategies } from '../../grammar/migration/options.ts';
import type { Position } from '../change.ts';
import type { SavedPositions } from '../ports.ts';
import { AdminConnection } from '../postgres/admin-connection.ts';
import { planForeignKeys } from '../postgres/create-schema.ts';
import type { ForeignKeyStep, SchemaPlan } from '../postgres/create-schema.ts';
import type { TableDefinition } from '../postgres/definition.ts';
import type { CarriedTable, Dependant } from '../postgres/dependants.ts';
import type { Finding } from '../postgres/finding.ts';
import type { TableGroup } from '../postgres/groups.ts';
import { reverseFindings } from '../postgres/local-findings.ts';
import { planTable } from '../postgres/plan-table.ts';
import type { PlanOptions } from '../postgres/plan-table.ts';
import type { RoutingRelations } from '../postgres/relations.ts';
import type { SequencePair } from '../postgres/sequences.ts';
import type { ServerAddress } from '../postgres/server-address.ts';
import type { AcceptedOptions, DefinitionLoss, DropEffort, FenceRequest, SourceSide, TableMapping, TablePair } from '../source-side.ts';
import type { TablePlan } from '../table-plan.ts';
import type { LoginTableRights } from '../user-rights.ts';
import { convertTable, planMysqlSchema } from './create-schema.ts';
import type { ConvertedTable } from './create-schema.ts';
import type { MysqlTable } from './definition.ts';
import { MysqlDecisions } from './decisions.ts';
import { mysqlDefinitionLosses } from './definition-losses.ts';
import { readMysqlDependants } from './dependants.ts';
import { dropMysqlFences } from './drop-fences.ts';
import { FENCE_PACE_MS, installFenceTriggers, installMysqlFenceSupport, lowerFence, passFences, raiseFence, readIdleFences } from './fence.ts';
import { isGranted, readGrants } from './grants.ts';
import { findMysqlTable, introspectMysqlTable, readMysqlServer } from './introspect.ts';
import { StillHeldError, withLocks } from './lock-attempts.ts';
import { hasLonePrepared, readMysqlBlockers, readOpenWriters } from './lock-holders.ts';
import { MysqlClient } from './mysql-client.ts';
import { preflightMysqlTable } from './preflight.ts';
import type { MysqlPreflightOptions } from './preflight.ts';
import { migratedTable } from './migrated-table.ts';
import { mysqlLiteral, mysqlTableName } from './query.ts';
import type { MysqlQuery } from './query.ts';
import { listMysqlTables, mysqlGroupOf, mysqlRoutingRelations, mysqlTableGroups, takenMysqlNames } from './relations.ts';
import { advanceMysqlPairs, pairMysqlSequences } from './sequences.ts';
import { KnownSpellings, settleDefinition } from './settle-definition.ts';
import { readMysqlRightsOf } from './user-rights.ts';
import { mysqlWayBackFindings } from './way-back-findings.ts';

export interface MysqlSourceSideParts {
  readonly source: ServerAddress;
  /** Asked how it spells what a definition becomes there; nothing is made. */
  readonly local: ServerAddress;
  /** What makes the stream's tables `causeway.marker` and `causeway.applied`, statement by statement. */
  readonly bookkeeping: readonly string[];
  /** What commits from now on lies behind it. */
  readonly readPosition: (query: MysqlQuery) => Promise<Position>;
  /** Throws MIG002 when the server's record is behind what the stream had saved there; runs in the transaction that acts on it. */
  readonly assertSaved: (query: MysqlQuery, saved: SavedPositions) => Promise<void>;
}

export class MysqlSourceSide implements SourceSide {
  readonly engine = 'MySQL';
  readonly door = 'mysql';
  // Its clients' commits are answered by the server itself, which knows nothing of local.
  readonly accepts: AcceptedOptions = { cdcMode: ['binlog'], dualWriteMode: ['async', 'sync'], conflictStrategy: conflictStrategies, whereClause: false };
  readonly mapsTypes = true;
  readonly decisions: MysqlDecisions;
  readonly #runtime: Runtime;
  readonly #parts: MysqlSourceSideParts;
  readonly #admin: MysqlClient;
  /** For cutover and rollback alone: inside a pause nobody waits behind a table driver's statement. */
  readonly #switch: MysqlClient;
  readonly #local: AdminConnection;
  readonly #spellings = new KnownSpellings();
  /** What a definition of local's terms was made from: the schema needs more of it. */
  readonly #converted = new WeakMap<TableDefinition, { readonly table: MysqlTable; readonly converted: ConvertedTable }>();

  constructor(runtime: Runtime, parts: MysqlSourceSideParts) {
    this.#runtime = runtime;
    this.#parts = parts;
    this.#admin = new MysqlClient(parts.source);
    this.#switch = new MysqlClient(parts.source);
    this.decisions = new MysqlDecisions(parts.source);
    this.#local = new AdminConnection(parts.local, 'causeway control');
  }

  // Tables

  listTables(schema: string | undefined): Promise<readonly QualifiedName[]> {
    return this.#admin.hold((query) => listMysqlTables(query, schema));
  }

  /** `mapping`: the migration's options that decide what the table becomes; without them it is the standard one under the same name. */
  async findTable(table: QualifiedName, mapping: TableMapping = {}): Promise<TableDefinition | undefined> {
    const found = await this.#admin.hold((query) => findMysqlTable(query, table));
    return found === undefined ? undefined : this.#convert(found, mapping);
  }

  async introspectTable(table: QualifiedName, mapping: TableMapping = {}): Promise<TableDefinition> {
    return this.#convert(await this.#admin.hold((query) => introspectMysqlTable(query, table)), mapping);
  }

  /** For the stream and the load: the columns' mappings beside the definition. */
  async readConverted(table: QualifiedName, mapping: TableMapping = {}): Promise<ConvertedTable> {
    const definition = await this.introspectTable(table, mapping);
    return this.#convertedOf(definition).converted;
  }

  async #convert(table: MysqlTable, mapping: TableMapping): Promise<TableDefinition> {
    const converted = await this.#local.use((local) => settleDefinition(local, convertTable(table, mapping), this.#spellings));
    this.#converted.set(converted.definition, { table, converted });
    return converted.definition;
  }

  #convertedOf(definition: TableDefinition): { readonly table: MysqlTable; readonly converted: ConvertedTable } {
    const converted = this.#converted.get(definition);
    if (converted === undefined) throw new Error(`the definition of ${definition.schema}.${definition.name} does not come from this source`);
    return converted;
  }

  planTable(definition: TableDefinition, options: PlanOptions): TablePlan {
    return planTable(definition, options);
  }

  planSchema(definition: TableDefinition, plan: TablePlan, localVersion: number): SchemaPlan {
    return planMysqlSchema(this.#convertedOf(definition).converted, plan, { localVersion });
  }

  planForeignKeys(definition: TableDefinition, targetOf: (source: QualifiedName) => QualifiedName | undefined): readonly ForeignKeyStep[] {
    return planForeignKeys(definition, targetOf);
  }

  preflight(local: ClientBase, options: MysqlPreflightOptions): Promise<readonly Finding[]> {
    return this.#admin.hold((query) => preflightMysqlTable(query, local, options));
  }

  async wayBackFindings(definition: TableDefinition, plan: TablePlan): Promise<readonly Finding[]> {
    return [...reverseFindings(definition, plan), ...(await this.#admin.hold(async (query) => mysqlWayBackFindings(query, await readMysqlServer(query), plan.source)))];
  }

  migratedTable(definition: TableDefinition, plan: TablePlan): MigratedTable {
    const { table, converted } = this.#convertedOf(definition);
    return migratedTable(table, converted, plan.target);
  }

  definitionLosses(definition: TableDefinition): readonly DefinitionLoss[] {
    const { table, converted } = this.#convertedOf(definition);
    return mysqlDefinitionLosses(table, converted);
  }

  groupOf(table: QualifiedName): Promise<TableGroup> {
    return this.#admin.hold((query) => mysqlGroupOf(query, table));
  }

  tableGroups(): Promise<readonly TableGroup[]> {
    return this.#admin.hold(mysqlTableGroups);
  }

  routingRelations(tables: readonly QualifiedName[], others: readonly QualifiedName[]): Promise<RoutingRelations> {
    return this.#admin.hold((query) => mysqlRoutingRelations(query, tables, others));
  }

  /** A version that no PostgreSQL has: what they are compared by holds for every one. */
  async readDependants(tables: readonly CarriedTable[]): Promise<{ readonly all: readonly Dependant[]; readonly sourceVersion: number }> {
    return { all: await this.#admin.hold((query) => readMysqlDependants(query, tables)), sourceVersion: 0 };
  }

  takenNames(names: readonly QualifiedName[]): Promise<readonly QualifiedName[]> {
    return this.#admin.hold((query) => takenMysqlNames(query, names));
  }

  mayUpdate(table: QualifiedName): Promise<boolean> {
    return this.#admin.hold(async (query) => isGranted(await readGrants(query, await readMysqlServer(query)), 'UPDATE', { schema: table.schema, table: table.name }));
  }

  async readRights(login: ServerAddress, tables: readonly QualifiedName[]): Promise<readonly LoginTableRights[] | undefined> {
    const found = await readMysqlRightsOf(login, tables);
    return found === undefined ? undefined : [{ asRole: undefined, tables: found }];
  }

  countRows(table: QualifiedName): Promise<string> {
    return this.#admin.hold(async (query) => (await query(`SELECT COUNT(*) AS n FROM ${mysqlTableName(table)}`))[0]?.['n'] ?? '0');
  }

  // Changes of authority

  prepare(token: bigint): Promise<void> {
    return this.#admin.hold(async (query) => {
      for (const statement of this.#parts.bookkeeping) await query(statement);
      await installMysqlFenceSupport(query);
      await passFences(query, String(token));
    });
  }

  async warmUp(): Promise<void> {
    await this.#switch.hold((query) => query('SELECT 1'));
  }

  readonly #pace = (): Promise<void> => this.#runtime.clock.sleep(FENCE_PACE_MS);

  /**
   * Idempotent; may go before a pause, since the first fence of a table stops its readers for a moment. Only where a lock can be tried for: one that is waited for
   * stands in the way of a transaction that has read the table and writes it now, and the server ends that transaction (1213), not the waiting. Elsewhere triggers are made in the pause.
   */
  async prepareFence(tables: readonly QualifiedName[], timeoutMs: number): Promise<void> {
    const server = await this.#admin.hold((query) => readMysqlServer(query));
    if (!server.triesLocks) return;
    await withLocks(this.#runtime, this.#admin, tables, timeoutMs, (query) => installFenceTriggers(query, tables, server, this.#pace), 0);
  }

  fence(tables: readonly QualifiedName[], { epoch, token, timeoutMs, fence, marker }: Parameters<SourceSide['fence']>[1]): Promise<void> {
    return withLocks(this.#runtime, this.#switch, tables, timeoutMs, async (query) => {
      if (fence) {
        await installFenceTriggers(query, tables, await readMysqlServer(query));
        await raiseFence(query, tables, { epoch, token: String(token) });
      } else {
        await query(`LOCK TABLES ${tables.map((table) => `${mysqlTableName(table)} READ`).join(', ')}, causeway.marker WRITE`);
      }
      // RULES 10: what is prepared is ended before the marker, or would be committed behind it.
      if (await hasLonePrepared(query, tables)) throw new StillHeldError('a prepared transaction has written the table');
      await query(`INSERT INTO causeway.marker (name, token) VALUES (${mysqlLiteral(marker.stream)}, ${mysqlLiteral(marker.token)}) ON DUPLICATE KEY UPDATE token = VALUES(token)`);
    });
  }

  fenceAgain(tables: readonly QualifiedName[], { epoch, token, timeoutMs }: FenceRequest): Promise<void> {
    return withLocks(this.#runtime, this.#admin, tables, timeoutMs, async (query) => {
      await installFenceTriggers(query, tables, await readMysqlServer(query));
      await raiseFence(query, tables, { epoch, token: String(token) });
    });
  }

  unfence(tables: readonly QualifiedName[], timeoutMs: number, saved?: SavedPositions): Promise<void> {
    return withLocks(this.#runtime, saved ? this.#switch : this.#admin, tables, timeoutMs, async (query) => {
      if (saved) await this.#parts.assertSaved(query, saved);
      await lowerFence(query, tables);
    });
  }

  assertSaved(saved: SavedPositions): Promise<void> {
    return this.#switch.hold((query) => this.#parts.assertSaved(query, saved));
  }

  dropFences(tables: readonly QualifiedName[], { timeoutMs, isPaused = false }: DropEffort): Promise<readonly QualifiedName[]> {
    return dropMysqlFences(this.#runtime, this.#admin, tables, { timeoutMs, isPaused, pace: this.#pace, interrupter: this.#switch });
  }

  idleFences(): Promise<readonly QualifiedName[]> {
    return this.#admin.hold(readIdleFences);
  }

  position(): Promise<Position> {
    return this.#switch.hold((query) => this.#parts.readPosition(query));
  }

  blockers(pids: readonly number[]): Promise<readonly (readonly [number, number])[]> {
    return this.#switch.hold((query) => readMysqlBlockers(query, pids));
  }

  openWriters(tables: readonly QualifiedName[]): Promise<{ readonly count: number; readonly longestMs: number }> {
    return this.#admin.hold((query) => readOpenWriters(query, tables));
  }

  // Sequences

  pairSequences(to: Side, local: ClientBase, tables: readonly TablePair[]): Promise<readonly SequencePair[]> {
    return this.#switch.hold((query) => pairMysqlSequences(query, local, to, tables));
  }

  advanceSequences(to: Side, local: ClientBase, pairs: readonly SequencePair[], margin: number): Promise<void> {
    return this.#switch.hold((query) => advanceMysqlPairs(query, local, to, pairs, margin));
  }

  /** Who may insert may draw numbers there: there is nothing to carry. */
  grantSequences(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#admin.close(), this.#switch.close(), this.decisions.close(), this.#local.close()]);
  }
}
