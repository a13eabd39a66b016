/**
 * A table that waits for an operator, while applications go on writing it and another one: what is kept for it fills the spool, he is warned, and then it
 * gives way. The other table never leaves its state and stays in step; RESYNC brings the one that stopped back, whole.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';

const LIMIT = 4 << 20;
let stack: Stack;

beforeAll(async () => {
  const table = (name: string): string => `CREATE TABLE ${name} (id int PRIMARY KEY, v text NOT NULL); INSERT INTO ${name} SELECT g, 'row ' || g FROM generate_series(1, 50) g; GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO app;`;
  stack = await Stack.start({ sourceSql: ['stopped', 'sound'].map(table).join(' '), settings: { limits: { spool_bytes: LIMIT } } });
  await stack.migrate('public');
});
afterAll(async () => stack[Symbol.asyncDispose]());

async function row(name: string): Promise<Record<string, string> | undefined> {
  return (await stack.status()).find(({ Table }) => Table === `public.${name}`) as Record<string, string> | undefined;
}

async function metric(name: string): Promise<number> {
  const line = (await stack.metrics()).split('\n').find((each) => each.startsWith(`${name}{`) && each.includes('"forward'));
  return Number(line?.split(' ').at(-1));
}

async function keptBytes(): Promise<number> {
  const lines = await stack.command<Record<string, string>>('SHOW MIGRATION STATUS FOR TABLE stopped');
  return Number(lines.find(({ Item }) => Item === 'Spool')?.['Value']?.replace(/\D/g, '') ?? 0);
}

/** Both tables are written until `until` says so, no faster than the one that is sound follows: a quick writer would fill the spool before anybody has looked at it. */
async function writeBoth(until: (round: number) => boolean | Promise<boolean>): Promise<void> {
  const app = await stack.connect('app');
  const local = await stack.direct('local');
  try {
    for (let round = 0; !(await until(round)); round += 1) {
      await app.query("UPDATE stopped SET v = repeat(md5($1::text || id), 60)", [round]);
      await app.query('UPDATE sound SET v = $1 WHERE id = $2', [`round ${round}`, 1 + (round % 50)]);
      if (round % 4 === 3) await expect.poll(async () => (await local.query<{ v: string }>('SELECT v FROM sound WHERE id = $1', [1 + (round % 50)])).rows[0]?.v, { timeout: 30_000, interval: 10 }).toBe(`round ${round}`);
    }
  } finally {
    await app.end();
  }
}

const causes: Readonly<Record<string, { readonly state: string; readonly stop: () => Promise<unknown> }>> = {
  'an operator has paused': { state: 'PAUSED', stop: () => stack.command('PAUSE MIGRATION FOR TABLE stopped') },
  'an error has stopped': {
    state: 'ERROR',
    stop: async () => {
      await (await stack.direct('local')).query("ALTER TABLE stopped ADD CONSTRAINT good CHECK (v <> 'bad')");
      const app = await stack.connect('app');
      await app.query("INSERT INTO stopped VALUES (1000, 'bad')").catch(() => undefined);
      await app.end();
    },
  },
};

it.each(Object.entries(causes))('a table that %s gives way to the others', { timeout: 240_000 }, async (_, { state, stop }) => {
  await stop();
  await expect.poll(async () => (await row('stopped'))?.['State'], { timeout: 30_000 }).toBe(state);
  // It is said while RESUME still helps.
  await writeBoth(async () => (await keptBytes()) > LIMIT * 0.6);
  await expect.poll(async () => JSON.stringify(await stack.command('SHOW MIGRATION ERRORS FOR TABLE stopped'))).toContain(`public.stopped is ${state}, and what is kept for it fills the spool`);
  expect(await metric('scratchbird_gateway_spool_limit_bytes')).toBe(LIMIT);
  await expect.poll(() => metric('scratchbird_gateway_spool_stopped_bytes')).toBeGreaterThan(LIMIT * 0.6);
  await writeBoth(async () => (await row('stopped'))?.['Next'] === 'RESYNC MIGRATION FOR TABLE public.stopped;');
  await expect.poll(() => row('stopped')).toMatchObject({ State: 'ERROR', Next: 'RESYNC MIGRATION FOR TABLE public.stopped;' });
  expect(JSON.stringify(await stack.command('SHOW MIGRATION ERRORS FOR TABLE stopped'))).toMatch(/MIG021.*Changes of public\.stopped are lost/);
  await expect.poll(() => metric('scratchbird_gateway_spool_stopped_bytes')).toBe(0);
  await expect(stack.command('RESUME MIGRATION FOR TABLE stopped')).rejects.toThrow(/^MIG021/);
  // The other one has noticed nothing.
  expect(await row('sound')).toMatchObject({ State: 'CUTOVER_READY' });
  const left = await stack.command<Record<string, string>>("SELECT * FROM SYS$MIGRATION_HISTORY WHERE new_state = 'SYNCHRONIZING' AND old_state <> 'BULK_LOADING'");
  expect(left).toEqual([]);
  await stack.kill('control');
  await expect.poll(() => row('stopped'), { timeout: 30_000 }).toMatchObject({ State: 'ERROR', Next: 'RESYNC MIGRATION FOR TABLE public.stopped;' });
  await stack.insist('RESYNC MIGRATION FOR TABLE stopped');
  // While it is loaded as well, but less than the spool holds: what is kept for a load gives way to nobody, and everything would wait for it.
  await writeBoth((round) => round === 15);
  await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY']);
  await expect.poll(async () => (await row('stopped'))?.['State'], { timeout: 60_000 }).toBe('DUAL_WRITE');
  await stack.command('VALIDATE MIGRATION FOR SCHEMA public FULL');
  await stack.waitState(['CUTOVER_READY']);
  const read = async (side: 'source' | 'local', name: string): Promise<unknown[]> => (await (await stack.direct(side)).query(`SELECT id, v FROM ${name} ORDER BY id`)).rows as unknown[];
  for (const name of ['stopped', 'sound']) expect(await read('local', name)).toEqual(await read('source', name));
});
