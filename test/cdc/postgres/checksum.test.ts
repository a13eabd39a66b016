/** Property: the digest of a row is the same on every server and in every order of rows, and is another as soon as one value is. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checksumBuckets, checksumChunk, chooseComparison, digestTable, emptySum, isSameSum, keyOrdering, pinSession, rangePredicate } from '../../../cdc/postgres/checksum.ts';
import type { ChunkSum, Comparison } from '../../../cdc/postgres/checksum.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { startTwoServers } from './two-servers.ts';
import type { TwoServers } from './two-servers.ts';

let servers: TwoServers;
beforeAll(async () => {
  servers = await startTwoServers();
});
afterAll(() => servers[Symbol.asyncDispose]());

const whole = { type: 'range', lower: null, upper: null } as const;

async function sum(client: pg.Client, binaryFloats = false, hash: Comparison['hash'] = 'md5'): Promise<ChunkSum> {
  const plan = planTable(await introspectTable(client, { schema: 'public', name: 't' }), { tableId: 't' });
  await pinSession(client);
  return checksumChunk(client, await digestTable(client, plan, 'source', { binaryFloats, hash }), whole);
}

describe('checksums', () => {
  it('of floats go by their bits when one of the servers is older than 12, NaN being one value', async () => {
    const ddl = `CREATE DOMAIN public.dom AS float8; CREATE TABLE public.t (id int PRIMARY KEY, a float4, b float8, c float8[], p point, d public.dom, g polygon);
      INSERT INTO public.t SELECT i, i / 3.0, i / 7.0, ARRAY[i / 9.0, NULL, 'NaN'], point(i / 3.0, 1e-300), i / 11.0, polygon(box(point(0, 0), point(i, 1))) FROM generate_series(1, 100) i; INSERT INTO public.t (id, a, b) VALUES (0, NULL, NULL), (-1, 'NaN', '-Infinity')`;
    for (const client of [servers.source, servers.local]) await client.query(ddl);
    const before = await sum(servers.source, true);
    expect(before.rows).toBe(102);
    expect(isSameSum(before, await sum(servers.local, true))).toBe(true);
    for (const change of ['b = b * (1 + 2.3e-16)', 'a = 0.3333334', 'd = d * (1 + 2.3e-16)', 'c[1] = c[1] * (1 + 2.3e-16)', 'p = point(p[0] * (1 + 2.3e-16), p[1])']) {
      await servers.local.query(`BEGIN; UPDATE public.t SET ${change} WHERE id = 1`);
      expect(isSameSum(before, await sum(servers.local, true)), change).toBe(false);
      expect(isSameSum(before, await sum(servers.local)), change).toBe(false);
      await servers.local.query('ROLLBACK');
    }
    for (const client of [servers.source, servers.local]) await client.query('DROP TABLE public.t');
  });

  it('do not depend on the order of rows, and two rows that swap a value change them', async () => {
    for (const [client, order] of [[servers.source, 'ASC'], [servers.local, 'DESC']] as const) await client.query(`CREATE TABLE public.t (id int PRIMARY KEY, v int); INSERT INTO public.t SELECT i, i % 10 FROM generate_series(1, 1000) i ORDER BY i ${order}`);
    for (const hash of ['md5', 'hashtext'] as const) {
      const [a, b] = [await sum(servers.source, false, hash), await sum(servers.local, false, hash)];
      expect(a).toEqual(b);
      await servers.local.query('BEGIN; UPDATE public.t SET v = 3 - v WHERE id IN (1, 2)');
      expect(isSameSum(a, await sum(servers.local, false, hash))).toBe(false);
      await servers.local.query('ROLLBACK');
      expect(isSameSum(emptySum, a)).toBe(false);
    }
    for (const client of [servers.source, servers.local]) await client.query('DROP TABLE public.t');
  });

  it('hash with md5 unless both servers know the faster function and speak UTF8', () => {
    expect(chooseComparison([{ version: 150000, encoding: 'UTF8' }, { version: 180000, encoding: 'UTF8' }])).toEqual({ binaryFloats: false, hash: 'hashtext' });
    expect(chooseComparison([{ version: 110000, encoding: 'UTF8' }, { version: 180000, encoding: 'UTF8' }])).toEqual({ binaryFloats: true, hash: 'hashtext' });
    expect(chooseComparison([{ version: 100000, encoding: 'UTF8' }, { version: 180000, encoding: 'UTF8' }]).hash).toBe('md5');
    expect(chooseComparison([{ version: 150000, encoding: 'LATIN1' }, { version: 180000, encoding: 'UTF8' }]).hash).toBe('md5');
  });

  it('are the same in another server encoding', async () => {
    await servers.source.query("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    const latin = await servers.sourceServer.client('latin');
    for (const client of [latin, servers.local]) await client.query("CREATE TABLE public.t (id int PRIMARY KEY, v text); INSERT INTO public.t VALUES (1, 'naïve café'), (2, 'ß'), (3, NULL)");
    expect(await sum(latin)).toEqual(await sum(servers.local));
    await servers.local.query('DROP TABLE public.t');
  });

  it('of all buckets add up to that of the table', async () => {
    await servers.source.query("CREATE TABLE public.t (id text PRIMARY KEY); INSERT INTO public.t SELECT 'k' || i FROM generate_series(1, 1000) i");
    const plan = planTable(await introspectTable(servers.source, { schema: 'public', name: 't' }), { tableId: 't' });
    const table = await digestTable(servers.source, plan, 'source', { binaryFloats: false, hash: 'hashtext' });
    const buckets = await checksumBuckets(servers.source, table, 7);
    expect([...buckets.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const all = await checksumChunk(servers.source, table, whole);
    expect([...buckets.values()].reduce((total, bucket) => total + BigInt(bucket.high), 0n).toString()).toBe(all.high);
    for (const [bucket, expected] of buckets) expect(await checksumChunk(servers.source, table, { type: 'bucket', bucket, of: 7 })).toEqual(expected);
    await servers.source.query('DROP TABLE public.t');
  });
});

describe('order of keys', () => {
  it('is trusted for numbers, dates and C text, not for a language, nor for a database whose provider is ICU', async () => {
    const icu = await servers.sourceServer.client();
    await icu.query("CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'");
    const inIcu = await servers.sourceServer.client('icu');
    const cases: readonly (readonly [pg.Client, string, boolean])[] = [
      [servers.source, 'int', true], [servers.source, 'timestamptz', true], [servers.source, 'text', true], [servers.source, 'text COLLATE "en-x-icu"', false], [servers.source, 'varchar(9) COLLATE "C"', true],
      [servers.local, 'text', true], [servers.local, 'char(5)', false], [inIcu, 'text', false], [inIcu, 'text COLLATE "POSIX"', true], [inIcu, 'uuid', true],
    ];
    for (const [client, type, isOrdered] of cases) {
      await client.query(`CREATE TABLE public.t (id ${type} PRIMARY KEY)`);
      const plan = planTable(await introspectTable(client, { schema: 'public', name: 't' }), { tableId: 't' });
      expect((await keyOrdering(client, await digestTable(client, plan, 'source', { binaryFloats: false, hash: 'hashtext' }))) === 'ordered', type).toBe(isOrdered);
      await client.query('DROP TABLE public.t');
    }
  });

  it('becomes predicates that quote whatever a key holds', () => {
    const table = { table: { schema: 's', name: 't' }, key: [{ name: 'a"b', type: 'text' }, { name: 'n', type: 'integer' }], isKeyless: false, columns: [], where: undefined, rowText: '', digest: '', keyText: '', hash: 'md5' } as const;
    expect(rangePredicate(table, { type: 'range', lower: ["o'x\\", '1'], upper: null })).toBe(`ROW(t."a""b", t."n") > ROW(E'o''x\\\\'::text, '1'::integer)`);
    expect(rangePredicate(table, whole)).toBe('true');
  });
});
