/** Property: what would fail later is told before, with its remedy; a clean table has no error. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type pg from 'pg';
import { connectServer } from '../../../cdc/postgres/connect.ts';
import type { Finding } from '../../../cdc/postgres/finding.ts';
import { firstRefusal, preflightTable } from '../../../cdc/postgres/preflight.ts';
import type { PreflightOptions } from '../../../cdc/postgres/preflight.ts';
import { freePort, startTestPostgres } from '../../support/postgres.ts';
import { shopDdl, startTwoServers } from './two-servers.ts';
import type { TwoServers } from './two-servers.ts';

let servers: TwoServers;

beforeAll(async () => {
  servers = await startTwoServers();
  await servers.source.query(shopDdl);
});
afterAll(() => servers[Symbol.asyncDispose]());

function check(name: string, options: Partial<PreflightOptions> = {}, source: pg.ClientBase = servers.source, local: pg.ClientBase = servers.local): Promise<Finding[]> {
  return preflightTable(source, local, { tableId: 't', table: { schema: 'shop', name }, ...options });
}
const codes = (findings: readonly Finding[], severity: Finding['severity']): string[] => findings.filter((finding) => finding.severity === severity).map((finding) => finding.code);

describe('preflight', () => {
  it('of a clean table has neither errors nor warnings', async () => {
    const findings = await check('alone');
    expect(codes(findings, 'error')).toEqual([]);
    expect(codes(findings, 'warning')).toEqual([]);
    expect(firstRefusal(findings, { schema: 'shop', name: 'alone' })).toBeUndefined();
  });

  it('of a table with everything names what needs attention', async () => {
    const findings = await check('orders');
    expect(codes(findings, 'error')).toEqual([]);
    expect(codes(findings, 'warning').sort()).toEqual(['dependant', 'dependant', 'foreign_key', 'trigger']);
    expect(codes(await check('orders', { companions: [{ schema: 'shop', name: 'customer' }] }), 'warning')).toEqual(['trigger']);
    expect(new Set(codes(findings, 'info'))).toEqual(new Set(['deferrable_key', 'exclusion_constraint', 'not_valid', 'generated_column', 'view', 'extension', 'server_version', 'disk_space']));
  });

  const refused: readonly (readonly [string, string, string, string, Partial<PreflightOptions>?])[] = [
    ['no such table', '', 'table', 'MIG010'],
    ['no such column', 'CREATE TABLE shop.x (id int PRIMARY KEY)', 'table', 'MIG010', { columns: ['nope'] }],
    ['unlogged', 'CREATE UNLOGGED TABLE shop.x (id int PRIMARY KEY)', 'table_kind', 'MIG011'],
    ['keyless', 'CREATE TABLE shop.x (id int)', 'replica_identity', 'MIG013'],
    ['key with replica identity nothing', 'CREATE TABLE shop.x (id int PRIMARY KEY); ALTER TABLE shop.x REPLICA IDENTITY NOTHING', 'replica_identity', 'MIG013'],
    ['deferrable key only', 'CREATE TABLE shop.x (id int PRIMARY KEY DEFERRABLE)', 'replica_identity', 'MIG013'],
    ['key left out', 'CREATE TABLE shop.x (id int PRIMARY KEY, v int)', 'replica_identity', 'MIG013', { columns: ['v'] }],
    ['inheritance', 'CREATE TABLE shop.base (id int PRIMARY KEY); CREATE TABLE shop.x (PRIMARY KEY (id)) INHERITS (shop.base)', 'inheritance', 'MIG011'],
    ['a partition', 'CREATE TABLE shop.base (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE shop.x PARTITION OF shop.base DEFAULT', 'partition', 'MIG011'],
    ['a type without meaning elsewhere', 'CREATE TABLE shop.x (id int PRIMARY KEY, a aclitem)', 'column_type', 'MIG012'],
    ['a bad filter', 'CREATE TABLE shop.x (id int PRIMARY KEY)', 'where_clause', 'MIG071', { whereClause: 'nope > 1' }],
    ['a filter with a subquery', 'CREATE TABLE shop.x (id int PRIMARY KEY)', 'where_clause', 'MIG071', { whereClause: 'id IN (SELECT id FROM shop.x)' }],
  ];
  it('names functions that the table calls and that cannot be carried', async () => {
    await servers.source.query(`CREATE FUNCTION shop.next_code(int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'c' || $1 $$; CREATE FUNCTION shop.odd(oid) RETURNS int LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
      CREATE TABLE shop.coded (id int PRIMARY KEY, code text DEFAULT shop.next_code(1)); CREATE INDEX ON shop.coded (shop.next_code(id)); CREATE TABLE shop.bound (id int PRIMARY KEY, x int DEFAULT shop.odd(1))`);
    expect(codes(await check('coded'), 'error')).toEqual([]);
    expect((await check('bound')).filter((finding) => finding.severity === 'error')).toMatchObject([{ code: 'dependant', errorCode: 'MIG011', subject: 'function shop.odd(oid)', message: expect.stringContaining('written in C') as string }]);
  });

  for (const [what, ddl, code, errorCode, options] of refused) {
    it(`refuses ${what}`, async () => {
      await servers.source.query(`DROP TABLE IF EXISTS shop.x; DROP TABLE IF EXISTS shop.base CASCADE; ${ddl}`);
      const findings = await check('x', options);
      expect(findings.find((finding) => finding.severity === 'error')).toMatchObject({ code, errorCode, remedy: expect.stringMatching(/./) as string });
      expect(firstRefusal(findings, { schema: 'shop', name: 'x' })).toMatchObject({ code: errorCode });
      await servers.source.query('DROP TABLE IF EXISTS shop.x; DROP TABLE IF EXISTS shop.base CASCADE');
    });
  }

  it('warns of a filter that may change its mind, long and prepared transactions, idle slots, RLS and the way back', async () => {
    const other = await servers.sourceServer.client();
    await servers.source.query(`CREATE TABLE shop.x (id int PRIMARY KEY, at timestamptz, v int NOT NULL, w int CHECK (w > v), blob oid); ALTER TABLE shop.x ENABLE ROW LEVEL SECURITY; CREATE RULE r AS ON DELETE TO shop.x DO ALSO SELECT 1;
      SELECT pg_create_physical_replication_slot('idle', true)`);
    await other.query("BEGIN; CREATE TABLE shop.y (); PREPARE TRANSACTION 'undecided'");
    const findings = await check('x', { whereClause: "at > now() - interval '1 day'", columns: ['id', 'at', 'w'] });
    expect(new Set(codes(findings, 'warning'))).toEqual(new Set(['where_clause', 'prepared_transaction', 'idle_slot', 'row_security', 'rule', 'large_object', 'way_back']));
    expect(findings.filter((finding) => finding.code === 'way_back').length).toBe(3);
    await servers.source.query("ROLLBACK PREPARED 'undecided'");
    await servers.source.query("SELECT pg_drop_replication_slot('idle'); DROP TABLE shop.x");
  });

  it('lists every missing privilege of a plain role, and none is left once they are granted', async () => {
    await servers.source.query("CREATE ROLE weak LOGIN");
    await servers.local.query("CREATE ROLE weak LOGIN");
    const weak = { ...servers.sourceServer.address, user: 'weak' };
    const source = await connectServer(weak, { applicationName: 'test' });
    const local = await connectServer({ ...servers.localServer.address, user: 'weak' }, { applicationName: 'test' });
    const before = await check('orders', {}, source, local);
    expect(new Set(codes(before, 'error'))).toEqual(new Set(['replication_privilege', 'schema_privilege', 'select_privilege', 'ownership', 'create_privilege', 'trigger_privilege', 'sequence_privilege']));
    expect(codes(before, 'warning')).toContain('replication_role');
    const remedies = (findings: readonly Finding[], subject: string): string => findings.filter((finding) => finding.severity === 'error' && finding.subject === subject).map((finding) => finding.remedy.replace(/ \(.*/, '')).join('\n');
    await servers.source.query(remedies(before.filter((finding) => !finding.message.includes('of local')), 'weak'));
    await servers.local.query('GRANT CREATE ON DATABASE postgres TO weak; GRANT SET ON PARAMETER session_replication_role TO weak');
    const after = await check('orders', {}, source, local);
    expect(codes(after, 'error')).toEqual([]);
    expect(codes(after, 'warning')).not.toContain('replication_role');
    await Promise.all([source.end(), local.end()]);
  });

  it('compares types and tables that local already has', async () => {
    await servers.local.query("CREATE SCHEMA types; CREATE TYPE types.status AS ENUM ('new'); CREATE DOMAIN types.price AS int; CREATE SCHEMA shop; CREATE VIEW shop.alone AS SELECT 1; CREATE TABLE shop.customer (id text)");
    expect(codes(await check('orders'), 'error')).toEqual(['type_differs', 'type_differs']);
    expect((await check('orders')).find((finding) => finding.code === 'type_differs')?.remedy).toMatch(/ADD VALUE 'it''s paid'|Drop or alter/);
    expect(codes(await check('alone'), 'error')).toEqual(['target']);
    expect(codes(await check('customer'), 'error')).toEqual(['target', 'target', 'target']);
    await servers.local.query('DROP SCHEMA types CASCADE; DROP SCHEMA shop CASCADE');
  });

  it('reports settings of servers that are not ready', async () => {
    await using plain = await startTestPostgres({ settings: { wal_level: 'replica', max_replication_slots: 1, max_wal_senders: 1 } });
    const client = await plain.client();
    await client.query("CREATE SCHEMA shop; CREATE TABLE shop.other (id uuid PRIMARY KEY); SELECT pg_create_physical_replication_slot('only')");
    expect(codes(await check('other', {}, client), 'error')).toEqual(['wal_level', 'replication_slots', 'wal_senders']);
    const findings = await check('alone', {}, servers.source, client);
    expect(codes(findings, 'error')).toEqual([]);
    expect(codes(findings, 'warning')).toEqual(['wal_level', 'replication_slots', 'wal_senders']);
  });
});

describe('connecting', () => {
  it('fails with the code of its cause', async () => {
    const address = servers.sourceServer.address;
    await expect(connectServer({ ...address, port: await freePort() }, { applicationName: 't' })).rejects.toMatchObject({ code: 'MIG001', hint: expect.stringContaining('Nothing listens') as string });
    await expect(connectServer({ ...address, database: 'nope' }, { applicationName: 't' })).rejects.toMatchObject({ code: 'MIG001', hint: expect.stringContaining('does not exist') as string });
    await expect(connectServer({ ...address, user: 'nobody_here' }, { applicationName: 't' })).rejects.toMatchObject({ code: 'MIG003' });
    await expect(connectServer({ ...address, ssl: { mode: 'require' } }, { applicationName: 't' })).rejects.toMatchObject({ code: 'MIG001' });
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    await expect(connectServer(address, { applicationName: 't', signal: stop.signal })).rejects.toThrow('stopped');
    const client = await connectServer(address, { applicationName: 'named', textOnly: true });
    expect((await client.query("SELECT 1::int AS n, current_setting('application_name') AS a")).rows).toEqual([{ n: '1', a: 'named' }]);
    await client.end();
  });
});
