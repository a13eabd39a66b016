// What an operator sees of `conflict_strategy`: what START asks for, what is logged, and that both sides end alike, whoever wins.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeBehind } from './support/behind-the-stream.ts';
import { Stack } from './support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({
    sourceSql: ['plain', 'newer', 'merged'].map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, n int NOT NULL, at timestamptz NOT NULL DEFAULT now(), doc jsonb); INSERT INTO ${name} SELECT g, g FROM generate_series(1, 50) g;`).join(' ')
      + ' CREATE TABLE keyless (n int); ALTER TABLE keyless REPLICA IDENTITY FULL; GRANT SELECT, INSERT, UPDATE, DELETE ON plain, newer, merged, keyless TO app',
  });
  await (await stack.direct('local')).query(`CREATE SCHEMA IF NOT EXISTS ops; CREATE FUNCTION ops.sum_up(local jsonb, source jsonb) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT jsonb_build_object('n', coalesce((local->>'n')::int, 0) + (source->>'n')::int) $$`);
});
afterAll(async () => stack[Symbol.asyncDispose]());

it.each([
  ['plain', "conflict_strategy 'timestamp_wins', conflict_timestamp_column 'changed'", /compares column changed, which public\.plain does not have/],
  ['plain', "conflict_strategy 'timestamp_wins', conflict_timestamp_column 'doc'", /whose type jsonb does not say which row is newer/],
  ['plain', "conflict_strategy 'custom_merge', conflict_merge_function 'ops.nothing'", /local has no such function/],
  ['plain', "conflict_strategy 'target_wins', where_clause 'n > 10'", /does not go together with where_clause/],
  ['keyless', "conflict_strategy 'target_wins'", /needs a key/],
])('START for %s refuses %s', async (name, options, message) => {
  await expect(stack.command(`START MIGRATION FOR TABLE ${name} FROM legacy OPTIONS (${options})`)).rejects.toThrow(message);
  expect(await stack.status()).toEqual([]);
});

it('winners of local are logged, written to the source, and stay through cutover and rollback', { timeout: 120_000 }, async () => {
  const options = { plain: "'target_wins'", newer: "'timestamp', conflict_timestamp_column 'at'", merged: "'custom_merge', conflict_merge_function 'ops.sum_up'" };
  for (const [name, strategy] of Object.entries(options)) await stack.insist(`START MIGRATION FOR TABLE ${name} FROM legacy OPTIONS (copy_grants TRUE, conflict_strategy ${strategy})`);
  await stack.waitState(['DUAL_WRITE']);
  const [local, source, app] = [await stack.direct('local'), await stack.direct('source'), await stack.connect('app')];
  await writeBehind(local, "INSERT INTO plain VALUES (100, 1); INSERT INTO newer VALUES (100, 1, now() + interval '1 hour'), (101, 1, now() - interval '1 hour'); INSERT INTO merged VALUES (100, 1)");
  for (const sql of ['INSERT INTO plain VALUES (100, 2)', 'INSERT INTO newer VALUES (100, 2), (101, 2)', 'INSERT INTO merged VALUES (100, 2)']) await app.query(sql);
  const numbers = async (client: typeof source, name: string): Promise<unknown> => (await client.query<{ n: number }>(`SELECT n FROM ${name} WHERE id >= 100 ORDER BY id`)).rows.map(({ n }) => n);
  const wanted = { plain: [1], newer: [1, 2], merged: [3] };
  for (const [name, values] of Object.entries(wanted)) {
    await expect.poll(() => numbers(source, name), { timeout: 20_000, message: name }).toEqual(values);
    expect(await numbers(app, name)).toEqual(values);
  }
  const conflicts = JSON.stringify(await stack.command('SHOW MIGRATION CONFLICTS'));
  for (const strategy of ['target_wins', 'timestamp_wins', 'custom_merge']) expect(conflicts).toContain(strategy);
  await stack.makeReady('public');
  for (const name of Object.keys(wanted)) await stack.command(`CUTOVER TABLE ${name}`);
  await app.query('UPDATE merged SET n = n + 10 WHERE id = 100');
  for (const name of Object.keys(wanted)) await stack.command(`ROLLBACK MIGRATION FOR TABLE ${name} PRESERVE LOCAL DATA`);
  expect(await numbers(app, 'merged')).toEqual([13]);
  expect(await numbers(source, 'merged')).toEqual([13]);
});
