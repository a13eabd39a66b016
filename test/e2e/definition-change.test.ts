/**
 * RULES 6: a change of definition that no row has followed, made where the source does not log DDL, is found before a validation says that the
 * sides are equal and before a cutover leaves it behind.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start({
    sourceSql: `CREATE TABLE note (id int PRIMARY KEY, line text NOT NULL); INSERT INTO note SELECT g, 'line ' || g FROM generate_series(1, 50) g;
      CREATE TABLE part (id int NOT NULL, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
      CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); CREATE TABLE part_b PARTITION OF part FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
      INSERT INTO part SELECT g, date '2024-01-01' + g FROM generate_series(1, 700) g;
      CREATE TABLE rule (id int PRIMARY KEY, level int DEFAULT 1 CHECK (level > 0));
      GRANT SELECT, INSERT, UPDATE, DELETE ON note, part, rule TO app`,
  });
  await stack.migrate('public');
  await (await stack.direct('source')).query('DROP EVENT TRIGGER causeway_ddl_log');
});
afterAll(async () => stack[Symbol.asyncDispose]());

it('a new column', { timeout: 90_000 }, async () => {
  const source = await stack.direct('source');
  await source.query("ALTER TABLE note ADD COLUMN mood text NOT NULL DEFAULT 'calm'");
  await expect(stack.command('VALIDATE MIGRATION FOR TABLE note FULL')).rejects.toMatchObject({ message: expect.stringMatching(/^MIG011/) as string, detail: expect.stringContaining('column mood is new') as string });
  await expect(stack.command('CUTOVER TABLE note FORCE')).rejects.toThrow(/^MIG011: public\.note: its definition has changed: column mood is new/);
  await stack.command('PAUSE MIGRATION FOR TABLE note');
  await expect(stack.command('RESUME MIGRATION FOR TABLE note ACCEPT DDL')).rejects.toMatchObject({ hint: expect.stringContaining('ADD COLUMN "mood" text') as string });
  await stack.command('RESYNC MIGRATION FOR TABLE note');
  await stack.makeReady('public');
  await stack.command('CUTOVER TABLE note');
  expect((await (await stack.direct('local')).query('SELECT DISTINCT mood FROM note')).rows).toEqual([{ mood: 'calm' }]);
});

it('a default and a check, until local has them too', { timeout: 60_000 }, async () => {
  const changes = 'ALTER TABLE rule ALTER COLUMN level SET DEFAULT 2; ALTER TABLE rule ADD CONSTRAINT low CHECK (level < 9)';
  await (await stack.direct('source')).query(changes);
  await expect(stack.command('CUTOVER TABLE rule')).rejects.toMatchObject({
    message: 'MIG011: public.rule: its definition has changed: the default of level is 2 on the source now, and was 1; on local it is 1', detail: 'public.rule: its definition has changed: CHECK ((level < 9)) is new on the source, and not on local',
  });
  await (await stack.direct('local')).query(changes);
  await stack.command('CUTOVER TABLE rule');
});

it('a partition that has gone', { timeout: 60_000 }, async () => {
  await (await stack.direct('source')).query('ALTER TABLE part DETACH PARTITION part_b');
  await expect(stack.command('CUTOVER TABLE part')).rejects.toThrow(/^MIG011: public\.part: its definition has changed: partition part_b of local is no partition on the source any more/);
});
