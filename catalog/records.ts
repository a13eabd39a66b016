/**
 * Rows of the catalog as values. Times are ISO 8601 in UTC with milliseconds (`2026-03-01T10:00:00.000Z`), ids are UUIDs,
 * names are folded as in the system catalogs, positions are the JSON of the specification's appendix A.
 */
import type { ErrorCategory, ErrorCode } from '../config/migration-error.ts';
import type { QualifiedName, Side } from './routing-snapshot.ts';
import type { TableState } from './table-state.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A position as it is stored; `type` is `postgresql_lsn`, `mysql_gtid`, … */
export interface StoredPosition {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The part of a `TableRoute` that is decided by the control and survives a restart. */
export interface RouteFlags {
  readonly reads: Side;
  readonly writes: Side;
  readonly waitVisible: boolean;
  readonly trackWrites: boolean;
  readonly writesBlocked: boolean;
  readonly ddlBlocked: boolean;
  readonly quiescing: boolean;
}

export const sourceRoute: RouteFlags = {
  reads: 'source', writes: 'source', waitVisible: false, trackWrites: false, writesBlocked: false, ddlBlocked: false, quiescing: false,
};

export interface TableRecord {
  readonly tableId: string;
  /** Name of the server, and of the migration source that refers to it. */
  readonly sourceServer: string;
  readonly sourceName: string;
  readonly source: QualifiedName;
  readonly target: QualifiedName;
  readonly state: TableState;
  readonly stateChangedAt: string;
  readonly bulkRowsTotal: number | undefined;
  readonly bulkRowsMigrated: number | undefined;
  readonly cdcPosition: string | undefined;
  readonly cdcLagMs: number | undefined;
  readonly lastError: string | undefined;
  /** Options of START MIGRATION as given. */
  readonly options: JsonObject;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Epoch of the last change of this table's routing. */
  readonly epoch: number;
  /** PAUSED and ERROR: the state that was interrupted. */
  readonly interruptedState: TableState | undefined;
  /** ROLLBACK, and PAUSED or ERROR on top of it: the state that is being rolled back. */
  readonly rollbackFrom: TableState | undefined;
  /** Tables that move together carry the same name (RULES 13). */
  readonly groupName: string | undefined;
  readonly route: RouteFlags;
  /** When the reverse stream ends by itself; undefined = when COMPLETE is said. */
  readonly rollbackUntil: string | undefined;
  /** Free for the control: what it needs to go on after a restart. */
  readonly details: JsonObject;
  readonly startedBy: string | undefined;
  /** COMPLETE was said: LOCAL_ONLY for good. */
  readonly completedAt: string | undefined;
}

export type HistoryEvent = 'state_change' | 'error' | 'checkpoint' | 'validation';

export interface HistoryRecord {
  readonly eventId: string;
  readonly tableId: string;
  readonly eventType: HistoryEvent;
  readonly oldState: TableState | undefined;
  readonly newState: TableState | undefined;
  /** A state change has at least `trigger` and `epoch`. */
  readonly details: JsonObject;
  readonly createdAt: string;
}

export interface EpochRecord {
  readonly epoch: number;
  readonly reason: string;
  readonly tableIds: readonly string[];
  readonly createdAt: string;
}

export interface JournalRecord {
  readonly attemptId: string;
  readonly direction: 'cutover' | 'rollback';
  readonly tableIds: readonly string[];
  /** Name of the last step that was reached. */
  readonly step: string;
  readonly details: JsonObject;
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly finishedAt: string | undefined;
  readonly outcome: 'complete' | 'undone' | 'failed' | undefined;
}

/** `forward`: source → local. */
export type StreamDirection = 'forward' | 'reverse';

export interface AuthorityInterval {
  readonly tableId: string;
  readonly direction: StreamDirection;
  readonly from: StoredPosition;
  /** undefined = still open. */
  readonly to: StoredPosition | undefined;
  readonly openedAt: string;
  readonly closedAt: string | undefined;
}

export interface ProgressSample {
  readonly tableId: string;
  readonly at: string;
  readonly state: TableState;
  readonly rowsTotal: number | undefined;
  readonly rowsMigrated: number | undefined;
  readonly lagMs: number | undefined;
  readonly pendingChanges: number | undefined;
  /** Since the migration began. */
  readonly appliedChanges: number | undefined;
}

/** One line of SHOW MIGRATION PROGRESS: the last values in [`from`, `from` + interval), and the largest lag. */
export interface ProgressBucket {
  readonly from: string;
  readonly samples: number;
  readonly state: TableState;
  readonly rowsTotal: number | undefined;
  readonly rowsMigrated: number | undefined;
  readonly maxLagMs: number | undefined;
  readonly pendingChanges: number | undefined;
  readonly appliedChanges: number | undefined;
}

export interface ErrorRecord {
  readonly errorId: number;
  readonly tableId: string | undefined;
  readonly code: ErrorCode;
  readonly category: ErrorCategory;
  readonly message: string;
  readonly rowKey: string | undefined;
  /** What the database said. */
  readonly sourceError: string | undefined;
  readonly retryable: boolean;
  readonly createdAt: string;
}

export type ConflictResolution = 'source_wins' | 'target_wins' | 'timestamp_wins' | 'custom_merge' | 'fail_on_conflict';

export interface ConflictRecord {
  readonly conflictId: string;
  readonly tableId: string;
  readonly primaryKey: JsonObject;
  /** undefined = the row did not exist on that side. */
  readonly localValues: JsonObject | undefined;
  readonly remoteValues: JsonObject | undefined;
  readonly localTimestamp: string | undefined;
  readonly remoteTimestamp: string | undefined;
  readonly strategy: ConflictResolution;
  readonly resolvedValues: JsonObject | undefined;
  readonly detectedAt: string;
  readonly resolvedAt: string | undefined;
}

export interface ValidationRecord {
  readonly validationId: string;
  readonly tableId: string;
  readonly mode: 'full' | 'sample';
  /** 0 to 100; undefined for `full`. */
  readonly samplePercent: number | undefined;
  /** undefined while it runs. */
  readonly passed: boolean | undefined;
  readonly sourceRows: number | undefined;
  readonly localRows: number | undefined;
  readonly chunks: number;
  readonly mismatchedChunks: number;
  readonly mismatchedRows: number;
  /** Rows that kept changing (RULES 29). */
  readonly unsettledRows: number;
  readonly details: JsonObject;
  readonly startedAt: string;
  readonly finishedAt: string | undefined;
}

export interface ValidationChunk {
  readonly chunkNo: number;
  /** undefined = −∞ / +∞. */
  readonly lowerBound: string | undefined;
  readonly upperBound: string | undefined;
  readonly sourceChecksum: string | undefined;
  readonly localChecksum: string | undefined;
  readonly rowCount: number | undefined;
  /** Position of the source at which the chunk was proved equal. */
  readonly position: StoredPosition | undefined;
}

export const lossDirections = ['to_local', 'to_source', 'definition'] as const;
/** `definition`: something of the table's definition on the source that local's lacks. */
export type LossDirection = (typeof lossDirections)[number];

/** `value` was written on the one side, `becomes` is on the other; of a definition `value` says what is lost. */
export interface LossExample {
  readonly value: string;
  readonly becomes: string | null;
}

export interface NewTypeLoss {
  readonly tableId: string;
  /** Of a definition: the name of the column, check, index, key or table. */
  readonly column: string;
  readonly direction: LossDirection;
  readonly kind: string;
  /** undefined = of a definition. */
  readonly policy: string | undefined;
  /** How many more; of a definition 1. */
  readonly values: number;
  readonly examples: readonly LossExample[];
}

/** `values`: all of them since the table was loaded. */
export interface TypeLossRecord extends NewTypeLoss {
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
  /** Counts for later values of the kind too. */
  readonly acceptedAt: string | undefined;
  readonly acceptedBy: string | undefined;
}

/** The wrapper of servers that are Cassandra or ScyllaDB clusters: their tables are moved between clusters, and no SQL statement reaches them. */
export const clusterWrapper = 'cassandra';

export interface ServerRecord {
  readonly name: string;
  /** Foreign data wrapper: the engine. */
  readonly wrapper: string;
  readonly options: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface MappingRecord {
  readonly serverName: string;
  /** `public` is the mapping of every user without one. */
  readonly userName: string;
  /** Without the secret ones. */
  readonly options: Readonly<Record<string, string>>;
  /** Names of the options that are stored encrypted. */
  readonly secretNames: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface SourceRecord {
  readonly name: string;
  readonly serverName: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface CdcPositionRecord {
  readonly sourceServer: string;
  /** `schema.name`, or the stream's name for a position that all shared tables have. */
  readonly tableName: string;
  readonly cdcType: string;
  readonly position: StoredPosition;
  readonly updatedAt: string;
}
