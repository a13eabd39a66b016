/** The two rows of a table (SYS$MIGRATION_STATE and table_internals) and the record they make. */
import type { RouteFlags, TableRecord } from '../records.ts';
import { flag, integer, json, oneOf, optionalInteger, optionalJson, optionalState, optionalText, optionalTime, state, text, time } from './columns.ts';
import type { CatalogConnection, Row } from './connection.ts';

const columns = `s.table_id, s.source_server, s.source_schema, s.source_table, s.target_schema, s.target_table, s.state, s.state_changed_at,
  s.bulk_rows_total, s.bulk_rows_migrated, s.cdc_position, s.cdc_lag_ms, s.last_error, s.options, s.created_at, s.updated_at,
  i.source_name, i.epoch, i.interrupted_state, i.rollback_from, i.group_name, i.reads, i.writes, i.wait_visible, i.track_writes,
  i.writes_blocked, i.ddl_blocked, i.quiescing, i.rollback_until, i.details, i.started_by, i.ended_at, i.completed_at`;

export const selectTables = `SELECT ${columns} FROM "SYS$MIGRATION_STATE" s JOIN table_internals i USING (table_id)`;

const sides = ['source', 'local'] as const;

export function tableRecord(row: Row): TableRecord {
  return {
    tableId: text(row, 'table_id'),
    sourceServer: text(row, 'source_server'),
    sourceName: text(row, 'source_name'),
    source: { schema: text(row, 'source_schema'), name: text(row, 'source_table') },
    target: { schema: text(row, 'target_schema'), name: text(row, 'target_table') },
    state: state(row, 'state'),
    stateChangedAt: time(row, 'state_changed_at'),
    bulkRowsTotal: optionalInteger(row, 'bulk_rows_total'),
    bulkRowsMigrated: optionalInteger(row, 'bulk_rows_migrated'),
    cdcPosition: optionalText(row, 'cdc_position'),
    cdcLagMs: optionalInteger(row, 'cdc_lag_ms'),
    lastError: optionalText(row, 'last_error'),
    options: optionalJson(row, 'options') ?? {},
    createdAt: time(row, 'created_at'),
    updatedAt: time(row, 'updated_at'),
    epoch: integer(row, 'epoch'),
    interruptedState: optionalState(row, 'interrupted_state'),
    rollbackFrom: optionalState(row, 'rollback_from'),
    groupName: optionalText(row, 'group_name'),
    route: routeFlags(row),
    rollbackUntil: optionalTime(row, 'rollback_until'),
    details: json(row, 'details'),
    startedBy: optionalText(row, 'started_by'),
    completedAt: optionalTime(row, 'completed_at'),
  };
}

function routeFlags(row: Row): RouteFlags {
  return {
    reads: oneOf(row, 'reads', sides),
    writes: oneOf(row, 'writes', sides),
    waitVisible: flag(row, 'wait_visible'),
    trackWrites: flag(row, 'track_writes'),
    writesBlocked: flag(row, 'writes_blocked'),
    ddlBlocked: flag(row, 'ddl_blocked'),
    quiescing: flag(row, 'quiescing'),
  };
}

export function writeRoute(connection: CatalogConnection, tableId: string, route: RouteFlags): void {
  connection.run(
    `UPDATE table_internals SET reads = ?, writes = ?, wait_visible = ?, track_writes = ?, writes_blocked = ?, ddl_blocked = ?, quiescing = ?
     WHERE table_id = ?`,
    route.reads, route.writes, Number(route.waitVisible), Number(route.trackWrites), Number(route.writesBlocked), Number(route.ddlBlocked),
    Number(route.quiescing), tableId,
  );
}

export function findTable(connection: CatalogConnection, tableId: string): TableRecord | undefined {
  const row = connection.get(`${selectTables} WHERE s.table_id = ? AND i.ended_at IS NULL`, tableId);
  return row === undefined ? undefined : tableRecord(row);
}
