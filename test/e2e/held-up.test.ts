/** A command that ends or stops a migration waits neither for what its table waits for nor, without an end, for readers of local; and holds up no other table meanwhile. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const LOADED = 'load.after_key';
let stack: Stack;

beforeAll(async () => {
  const table = (name: string): string => `CREATE TABLE ${name} (id int PRIMARY KEY, v int NOT NULL); INSERT INTO ${name} SELECT g, g FROM generate_series(1, 50) g; GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO app;`;
  stack = await Stack.start({ faultPoints: [LOADED], sourceSql: ['waiting', 'read', 'other'].map(table).join(' ') });
});
afterAll(async () => stack[Symbol.asyncDispose]());

const states = async (): Promise<Record<string, string>> => Object.fromEntries((await stack.status()).map(({ Table, State }) => [Table.replace('public.', ''), State]));
const start = (name: string): Promise<unknown> => stack.insist(`START MIGRATION FOR TABLE ${name} FROM legacy OPTIONS (copy_grants TRUE)`);

it('PAUSE and ABORT in SYNCHRONIZING, while nothing comes out of the source', { timeout: 120_000 }, async () => {
  const source = await stack.direct('source');
  const tokens = async (): Promise<string> => JSON.stringify((await source.query('SELECT token FROM causeway.marker ORDER BY 1')).rows);
  stack.faults.arm(LOADED);
  await start('waiting');
  await stack.faults.reached(LOADED, 30_000);
  const { rows: [slot] } = await source.query<{ pid: number }>("SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name LIKE 'causeway_forward_%'");
  if (!slot) throw new Error('there is no slot');
  const before = await tokens();
  process.kill(slot.pid, 'SIGSTOP');
  try {
    stack.faults.release(LOADED);
    // It waits for its marker from here on.
    await expect.poll(tokens, { timeout: 30_000 }).not.toBe(before);
    await stack.command('PAUSE MIGRATION FOR TABLE waiting');
    expect(await states()).toEqual({ waiting: 'PAUSED' });
    const paused = await tokens();
    await stack.command('RESUME MIGRATION FOR TABLE waiting');
    await expect.poll(tokens, { timeout: 30_000 }).not.toBe(paused);
    await stack.command('ABORT MIGRATION FOR TABLE waiting');
    expect(await states()).toEqual({});
  } finally {
    process.kill(slot.pid, 'SIGCONT');
  }
});

it('ABORT and RESYNC of a table that is read on local', { timeout: 180_000 }, async () => {
  const reader = await stack.direct('local');
  await start('read');
  await stack.waitState(['DUAL_WRITE']);
  const begin = (): Promise<unknown> => reader.query('BEGIN; SELECT count(*) FROM read');
  await begin();
  await expect(stack.command('RESYNC MIGRATION FOR TABLE read')).rejects.toThrow(/^MIG087: .*read.*local/);
  // What the stream has let go of in the meantime would be missing.
  await expect(stack.command('RESUME MIGRATION FOR TABLE read')).rejects.toThrow(/^MIG021/);
  await reader.query('COMMIT');
  await (await stack.connect('app')).query('INSERT INTO read VALUES (1000, 1000)');
  await stack.command('RESYNC MIGRATION FOR TABLE read');
  await stack.waitState(['DUAL_WRITE']);
  expect((await reader.query('SELECT count(*)::int AS n FROM read')).rows).toEqual([{ n: 51 }]);
  await begin();
  const aborted = expect(stack.command('ABORT MIGRATION FOR TABLE read')).rejects.toMatchObject({ message: expect.stringMatching(/^MIG087: .*read.*local/) as string, detail: expect.stringContaining('SELECT count(*) FROM read') as string });
  const operator = await stack.connect('operator');
  await operator.query('START MIGRATION FOR TABLE other FROM legacy OPTIONS (copy_grants TRUE)');
  await aborted;
  await expect.poll(states, { timeout: 30_000 }).toEqual({ read: 'ROLLBACK', other: 'DUAL_WRITE' });
  await reader.query('COMMIT');
  await expect.poll(states, { timeout: 30_000 }).toEqual({ other: 'DUAL_WRITE' });
  expect((await reader.query("SELECT to_regclass('read') AS there")).rows).toEqual([{ there: null }]);
});
