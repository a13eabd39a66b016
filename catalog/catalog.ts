/**
 * The catalog: what is true of each table now, what happened to it, and who may say so. This documentation is the
 * contract; methods are asynchronous so that it can lie in a database far away.
 *
 * Every write is made under the fencing token that `acquire` returned, checked in the same transaction: once another
 * process holds a newer token, every write of this one throws MIG092 and changes nothing. Reads need no token. When
 * the promise of a write has resolved, the write survives a crash of the machine.
 */
import type { ErrorCode } from '../config/migration-error.ts';
import type { Actor, AuditEntry, AuditRecord } from './audit.ts';
import type { CredentialKey, Secret } from './credentials.ts';
import type {
  AuthorityInterval, CdcPositionRecord, ConflictRecord, ConflictResolution, EpochRecord, ErrorRecord, HistoryEvent, HistoryRecord, JournalRecord,
  JsonObject, MappingRecord, NewTypeLoss, ProgressBucket, ProgressSample, RouteFlags, ServerRecord, SourceRecord, StoredPosition, StreamDirection,
  TableRecord, TypeLossRecord, ValidationChunk, ValidationRecord,
} from './records.ts';
import type { QualifiedName } from './routing-snapshot.ts';
import type { TableState } from './table-state.ts';

/** Grows with every control process that takes the catalog over; a safe integer. */
export type FencingToken = number;

export interface Catalog extends
  CatalogOwnership, TableStates, CutoverRecords, ChangeRecords, EventLog, ValidationRecords, LossRecords, ServerRecords, AsyncDisposable {
  /** Made once, with the catalog: tells one catalog's objects on a server from another's. */
  readonly catalogId: string;
  setting(name: string): Promise<string | undefined>;
  putSetting(name: string, value: string): Promise<void>;
  close(): Promise<void>;
}

export interface OwnerIdentity {
  readonly pid: number;
  readonly host: string;
  /** What the owner calls itself, for messages. */
  readonly label?: string;
}

export interface CatalogOwnership {
  /**
   * Becomes the only writer. Throws MIG092 naming the owner's pid and host while it is alive. `takeOver` takes the catalog
   * from a living owner (one that hangs); what that one writes afterwards is refused.
   */
  acquire(owner: OwnerIdentity, options?: { readonly takeOver?: boolean }): Promise<FencingToken>;
  /** Gives the catalog back; the token stays used up. */
  release(): Promise<void>;
  /** Of this process; undefined before `acquire`. */
  readonly token: FencingToken | undefined;
  /** Who acquired the catalog last, and with which token. */
  owner(): Promise<{ readonly token: FencingToken; readonly identity: OwnerIdentity | undefined; readonly acquiredAt: string | undefined }>;
  /** Throws MIG092 when another process has taken over. */
  assertOwned(): Promise<void>;
}

export interface NewTable {
  /** Default: a new id. A table that was aborted keeps the id (and by that the history) that it had. */
  readonly tableId?: string;
  readonly sourceServer: string;
  readonly sourceName: string;
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  readonly options: JsonObject;
  readonly groupName?: string | undefined;
  readonly details?: JsonObject;
  readonly startedBy?: string | undefined;
  readonly audit?: AuditEntry | undefined;
}

export interface StateMove {
  readonly tableId: string;
  readonly expectedFrom: TableState;
  readonly to: TableState;
  /** What caused it: the command or the condition. */
  readonly trigger: string;
  /** Goes into the history row. */
  readonly details?: JsonObject | undefined;
  /** Becomes `last_error` (shortened to 1024 characters) and goes into the history row. */
  readonly error?: string | undefined;
  /** Route from now on; absent = as before. */
  readonly route?: Partial<RouteFlags> | undefined;
  /** Other internals to set in the same transaction. */
  readonly change?: TableChange | undefined;
}

export interface TableChange {
  readonly groupName?: string | null;
  readonly rollbackUntil?: string | null;
  readonly details?: JsonObject;
  readonly options?: JsonObject;
  readonly completedAt?: string | null;
}

/** What one transaction changes besides the states. */
export interface TogetherWith {
  /** Why the routing changes, for the epoch's row. Default: the first move's trigger. */
  readonly reason?: string;
  /** Default true: a state is part of the routing snapshot. `false` leaves the epoch as it is. */
  readonly newEpoch?: boolean;
  readonly routes?: readonly { readonly tableId: string; readonly route: Partial<RouteFlags> }[];
  readonly journal?: JournalStep;
  readonly openIntervals?: readonly IntervalEdge[];
  readonly closeIntervals?: readonly IntervalEdge[];
  readonly audit?: readonly AuditEntry[];
}

export interface JournalStep {
  readonly attemptId: string;
  readonly step: string;
  /** Merged over what is there, key by key. */
  readonly details?: JsonObject;
  /** Ends the attempt. */
  readonly outcome?: 'complete' | 'undone' | 'failed';
}

export interface IntervalEdge {
  readonly tableId: string;
  readonly direction: StreamDirection;
  readonly position: StoredPosition;
}

export interface MoveResult {
  /** The epoch in force after it. */
  readonly epoch: number;
  readonly changedAt: string;
}

export interface TableStates {
  /** State NOT_STARTED, route = source. Throws MIG073 when a table of this source or target name is already in migration. */
  createTable(table: NewTable): Promise<TableRecord>;
  /** One table of `moveStates`. */
  moveState(tableId: string, expectedFrom: TableState, to: TableState, how: Omit<StateMove, 'tableId' | 'expectedFrom' | 'to'> & { readonly together?: TogetherWith }): Promise<MoveResult>;
  /**
   * One transaction: every state, its history row, routes, epoch, journal, intervals and audit rows; all or none. A table that is
   * not in `expectedFrom` throws MIG074, an illegal move MIG074 with the legal ones, an unknown table MIG072.
   * The interrupted state of PAUSED, ERROR and ROLLBACK is kept by itself.
   */
  moveStates(moves: readonly StateMove[], together?: TogetherWith): Promise<MoveResult>;
  /** A new epoch without a change of state: quiescing on or off, reads moved (RULES 12). Everything of `moveStates` but states. */
  changeRoutes(reason: string, together: TogetherWith): Promise<MoveResult>;
  changeTable(tableId: string, change: TableChange): Promise<void>;
  /** Tables of databases in migration, by source name; a table that COMPLETE has ended is among them, an aborted one is not. None of a cluster: statements are not routed by those. */
  tables(): Promise<readonly TableRecord[]>;
  /** The same of Cassandra clusters (`clusterWrapper`); their schema is the keyspace. */
  clusterTables(): Promise<readonly TableRecord[]>;
  table(tableId: string): Promise<TableRecord | undefined>;
  /** Among `tables()`, by source name, else by target name. */
  tableByName(schema: string, name: string): Promise<TableRecord | undefined>;
  /** No history, no epoch. `undefined` leaves a value as it is, null clears it. Unknown tables are passed over. */
  setProgress(updates: readonly ProgressUpdate[]): Promise<void>;
  /**
   * Ends a table's migration after ABORT (`NOT_STARTED`: leaves `tables()` and the routing) or COMPLETE (`LOCAL_ONLY`: stays, marked
   * complete). The state row and the history stay; checkpoints, intervals, samples and positions go. Throws MIG074 in
   * another state.
   */
  endTable(tableId: string, as: 'NOT_STARTED' | 'LOCAL_ONLY', audit?: AuditEntry): Promise<MoveResult>;
  epoch(): Promise<number>;
  epochs(limit: number): Promise<readonly EpochRecord[]>;
}

export interface ProgressUpdate {
  readonly tableId: string;
  readonly bulkRowsTotal?: number | null | undefined;
  readonly bulkRowsMigrated?: number | null | undefined;
  readonly cdcPosition?: string | null | undefined;
  readonly cdcLagMs?: number | null | undefined;
  readonly lastError?: string | null | undefined;
}

export interface CutoverRecords {
  /** Begins an attempt. Throws MIG074 while one of the tables is in another one that has not ended. */
  beginJournal(entry: { readonly attemptId: string; readonly direction: 'cutover' | 'rollback'; readonly tableIds: readonly string[]; readonly step: string; readonly details?: JsonObject; readonly audit?: readonly AuditEntry[] }): Promise<void>;
  putJournalStep(step: JournalStep): Promise<void>;
  journal(attemptId: string): Promise<JournalRecord | undefined>;
  /** Attempts that have not ended, oldest first: what recovery has to finish or undo. */
  openJournals(): Promise<readonly JournalRecord[]>;
  lastJournal(tableId: string): Promise<JournalRecord | undefined>;
  /** Idempotent: the same edge twice is one edge; opening while another one is open throws MIG091. */
  openInterval(edge: IntervalEdge): Promise<void>;
  /** Idempotent; nothing open and nothing closed at this position throws MIG091. */
  closeInterval(edge: IntervalEdge): Promise<void>;
  /** Oldest first. */
  intervals(tableId: string): Promise<readonly AuthorityInterval[]>;
}

export interface ChangeRecords {
  putCheckpoint(migrationId: string, data: Uint8Array): Promise<void>;
  checkpoint(migrationId: string): Promise<Uint8Array | undefined>;
  deleteCheckpoint(migrationId: string): Promise<void>;
  putCdcPosition(position: Omit<CdcPositionRecord, 'updatedAt'>): Promise<void>;
  cdcPosition(sourceServer: string, tableName: string): Promise<CdcPositionRecord | undefined>;
  cdcPositions(): Promise<readonly CdcPositionRecord[]>;
  deleteCdcPosition(sourceServer: string, tableName: string): Promise<void>;
}

export interface EventLog {
  appendHistory(event: { readonly tableId: string; readonly eventType: Exclude<HistoryEvent, 'state_change'>; readonly details: JsonObject }): Promise<void>;
  /** Newest first. */
  history(query: { readonly tableId?: string; readonly limit: number }): Promise<readonly HistoryRecord[]>;
  audit(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  auditTrail(query: { readonly tableId?: string; readonly limit: number }): Promise<readonly AuditRecord[]>;
  /** Bounded: the oldest of a table go when it has more than the retention allows. */
  insertErrors(errors: readonly NewError[]): Promise<void>;
  /** Newest first. */
  errors(query: { readonly tableId?: string; readonly sinceMs?: number; readonly limit: number }): Promise<readonly ErrorRecord[]>;
  /** Returns the ids, in order. */
  insertConflicts(conflicts: readonly NewConflict[]): Promise<readonly string[]>;
  /** Throws MIG072 when there is no such conflict, MIG074 when it is resolved already. */
  resolveConflict(conflictId: string, resolution: { readonly strategy: ConflictResolution; readonly resolvedValues?: JsonObject | undefined; readonly actor?: Actor }): Promise<void>;
  /** Newest first. */
  conflicts(query: { readonly tableId?: string; readonly unresolved?: boolean; readonly limit: number }): Promise<readonly ConflictRecord[]>;
  conflictCounts(tableId: string): Promise<{ readonly total: number; readonly unresolved: number }>;
  /** One sample per table and call; samples older than the retention go. */
  addSamples(samples: readonly Omit<ProgressSample, 'at'>[]): Promise<void>;
  /** Oldest first; buckets without a sample are left out. */
  progress(query: { readonly tableId: string; readonly intervalMs: number; readonly lastMs: number }): Promise<readonly ProgressBucket[]>;
}

export interface NewError {
  readonly tableId?: string | undefined;
  readonly code: ErrorCode;
  readonly message: string;
  readonly rowKey?: string | undefined;
  readonly sourceError?: string | undefined;
}

export type NewConflict = Omit<ConflictRecord, 'conflictId' | 'detectedAt' | 'resolvedAt'> & { readonly resolved: boolean };

export interface ValidationRecords {
  /** Inserts or replaces. Keeps the last few of a table; the chunks of older ones go. */
  putValidation(validation: ValidationRecord): Promise<void>;
  /** Inserts or replaces chunks of a validation that exists. */
  putValidationChunks(validationId: string, chunks: readonly ValidationChunk[]): Promise<void>;
  lastValidation(tableId: string): Promise<ValidationRecord | undefined>;
  validationChunks(validationId: string): Promise<readonly ValidationChunk[]>;
}

/** The ledger of loss: one record for each column, direction and kind of a table. */
export interface LossRecords {
  /** Adds the values to what is there, and keeps the first few examples. */
  addTypeLosses(losses: readonly NewTypeLoss[]): Promise<void>;
  /** Replaces those of direction `definition`; one that is as it was stays accepted. */
  putDefinitionLosses(tableId: string, losses: readonly NewTypeLoss[]): Promise<void>;
  /** By table and column. */
  typeLosses(tableId?: string): Promise<readonly TypeLossRecord[]>;
  /** Returns those that were not accepted before, as they were. `column` undefined: of every column. */
  acceptTypeLosses(tableId: string, acceptance: { readonly column?: string | undefined; readonly user: string }): Promise<readonly TypeLossRecord[]>;
  /** The table is loaded anew: what went to local counts from zero. What was accepted stays so. */
  restartTypeLosses(tableId: string): Promise<void>;
  /** A new migration of the table begins: nothing is on record, nothing accepted. */
  forgetTypeLosses(tableId: string): Promise<void>;
}

export interface ServerRecords {
  /** Throws MIG073 when it exists, MIG071 when the options hold a secret (those belong to a user mapping). */
  createServer(server: Pick<ServerRecord, 'name' | 'wrapper' | 'options'>): Promise<void>;
  /** Replaces all options. Throws MIG072. */
  alterServer(name: string, options: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Throws MIG072, MIG074 when a migration source uses it and `cascade` is not said, and MIG074 in any case while a table of it is in
   * migration. Its user mappings go with it. Returns the names of the sources that went too.
   */
  dropServer(name: string, options?: { readonly cascade?: boolean }): Promise<readonly string[]>;
  server(name: string): Promise<ServerRecord | undefined>;
  servers(): Promise<readonly ServerRecord[]>;
  /** `options` as given, secrets included; those are stored encrypted. Throws MIG072 for the server, MIG073. */
  createMapping(serverName: string, userName: string, options: Readonly<Record<string, string>>): Promise<void>;
  /** Replaces the options given, removes those that are null, leaves the rest; a secret that changes is audited as CREDENTIALS_ROTATED. */
  alterMapping(serverName: string, userName: string, options: Readonly<Record<string, string | null>>, actor: Actor): Promise<void>;
  dropMapping(serverName: string, userName: string): Promise<void>;
  mapping(serverName: string, userName: string): Promise<MappingRecord | undefined>;
  mappings(): Promise<readonly MappingRecord[]>;
  /** The user's own mapping, else that of `public`; audited as CREDENTIALS_ACCESSED. Throws MIG003 when it cannot be decrypted. */
  credentials(serverName: string, userName: string, actor: Actor): Promise<Credentials | undefined>;
  /** Re-encrypts every secret in one transaction; the new key is the catalog's key afterwards. Returns how many. */
  rotateKey(to: CredentialKey, actor: Actor): Promise<number>;
  createSource(source: Pick<SourceRecord, 'name' | 'serverName' | 'options'>): Promise<void>;
  /** Replaces all options. Throws MIG072. */
  alterSource(name: string, options: Readonly<Record<string, unknown>>): Promise<void>;
  /** Throws MIG072, and MIG074 while a table of it is in migration. */
  dropSource(name: string): Promise<void>;
  source(name: string): Promise<SourceRecord | undefined>;
  sources(): Promise<readonly SourceRecord[]>;
}

export interface Credentials {
  readonly serverName: string;
  readonly userName: string;
  readonly options: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, Secret>>;
}
