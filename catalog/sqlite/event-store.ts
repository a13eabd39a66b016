/** What happened: history, audit, errors, conflicts, progress samples; the last three are bounded by a retention. */
import { errorKinds, MigrationError } from '../../config/migration-error.ts';
import type { ErrorCategory, ErrorCode } from '../../config/migration-error.ts';
import type { Actor, AuditEntry, AuditRecord } from '../audit.ts';
import { systemActor } from '../audit.ts';
import type { EventLog, NewConflict, NewError } from '../catalog.ts';
import type { ConflictRecord, ConflictResolution, ErrorRecord, HistoryEvent, HistoryRecord, JsonObject, ProgressBucket, ProgressSample } from '../records.ts';
import { auditRecord, writeAudit } from './audit-rows.ts';
import { flag, integer, json, oneOf, optionalInteger, optionalJson, optionalText, optionalTime, state, text, time } from './columns.ts';
import { isoToStored, storedTime } from './connection.ts';
import type { CatalogConnection, Row } from './connection.ts';
import { historyRecord, writeHistory } from './history-rows.ts';

export interface Retention {
  readonly errorsPerTable: number;
  readonly samplesMs: number;
}

const resolutions: readonly ConflictResolution[] = ['source_wins', 'target_wins', 'timestamp_wins', 'custom_merge', 'fail_on_conflict'];
const codes = Object.keys(errorKinds) as ErrorCode[];

export class EventStore implements EventLog {
  readonly #connection: CatalogConnection;
  readonly #newId: () => string;
  readonly #retention: Retention;

  constructor(connection: CatalogConnection, newId: () => string, retention: Retention) {
    this.#connection = connection;
    this.#newId = newId;
    this.#retention = retention;
  }

  async appendHistory(event: { readonly tableId: string; readonly eventType: Exclude<HistoryEvent, 'state_change'>; readonly details: JsonObject }): Promise<void> {
    this.#connection.write(() => writeHistory(this.#connection, this.#newId, event));
  }

  async history(query: { readonly tableId?: string; readonly limit: number }): Promise<readonly HistoryRecord[]> {
    const rows = query.tableId === undefined
      ? this.#connection.all('SELECT * FROM "SYS$MIGRATION_HISTORY" ORDER BY rowid DESC LIMIT ?', query.limit)
      : this.#connection.all('SELECT * FROM "SYS$MIGRATION_HISTORY" WHERE table_id = ? ORDER BY rowid DESC LIMIT ?', query.tableId, query.limit);
    return rows.map(historyRecord);
  }

  async audit(entry: AuditEntry): Promise<void> {
    this.#connection.write(() => writeAudit(this.#connection, this.#newId, entry));
  }

  async auditTrail(query: { readonly tableId?: string; readonly limit: number }): Promise<readonly AuditRecord[]> {
    const rows = query.tableId === undefined
      ? this.#connection.all('SELECT * FROM "SYS$MIGRATION_AUDIT" ORDER BY rowid DESC LIMIT ?', query.limit)
      : this.#connection.all('SELECT * FROM "SYS$MIGRATION_AUDIT" WHERE table_id = ? ORDER BY rowid DESC LIMIT ?', query.tableId, query.limit);
    return rows.map(auditRecord);
  }

  async insertErrors(errors: readonly NewError[]): Promise<void> {
    if (errors.length === 0) return;
    this.#connection.write(() => {
      for (const error of errors) this.#insertError(error);
      this.#auditErrors(errors);
      for (const tableId of new Set(errors.map((error) => error.tableId))) this.#pruneErrors(tableId);
    });
  }

  async errors(query: { readonly tableId?: string; readonly sinceMs?: number; readonly limit: number }): Promise<readonly ErrorRecord[]> {
    const since = storedTime(query.sinceMs ?? 0);
    const rows = query.tableId === undefined
      ? this.#connection.all('SELECT * FROM migration_error WHERE created_at >= ? ORDER BY error_id DESC LIMIT ?', since, query.limit)
      : this.#connection.all('SELECT * FROM migration_error WHERE table_id = ? AND created_at >= ? ORDER BY error_id DESC LIMIT ?', query.tableId, since, query.limit);
    return rows.map(errorRecord);
  }

  async insertConflicts(conflicts: readonly NewConflict[]): Promise<readonly string[]> {
    return this.#connection.write(() => conflicts.map((conflict) => this.#insertConflict(conflict)));
  }

  async resolveConflict(conflictId: string, resolution: { readonly strategy: ConflictResolution; readonly resolvedValues?: JsonObject | undefined; readonly actor?: Actor }): Promise<void> {
    this.#connection.write(() => {
      const row = this.#connection.get('SELECT * FROM "SYS$MIGRATION_CONFLICTS" WHERE conflict_id = ?', conflictId);
      if (row === undefined) throw new MigrationError('MIG072', `no conflict ${conflictId}`, { hint: 'SHOW MIGRATION CONFLICTS lists them.' });
      if (row['resolved_at'] !== null) throw new MigrationError('MIG074', `conflict ${conflictId} is resolved already`);
      this.#connection.run(
        'UPDATE "SYS$MIGRATION_CONFLICTS" SET resolution_strategy = ?, resolved_values_json = ?, resolved_at = ? WHERE conflict_id = ?',
        resolution.strategy, encode(resolution.resolvedValues), this.#connection.now(), conflictId,
      );
      writeAudit(this.#connection, this.#newId, {
        action: 'CONFLICT_RESOLVED', actor: resolution.actor ?? systemActor, tableId: text(row, 'table_id'), details: { conflictId, strategy: resolution.strategy },
      });
    });
  }

  async conflicts(query: { readonly tableId?: string; readonly unresolved?: boolean; readonly limit: number }): Promise<readonly ConflictRecord[]> {
    const conditions = ['true', ...(query.tableId === undefined ? [] : ['table_id = ?']), ...(query.unresolved === true ? ['resolved_at IS NULL'] : [])];
    const values = query.tableId === undefined ? [] : [query.tableId];
    return this.#connection
      .all(`SELECT * FROM "SYS$MIGRATION_CONFLICTS" WHERE ${conditions.join(' AND ')} ORDER BY detected_at DESC, rowid DESC LIMIT ?`, ...values, query.limit)
      .map(conflictRecord);
  }

  async conflictCounts(tableId: string): Promise<{ readonly total: number; readonly unresolved: number }> {
    const row = this.#connection.get(
      'SELECT count(*) AS total, count(*) FILTER (WHERE resolved_at IS NULL) AS unresolved FROM "SYS$MIGRATION_CONFLICTS" WHERE table_id = ?', tableId,
    ) ?? {};
    return { total: integer(row, 'total'), unresolved: integer(row, 'unresolved') };
  }

  async addSamples(samples: readonly Omit<ProgressSample, 'at'>[]): Promise<void> {
    if (samples.length === 0) return;
    this.#connection.write(() => {
      const now = this.#connection.now();
      for (const sample of samples) {
        this.#connection.run(
          `INSERT OR REPLACE INTO progress_sample (table_id, at, state, rows_total, rows_migrated, lag_ms, pending_changes, applied_changes)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          sample.tableId, now, sample.state, sample.rowsTotal ?? null, sample.rowsMigrated ?? null,
          sample.lagMs === undefined ? null : Math.round(sample.lagMs), sample.pendingChanges ?? null, sample.appliedChanges ?? null,
        );
        this.#connection.run(
          'DELETE FROM progress_sample WHERE table_id = ? AND at < ?', sample.tableId, storedTime(this.#connection.nowMs() - this.#retention.samplesMs),
        );
      }
    });
  }

  async progress(query: { readonly tableId: string; readonly intervalMs: number; readonly lastMs: number }): Promise<readonly ProgressBucket[]> {
    if (!(query.intervalMs >= 1)) throw new MigrationError('MIG071', 'INTERVAL must be longer than 0');
    const since = storedTime(Math.max(0, this.#connection.nowMs() - query.lastMs));
    const rows = this.#connection.all('SELECT * FROM progress_sample WHERE table_id = ? AND at >= ? ORDER BY at', query.tableId, since);
    const buckets = new Map<number, Row[]>();
    for (const row of rows) {
      const start = Math.floor(Date.parse(time(row, 'at')) / query.intervalMs) * query.intervalMs;
      const bucket = buckets.get(start);
      if (bucket === undefined) buckets.set(start, [row]);
      else bucket.push(row);
    }
    return [...buckets].map(([start, bucket]) => progressBucket(start, bucket));
  }

  /** One entry for each table and code, with the first message and how many there were. */
  #auditErrors(errors: readonly NewError[]): void {
    const groups = Map.groupBy(errors, ({ tableId, code }) => JSON.stringify([tableId, code]));
    for (const [first, ...others] of groups.values()) {
      if (first) writeAudit(this.#connection, this.#newId, { action: 'ERROR_OCCURRED', actor: systemActor, tableId: first.tableId, details: { code: first.code, message: first.message, count: 1 + others.length } });
    }
  }

  #insertError(error: NewError): void {
    this.#connection.run(
      `INSERT INTO migration_error (table_id, code, category, message, row_key, source_error, retryable, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      error.tableId ?? null, error.code, errorKinds[error.code].category, error.message, error.rowKey ?? null, error.sourceError ?? null,
      Number(errorKinds[error.code].retryable), this.#connection.now(),
    );
  }

  #pruneErrors(tableId: string | undefined): void {
    this.#connection.run(
      'DELETE FROM migration_error WHERE table_id IS ? AND error_id <= (SELECT error_id FROM migration_error WHERE table_id IS ? ORDER BY error_id DESC LIMIT 1 OFFSET ?)',
      tableId ?? null, tableId ?? null, this.#retention.errorsPerTable,
    );
  }

  #insertConflict(conflict: NewConflict): string {
    const id = this.#newId();
    const now = this.#connection.now();
    const moment = (iso: string | undefined): string | null => (iso === undefined ? null : isoToStored(iso));
    this.#connection.run(
      `INSERT INTO "SYS$MIGRATION_CONFLICTS" (conflict_id, table_id, primary_key_json, local_values_json, remote_values_json, local_timestamp,
         remote_timestamp, resolution_strategy, resolved_values_json, detected_at, resolved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      id, conflict.tableId, JSON.stringify(conflict.primaryKey), encode(conflict.localValues), encode(conflict.remoteValues), moment(conflict.localTimestamp),
      moment(conflict.remoteTimestamp), conflict.strategy, encode(conflict.resolvedValues), now, conflict.resolved ? now : null,
    );
    const action = conflict.resolved ? 'CONFLICT_RESOLVED' : 'CONFLICT_DETECTED';
    for (const each of new Set(['CONFLICT_DETECTED', action] as const)) {
      writeAudit(this.#connection, this.#newId, { action: each, actor: systemActor, tableId: conflict.tableId, details: { conflictId: id, strategy: conflict.strategy } });
    }
    return id;
  }
}

function encode(value: JsonObject | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function progressBucket(start: number, rows: readonly Row[]): ProgressBucket {
  const last = rows[rows.length - 1] ?? {};
  const lags = rows.flatMap((row) => optionalInteger(row, 'lag_ms') ?? []);
  return {
    from: new Date(start).toISOString(),
    samples: rows.length,
    state: state(last, 'state'),
    rowsTotal: optionalInteger(last, 'rows_total'),
    rowsMigrated: optionalInteger(last, 'rows_migrated'),
    maxLagMs: lags.length === 0 ? undefined : lags.reduce((a, b) => Math.max(a, b)),
    pendingChanges: optionalInteger(last, 'pending_changes'),
    appliedChanges: optionalInteger(last, 'applied_changes'),
  };
}

function errorRecord(row: Row): ErrorRecord {
  return {
    errorId: integer(row, 'error_id'),
    tableId: optionalText(row, 'table_id'),
    code: oneOf(row, 'code', codes),
    category: text(row, 'category') as ErrorCategory,
    message: text(row, 'message'),
    rowKey: optionalText(row, 'row_key'),
    sourceError: optionalText(row, 'source_error'),
    retryable: flag(row, 'retryable'),
    createdAt: time(row, 'created_at'),
  };
}

function conflictRecord(row: Row): ConflictRecord {
  return {
    conflictId: text(row, 'conflict_id'),
    tableId: text(row, 'table_id'),
    primaryKey: json(row, 'primary_key_json'),
    localValues: optionalJson(row, 'local_values_json'),
    remoteValues: optionalJson(row, 'remote_values_json'),
    localTimestamp: optionalTime(row, 'local_timestamp'),
    remoteTimestamp: optionalTime(row, 'remote_timestamp'),
    strategy: oneOf(row, 'resolution_strategy', resolutions),
    resolvedValues: optionalJson(row, 'resolved_values_json'),
    detectedAt: time(row, 'detected_at'),
    resolvedAt: optionalTime(row, 'resolved_at'),
  };
}
