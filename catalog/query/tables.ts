/** The tables that queries may name, with the types that PostgreSQL gives their columns (schema/*.sql). */
import type { SqlType } from './sql-types.ts';

export interface CatalogTable {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: SqlType }[];
  readonly primaryKey: readonly string[];
}

function table(name: string, primaryKey: readonly string[], columns: Readonly<Record<string, SqlType>>): CatalogTable {
  return { name, primaryKey, columns: Object.entries(columns).map(([column, type]) => ({ name: column, type })) };
}

export const catalogTables: readonly CatalogTable[] = [
  table('SYS$MIGRATION_STATE', ['table_id'], {
    table_id: 'uuid', source_server: 'varchar', source_schema: 'varchar', source_table: 'varchar', target_schema: 'varchar', target_table: 'varchar',
    state: 'varchar', state_changed_at: 'timestamp', bulk_rows_total: 'int8', bulk_rows_migrated: 'int8', cdc_position: 'varchar', cdc_lag_ms: 'int4',
    last_error: 'varchar', options: 'json', created_at: 'timestamp', updated_at: 'timestamp',
  }),
  table('SYS$MIGRATION_CHECKPOINTS', ['migration_id'], { migration_id: 'uuid', checkpoint_data: 'bytea', created_at: 'timestamp' }),
  table('SYS$MIGRATION_CONFLICTS', ['conflict_id'], {
    conflict_id: 'uuid', table_id: 'uuid', primary_key_json: 'json', local_values_json: 'json', remote_values_json: 'json', local_timestamp: 'timestamp',
    remote_timestamp: 'timestamp', resolution_strategy: 'varchar', resolved_values_json: 'json', detected_at: 'timestamp', resolved_at: 'timestamp',
  }),
  table('SYS$MIGRATION_HISTORY', ['event_id'], {
    event_id: 'uuid', table_id: 'uuid', event_type: 'varchar', old_state: 'varchar', new_state: 'varchar', details: 'json', created_at: 'timestamp',
  }),
  table('SYS$MIGRATION_CDC_POSITIONS', ['source_server', 'table_name'], {
    source_server: 'varchar', table_name: 'varchar', cdc_type: 'varchar', position_data: 'json', updated_at: 'timestamp',
  }),
  table('SYS$MIGRATION_AUDIT', ['audit_id'], {
    audit_id: 'uuid', timestamp: 'timestamp', user_id: 'uuid', action: 'varchar', table_id: 'uuid', source_server: 'varchar', details: 'json',
    client_ip: 'varchar', session_id: 'uuid',
  }),
  table('SYS$MIGRATION_TYPE_LOSS', ['table_id', 'column_name', 'direction', 'kind'], {
    table_id: 'uuid', column_name: 'varchar', direction: 'varchar', kind: 'varchar', policy: 'varchar', lost_values: 'int8', examples: 'json', first_seen_at: 'timestamp',
    last_seen_at: 'timestamp', accepted_at: 'timestamp', accepted_by: 'varchar',
  }),
];

/** Unquoted names are folded to lower case by the grammar, quoted ones are not: both are meant. */
export function catalogTable(name: string): CatalogTable | undefined {
  const wanted = name.toUpperCase();
  return catalogTables.find((candidate) => candidate.name === wanted);
}
