/**
 * Every example of the specification and of the help parses to what it says, and every way of reading a statement's form is
 * a statement.
 */
import { describe, expect, test } from 'vitest';
import { MigrationError } from '../../../config/migration-error.ts';
import { parseMigration } from '../../../grammar/migration/parse.ts';
import type { MigrationStatement } from '../../../grammar/migration/statement.ts';
import { statementTypes, syntaxTable } from '../../../grammar/migration/syntax.ts';
import { isMigrationText } from '../../../grammar/migration/recognise.ts';
import { expandForm } from './expand-form.ts';
import { specificationExamples } from './specification-examples.ts';

function one(sql: string): MigrationStatement {
  const statements = parseMigration(sql);
  if (statements.length !== 1 || statements[0] === undefined) throw new Error(`${statements.length} statements in ${sql}`);
  return statements[0];
}

const orders = { schema: 'public', name: 'orders' };

describe('the specification', () => {
  test.each(specificationExamples.map(({ sql, types }) => [sql, types] as const))('%s', (sql, types) => {
    expect(isMigrationText(sql)).toBe(true);
    expect(parseMigration(sql).map((statement) => statement.type)).toEqual(types);
  });

  test('§8.1 create source: every value', () => {
    expect(one(specificationExamples[0]?.sql ?? '')).toEqual({
      type: 'create_source', name: 'source_name', ifNotExists: false, server: 'server_name',
      options: { cdcMode: 'logical_replication', batchSize: 10000, parallelWorkers: 4, rateLimitRowsPerSecond: 50000, conflictStrategy: 'source_wins', validationSample: 0.01 },
    });
  });

  test('§13.2 every option of START MIGRATION', () => {
    const example = specificationExamples.find(({ sql }) => sql.includes('cutover_lag_threshold'));
    expect(one(example?.sql ?? '')).toEqual({
      type: 'start', scope: { type: 'table', table: { schema: undefined, name: 'source_table' } }, source: 'source_name', excluding: [], includingOnly: undefined,
      options: {
        targetSchema: 'schema_name', targetTable: { schema: undefined, name: 'table_name' }, whereClause: "created_at > '2024-01-01'",
        columns: ['id', 'name', 'email', 'created_at'], batchSize: 50000, parallelWorkers: 8, rateLimitRowsPerSecond: 100000, orderBy: 'id',
        deferIndexes: true, concurrentIndexes: true, cdcMode: 'logical_replication', cdcBatchSize: 5000, validationSample: 0.05,
        validationIntervalMs: 3_600_000, conflictStrategy: 'timestamp_wins', conflictTimestampColumn: 'updated_at', maxErrors: 100,
        skipOnError: false, autoCutover: false, cutoverLagThresholdMs: 5000,
      },
    });
  });
});

describe('help and parser agree', () => {
  test.each(statementTypes)('%s: every reading of its form', (type) => {
    const readings = expandForm(syntaxTable[type].form);
    expect(readings.length).toBeGreaterThan(0);
    for (const reading of readings) expect({ reading, type: one(reading).type }).toEqual({ reading, type });
  });

  test.each(statementTypes)('%s: its example', (type) => {
    expect(one(syntaxTable[type].example).type).toBe(type);
    expect(isMigrationText(syntaxTable[type].example)).toBe(true);
  });
});

describe('values', () => {
  test('names are folded, quoted ones kept, and cut to 63 bytes', () => {
    expect(one('PAUSE MIGRATION FOR TABLE Public."Order ""Lines"""')).toEqual({ type: 'pause', scope: { type: 'table', table: { schema: 'public', name: 'Order "Lines"' } } });
    expect(one(`COMPLETE MIGRATION FOR TABLE ${'a'.repeat(70)}`)).toMatchObject({ table: { name: 'a'.repeat(63) } });
    expect(one(`COMPLETE MIGRATION FOR TABLE "${'ü'.repeat(40)}"`)).toMatchObject({ table: { name: 'ü'.repeat(31) } });
    expect(one('COMPLETE MIGRATION FOR TABLE a$b.ÄRGER')).toMatchObject({ table: { schema: 'a$b', name: 'Ärger' } });
  });

  test('comments nest, and stand wherever space does', () => {
    expect(one('/* a /* b */ c */ CUTOVER -- x\n TABLE/**/public . orders;;').type).toBe('cutover');
  });

  test('a keyword of ours is a name where a name is due', () => {
    expect(one('CUTOVER TABLE force FORCE')).toMatchObject({ scope: { table: { name: 'force' } }, force: true });
    expect(one('CUTOVER TABLE s."table"')).toMatchObject({ scope: { table: { schema: 's', name: 'table' } } });
    expect(one('CUTOVER TABLE s.table SPLIT')).toMatchObject({ scope: { table: { schema: 's', name: 'table' } }, split: true });
  });

  test('the flags of CUTOVER in any order', () => {
    const all = { type: 'cutover', scope: { type: 'table', table: orders }, split: true, force: true, noFence: true, noRollback: true, noGrants: true, timeoutMs: 2500 };
    expect(one('CUTOVER TABLE public.orders TIMEOUT 2.5 NO ROLLBACK SPLIT NO GRANTS NO FENCE FORCE')).toEqual(all);
    expect(one('CUTOVER TABLE public.orders NO FENCE FORCE TIMEOUT 2.5 NO GRANTS SPLIT NO ROLLBACK')).toEqual(all);
    expect(one('CUTOVER SCHEMA shop TOGETHER FORCE')).toEqual({ type: 'cutover', scope: { type: 'schema', schema: 'shop' }, split: false, force: true, noFence: false, noRollback: false, noGrants: false, together: true, timeoutMs: undefined });
    expect(one('ROLLBACK MIGRATION FOR SCHEMA shop TOGETHER PRESERVE LOCAL DATA')).toEqual({ type: 'rollback', scope: { type: 'schema', schema: 'shop' }, preserveLocalData: true, together: true, timeoutMs: undefined });
    expect(one('CUTOVER ALL')).toEqual({ type: 'cutover', scope: { type: 'all' }, split: false, force: false, noFence: false, noRollback: false, noGrants: false, timeoutMs: undefined });
  });

  test('START of a schema', () => {
    expect(one('START MIGRATION FOR SCHEMA shop FROM legacy INCLUDING ONLY (a, b."C") EXCLUDING (d) OPTIONS (batch_size 1)')).toEqual({
      type: 'start', scope: { type: 'schema', schema: 'shop' }, source: 'legacy', excluding: [{ schema: undefined, name: 'd' }],
      includingOnly: [{ schema: undefined, name: 'a' }, { schema: 'b', name: 'C' }], options: { batchSize: 1 },
    });
    expect(one('START MIGRATION ALL FROM legacy')).toMatchObject({ scope: { type: 'all' }, source: 'legacy' });
  });

  test('ROLLBACK', () => {
    expect(one('ROLLBACK MIGRATION FOR GROUP OF orders TIMEOUT 30 PRESERVE LOCAL DATA')).toEqual({
      type: 'rollback', scope: { type: 'group', table: { schema: undefined, name: 'orders' } }, preserveLocalData: true, timeoutMs: 30_000,
    });
  });

  test('VALIDATE', () => {
    expect(one('VALIDATE MIGRATION ALL SAMPLE 0.5% REPAIR COPY_TO_SOURCE')).toEqual({
      type: 'validate', scope: { type: 'all' }, extent: { type: 'sample', percent: 0.5 }, repair: 'copy_to_source',
    });
  });

  test('VALIDATE with the sample of the settings', () => {
    expect(one('VALIDATE MIGRATION ALL SAMPLE')).toEqual({ type: 'validate', scope: { type: 'all' }, extent: { type: 'sample', percent: undefined }, repair: undefined });
    expect(one('VALIDATE MIGRATION ALL SAMPLE REPAIR SKIP')).toEqual({ type: 'validate', scope: { type: 'all' }, extent: { type: 'sample', percent: undefined }, repair: 'skip' });
  });

  test('servers and user mappings', () => {
    expect(one("CREATE SERVER s FOREIGN DATA WRAPPER postgres OPTIONS (host 'h', port '6543', dbname 'd', sslmode 'verify-full')")).toEqual({
      type: 'create_server', name: 's', ifNotExists: false, wrapper: 'postgres', options: { host: 'h', port: 6543, dbname: 'd', sslmode: 'verify-full' },
    });
    expect(one("ALTER SERVER s OPTIONS (SET host 'i', ADD sslkey '/k', application_name 'x', DROP port)")).toEqual({
      type: 'alter_server', name: 's', changes: { add: { sslkey: '/k', application_name: 'x' }, set: { host: 'i' }, drop: ['port'] },
    });
    expect(one("CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u', password $$it's\\n$$)")).toEqual({
      type: 'create_user_mapping', user: { type: 'public' }, server: 's', ifNotExists: false, options: { user: 'u', password: "it's\\n" },
    });
    expect(one('DROP USER MAPPING IF EXISTS FOR "public" SERVER s')).toEqual({
      type: 'drop_user_mapping', user: { type: 'name', name: 'public' }, server: 's', ifExists: true,
    });
  });

  test('ALTER MIGRATION SOURCE', () => {
    expect(one("ALTER MIGRATION SOURCE s SET OPTION rate_limit =0, rollback_window= '7 days'")).toEqual({
      type: 'alter_source', name: 's', set: { rateLimitRowsPerSecond: 0, rollbackWindowMs: 604_800_000 }, reset: [],
    });
    expect(one('ALTER MIGRATION SOURCE s RESET OPTION batch_size, read_from')).toEqual({ type: 'alter_source', name: 's', set: {}, reset: ['batchSize', 'readFrom'] });
  });

  test('ALTER MIGRATION of tables that have started', () => {
    expect(one("ALTER MIGRATION FOR TABLE a.b SET OPTION compare_percent = 2.5, read_from = 'compare'")).toEqual({ type: 'alter_migration', scope: { type: 'table', table: { schema: 'a', name: 'b' } }, set: { comparePercent: 2.5, readFrom: 'compare' } });
    expect(one('ALTER MIGRATION ALL SET OPTION compare_percent = 100')).toEqual({ type: 'alter_migration', scope: { type: 'all' }, set: { comparePercent: 100 } });
    expect(() => one('ALTER MIGRATION FOR TABLE t SET OPTION batch_size = 5')).toThrow(/MIG071: unknown option "batch_size"; .*compare_percent/);
  });

  test('losses are asked for and accepted: of a table, of one of its columns, of all', () => {
    const table = { schema: 'a', name: 'b' };
    expect(one('SHOW MIGRATION TYPE LOSS FOR TABLE a.b')).toEqual({ type: 'show_type_loss', table });
    expect(one('show migration type loss')).toEqual({ type: 'show_type_loss', table: undefined });
    expect(one('ALTER MIGRATION FOR TABLE a.b ACCEPT TYPE LOSS')).toEqual({ type: 'accept_type_loss', scope: { type: 'table', table }, column: undefined });
    expect(one('ALTER MIGRATION FOR TABLE a.b ACCEPT TYPE LOSS FOR COLUMN "Born"')).toEqual({ type: 'accept_type_loss', scope: { type: 'table', table }, column: 'Born' });
    expect(one('ALTER MIGRATION FOR SCHEMA a ACCEPT TYPE LOSS')).toEqual({ type: 'accept_type_loss', scope: { type: 'schema', schema: 'a' }, column: undefined });
    expect(one('ALTER MIGRATION ALL ACCEPT TYPE LOSS')).toEqual({ type: 'accept_type_loss', scope: { type: 'all' }, column: undefined });
    for (const wrong of ['ALTER MIGRATION ALL ACCEPT TYPE LOSS FOR COLUMN c', 'ALTER MIGRATION FOR TABLE t ACCEPT LOSS', 'ALTER MIGRATION FOR TABLE t ACCEPT TYPE LOSS FOR TABLE t', 'SHOW MIGRATION TYPE']) expect(() => one(wrong)).toThrow('MIG070');
  });

  test('EXPLAIN ROUTE keeps the statement verbatim, with its offset in characters', () => {
    const text = "/* 😀 */ EXPLAIN ROUTE  SELECT '; 😀', \"x\" FROM t WHERE a = $1 -- end\n;";
    const statement = one(text);
    expect(statement).toMatchObject({ type: 'explain_route', statement: "SELECT '; 😀', \"x\" FROM t WHERE a = $1" });
    if (statement.type !== 'explain_route') throw new Error('not reached');
    expect(Array.from(text).slice(statement.offset).join('').startsWith('SELECT')).toBe(true);
    expect(one('EXPLAIN ROUTE CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)')).toMatchObject({ statement: expect.stringMatching(/SELECT 2\)$/) });
  });

  test('several statements, empty ones left out; an empty text has none', () => {
    expect(parseMigration(';; SHOW MIGRATION SOURCES; ; CUTOVER ALL').map(({ type }) => type)).toEqual(['show_sources', 'cutover']);
    expect(parseMigration(' -- nothing\n')).toEqual([]);
  });

  test('help topics', () => {
    expect(one('SHOW MIGRATION HELP')).toEqual({ type: 'show_help', topic: undefined });
    expect(one('SHOW MIGRATION HELP Cutover TABLE;')).toEqual({ type: 'show_help', topic: 'cutover table' });
    expect(one("SHOW MIGRATION HELP 'batch_size'")).toEqual({ type: 'show_help', topic: 'batch_size' });
  });

  test('statements are frozen, all through', () => {
    const statement = one('START MIGRATION FOR SCHEMA s FROM l EXCLUDING (a) OPTIONS (batch_size 5)');
    if (statement.type !== 'start') throw new Error('not reached');
    for (const part of [statement, statement.scope, statement.options, statement.excluding, statement.excluding[0]]) expect(Object.isFrozen(part)).toBe(true);
  });

  test('a text of another language in between is refused whole', () => {
    expect(() => parseMigration('SHOW MIGRATION SOURCES; SELECT 1')).toThrow(MigrationError);
  });
});
