/** The loader works from and to another major version than the packaged one, where one is installed. */
import * as fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startTestPostgres } from '../../support/postgres.ts';
import { createPostgresLoader } from '../../../cdc/postgres/table-loader.ts';
import { introspectTable } from '../../../cdc/postgres/introspect.ts';
import { planTable } from '../../../cdc/postgres/plan-table.ts';
import { defaultOptions, testRuntime } from './loader-fixture.ts';

const older = ['15', '14', '16', '17'].map((version) => `/usr/lib/postgresql/${version}`).find((directory) => fs.existsSync(`${directory}/bin/initdb`));

describe.skipIf(older === undefined)(`with ${older ?? 'no other version'}`, () => {
  it('loads from the older server and back to it', async () => {
    await using old = await startTestPostgres(older === undefined ? {} : { nativeDirectory: older });
    await using current = await startTestPostgres();
    const [oldClient, currentClient] = [await old.client(), await current.client()];
    const columns = 'id int, n numeric, f float8, t timestamptz, a text[], j jsonb';
    await oldClient.query(`CREATE TABLE there (${columns}, PRIMARY KEY (id)); INSERT INTO there SELECT g, g / 7.0, g / 3.0, now(), ARRAY['x', NULL], '{"a": [1]}' FROM generate_series(1, 5000) g; CREATE TABLE back (${columns})`);
    await currentClient.query(`CREATE TABLE there (${columns})`);
    const plan = planTable(await introspectTable(oldClient, { schema: 'public', name: 'there' }), { tableId: 'there' });
    const load = (loaderPlan: typeof plan, from: typeof old, to: typeof old): Promise<unknown> =>
      createPostgresLoader(testRuntime(), { source: from.address, target: to.address, token: 1n, memoryBytes: 16 << 20 }).load(loaderPlan, { ...defaultOptions, batchSize: 1000 }, () => undefined, new AbortController().signal);
    await load(plan, old, current);
    const backPlan = planTable(await introspectTable(currentClient, { schema: 'public', name: 'there' }), { tableId: 'back', targetTable: 'back' });
    await load(backPlan, current, old);
    const difference = await oldClient.query('(TABLE there EXCEPT TABLE back) UNION ALL (TABLE back EXCEPT TABLE there)');
    expect(difference.rows).toEqual([]);
    expect((await oldClient.query('SELECT count(*)::int AS n FROM back')).rows[0]).toEqual({ n: 5000 });
  });
});
