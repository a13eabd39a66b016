/**
 * Several proxies as one: no two of them ever read different clusters, whichever is killed while they change that; one that has missed something, or has lost its state, serves nothing before it has asked the others; and who
 * does not know their secret hears nothing.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ProxyLinks } from '../../../src/main/cql-proxy-links.ts';
import { decideJoin } from '../../../src/main/join-group.ts';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { RawClient } from '../../support/cql/raw-client.ts';
import { Random } from '../../soak/torture-random.ts';
import { pickOperation, schemaOf, unrepeatable } from '../random-operations.ts';
import type { Actor } from '../random-operations.ts';
import { groupOf } from './group-fixture.ts';
import type { Group } from './group-fixture.ts';
import { call } from './process-fixture.ts';

const insert = 'INSERT INTO ks.t (k, v) VALUES (?, ?)';
const noted = (): Promise<void> => Promise.resolve();
const table = 'ks.t';

async function bothIn(group: Group, mode: 'DualSync' | 'DualAsync'): Promise<void> {
  await group.control().switchTable({ table, mode: 'DualAsync', holds: true });
  if (mode === 'DualSync') await group.control().switchTable({ table, mode, holds: true });
}

test('what was acknowledged at one proxy is read at every other, while the cluster that answers changes', async () => {
  await using group = await groupOf(2);
  const { fixture } = group;
  const clients = await Promise.all((await group.startAll()).map((one) => fixture.driver(one)));
  await bothIn(group, 'DualSync');
  // Where one proxy reads the source while the other no longer waits for it, this shows.
  fixture.source.faults.add({ isWrite: true, times: Infinity, action: { kind: 'delay', ms: 20 } });
  let isOver = false;
  using _walking = { [Symbol.dispose]: () => void (isOver = true) };
  const wrong: string[] = [];
  const rounds = new Map<number, number>();
  const walkers = Array.from({ length: 8 }, async (_, k) => {
    for (let n = 1; !isOver; n += 1) {
      const [writer, reader] = n % 2 === 0 ? clients : [clients[1], clients[0]];
      if (!writer || !reader) throw new Error('two clients');
      await writer.execute(insert, [k, `${n}`], { prepare: true }).catch((error: unknown) => wrong.push(`write: ${String(error)}`));
      const seen = await reader.execute('SELECT v FROM ks.t WHERE k = ?', [k], { prepare: true }).then((result) => result.first()?.['v'] as string, (error: unknown) => `read: ${String(error)}`);
      if (seen !== `${n}`) wrong.push(`row ${k}: wrote ${n}, then read ${seen}`);
      rounds.set(k, n);
    }
  });
  const control = group.control({ lateMs: 150 });
  await expect.poll(() => rounds.size).toBe(8);
  for (const [step, mode] of [['move', 'ShadowPrimary'], ['switch', 'ShadowSync'], ['move', 'DualSync'], ['move', 'ShadowPrimary']] as const) {
    if (step === 'switch') await control.switchTable({ table, mode, holds: true });
    else await control.moveTable({ table, mode, holds: true, waitMs: 30_000 }, noted);
    const reached = Math.min(...rounds.values());
    await expect.poll(() => Math.min(...rounds.values())).toBeGreaterThan(reached + 2);
  }
  isOver = true;
  await Promise.all(walkers);
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(await control.table(table)).toMatchObject({ modes: ['ShadowPrimary'], isPending: false, isHeld: true });
  await expect.poll(async () => (await control.table(table)).depth, { timeout: 20_000 }).toBe(0);
  expect(compareStores(fixture.source.database, fixture.target.database).differences).toEqual([]);
});

test('a proxy that is away stops a change, and nothing was changed', async () => {
  await using group = await groupOf(2);
  const [first, second] = await group.startAll();
  if (!first || !second) throw new Error('two proxies');
  await bothIn(group, 'DualSync');
  const client = await group.fixture.driver(first);
  await second[Symbol.asyncDispose]();
  const control = group.control();
  await expect(control.moveTable({ table, mode: 'ShadowPrimary', holds: true, waitMs: 1000 }, noted)).rejects.toMatchObject({ code: 'MIG084' });
  await expect(control.switchTable({ table, mode: 'DualAsync', holds: true })).rejects.toMatchObject({ code: 'MIG084' });
  await client.execute(insert, [1, 'a'], { prepare: true });
  expect(await group.members[0]?.table(table)).toMatchObject({ mode: 'DualSync', isPending: false });
  await group.start(1);
  await control.moveTable({ table, mode: 'ShadowPrimary', holds: true, waitMs: 10_000 }, noted);
  await client.execute(insert, [1, 'b'], { prepare: true });
  expect(await control.table(table)).toMatchObject({ modes: ['ShadowPrimary'] });
});

test('requests that do not end in time, and writes that are owed, undo a change at all of them', async () => {
  await using group = await groupOf(2);
  const { fixture } = group;
  const [first, second] = await group.startAll();
  if (!first || !second) throw new Error('two proxies');
  await bothIn(group, 'DualSync');
  const [one, other] = [await fixture.driver(first), await fixture.driver(second)];
  await other.execute(insert, [2, 'before'], { prepare: true });
  const control = group.control({ holdMs: 150 });
  const slow = fixture.source.faults.add({ text: /INSERT/, isWrite: true, times: 1, action: { kind: 'delay', ms: 3000 } });
  const writing = other.execute(insert, [1, 'slow'], { prepare: true });
  await expect.poll(() => slow.hits).toBe(1);
  const moving = expect(control.moveTable({ table, mode: 'ShadowPrimary', holds: true }, noted)).rejects.toThrow(/MIG050.*did not end within 150 ms/);
  // It waits, and is answered.
  expect((await one.execute('SELECT v FROM ks.t WHERE k = 2', [], { prepare: true })).first()?.['v']).toBe('before');
  await moving;
  await writing;
  expect(await control.table(table)).toMatchObject({ modes: ['DualSync'], isPending: false });
  const refusing = fixture.target.faults.add({ isWrite: true, times: Infinity, action: { kind: 'error', code: 0x1001 } });
  await other.execute(insert, [1, 'owed'], { prepare: true }).catch(() => undefined);
  await expect(control.moveTable({ table, mode: 'ShadowPrimary', holds: true }, noted)).rejects.toThrow(/MIG050.*queued at a proxy/);
  expect((await one.execute('SELECT v FROM ks.t WHERE k = 1', [], { prepare: true })).first()?.['v']).toBe('owed');
  refusing[Symbol.dispose]();
  await control.moveTable({ table, mode: 'ShadowPrimary', holds: true, waitMs: 20_000 }, noted);
  expect((await one.execute('SELECT v FROM ks.t WHERE k = 1', [], { prepare: true })).first()?.['v']).toBe('owed');
});

describe('a proxy that is started again while the decision is open', () => {
  test.each(['made', 'taken back'] as const)('serves other tables only, until it hears that the change is %s', async (outcome) => {
    await using group = await groupOf(2);
    const { fixture } = group;
    for (const cluster of [fixture.source, fixture.target]) cluster.run('CREATE TABLE ks.u (k int PRIMARY KEY, v text)');
    const [, second] = await group.startAll();
    await bothIn(group, 'DualSync');
    const control = group.control();
    const undecided = control.moveTable({ table, mode: 'ShadowPrimary', holds: true }, () => Promise.reject(new Error('the control was killed')));
    await expect(undecided).rejects.toThrow('was killed');
    await second?.[Symbol.asyncDispose]();
    const client = await fixture.driver(await group.start(1));
    await client.execute('INSERT INTO ks.u (k, v) VALUES (1, ?)', ['a'], { prepare: true });
    await expect(client.execute(insert, [1, 'a'], { prepare: true })).rejects.toThrow(/MIG082/);
    await expect(client.batch(['INSERT INTO ks.u (k, v) VALUES (1, \'b\')', 'INSERT INTO ks.t (k, v) VALUES (1, \'b\')'])).rejects.toThrow(/MIG082/);
    expect(await control.table(table)).toMatchObject({ modes: ['DualSync'], isPending: true });
    await expect(control.switchTable({ table, mode: 'DualAsync', holds: true })).rejects.toMatchObject({ code: 'MIG050' });
    const pending = (await group.modesAt(1))?.pending?.[table];
    await control.settleMove(table, outcome === 'made' ? { attempt: pending?.attempt ?? '', mode: 'ShadowPrimary', epoch: 9 } : undefined);
    // Told twice is told once.
    await control.settleMove(table, outcome === 'made' ? { attempt: pending?.attempt ?? '', mode: 'ShadowPrimary', epoch: 9 } : undefined);
    expect(await control.table(table)).toMatchObject({ modes: [outcome === 'made' ? 'ShadowPrimary' : 'DualSync'], isPending: false });
    await client.execute(insert, [1, 'c'], { prepare: true });
  });
});

test('requests that wait too long for the decision are refused, and their connection goes on in order', async () => {
  await using group = await groupOf(1 + 1, { request_timeout_ms: 20_000 });
  const [first] = await group.startAll();
  await bothIn(group, 'DualSync');
  using raw = await RawClient.connect(first?.port ?? 0);
  await raw.query('USE ks');
  const control = group.control({ holdMs: 100 });
  await expect(control.moveTable({ table, mode: 'ShadowPrimary', holds: true }, () => Promise.reject(new Error('killed')))).rejects.toThrow('killed');
  const [held, behind] = await Promise.all([raw.query("INSERT INTO t (k, v) VALUES (1, 'a')"), raw.query('SELECT key FROM system.local')]);
  expect([held, behind.kind]).toEqual([expect.objectContaining({ kind: 'error', code: 0x1001, message: expect.stringContaining('MIG082') }), 'rows']);
  await control.settleMove(table, undefined);
  expect((await raw.query("INSERT INTO t (k, v) VALUES (1, 'a')")).kind).not.toBe('error');
});

describe('who joins', () => {
  const modes = (epoch: number) => ({ global: 'DualSync', keyspaces: {}, tables: {}, epoch });
  test.each([
    ['a new group serves when all have said that they are new', undefined, ['none', 'none'], 'serve'], ['a new one waits for the silent', undefined, ['none', 'silent'], 'wait'], ['what one knows is taken over', undefined, ['silent', modes(0)], 'adopt'],
    ['one that knows needs nobody', modes(3), ['silent', 'silent'], 'serve'], ['nor one that knows less', modes(3), [modes(2), 'none'], 'serve'], ['what is later is taken over', modes(3), [modes(2), modes(4)], 'adopt'],
  ] as const)('%s', (_name, own, peers, type) => {
    const join = decideJoin(own, peers);
    expect(join.type).toBe(type);
    if (join.type === 'adopt') expect(join.modes.epoch).toBe(type === 'adopt' && own ? 4 : 0);
  });

  test('a proxy that has lost its state, and one whose state is old, take what the others have before a client reaches them', async () => {
    await using group = await groupOf(2);
    const [, second] = await group.startAll();
    await bothIn(group, 'DualSync');
    const file = path.join(group.directoryOf(1), 'modes.json');
    const old = fs.readFileSync(file);
    await group.control().moveTable({ table, mode: 'ShadowPrimary', holds: true, waitMs: 10_000 }, noted);
    await second?.[Symbol.asyncDispose]();
    for (const state of [undefined, old]) {
      if (state) fs.writeFileSync(file, state);
      else fs.rmSync(file);
      const again = await group.start(1);
      expect((await call(again, 'GET /status')).body['tables']).toEqual({ [table]: 'ShadowPrimary' });
      await again[Symbol.asyncDispose]();
    }
    expect(fs.readFileSync(file, 'utf8')).toContain('ShadowPrimary');
    // Nobody to ask: what is on its own disk is enough.
    expect(group.fixture.logged.filter((line) => line.includes('are taken over')).length).toBe(2);
  });

  test('a new one that can ask nobody serves nobody, and says for whom it waits', async () => {
    await using group = await groupOf(2);
    const starting = group.start(0);
    await expect.poll(() => group.fixture.logged.filter((line) => line.includes('no client is served')).length).toBe(1);
    expect(await group.modesAt(0)).toBeUndefined();
    await expect(group.members[0]?.table(table)).rejects.toMatchObject({ code: 'MIG084' });
    await Promise.all([starting, group.start(1)]);
  });

  test('nobody without the secret hears anything', async () => {
    await using group = await groupOf(2);
    await group.startAll();
    expect(await group.modesAt(1)).toMatchObject({ global: 'SourceOnly' });
    await expect(group.modesAt(1, 'another secret, as long as it')).rejects.toMatchObject({ code: 'MIG084' });
    const [first] = await group.startAll().catch(() => []);
    expect(first).toBeUndefined();
  });
});

test('what a comparison has found, and what a scan holds, holds at all of them', async () => {
  await using group = await groupOf(2);
  const proxies = await group.startAll();
  await bothIn(group, 'DualSync');
  const control = group.control();
  const verdict = { table, isWhole: true, rows: 3, different: 1, tookMs: 0, summary: '1 row differs' };
  await control.validated({ ...verdict, isGood: false });
  for (const one of proxies) expect((await call(one, 'GET /status')).body['validation']).toMatchObject({ blocking: [table] });
  await expect(control.moveTable({ table, mode: 'ShadowPrimary', holds: true }, noted)).rejects.toThrow(/MIG050.*1 row differs/);
  await control.validated({ ...verdict, isGood: true });
  const links = await ProxyLinks.open(proxies.map(({ httpPort }) => `http://127.0.0.1:${httpPort}`).join(', '), true);
  {
    await using _held = await links?.hold([table]);
    for (const member of group.members) await expect(member.isFree({ attempt: 'a', table, mode: 'ShadowPrimary', skipsValidation: false, holdMs: 100 })).rejects.toThrow(/a scan repairs ks\.t/);
  }
  await control.moveTable({ table, mode: 'ShadowPrimary', holds: true, waitMs: 10_000 }, noted);
  await expect(links?.hold([table])).rejects.toThrow(/ShadowPrimary/);
  await expect(ProxyLinks.open(`http://127.0.0.1:${proxies[0]?.httpPort ?? 0},nowhere`, true)).rejects.toThrow(/not "nowhere"/);
});

test('a random stream over three proxies leaves both clusters the same, wherever their tables are read meanwhile', async () => {
  await using group = await groupOf(3, { request_timeout_ms: 20_000, shadow_timeout_ms: 20_000 });
  const { source, target } = group.fixture;
  for (const statement of schemaOf('ks')) for (const cluster of [source, target]) if (!statement.startsWith('CREATE KEYSPACE')) cluster.run(statement);
  const proxies = await group.startAll();
  const control = group.control();
  const moved = ['ks.lists', 'ks.lwt', 'ks.wide'];
  for (const name of [...moved, 'ks.kv', 'ks.QuotedTable', 'ks.composite', 'ks.counts', 'ks.expiring']) await control.switchTable({ table: name, mode: 'DualSync', holds: true });
  const errors: string[] = [];
  let done = 0;
  let isOver = false;
  using _acting = { [Symbol.dispose]: () => void (isOver = true) };
  const count = 9;
  const actors = Array.from({ length: count }, async (_, number) => {
    using client = await RawClient.connect(proxies[number % 3]?.port ?? 0);
    const actor: Actor = { random: new Random(700 + number), client, version: 4, keyspace: 'ks', isInKeyspace: false, number, count, prepared: new Map() };
    while (!isOver) {
      const operation = pickOperation(actor.random);
      const answer = await operation.run(actor);
      // Tables in a batch move one after the other.
      if (answer.kind === 'error' && !/MIG081/.test(answer.message)) errors.push(`${operation.name}: ${answer.message}`);
      done += 1;
    }
  });
  const more = async (): Promise<void> => {
    const before = done;
    await expect.poll(() => done, { timeout: 30_000 }).toBeGreaterThan(before + 150);
  };
  await more();
  for (const mode of ['ShadowPrimary', 'ShadowSync', 'DualSync', 'DualAsync', 'DualSync', 'ShadowPrimary'] as const) {
    for (const name of moved) {
      const at = await control.table(name);
      const isMove = (mode === 'ShadowPrimary') || (mode === 'DualSync' && at.modes.includes('ShadowSync'));
      if (isMove) await control.moveTable({ table: name, mode, holds: true, waitMs: 30_000 }, noted);
      else await control.switchTable({ table: name, mode, holds: true });
    }
    await more();
  }
  isOver = true;
  await Promise.all(actors);
  expect(errors.slice(0, 5)).toEqual([]);
  await expect.poll(async () => (await control.table('ks.wide')).depth, { timeout: 30_000 }).toBe(0);
  expect((await Promise.all(proxies.map((one) => call(one, 'GET /repairs')))).map(({ body }) => body['entries'])).toEqual([[], [], []]);
  const { cells, differences } = compareStores(source.database, target.database, { maxExpirySlackSeconds: () => 6, isTimed: (name) => !unrepeatable.has(name.slice('ks.'.length)) });
  expect(differences).toEqual([]);
  expect(cells).toBeGreaterThan(200);
}, 120_000);
