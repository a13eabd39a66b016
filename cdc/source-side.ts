/**
 * The source as the migration control asks it: its tables, what stands in their way, and what a change of authority does there (DESIGN §9).
 * What knows the engine hides behind it; capture (`stream/change-source.ts`) and copying are apart.
 *
 * Definitions are told in the terms of local, which is PostgreSQL: types, keys and clauses as the table gets them there. For a source of
 * another engine that is a translation, and what it cannot carry is a finding of the preflight.
 */
import type { ClientBase } from 'pg';
import type { QualifiedName, Side } from '../catalog/routing-snapshot.ts';
import type { MigratedTable } from '../grammar/dialect/migrated-table.ts';
import type { CdcMode, ConflictStrategy, DualWriteMode } from '../grammar/migration/options.ts';
import type { TypeOverride } from '../grammar/migration/type-overrides.ts';
import type { Position } from './change.ts';
import type { SourceDecisions } from './decider.ts';
import type { SavedPositions } from './ports.ts';
import type { SchemaPlan, ForeignKeyStep } from './postgres/create-schema.ts';
import type { TableDefinition } from './postgres/definition.ts';
import type { CarriedTable, Dependant } from './postgres/dependants.ts';
import type { Finding } from './postgres/finding.ts';
import type { TableGroup } from './postgres/groups.ts';
import type { PlanOptions } from './postgres/plan-table.ts';
import type { PreflightOptions } from './postgres/preflight.ts';
import type { RoutingRelations } from './postgres/relations.ts';
import type { SequencePair } from './postgres/sequences.ts';
import type { ServerAddress } from './postgres/server-address.ts';
import type { TablePlan } from './table-plan.ts';
import type { LoginTableRights } from './user-rights.ts';

/** Which table of the source is which on local. */
export interface TablePair {
  readonly source: QualifiedName;
  readonly target: QualifiedName;
}

/** The migration's options that decide what a table of another engine becomes on local; a source of local's own engine needs none of them. */
export interface TableMapping {
  readonly overrides?: readonly TypeOverride[];
  /** Default: as on the source. */
  readonly targetSchema?: string;
  /** Default: every column. */
  readonly columns?: readonly string[];
}

/** Something of a definition on the source that local's lacks. */
export interface DefinitionLoss {
  /** Of the column, check, index, key or table. */
  readonly name: string;
  readonly kind: string;
  /** For people. */
  readonly what: string;
}

export interface FenceRequest {
  readonly epoch: number;
  /** Fencing token of the control process (RULES 14). */
  readonly token: bigint;
  /** Of the tables: who holds one of them holds its table. */
  readonly partitions: readonly QualifiedName[];
  /** How long locks are tried for; MIG052 names who holds them. */
  readonly timeoutMs: number;
}

export interface DropEffort {
  readonly timeoutMs: number;
  /** Clients of the gateway are held up meanwhile. */
  readonly isPaused?: boolean;
}

/** Options of START that fit a source of this engine; of values the usual one first. */
export interface AcceptedOptions {
  readonly cdcMode: readonly CdcMode[];
  readonly dualWriteMode: readonly DualWriteMode[];
  readonly conflictStrategy: readonly ConflictStrategy[];
  /** A predicate of local's dialect can be asked of the source. */
  readonly whereClause: boolean;
}

export interface SourceSide {
  /** Of people's words: `PostgreSQL`. */
  readonly engine: string;
  /** Of the clients that reach its tables: undefined for PostgreSQL's. */
  readonly door: 'mysql' | undefined;
  readonly accepts: AcceptedOptions;

  /** Whether columns may be given other types on local: the option `type_map`. */
  readonly mapsTypes: boolean;
  /** Undefined where decisions are as local's own. */
  readonly decisions: SourceDecisions | undefined;

  // Tables

  /** Of a schema, or of all that are the user's; without the gateway's own. */
  listTables(schema: string | undefined): Promise<readonly QualifiedName[]>;
  findTable(table: QualifiedName, mapping?: TableMapping): Promise<TableDefinition | undefined>;
  /** MIG010, MIG011: not there, or not a table that can be migrated. */
  introspectTable(table: QualifiedName, mapping?: TableMapping): Promise<TableDefinition>;
  /** Throws as `planTable` of PostgreSQL: MIG010, MIG011, MIG012, MIG013. */
  planTable(definition: TableDefinition, options: PlanOptions): TablePlan;
  planSchema(definition: TableDefinition, plan: TablePlan, localVersion: number): SchemaPlan;
  planForeignKeys(definition: TableDefinition, targetOf: (source: QualifiedName) => QualifiedName | undefined): readonly ForeignKeyStep[];
  /** Changes nothing; errors first. */
  preflight(local: ClientBase, options: PreflightOptions & TableMapping): Promise<readonly Finding[]>;
  /** What would keep local's rows from coming back, or change them. */
  wayBackFindings(definition: TableDefinition, plan: TablePlan): Promise<readonly Finding[]>;
  /** For translators of statements; undefined where source and local speak one language. */
  migratedTable(definition: TableDefinition, plan: TablePlan): MigratedTable | undefined;
  /** What of it cannot be on local. */
  definitionLosses(definition: TableDefinition): readonly DefinitionLoss[];
  groupOf(table: QualifiedName): Promise<TableGroup>;
  tableGroups(): Promise<readonly TableGroup[]>;
  /** Views, sequences, functions and what writes to one of the tables writes besides. */
  routingRelations(tables: readonly QualifiedName[], others: readonly QualifiedName[]): Promise<RoutingRelations>;
  /** Functions, triggers, policies and views that local is to have as well. */
  readDependants(tables: readonly CarriedTable[]): Promise<{ readonly all: readonly Dependant[]; readonly sourceVersion: number }>;
  /** Those of the names that some relation has. */
  takenNames(names: readonly QualifiedName[]): Promise<readonly QualifiedName[]>;
  mayUpdate(table: QualifiedName): Promise<boolean>;
  /** What a login of an application may do with each of the tables, its own rights first; undefined: it is not let in. */
  readRights(login: ServerAddress, tables: readonly QualifiedName[]): Promise<readonly LoginTableRights[] | undefined>;
  countRows(table: QualifiedName): Promise<string>;

  // Changes of authority

  /** Bookkeeping and fence; fences of an earlier control process obey this token from now on. Idempotent. */
  prepare(token: bigint): Promise<void>;
  /** Connections that a pause will need are there. */
  warmUp(): Promise<void>;
  /** What a fence needs that would stop readers for a moment; before the pause. */
  prepareFence(tables: readonly QualifiedName[], timeoutMs: number): Promise<void>;
  /** RULES 10: one transaction locks out writers, installs the fence unless `fence` is false, and writes the marker into the stream of that name. */
  fence(tables: readonly QualifiedName[], request: FenceRequest & { readonly fence: boolean; readonly marker: { readonly stream: string; readonly token: string } }): Promise<void>;
  /** After a crash: without a marker. Idempotent. */
  fenceAgain(tables: readonly QualifiedName[], request: FenceRequest): Promise<void>;
  /** Becomes writable. `saved`: what the side must have for that; MIG002 when it has lost some of it. */
  unfence(tables: readonly QualifiedName[], timeoutMs: number, saved?: SavedPositions): Promise<void>;
  assertSaved(saved: SavedPositions): Promise<void>;
  /** Removes what fences that no longer stand have left. Returns the tables where it stays, because somebody uses them. */
  dropFences(tables: readonly QualifiedName[], effort: DropEffort): Promise<readonly QualifiedName[]>;
  /** Tables of which something has stayed. */
  idleFences(): Promise<readonly QualifiedName[]>;
  /** What commits from now on lies behind it, also after a crash. */
  position(): Promise<Position>;
  /** Pairs of sessions, blocked and blocking. */
  blockers(pids: readonly number[]): Promise<readonly (readonly [number, number])[]>;
  /** Transactions that hold the tables for writing now, and for how long the longest has been open. */
  openWriters(tables: readonly QualifiedName[]): Promise<{ readonly count: number; readonly longestMs: number }>;

  // Sequences

  /** `direction`: to which side values go. */
  pairSequences(to: Side, local: ClientBase, tables: readonly TablePair[]): Promise<readonly SequencePair[]>;
  advanceSequences(to: Side, local: ClientBase, pairs: readonly SequencePair[], margin: number): Promise<void>;
  /** `rolesOf`: who a role of the source is on local. Returns what could not be carried. */
  grantSequences(local: ClientBase, tables: readonly TablePair[], rolesOf: (grantee: string) => readonly string[]): Promise<readonly string[]>;

  close(): Promise<void>;
}
