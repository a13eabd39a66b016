/** What a migration asks the process of the proxy for over their socket: a table of its own that nobody else switches, and switches that wait for its own writes and for no others. */
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { processClock } from '../../../config/process-runtime.ts';
import { proxyLink } from '../../../src/main/cql-link.ts';
import type { ProxyPort } from '../../../src/migrate/clusters/proxy-port.ts';
import { compareStores } from '../../support/cql/compare-stores.ts';
import { rowsOn } from '../proxy-fixture.ts';
import { call, setup } from './process-fixture.ts';
import type { Setup } from './process-fixture.ts';

const linkOf = ({ directory }: Setup, awayMs?: number): ProxyPort => proxyLink({ clock: processClock, signal: new AbortController().signal }, path.join(directory, 'cql.sock'), awayMs);

test('a table that a migration has is switched by nobody else but by force, over restarts too', async () => {
  await using fixture = await setup();
  const link = linkOf(fixture);
  const first = await fixture.start();
  expect(await link.table('ks.t')).toMatchObject({ mode: 'SourceOnly', isHeld: false, queued: 0, repairs: 0 });
  await link.switchTable({ table: 'ks.t', mode: 'DualAsync', holds: true });
  await first[Symbol.asyncDispose]();
  const running = await fixture.start();
  expect(await link.table('ks.t')).toMatchObject({ mode: 'DualAsync', isHeld: true });
  expect(await call(running, 'POST /config/mode', { mode: 'SourceOnly', keyspace: 'ks', table: 't' })).toMatchObject({ status: 409, body: { code: 'MIG050', detail: expect.stringContaining('migration by SQL') } });
  expect((await call(running, 'POST /config/mode', { mode: 'SourceOnly', keyspace: 'ks' })).status).toBe(200);
  expect(await link.table('ks.t')).toMatchObject({ mode: 'DualAsync', isHeld: true });
  expect(await call(running, 'POST /config/mode', { mode: 'SourceOnly', keyspace: 'ks', table: 't', force: true })).toMatchObject({ status: 200 });
  expect(await link.table('ks.t')).toMatchObject({ mode: 'SourceOnly', isHeld: false });
  await expect(link.switchTable({ table: 'ks.t', mode: 'ShadowPrimary', holds: true })).rejects.toMatchObject({ code: 'MIG050' });
  // Left by the migration it goes with the others again.
  await link.switchTable({ table: 'ks.t', mode: 'DualAsync', holds: true });
  await link.switchTable({ table: 'ks.t', mode: 'SourceOnly', holds: false });
  expect((await call(running, 'GET /status')).body['tables']).toEqual({});
});

test('a switch from DualSync waits for writes of its own table, and is taken up when they are sent', async () => {
  await using fixture = await setup();
  const { source, target } = fixture;
  for (const one of [source, target]) one.run('CREATE TABLE ks.u (k int PRIMARY KEY, v text)');
  const running = await fixture.start();
  const link = linkOf(fixture);
  const client = await fixture.driver(running);
  const write = (table: string): Promise<unknown> => client.execute(`INSERT INTO ks.${table} (k, v) VALUES (1, 'a')`, [], { prepare: true });
  await link.switchTable({ table: 'ks.u', mode: 'DualAsync', holds: true });
  await link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true });
  const refused = target.faults.add({ text: /ks\.u/, isWrite: true, times: 1_000_000, action: { kind: 'error', code: 0x1001 } });
  await write('u');
  await expect.poll(async () => (await link.table('ks.u')).queued).toBe(1);
  expect(await link.table('ks.t')).toMatchObject({ queued: 0, depth: 1 });
  await link.switchTable({ table: 'ks.t', mode: 'ShadowPrimary', holds: true });
  await expect(link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true })).rejects.toThrow(/1 writes are queued/);
  await link.switchTable({ table: 'ks.u', mode: 'DualSync', holds: true });
  await expect(link.switchTable({ table: 'ks.u', mode: 'ShadowPrimary', holds: true })).rejects.toThrow(/MIG050.*1 writes are queued/);
  const waiting = link.switchTable({ table: 'ks.u', mode: 'ShadowPrimary', holds: true, waitMs: 30_000 });
  refused[Symbol.dispose]();
  await waiting;
  expect(await link.table('ks.u')).toMatchObject({ mode: 'ShadowPrimary', queued: 0, depth: 0 });
});

test('a validation that has failed stands against the switch of its table, until one passes or it is skipped', async () => {
  await using fixture = await setup();
  await fixture.start();
  const link = linkOf(fixture);
  await link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true });
  await link.validated({ table: 'ks.t', isGood: false, isWhole: true, rows: 10, different: 0, tookMs: 0, summary: '3 rows differ' });
  await expect(link.switchTable({ table: 'ks.t', mode: 'ShadowPrimary', holds: true, waitMs: 60_000 })).rejects.toThrow(/3 rows differ/);
  await link.switchTable({ table: 'ks.t', mode: 'ShadowPrimary', holds: true, skipsValidation: true });
  // What was found before the cutover says nothing about the way back; what is found after it does.
  await link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true });
  await link.switchTable({ table: 'ks.t', mode: 'ShadowPrimary', holds: true });
  await link.validated({ table: 'ks.t', isGood: false, isWhole: true, rows: 10, different: 0, tookMs: 0, summary: '2 rows differ' });
  await expect(link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true })).rejects.toThrow(/2 rows differ/);
  await link.validated({ table: 'ks.t', isGood: true, isWhole: true, rows: 10, different: 0, tookMs: 0, summary: '' });
  await link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true });
});

test('a proxy that is away is waited for a little, then told of', async () => {
  await using fixture = await setup();
  await expect(linkOf(fixture, 300).table('ks.t')).rejects.toMatchObject({ code: 'MIG084' });
});

test('authority goes there and back while clients write without a pause', async () => {
  await using fixture = await setup();
  const running = await fixture.start();
  const link = linkOf(fixture);
  const client = await fixture.driver(running);
  await link.switchTable({ table: 'ks.t', mode: 'DualSync', holds: true });
  let isOver = false;
  const errors: string[] = [];
  const last = new Map<number, string>();
  const writers = Promise.all(Array.from({ length: 16 }, async (_, k) => {
    for (let n = 0; !isOver; n += 1) await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, `${n}`], { prepare: true }).then(() => last.set(k, `${n}`), (error: unknown) => errors.push(String(error)));
  }));
  await expect.poll(() => last.size).toBe(16);
  for (const mode of ['ShadowPrimary', 'ShadowSync', 'DualSync', 'DualAsync', 'DualSync', 'ShadowPrimary'] as const) await link.switchTable({ table: 'ks.t', mode, holds: true, waitMs: 30_000 });
  isOver = true;
  await writers;
  expect(errors).toEqual([]);
  await expect.poll(async () => (await link.table('ks.t')).depth).toBe(0);
  for (const one of [fixture.source, fixture.target]) expect(rowsOn(one, 'SELECT k, v FROM ks.t').length).toBe(16);
  expect(compareStores(fixture.source.database, fixture.target.database).differences).toEqual([]);
  for (const [k, v] of last) expect((await client.execute('SELECT v FROM ks.t WHERE k = ?', [k], { prepare: true })).first()['v']).toBe(v);
});
