/** Ordinary SQL is never taken for a migration statement, and what the parser reads always is one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextToken } from '../../../grammar/tokens.ts';
import { isMigrationText, rowCountsSource } from '../../../grammar/migration/recognise.ts';

const ordinary = [
  '', ' ', ';', 'SHOW server_version', 'SHOW ALL', 'show "migration"', 'SHOW migration.setting', 'SHOW migration . setting', 'EXPLAIN SELECT 1', 'EXPLAIN (ANALYZE) SELECT 1',
  'EXPLAIN ANALYZE SELECT 1', 'explain verbose update t set x = 1', 'START TRANSACTION', 'START TRANSACTION READ ONLY', 'ROLLBACK', 'rollback;', 'ROLLBACK TO x',
  'ROLLBACK TO SAVEPOINT migration', 'ROLLBACK PREPARED \'migration\'', 'ROLLBACK AND CHAIN', 'ROLLBACK WORK', 'ABORT', 'ABORT WORK', 'CREATE TABLE migration (a int)',
  'CREATE USER mapping', 'CREATE USER mapping WITH PASSWORD \'x\'', 'DROP USER mapping, b', 'CREATE USER bob', 'ALTER USER u PASSWORD \'x\'', 'ALTER USER mapping_user SET x = 1', 'DROP USER bob', 'DROP TABLE server', 'CREATE SCHEMA server',
  'ALTER TABLE t ADD COLUMN migration int', 'CREATE EXTENSION x', 'SELECT * FROM migration', 'SELECT cutover', 'CHECKPOINT', 'COMMIT', 'COMMENT ON TABLE t IS \'cutover\'', 'COPY t TO STDOUT',
  'VACUUM', 'VALUES (1)', 'RESET ALL', 'RELEASE SAVEPOINT x', 'REFRESH MATERIALIZED VIEW v', 'PREPARE pause AS SELECT 1', 'EXECUTE cutover', '"cutover" table x', '/* cutover */ SELECT 1',
  '-- CUTOVER TABLE x\nSELECT 1', '-- CUTOVER TABLE x', '/* open', 'ſhow migration status', 'ſtart migration', 'cutover_log', 'cutoverÿ', 'pause$', 'pause1',
  'START TRANSACTON', 'START ISOLATION', 'START "migraton"', 'SHOW migraton', 'SHOW migraton;', 'SHOW migraton.x', 'SHOW TIME ZONE', 'SHOW TRANSACTION ISOLATION LEVEL', 'EXPLAIN CREATE TABLE x AS SELECT 1', 'CREATE SERVR s', 'CREATE MATERIALIZED VIEW v AS SELECT 1',
  'CREATE "SERVER" s', 'CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw', 'create server if not exists s type \'x\' version \'1\' foreign data wrapper "Postgres" options (a \'b\')', 'SHOWMIGRATION STATUS',
  'SHOW pool', 'SHOW pools.size', 'SHOW "pools"', 'SHOW pools x', 'SHOW stats_period', 'SHOW client x', 'SHOW client_encoding', 'SHOW server_version', 'SHOW config_file', 'SHOW listen_addresses', 'SHOW data_directory', 'SHOW poolss', 'SHOW databases, pools', 'SET pools = 1', 'SHOW\u00a0MIGRATION STATUS', 'résume migration',
];

const ours = [
  'SHOW POOLS', 'show Clients;', 'SHOW servers -- x', '/* x */ SHOW DATABASES', 'SHOW LISTS', 'SHOW CONFIG ;', 'SHOW STATS; SHOW POOLS',
  'SHOW MIGRATION STATUS', 'show migration', 'Show\n\tMigration /* x */ Status', ' ;; \n-- x\n/* y /* z */ */CUTOVER TABLE x', 'CUTOVER', 'pause migration all', 'RESUME', 'Validate migration all',
  'START MIGRATON FOR TABLE x', 'start migratoin all', 'ABORT MIGRTION ALL', 'ROLLBACK MIGRATIONS FOR TABLE x', 'SHOW MIGRATON STATUS', 'EXPLAIN CUTOVR TABLE x', 'EXPLAIN ROUTES SELECT 1', 'CREATE MIGRATON SOURCE s', 'DROP MIGRATIN SOURCE s',
  'START MIGRATION', 'ABORT MIGRATION ALL', 'ROLLBACK MIGRATION FOR TABLE x', 'ROLLBACK/**/MIGRATION', 'EXPLAIN ROUTE SELECT 1', 'EXPLAIN  CUTOVER TABLE x', 'EXPLAIN--\nROUTE SELECT 1',
  'CREATE SERVER s', 'CREATE SERVER s FOREIGN DATA WRAPPER postgres OPTIONS (x', 'CREATE SERVER s FOREIGN DATA WRAPPER', 'CREATE SERVER wrapper FOREIGN', 'ALTER SERVER s', 'DROP SERVER s', 'CREATE USER MAPPING FOR x', 'ALTER USER  MAPPING FOR x', 'DROP USER MAPPING IF EXISTS FOR x', 'CREATE MIGRATION SOURCE s', 'RESYNC MIGRATION', 'COMPLETE MIGRATION', 'CHECK MIGRATION',
];

test.each(ordinary)('not ours: %s', (sql) => {
  expect(isMigrationText(sql)).toBe(false);
});

test.each(ours)('ours: %s', (sql) => {
  expect(isMigrationText(sql)).toBe(true);
  expect(isMigrationText(sql.toLowerCase())).toBe(true);
});

test('looking at letters first decides as the tokens would', () => {
  const words = ['show', 'pools', 'stats', 'migration', 'cutover', 'user', 'mapping', 'server', 'create', 'rollback', 'explain', 'route', 'to', 'select', '.', ';', ' ', '\n', '--\n', '/**/', '"', 'for', '(', '1', '$', 'é', 'ALL', 'Start'];
  fc.assert(fc.property(fc.array(fc.constantFrom(...words), { maxLength: 7 }).map((list) => list.join('')), (sql) => {
    // A comment in front leads past the quick look.
    expect(isMigrationText(sql)).toBe(isMigrationText(`/**/${sql}`));
  }), { numRuns: 3000 });
});

describe('MIGRATION_ROW_COUNTS', () => {
  test.each([
    ['SELECT * FROM MIGRATION_ROW_COUNTS(legacy)', 'legacy'], ["select * from migration_row_counts('Legacy') ;", 'Legacy'], [' /* x */ SELECT*FROM MIGRATION_ROW_COUNTS("Le gacy")', 'Le gacy'],
    ['SELECT * FROM MIGRATION_ROW_COUNTS(legacy) WHERE true', undefined], ['SELECT * FROM MIGRATION_ROW_COUNTS()', undefined], ['SELECT * FROM MIGRATION_ROW_COUNTS(1)', undefined],
    ['SELECT 1', undefined], ['SHOW x', undefined], ['', undefined], ["SELECT * FROM MIGRATION_ROW_COUNTS('", undefined], ['SELECT * FROM MIGRATION_ROW_COUNTS(a); SELECT 1', undefined],
  ] as const)('%s', (sql, source) => {
    expect(rowCountsSource(sql)).toBe(source);
  });
});

test('a token is never empty, so reading always ends', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
    let offset = 0;
    for (;;) {
      const token = nextToken(text, offset);
      if (token.kind === 'end' || token.kind === 'bad') return;
      expect(token.end).toBeGreaterThan(token.start);
      offset = token.end;
    }
  }), { numRuns: 2000 });
});
