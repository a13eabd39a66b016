/** Property: a statement over both sides runs where it can, and brings no more than it needs. */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { onLocal, startGateway } from './gateway-fixture.ts';
import type { GatewayFixture } from './gateway-fixture.ts';
import { fieldsOf, firstValue, q, RawClient } from './raw-client.ts';

let source: TestPostgres;
let local: TestPostgres;
let fixture: GatewayFixture;
let admins: { readonly source: pg.Client; readonly local: pg.Client };
let client: RawClient;
/** Of the statement asked last: bytes brought, and the side it ran on. */
let moved = 0;
let ranOn: string | undefined;

const manyRows = 30_000;

beforeAll(async () => {
  [source, local] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  fixture = await startGateway(source.address, local.address, {}, {
    count: (name, labels, by = 1) => {
      if (name === 'scratchbird_gateway_hybrid_bytes_total') moved += by;
      if (name === 'scratchbird_gateway_hybrid_statements_total') ranOn = labels?.['runs_on'];
    }, gauge: () => undefined, observe: () => undefined, observer: () => () => undefined, remove: () => undefined,
  });
  admins = { source: await source.client(), local: await local.client() };
  for (const [side, admin] of Object.entries(admins)) {
    await admin.query(`CREATE ROLE plain_user LOGIN; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC; CREATE TABLE here (k int PRIMARY KEY, other int, v text); CREATE TABLE there (k int PRIMARY KEY, other int, v text); CREATE TABLE target (k int, v text); CREATE TABLE few (k int PRIMARY KEY, v text)`);
    if (side === 'source') await admin.query(`CREATE TYPE mood AS ENUM ('well', 'ill'); CREATE TABLE felt (k int PRIMARY KEY, m mood, l mood[]); INSERT INTO felt SELECT g, 'well', '{ill}' FROM generate_series(1, 10) g; INSERT INTO there SELECT g, g, repeat('x', 40) FROM generate_series(1, ${manyRows}) g; INSERT INTO few SELECT g, 'v' FROM generate_series(1, 5) g`);
    else await admin.query(`INSERT INTO here SELECT g, g, repeat('y', 40) FROM generate_series(1, ${manyRows}) g`);
    await admin.query('GRANT ALL ON ALL TABLES IN SCHEMA public TO plain_user; ANALYZE');
  }
  fixture.control.publish({ here: onLocal, target: onLocal });
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
  for (const server of [source, local]) await server?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  client = await RawClient.connect(fixture.gateway.port, { user: 'plain_user', database: 'postgres' });
  for (const admin of Object.values(admins)) await admin.query('REVOKE TEMPORARY ON DATABASE postgres FROM plain_user');
});

afterEach(() => client.end());

async function ask(sql: string): Promise<string | undefined> {
  [moved, ranOn] = [0, undefined];
  const answer = await client.ask(q(sql), 1, 30_000);
  const { C, M, D } = fieldsOf(answer.find(({ type }) => type === 'E'));
  return C === undefined ? firstValue(answer) : `${C} ${M} ${D ?? ''}`;
}

it('a type that one side lacks: it runs on the other, though more has to be brought there', async () => {
  await admins.source.query('GRANT TEMPORARY ON DATABASE postgres TO plain_user');
  for (const columns of ['m', 'l', 'm, l']) {
    expect(await ask(`SELECT count(*) FROM (SELECT ${columns} FROM felt JOIN here USING (k)) x`)).toBe('10');
    expect(ranOn, columns).toBe('source');
  }
  // Nothing of that type is needed there.
  expect(await ask('SELECT count(*) FROM felt JOIN here USING (k)')).toBe('10');
  expect(ranOn).toBe('local');
  expect(await ask('PREPARE p AS SELECT m FROM felt JOIN here USING (k) WHERE here.k = 3')).toBeUndefined();
  expect(await ask('EXECUTE p')).toBe('well');
  // It can only run on local.
  expect(await ask('INSERT INTO target SELECT here.k, m::text FROM felt JOIN here USING (k)')).toMatch(/^42704/);
});

it('no right to temporary tables: it runs where a table may be, or where the rows fit into the text', async () => {
  const both = 'SELECT count(*) FROM here JOIN there ON there.k = here.k AND there.v <> here.v';
  for (const side of ['source', 'local'] as const) {
    await admins[side].query('GRANT TEMPORARY ON DATABASE postgres TO plain_user');
    await client.ask(q('RESET ROLE'));
    expect(await ask(both)).toBe(String(manyRows));
    expect(ranOn).toBe(side);
    await admins[side].query('REVOKE TEMPORARY ON DATABASE postgres FROM plain_user');
    client.end();
    client = await RawClient.connect(fixture.gateway.port, { user: 'plain_user', database: 'postgres' });
  }
  // Nowhere: up to 8 MiB stand in the statement.
  expect(await ask(both)).toBe(String(manyRows));
  expect(await ask(`SELECT count(*) FROM here CROSS JOIN (SELECT k, repeat(v, 1) AS v FROM there) x WHERE here.k = x.k`)).toBe(String(manyRows));
  await admins.source.query("CREATE TABLE huge AS SELECT g AS k, repeat('z', 400) AS v FROM generate_series(1, 30000) g; GRANT SELECT ON huge TO plain_user");
  expect(await ask('INSERT INTO target SELECT huge.k, huge.v FROM huge JOIN here ON here.k = huge.k')).toMatch(/^0A000 MIG080: The user may not have a table for rows of the other side on local/);
  await admins.local.query('GRANT TEMPORARY ON DATABASE postgres TO plain_user');
  expect(await ask('SET application_name = \'x\'; SELECT 1')).toBe('1');
  expect(await ask('INSERT INTO target SELECT huge.k, huge.v FROM huge JOIN here ON here.k = huge.k')).toBeUndefined();
  await admins.local.query('TRUNCATE target');
});

it('what is known of columns is as good as new: they are added, dropped, and of another type', async () => {
  for (const side of ['source', 'local'] as const) await admins[side].query('GRANT TEMPORARY ON DATABASE postgres TO plain_user');
  const count = async (sql: string): Promise<number> => {
    const answer = await client.ask(q(sql), 1, 30_000);
    return answer.find(({ type }) => type === 'T')?.body.readUInt16BE(0) ?? -1;
  };
  // Few rows stand in the text, many in a table.
  for (const [table, size] of [['grows', 3], ['grows_large', 20_000]] as const) {
    await admins.source.query(`CREATE TABLE ${table} AS SELECT g AS k, repeat('x', 30) AS v FROM generate_series(1, ${size}) g; GRANT SELECT ON ${table} TO plain_user; ANALYZE ${table}`);
    const all = `SELECT g.* FROM ${table} g JOIN here ON here.k = g.k`;
    for (let again = 0; again < 3; again += 1) expect(await count(all)).toBe(2);
    await admins.source.query(`ALTER TABLE ${table} ADD COLUMN w int DEFAULT 7`);
    for (let again = 0; again < 2; again += 1) expect(await count(all)).toBe(3);
    expect(await ask(`SELECT sum(w) FROM ${table} g JOIN here ON here.k = g.k`)).toBe(String(7 * size));
    await admins.source.query(`ALTER TABLE ${table} DROP COLUMN v, ALTER k TYPE bigint`);
    for (let again = 0; again < 2; again += 1) expect(await count(all)).toBe(2);
    await admins.source.query(`ALTER TABLE ${table} RENAME k TO k2`);
    expect(await ask(all)).toMatch(/^42703/);
    await admins.source.query(`DROP TABLE ${table}`);
    expect(await ask(all)).toMatch(/^42P01/);
  }
  for (const admin of Object.values(admins)) await expect.poll(async () => (await admin.query("SELECT FROM pg_class WHERE relname LIKE 'causeway\\_%' AND relpersistence = 't'")).rowCount).toBe(0);
});

it('a semi-join by USING brings only rows with a partner', async () => {
  await admins.local.query('GRANT TEMPORARY ON DATABASE postgres TO plain_user');
  const counted = async (from: string): Promise<number> => {
    expect(await ask(`WITH made AS (INSERT INTO target SELECT here.k, there.v FROM ${from} RETURNING 1) SELECT count(*) FROM made`), from).toBe('4');
    return moved;
  };
  const few = await counted('here JOIN there ON there.k = here.k WHERE here.k < 5');
  expect(few).toBeLessThan(1_000);
  expect(await counted('here JOIN there USING (k) WHERE here.k < 5')).toBe(few);
  expect(await counted('there JOIN here USING (other, k) WHERE here.other < 5')).toBeLessThan(2 * few);
  expect(await counted('(here JOIN (VALUES (1), (2), (3), (4)) x (k) USING (k)) JOIN there USING (k) WHERE here.k < 100')).toBeLessThan(20_000);
  // Rows of an outer join without a partner count, too.
  await admins.local.query("TRUNCATE target; INSERT INTO target VALUES (1, 'a')");
  for (const from of ['here LEFT JOIN target t USING (k) JOIN there USING (k)', '(target t RIGHT JOIN here USING (k)) JOIN there USING (k)', 'target t FULL JOIN here USING (k) JOIN there USING (k)']) {
    expect(await ask(`WITH made AS (INSERT INTO target SELECT here.k, t.v FROM ${from} WHERE here.k < 9 RETURNING 1) SELECT count(*) FROM made`), from).toBe('8');
    await admins.local.query("TRUNCATE target; INSERT INTO target VALUES (1, 'a')");
  }
  await admins.local.query('TRUNCATE target');
});
