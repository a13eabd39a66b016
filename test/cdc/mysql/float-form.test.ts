// Property: the text by which both engines compare a float is the same for equal ones, and another for the next one.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mysqlDigestTable } from '../../../cdc/mysql/checksum.ts';
import { fieldText } from '../../../cdc/mysql/field-text.ts';
import { fieldDigestTable } from '../../../cdc/postgres/field-digest.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { randomSeed } from '../../support/random-seed.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';

const seed = randomSeed('SEED');

/** Any, of any size, at the borders of sizes, and whole ones that are no exact numbers of ten digits. */
const doubles = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -1074, max: 1022 }).chain((exponent) => fc.constantFrom(2 ** exponent, 2 ** exponent * (1 + 2 ** -52), 2 ** (exponent + 1) * (1 - 2 ** -53))),
  fc.double({ min: 1e14, max: 1e18, noNaN: true }), fc.constantFrom(0, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 50190798842494976, 1764115555661844.5),
);
const floats = fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-3.4e38), max: Math.fround(3.4e38) }).filter((value) => value === 0 || Math.abs(value) > 1.2e-38), fc.constantFrom(50190798842494976, 0.1, 16777217).map(Math.fround));

describeMysql(sourceKinds, 'floats compared across engines', () => {
  let local: TestPostgres;
  beforeAll(async () => {
    local = await startTestPostgres();
  });
  afterAll(() => local[Symbol.asyncDispose]());

  it.each(sourceKinds)('by every bit of them, with %s', async (kind) => {
    await using server: TestMysql = await startMysql(kind);
    await using pair: MysqlPair = await makeMysqlPair(server, local, 'floats', `floats_${kind.replaceAll(/\W/g, '_')}`);
    await server.sql('CREATE TABLE t (id INT PRIMARY KEY, f FLOAT, d DOUBLE)', 'floats');
    const values = fc.sample(fc.tuple(floats, doubles), { numRuns: 4_000, seed });
    const rows = values.map(([single, double], id) => `(${id}, ${(single + 0).toExponential()}, ${(double + 0).toExponential()})`);
    for (let at = 0; at < rows.length; at += 1_000) await server.sql(`INSERT INTO t VALUES ${rows.slice(at, at + 1_000).join(', ')}`, 'floats');
    const plan = await pair.migrate('t');
    const columns = await pair.columns(plan);
    const { forms } = mysqlDigestTable(plan, columns);
    await pair.client.query(`INSERT INTO public.t SELECT * FROM unnest($1::int[], $2::float8[]::real[], $3::float8[])`, [values.map((_, id) => id), values.map(([single]) => single), values.map(([, double]) => double)]);
    const texts = columns.slice(1).map((column, at) => fieldText(column, forms[at + 1] ?? { kind: 'float' }));
    const there = await pair.ask(`SELECT ${texts.join(', ')} FROM t ORDER BY id`);
    const { rows: here } = await pair.client.query<{ text: string }>(`SELECT ${fieldDigestTable(plan, forms).rowText} AS text FROM public.t t ORDER BY id`);
    const unlike = there.flatMap((row, id) => {
      const [, ...found] = here[id]?.text.split('\u001f.') ?? [];
      return row.join() === found.slice(0, 2).join() ? [] : [{ value: values[id], there: row, here: found }];
    });
    expect(unlike.slice(0, 5), `seed ${seed}`).toEqual([]);
    const [bits, different] = [new Set(values.map(([, double]) => double + 0)), new Set(there.map(([, text]) => text))];
    expect(different.size, `seed ${seed}`).toBe(bits.size);
  });
});
