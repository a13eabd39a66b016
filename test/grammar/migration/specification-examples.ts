/** The SQL of specification §8 and §13.2, comments and all. Where it puts brackets, both readings. */
import type { StatementType } from '../../../grammar/migration/statement.ts';

interface Example {
  readonly sql: string;
  readonly types: readonly StatementType[];
}

const example = (sql: string, ...types: StatementType[]): Example => ({ sql, types });

export const specificationExamples: readonly Example[] = [
  example(`-- Create a migration source (references existing foreign server)
CREATE MIGRATION SOURCE source_name
    FROM SERVER server_name
    OPTIONS (
        cdc_mode 'logical_replication',  -- 'logical_replication', 'binlog',
                                         -- 'change_tracking', 'trigger'
        batch_size 10000,
        parallel_workers 4,
        rate_limit 50000,                -- rows/second, 0 = unlimited
        conflict_strategy 'source_wins', -- 'source_wins', 'target_wins',
                                         -- 'timestamp', 'fail'
        validation_sample 0.01           -- 1% sample for validation
    );`, 'create_source'),
  example(`-- Alter migration source
ALTER MIGRATION SOURCE source_name
    SET OPTION batch_size = 50000;`, 'alter_source'),
  example('DROP MIGRATION SOURCE source_name;', 'drop_source'),
  example('DROP MIGRATION SOURCE source_name CASCADE;', 'drop_source'),
  example('-- Show migration sources\nSHOW MIGRATION SOURCES;', 'show_sources'),
  example('START MIGRATION FOR TABLE table_name\n    FROM source_name;', 'start'),
  example(`START MIGRATION FOR TABLE schema.table_name
    FROM source_name
    OPTIONS (
        where_clause 'id > 0',           -- Filter source rows
        order_by 'column_name',          -- For resumable loads
        target_table 'other.name',       -- Different target name
        defer_indexes TRUE               -- Create indexes after load
    );`, 'start'),
  example('START MIGRATION FOR SCHEMA schema_name\n    FROM source_name\n    EXCLUDING (table1, table2)\n    INCLUDING ONLY (table3, table4);', 'start'),
  example('START MIGRATION FOR SCHEMA schema_name FROM source_name;', 'start'),
  example('-- Pause migration\nPAUSE MIGRATION FOR TABLE schema.table_name;\nPAUSE MIGRATION FOR SCHEMA schema_name;\nPAUSE MIGRATION ALL;', 'pause', 'pause', 'pause'),
  example('-- Resume migration\nRESUME MIGRATION FOR TABLE schema.table_name;\nRESUME MIGRATION FOR SCHEMA schema_name;\nRESUME MIGRATION ALL;', 'resume', 'resume', 'resume'),
  example('-- Abort migration (discard progress)\nABORT MIGRATION FOR TABLE schema.table_name;', 'abort'),
  example('CUTOVER TABLE schema.table_name;', 'cutover'),
  example('CUTOVER TABLE schema.table_name\n    FORCE                              -- Skip validation\n    TIMEOUT 30;', 'cutover'),
  example('CUTOVER SCHEMA schema_name\n    FORCE\n    TIMEOUT 30;', 'cutover'),
  example('ROLLBACK MIGRATION FOR TABLE schema.table_name;', 'rollback'),
  example('ROLLBACK MIGRATION FOR TABLE schema.table_name\n    PRESERVE LOCAL DATA\n    TIMEOUT 300;', 'rollback'),
  example('-- Show overall migration status\nSHOW MIGRATION STATUS;', 'show_status'),
  example('SHOW MIGRATION STATUS FOR TABLE public.orders;\n/*\nTable:           public.orders\n*/', 'show_status'),
  example("SHOW MIGRATION PROGRESS FOR TABLE public.orders\n    INTERVAL '1 hour'\n    LAST '24 hours';", 'show_progress'),
  example('SHOW MIGRATION CONFLICTS;', 'show_conflicts'),
  example('SHOW MIGRATION CONFLICTS FOR TABLE table_name\n    UNRESOLVED\n    LIMIT 5;', 'show_conflicts'),
  example('SHOW MIGRATION ERRORS;', 'show_errors'),
  example("SHOW MIGRATION ERRORS FOR TABLE table_name\n    LAST '1 day';", 'show_errors'),
  example('VALIDATE MIGRATION FOR TABLE schema.table_name;', 'validate'),
  example('VALIDATE MIGRATION FOR TABLE schema.table_name\n    FULL;', 'validate'),
  example('VALIDATE MIGRATION FOR TABLE schema.table_name\n    SAMPLE 1;', 'validate'),
  example('VALIDATE MIGRATION FOR SCHEMA schema_name;', 'validate'),
  example(`-- All available options for START MIGRATION
START MIGRATION FOR TABLE source_table
    FROM source_name
    OPTIONS (
        -- Target configuration
        target_schema 'schema_name',
        target_table 'table_name',

        -- Filtering
        where_clause 'created_at > ''2024-01-01''',
        columns 'id, name, email, created_at',  -- Subset of columns

        -- Bulk load
        batch_size 50000,
        parallel_workers 8,
        rate_limit 100000,                       -- rows/sec
        order_by 'id',                           -- For resumable loads

        -- Indexes
        defer_indexes TRUE,
        concurrent_indexes TRUE,

        -- CDC
        cdc_mode 'logical_replication',
        cdc_batch_size 5000,

        -- Validation
        validation_sample 0.05,                  -- 5%
        validation_interval '1 hour',

        -- Conflict handling
        conflict_strategy 'timestamp_wins',
        conflict_timestamp_column 'updated_at',

        -- Error handling
        max_errors 100,
        skip_on_error FALSE,

        -- Cutover
        auto_cutover FALSE,                      -- Manual cutover required
        cutover_lag_threshold 5                  -- Max CDC lag for auto-cutover
    );`, 'start'),
];
