/** Writes of both clusters: who is asked when, what the client hears, what is left for the replay, and that both copies are the same to the microsecond. */
import cassandra from 'cassandra-driver';
import { describe, expect, test } from 'vitest';
import type { CqlMode } from '../../src/cql/modes.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { startFixture } from './proxy-fixture.ts';
import { drained, expectSame, insert, prepared, withTable } from './two-clusters-fixture.ts';

const { responseErrorCodes } = cassandra.types;

describe.each<CqlMode>(['DualSync', 'DualAsync', 'ShadowPrimary'])('%s', (mode) => {
  test('writes of all kinds are on both clusters, cell by cell and to the microsecond', async () => {
    await using fixture = await withTable({ mode });
    const client = await fixture.client();
    for (let k = 0; k < 10; k += 1) await client.execute(insert, [k, `prepared ${k}`], prepared);
    await client.execute("INSERT INTO ks.t (k, v) VALUES (20, 'text')");
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [21, 'bound'], { hints: ['int', 'text'] });
    await client.execute('UPDATE ks.t SET tags = tags + ? WHERE k = ?', [['a', 'b'], 1], prepared);
    await client.batch([{ query: insert, params: [30, 'x'] }, { query: 'DELETE FROM ks.t WHERE k = ?', params: [2] }], prepared);
    await client.batch(["INSERT INTO ks.t (k, v) VALUES (31, 'y')", 'DELETE v FROM ks.t WHERE k = 3'], {});
    await client.execute("BEGIN BATCH INSERT INTO ks.t (k, v) VALUES (32, 'z'); DELETE FROM ks.t WHERE k = 4; APPLY BATCH");
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?) USING TIMESTAMP 12345', [40, 'old'], prepared);
    await client.execute('UPDATE ks.c SET n = n + ? WHERE k = 1', [5], prepared);
    await drained(fixture);
    expectSame(fixture);
    expect(fixture.intents.released.size).toBe(0);
  });

  test('without a timestamp from the client the proxy gives one, the same to both and each greater than the last', async () => {
    await using fixture = await withTable({ mode, source: { clockSkewMicros: 7_000_000 } });
    const raw = await RawClient.connect(fixture.port);
    const stamps: bigint[] = [];
    fixture.source.onRequest = ({ timestamp, text }) => void (text.startsWith('INSERT') && timestamp !== undefined && stamps.push(timestamp));
    for (let k = 0; k < 20; k += 1) await raw.query(`INSERT INTO ks.t (k, v) VALUES (${k % 3}, 'value ${k}')`);
    await drained(fixture);
    raw.close();
    expectSame(fixture);
    expect(stamps).toHaveLength(20);
    if (mode !== 'ShadowPrimary') expect(stamps.every((stamp, index) => index === 0 || stamp > (stamps[index - 1] ?? 0n))).toBe(true);
    expect(fixture.proxy.stats().counts.stamped).toBe(20);
  });

  test('now() and uuid() in a text are the same on both', async () => {
    await using fixture = await startFixture({ mode });
    fixture.both('CREATE TABLE ks.u (k int PRIMARY KEY, a timeuuid, b uuid, c timestamp)');
    const client = await fixture.client();
    for (let k = 0; k < 5; k += 1) await client.execute(`INSERT INTO ks.u (k, a, b, c) VALUES (${k}, now(), uuid(), toTimestamp(now()))`);
    await drained(fixture);
    expectSame(fixture);
    const { rows } = await client.execute('SELECT a FROM ks.u');
    expect(new Set(rows.map(({ a }) => String(a))).size).toBe(5);
  });

  test('and in prepared statements and batches, whose markers are the client\'s own only', async () => {
    await using fixture = await startFixture({ mode });
    fixture.both('CREATE TABLE ks.u (k int PRIMARY KEY, a timeuuid, b uuid, c timestamp, v text)');
    const client = await fixture.client();
    const unstable = 'INSERT INTO ks.u (a, k, b, v, c) VALUES (now(), ?, uuid(), ?, toTimestamp(now()))';
    for (let k = 0; k < 3; k += 1) await client.execute(unstable, [k, `v${k}`], prepared);
    await client.batch([{ query: unstable, params: [10, 'x'] }, { query: 'INSERT INTO ks.u (k, v) VALUES (?, ?)', params: [11, 'y'] }, { query: unstable, params: [12, 'z'] }], prepared);
    await client.execute('UPDATE ks.u SET a = now() WHERE k = 20', [], prepared);
    await client.batch(["INSERT INTO ks.u (k, a, v) VALUES (30, now(), 'text')", 'UPDATE ks.u SET b = uuid(), a = now() WHERE k = 31'], {});
    await drained(fixture);
    expectSame(fixture);
    expect(fixture.proxy.stats().counts.unrepeatable).toBe(0);
    const { rows } = await client.execute('SELECT k, a, v FROM ks.u');
    expect(rows.map(({ k, v }) => [k, v]).sort()).toEqual([[0, 'v0'], [1, 'v1'], [10, 'x'], [11, 'y'], [12, 'z'], [2, 'v2'], [20, null], [30, 'text'], [31, null]]);
    expect(new Set(rows.filter(({ k }) => k !== 11).map(({ a }) => String(a))).size).toBe(8);
  });

  test('a conditional statement is asked of the second only if the first has applied it; a difference is left for a repair', async () => {
    await using fixture = await withTable({ mode });
    const [primary, shadow] = mode === 'ShadowPrimary' ? [fixture.target, fixture.source] : [fixture.source, fixture.target];
    const client = await fixture.client();
    const conditional = "INSERT INTO ks.t (k, v) VALUES (?, ?) IF NOT EXISTS";
    expect((await client.execute(conditional, [1, 'a'], prepared)).wasApplied()).toBe(true);
    await drained(fixture);
    expectSame(fixture, false);
    shadow.run('DELETE FROM ks.t WHERE k = 1');
    const before = shadow.counts['EXECUTE'] ?? 0;
    expect((await client.execute(conditional, [1, 'b'], prepared)).wasApplied()).toBe(false);
    await drained(fixture);
    expect(shadow.counts['EXECUTE'] ?? 0).toBe(before);
    primary.run('DELETE FROM ks.t WHERE k = 1');
    shadow.run("INSERT INTO ks.t (k, v) VALUES (1, 'other')");
    expect((await client.execute(conditional, [1, 'c'], prepared)).wasApplied()).toBe(true);
    await expect.poll(() => fixture.intents.released.size).toBe(1);
    expect(fixture.proxy.stats().counts.clusters[mode === 'ShadowPrimary' ? 0 : 1]?.mismatches).toBe(1);
  });

  test('what both forget is prepared again on both', async () => {
    await using fixture = await withTable({ mode });
    const client = await fixture.client();
    await client.execute(insert, [1, 'a'], prepared);
    await drained(fixture);
    for (let k = 2; k < 6; k += 1) {
      if (k % 2 === 0) fixture.source.forgetPrepared();
      if (k > 3) fixture.target.forgetPrepared();
      await client.execute(insert, [k, 'b'], prepared);
      await client.batch([{ query: insert, params: [k + 10, 'c'] }, { query: 'DELETE FROM ks.t WHERE k = ?', params: [1] }], prepared);
      await drained(fixture);
    }
    expectSame(fixture);
    expect(fixture.intents.released.size).toBe(0);
  });
});

describe('DualAsync', () => {
  test('a shadow that does not answer slows nobody, and its writes are left to the replay', async () => {
    await using fixture = await withTable({ mode: 'DualAsync', shadowTimeoutMs: 300 });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await drained(fixture);
    fixture.target.pause();
    const from = performance.now();
    for (let k = 1; k <= 10; k += 1) await client.execute(insert, [k, 'a'], prepared);
    // Each of them would have waited for 300 ms.
    expect(performance.now() - from).toBeLessThan(2_000);
    await expect.poll(() => fixture.intents.released.size).toBe(10);
    expect([...fixture.intents.released.values()].map(({ owes }) => owes)).toEqual(Array.from({ length: 10 }, () => 2));
    fixture.target.resume();
    for (const intent of [...fixture.intents.released.values()]) {
      expect(await new Promise<string>((resolve) => fixture.proxy.replay.send(1, intent, resolve))).toBe('ok');
      fixture.intents.settle(intent.ticket);
    }
    expectSame(fixture);
  });

  test('the client is answered only when the log has the write', async () => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await drained(fixture);
    fixture.intents.isHeld = true;
    let answered = false;
    const write = client.execute(insert, [1, 'a'], prepared).then(() => {
      answered = true;
    });
    await expect.poll(() => fixture.source.run('SELECT k FROM ks.t WHERE k = 1')).toMatchObject({ rows: [[Buffer.from([0, 0, 0, 1])]] });
    await expect.poll(() => fixture.target.run('SELECT k FROM ks.t WHERE k = 1')).toMatchObject({ rows: [[Buffer.from([0, 0, 0, 1])]] });
    // Reads pass meanwhile.
    expect((await client.execute('SELECT v FROM ks.t WHERE k = 0', [], prepared)).rows).toHaveLength(1);
    expect(answered).toBe(false);
    fixture.intents.write();
    await write;
  });

  test('what the primary refuses cleanly is cancelled before the client hears of it, and the shadow never gets it', async () => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await drained(fixture);
    fixture.source.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    await expect(client.execute(insert, [1, 'a'], prepared)).rejects.toMatchObject({ code: responseErrorCodes.unavailableException });
    expect(fixture.intents.ended.at(-1)?.how).toBe('cancelled');
    fixture.source.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    fixture.intents.isHeld = true;
    let heard = false;
    const refused = client.execute(insert, [2, 'a'], prepared).catch(() => {
      heard = true;
    });
    await expect.poll(() => fixture.intents.ended.length).toBe(3);
    await client.execute('SELECT v FROM ks.t WHERE k = 0', [], prepared);
    expect(heard).toBe(false);
    fixture.intents.write();
    await refused;
    expect(fixture.target.run('SELECT k FROM ks.t')).toMatchObject({ rows: [[Buffer.from([0, 0, 0, 0])]] });
  });

  test('what the primary may have done is owed by both', async () => {
    await using fixture = await withTable({ mode: 'DualAsync', requestTimeoutMs: 2000 });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await drained(fixture);
    for (const action of [{ kind: 'done-but-error', code: responseErrorCodes.writeTimeout }, { kind: 'error', code: responseErrorCodes.overloaded }, { kind: 'disconnect', when: 'after' }, { kind: 'disconnect', when: 'mid-frame' }, { kind: 'lose' }] as const) {
      fixture.source.faults.add({ isWrite: true, action });
      await expect(client.execute(insert, [1, action.kind], prepared)).rejects.toThrow();
      expect([...fixture.intents.released.values()].at(-1)?.owes).toBe(3);
    }
    expect(fixture.intents.released.size).toBe(5);
    for (const intent of [...fixture.intents.released.values()]) {
      for (const cluster of [0, 1] as const) await expect.poll(() => new Promise<string>((resolve) => fixture.proxy.replay.send(cluster, intent, resolve))).toBe('ok');
    }
    expectSame(fixture);
  });

  test('a shadow that is gone costs the client nothing; it is told only when the log is full', async () => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    await fixture.target.close();
    const client = await fixture.client();
    for (let k = 0; k < 5; k += 1) await client.execute(insert, [k, 'a'], prepared);
    expect(fixture.intents.released.size).toBe(5);
    fixture.intents.refusal = 'full';
    await expect(client.execute(insert, [9, 'a'], prepared)).rejects.toMatchObject({ code: responseErrorCodes.overloaded, message: expect.stringContaining('MIG085') as string });
    expect((await client.execute('SELECT k FROM ks.t WHERE k = 9')).rows).toEqual([]);
  });
});

describe('DualSync', () => {
  test('a write is in the log before a cluster has it, and leaves it when both have', async () => {
    await using fixture = await withTable({ mode: 'DualSync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    expect(fixture.intents.ended.map(({ how }) => how)).toEqual(['settled']);
    fixture.target.pause();
    const write = client.execute(insert, [1, 'a'], prepared);
    await expect.poll(() => fixture.source.run('SELECT k FROM ks.t WHERE k = 1')).toMatchObject({ rows: [[Buffer.from([0, 0, 0, 1])]] });
    expect([...fixture.intents.open.values()].map(({ owes }) => owes)).toEqual([3]);
    // Its client waits for it: it is not queued.
    expect(fixture.proxy.stats().awaitedWrites).toBe(1);
    fixture.target.resume();
    await write;
    expect(fixture.intents.ended.map(({ how }) => how)).toEqual(['settled', 'settled']);
    expect(fixture.proxy.stats().awaitedWrites).toBe(0);
  });

  test('what both refuse is taken out of the log before the client hears of it', async () => {
    await using fixture = await withTable({ mode: 'DualSync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    for (const cluster of [fixture.source, fixture.target]) cluster.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    fixture.intents.isHeld = true;
    let heard = false;
    const refused = client.execute(insert, [1, 'a'], prepared).catch(() => {
      heard = true;
    });
    await expect.poll(() => fixture.intents.ended.at(-1)?.how).toBe('cancelled');
    await client.execute('SELECT v FROM ks.t WHERE k = 0', [], prepared);
    expect(heard).toBe(false);
    fixture.intents.write();
    await refused;
    // A condition that was false is on neither.
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?) IF NOT EXISTS', [0, 'b'], prepared);
    expect(fixture.intents.ended.at(-1)?.how).toBe('cancelled');
    expect(fixture.intents.state().depth).toBe(0);
    fixture.intents.refusal = 'full';
    await expect(client.execute(insert, [9, 'a'], prepared)).rejects.toMatchObject({ code: responseErrorCodes.overloaded, message: expect.stringContaining('MIG085') as string });
    expectSame(fixture);
  });

  test('a failure of either side is the client\'s, and the side that has it not owes it', async () => {
    await using fixture = await withTable({ mode: 'DualSync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    fixture.target.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    await expect(client.execute(insert, [1, 'a'], prepared)).rejects.toMatchObject({ code: responseErrorCodes.unavailableException });
    fixture.source.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    await expect(client.execute(insert, [2, 'a'], prepared)).rejects.toMatchObject({ code: responseErrorCodes.unavailableException });
    expect([...fixture.intents.released.values()].map(({ owes }) => owes)).toEqual([2, 1]);
    fixture.source.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    fixture.target.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.unavailableException } });
    await expect(client.execute(insert, [3, 'a'], prepared)).rejects.toMatchObject({ code: responseErrorCodes.unavailableException });
    expect(fixture.intents.released.size).toBe(2);
    for (const intent of [...fixture.intents.released.values()]) {
      expect(await new Promise<string>((resolve) => fixture.proxy.replay.send(intent.owes === 1 ? 0 : 1, intent, resolve))).toBe('ok');
    }
    expectSame(fixture);
  });

  test('what cannot be sent to the first is not sent to the second, also while its cancellation is written', async () => {
    await using fixture = await withTable({ mode: 'DualSync', cluster: (name) => (name === 'source' ? { maxStreams: 3 } : {}) });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    fixture.source.pause();
    const writes = [1, 2, 3].map((k) => client.execute(insert, [k, 'a'], prepared));
    await expect.poll(() => fixture.target.run('SELECT k FROM ks.t')).toMatchObject({ rows: { length: 4 } });
    fixture.intents.isHeld = true;
    const refused = client.execute(insert, [4, 'a'], prepared).then(() => 'done', (error: { code?: number }) => error.code);
    await expect.poll(() => fixture.intents.ended.at(-1)?.how).toBe('cancelled');
    fixture.intents.write();
    expect(await refused).toBe(responseErrorCodes.overloaded);
    fixture.source.resume();
    await Promise.all(writes);
    await client.execute(insert, [5, 'a'], prepared);
    expect(fixture.target.run('SELECT k FROM ks.t')).toMatchObject({ rows: { length: 5 } });
    expectSame(fixture);
  });

  test('with one cluster gone nothing is written on the other', async () => {
    await using fixture = await withTable({ mode: 'DualSync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    await fixture.target.close();
    await expect.poll(() => client.execute(insert, [1, 'a'], prepared).then(() => 'done', String)).toMatch(/MIG001: the target cluster/);
    const depth = fixture.intents.state().depth;
    const before = fixture.source.counts['EXECUTE'];
    await expect(client.execute(insert, [2, 'a'], prepared)).rejects.toThrow(/MIG001/);
    expect(fixture.source.counts['EXECUTE']).toBe(before);
    expect(fixture.intents.state().depth).toBe(depth);
  });

  test('a schema change is made on both, and one that the second has already is well', async () => {
    await using fixture = await withTable({ mode: 'DualSync' });
    const client = await fixture.client();
    await client.execute('CREATE TABLE ks.made (k int PRIMARY KEY)');
    expect(fixture.target.run('SELECT k FROM ks.made')).toMatchObject({ rows: [] });
    fixture.target.run('CREATE TABLE ks.there (k int PRIMARY KEY)');
    await client.execute('CREATE TABLE ks.there (k int PRIMARY KEY)');
    await expect(client.execute('CREATE TABLE nowhere.made (k int PRIMARY KEY)')).rejects.toThrow();
    fixture.target.faults.add({ text: /^ALTER/, action: { kind: 'error', code: responseErrorCodes.invalid, message: 'not here' } });
    await expect(client.execute('ALTER TABLE ks.made ADD v text')).rejects.toThrow(/not here/);
    expect(fixture.logged.some(({ level, message }) => level === 'error' && message.includes('not on the other'))).toBe(true);
  });
});
