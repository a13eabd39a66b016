/** Tables in migration: their making and ending, states, routes, epochs, progress. The only writer of states. */
import { MigrationError } from '../../config/migration-error.ts';
import type { AuditEntry } from '../audit.ts';
import type { MoveResult, NewTable, ProgressUpdate, StateMove, TableChange, TableStates, TogetherWith } from '../catalog.ts';
import { clusterWrapper, sourceRoute } from '../records.ts';
import type { EpochRecord, TableRecord } from '../records.ts';
import { isLegalMove, legalMoves } from '../table-state.ts';
import type { TableState } from '../table-state.ts';
import { writeAudit } from './audit-rows.ts';
import { integer, stringArray, text, time } from './columns.ts';
import { isoToStored } from './connection.ts';
import type { CatalogConnection } from './connection.ts';
import { closeIntervalEdge, openIntervalEdge, writeJournalStep } from './cutover-rows.ts';
import { writeHistory } from './history-rows.ts';
import { findTable, selectTables, tableRecord, writeRoute } from './table-rows.ts';

const LAST_ERROR_CHARACTERS = 1024;

const ofCluster = `EXISTS (SELECT 1 FROM server v WHERE v.server_name = s.source_server AND v.wrapper = '${clusterWrapper}')`;
const notOfCluster = `NOT ${ofCluster}`;

export class TableStore implements TableStates {
  readonly #connection: CatalogConnection;
  readonly #newId: () => string;

  constructor(connection: CatalogConnection, newId: () => string) {
    this.#connection = connection;
    this.#newId = newId;
  }

  async createTable(table: NewTable): Promise<TableRecord> {
    return this.#connection.write(() => {
      this.#refuseTakenNames(table);
      const tableId = this.#endedTable(table) ?? table.tableId ?? this.#newId();
      this.#insertRows(tableId, table);
      if (table.audit) writeAudit(this.#connection, this.#newId, { ...table.audit, tableId });
      this.#nextEpoch('START MIGRATION', [tableId]);
      return this.#required(tableId);
    });
  }

  moveState(tableId: string, expectedFrom: TableState, to: TableState, how: Omit<StateMove, 'tableId' | 'expectedFrom' | 'to'> & { readonly together?: TogetherWith }): Promise<MoveResult> {
    const { together, ...rest } = how;
    return this.moveStates([{ tableId, expectedFrom, to, ...rest }], together);
  }

  async moveStates(moves: readonly StateMove[], together: TogetherWith = {}): Promise<MoveResult> {
    const [first] = moves;
    if (first === undefined) throw new RangeError('no move given');
    return this.#connection.write(() => {
      const tableIds = [...new Set([...moves.map((move) => move.tableId), ...(together.routes ?? []).map((route) => route.tableId)])];
      const epoch = together.newEpoch === false ? this.#epoch() : this.#nextEpoch(together.reason ?? first.trigger, tableIds);
      for (const move of moves) this.#moveOne(move, epoch);
      this.#applyTogether(together);
      return { epoch, changedAt: this.#required(first.tableId).stateChangedAt };
    });
  }

  async changeRoutes(reason: string, together: TogetherWith): Promise<MoveResult> {
    return this.#connection.write(() => {
      const now = this.#connection.nowMs();
      const epoch = together.newEpoch === false ? this.#epoch() : this.#nextEpoch(reason, (together.routes ?? []).map((route) => route.tableId));
      this.#applyTogether(together);
      return { epoch, changedAt: new Date(now).toISOString() };
    });
  }

  async changeTable(tableId: string, change: TableChange): Promise<void> {
    this.#connection.write(() => {
      this.#required(tableId);
      this.#applyChange(tableId, change);
    });
  }

  async tables(): Promise<readonly TableRecord[]> {
    return this.#connection.all(`${selectTables} WHERE i.ended_at IS NULL AND ${notOfCluster} ORDER BY s.source_schema, s.source_table`).map(tableRecord);
  }

  async clusterTables(): Promise<readonly TableRecord[]> {
    return this.#connection.all(`${selectTables} WHERE i.ended_at IS NULL AND ${ofCluster} ORDER BY s.source_schema, s.source_table`).map(tableRecord);
  }

  async table(tableId: string): Promise<TableRecord | undefined> {
    return findTable(this.#connection, tableId);
  }

  async tableByName(schema: string, name: string): Promise<TableRecord | undefined> {
    const row =
      this.#connection.get(`${selectTables} WHERE i.ended_at IS NULL AND ${notOfCluster} AND s.source_schema = ? AND s.source_table = ?`, schema, name) ??
      this.#connection.get(`${selectTables} WHERE i.ended_at IS NULL AND ${notOfCluster} AND s.target_schema = ? AND s.target_table = ?`, schema, name);
    return row === undefined ? undefined : tableRecord(row);
  }

  async setProgress(updates: readonly ProgressUpdate[]): Promise<void> {
    if (updates.length === 0) return;
    this.#connection.write(() => {
      for (const update of updates) this.#setOneProgress(update);
    });
  }

  async endTable(tableId: string, as: 'NOT_STARTED' | 'LOCAL_ONLY', audit?: AuditEntry): Promise<MoveResult> {
    return this.#connection.write(() => {
      const table = this.#required(tableId);
      if (table.state !== as) throw wrongState(table, as);
      const now = this.#connection.now();
      const column = as === 'NOT_STARTED' ? 'ended_at' : 'completed_at';
      this.#connection.run(`UPDATE table_internals SET ${column} = ?, rollback_until = NULL WHERE table_id = ?`, now, tableId);
      if (as === 'NOT_STARTED') writeRoute(this.#connection, tableId, sourceRoute);
      this.#forgetWork(table);
      if (audit) writeAudit(this.#connection, this.#newId, { ...audit, tableId });
      const epoch = this.#nextEpoch(as === 'NOT_STARTED' ? 'migration ended' : 'migration completed', [tableId]);
      writeHistory(this.#connection, this.#newId, {
        tableId, eventType: 'state_change', oldState: as, newState: as, details: { trigger: as === 'NOT_STARTED' ? 'migration ended' : 'COMPLETE', epoch },
      });
      return { epoch, changedAt: table.stateChangedAt };
    });
  }

  async epoch(): Promise<number> {
    return this.#epoch();
  }

  async epochs(limit: number): Promise<readonly EpochRecord[]> {
    const rows = this.#connection.all('SELECT epoch, reason, table_ids, created_at FROM epoch ORDER BY epoch DESC LIMIT ?', limit);
    return rows.map((row) => ({
      epoch: integer(row, 'epoch'), reason: text(row, 'reason'), tableIds: stringArray(row, 'table_ids'), createdAt: time(row, 'created_at'),
    }));
  }

  #moveOne(move: StateMove, epoch: number): void {
    const table = this.#required(move.tableId);
    if (table.state !== move.expectedFrom) throw wrongState(table, move.expectedFrom);
    if (!isLegalMove(table.state, move.to)) throw illegalMove(table, move.to);
    const now = this.#connection.now();
    const error = move.error?.slice(0, LAST_ERROR_CHARACTERS);
    this.#connection.run(
      `UPDATE "SYS$MIGRATION_STATE" SET state = ?, state_changed_at = ?, updated_at = ?, last_error = coalesce(?, last_error) WHERE table_id = ?`,
      move.to, now, now, error ?? null, move.tableId,
    );
    const memory = rememberedStates(table, move.to);
    this.#connection.run(
      'UPDATE table_internals SET interrupted_state = ?, rollback_from = ? WHERE table_id = ?',
      memory.interruptedState ?? null, memory.rollbackFrom ?? null, move.tableId,
    );
    if (move.route) writeRoute(this.#connection, move.tableId, { ...table.route, ...move.route });
    if (move.change) this.#applyChange(move.tableId, move.change);
    writeHistory(this.#connection, this.#newId, {
      tableId: move.tableId,
      eventType: 'state_change',
      oldState: table.state,
      newState: move.to,
      details: { trigger: move.trigger, epoch, ...(error === undefined ? {} : { error }), ...move.details },
    });
  }

  #applyTogether(together: TogetherWith): void {
    for (const { tableId, route } of together.routes ?? []) {
      writeRoute(this.#connection, tableId, { ...this.#required(tableId).route, ...route });
    }
    for (const edge of together.closeIntervals ?? []) closeIntervalEdge(this.#connection, edge);
    for (const edge of together.openIntervals ?? []) openIntervalEdge(this.#connection, edge);
    if (together.journal) writeJournalStep(this.#connection, together.journal);
    for (const entry of together.audit ?? []) writeAudit(this.#connection, this.#newId, entry);
  }

  #applyChange(tableId: string, change: TableChange): void {
    const set = (column: string, value: string | null): void => {
      this.#connection.run(`UPDATE table_internals SET ${column} = ? WHERE table_id = ?`, value, tableId);
    };
    const moment = (iso: string | null): string | null => (iso === null ? null : isoToStored(iso));
    if (change.groupName !== undefined) set('group_name', change.groupName);
    if (change.rollbackUntil !== undefined) set('rollback_until', moment(change.rollbackUntil));
    if (change.completedAt !== undefined) set('completed_at', moment(change.completedAt));
    if (change.details !== undefined) set('details', JSON.stringify(change.details));
    if (change.options !== undefined) {
      this.#connection.run('UPDATE "SYS$MIGRATION_STATE" SET options = ?, updated_at = ? WHERE table_id = ?', JSON.stringify(change.options), this.#connection.now(), tableId);
    }
  }

  #setOneProgress(update: ProgressUpdate): void {
    const columns: readonly (readonly [string, string | number | null | undefined])[] = [
      ['bulk_rows_total', update.bulkRowsTotal],
      ['bulk_rows_migrated', update.bulkRowsMigrated],
      ['cdc_position', update.cdcPosition],
      ['cdc_lag_ms', update.cdcLagMs === undefined || update.cdcLagMs === null ? update.cdcLagMs : Math.round(update.cdcLagMs)],
      ['last_error', update.lastError?.slice(0, LAST_ERROR_CHARACTERS) ?? update.lastError],
    ];
    const given = columns.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
    if (given.length === 0) return;
    this.#connection.run(
      `UPDATE "SYS$MIGRATION_STATE" SET ${given.map(({ name }) => `${name} = ?`).join(', ')}, updated_at = ? WHERE table_id = ?`,
      ...given.map(({ value }) => value), this.#connection.now(), update.tableId,
    );
  }

  #refuseTakenNames(table: NewTable): void {
    const taken = this.#connection.get(
      `${selectTables} WHERE i.ended_at IS NULL AND (s.source_schema = ? AND s.source_table = ? OR s.target_schema = ? AND s.target_table = ?)`,
      table.source.schema, table.source.name, table.target.schema, table.target.name,
    );
    if (taken === undefined) return;
    const { source, target, state } = tableRecord(taken);
    throw new MigrationError('MIG073', `${table.source.schema}.${table.source.name} is already in migration`, {
      detail: `Table ${source.schema}.${source.name} → ${target.schema}.${target.name} is in state ${state}.`,
      hint: 'ABORT MIGRATION first, or choose another target_table.',
    });
  }

  /** The id of the same table's aborted migration: its history goes on. */
  #endedTable(table: NewTable): string | undefined {
    const row = this.#connection.get(
      `SELECT s.table_id FROM "SYS$MIGRATION_STATE" s JOIN table_internals i USING (table_id)
       WHERE i.ended_at IS NOT NULL AND s.source_server = ? AND s.source_schema = ? AND s.source_table = ?
       ORDER BY i.ended_at DESC`,
      table.sourceServer, table.source.schema, table.source.name,
    );
    return row === undefined ? undefined : text(row, 'table_id');
  }

  #insertRows(tableId: string, table: NewTable): void {
    const now = this.#connection.now();
    this.#connection.run(
      `INSERT INTO "SYS$MIGRATION_STATE" (table_id, source_server, source_schema, source_table, target_schema, target_table, state,
         state_changed_at, options, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 'NOT_STARTED', ?, ?, ?, ?)
       ON CONFLICT (table_id) DO UPDATE SET target_schema = excluded.target_schema, target_table = excluded.target_table,
         state_changed_at = excluded.state_changed_at, options = excluded.options, updated_at = excluded.updated_at,
         bulk_rows_total = NULL, bulk_rows_migrated = NULL, cdc_position = NULL, cdc_lag_ms = NULL, last_error = NULL`,
      tableId, table.sourceServer, table.source.schema, table.source.name, table.target.schema, table.target.name,
      now, JSON.stringify(table.options), now, now,
    );
    this.#connection.run('DELETE FROM table_internals WHERE table_id = ?', tableId);
    this.#connection.run(
      `INSERT INTO table_internals (table_id, source_name, epoch, group_name, reads, writes, wait_visible, track_writes, writes_blocked,
         ddl_blocked, quiescing, details, started_by) VALUES (?, ?, 0, ?, 'source', 'source', 0, 0, 0, 0, 0, ?, ?)`,
      tableId, table.sourceName, table.groupName ?? null, JSON.stringify(table.details ?? {}), table.startedBy ?? null,
    );
  }

  #forgetWork(table: TableRecord): void {
    this.#connection.run('DELETE FROM "SYS$MIGRATION_CHECKPOINTS" WHERE migration_id = ?', table.tableId);
    this.#connection.run(
      'DELETE FROM "SYS$MIGRATION_CDC_POSITIONS" WHERE source_server = ? AND table_name = ?',
      table.sourceServer, `${table.source.schema}.${table.source.name}`,
    );
    for (const name of ['authority_interval', 'progress_sample', 'validation']) {
      this.#connection.run(`DELETE FROM ${name} WHERE table_id = ?`, table.tableId);
    }
  }

  #epoch(): number {
    return integer(this.#connection.get('SELECT coalesce(max(epoch), 0) AS epoch FROM epoch') ?? {}, 'epoch');
  }

  #nextEpoch(reason: string, tableIds: readonly string[]): number {
    const epoch = this.#epoch() + 1;
    this.#connection.run(
      'INSERT INTO epoch (epoch, reason, table_ids, token, created_at) VALUES (?, ?, ?, ?, ?)',
      epoch, reason, JSON.stringify(tableIds), this.#connection.token ?? 0, this.#connection.now(),
    );
    for (const tableId of tableIds) this.#connection.run('UPDATE table_internals SET epoch = ? WHERE table_id = ?', epoch, tableId);
    return epoch;
  }

  #required(tableId: string): TableRecord {
    const table = findTable(this.#connection, tableId);
    if (table === undefined) throw new MigrationError('MIG072', `no table ${tableId} is in migration`);
    return table;
  }
}

/** What PAUSED, ERROR and ROLLBACK remember; the first interruption counts when they follow each other. */
export function rememberedStates(table: { readonly state: TableState; readonly interruptedState: TableState | undefined; readonly rollbackFrom: TableState | undefined }, to: TableState): { readonly interruptedState: TableState | undefined; readonly rollbackFrom: TableState | undefined } {
  const halted = table.state === 'PAUSED' || table.state === 'ERROR';
  const underlying = halted ? table.interruptedState : table.state;
  if (to === 'PAUSED' || to === 'ERROR') return { interruptedState: underlying, rollbackFrom: table.rollbackFrom };
  // A rollback that failed and is tried again still rolls back what it did at first.
  if (to === 'ROLLBACK') return { interruptedState: undefined, rollbackFrom: table.rollbackFrom ?? underlying };
  return { interruptedState: undefined, rollbackFrom: undefined };
}

function wrongState(table: TableRecord, expected: TableState): MigrationError {
  return new MigrationError('MIG074', `${table.source.schema}.${table.source.name} is in state ${table.state}, not ${expected}`, {
    tableName: `${table.source.schema}.${table.source.name}`,
  });
}

function illegalMove(table: TableRecord, to: TableState): MigrationError {
  return new MigrationError('MIG074', `${table.source.schema}.${table.source.name} cannot go from ${table.state} to ${to}`, {
    tableName: `${table.source.schema}.${table.source.name}`,
    detail: `From ${table.state} it can go to ${legalMoves(table.state).join(', ')}.`,
  });
}
