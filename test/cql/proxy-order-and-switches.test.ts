/** Writes of both clusters that are not like the others: those whose order counts, TRUNCATE, those that must not be sent twice; and switches of the mode while they are under way. */
import cassandra from 'cassandra-driver';
import { describe, expect, test } from 'vitest';
import { everywhere } from '../../src/cql/modes.ts';
import type { CqlMode } from '../../src/cql/modes.ts';
import { drained, expectSame, insert, prepared, withTable } from './two-clusters-fixture.ts';

const { responseErrorCodes } = cassandra.types;

describe('writes in order', () => {
  test('a shadow that does not answer slows no conditional statement; each is noted for a repair', async () => {
    await using fixture = await withTable({ mode: 'DualAsync', shadowTimeoutMs: 400 });
    const client = await fixture.client();
    await client.execute(insert, [1, 'a'], prepared);
    await drained(fixture);
    fixture.target.pause();
    const update = 'UPDATE ks.t SET v = ? WHERE k = ? IF EXISTS';
    for (let round = 0; round < 8; round += 1) expect((await client.execute(update, [`v${round}`, 1], prepared)).wasApplied()).toBe(true);
    await expect.poll(() => fixture.intents.released.size).toBe(8);
    fixture.target.resume();
    for (const intent of fixture.intents.released.values()) await new Promise<string>((resolve) => fixture.proxy.replay.send(1, intent, resolve));
    expect(fixture.repairs.map(({ reason }) => reason)).toEqual(Array.from({ length: 8 }, () => 'condition'));
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(0);
  });

  test.each<CqlMode>(['DualAsync', 'DualSync'])('in %s many clients change one row and others beside it, and both clusters have the same in the end', async (mode) => {
    await using fixture = await withTable({ mode, cluster: () => ({ connectionsPerHost: 3 }) });
    for (const cluster of [fixture.source, fixture.target]) for (let k = 0; k < 3; k += 1) cluster.run(`INSERT INTO ks.t (k, v) VALUES (${k}, '0')`, 1n);
    for (const cluster of [fixture.source, fixture.target]) cluster.faults.add({ isWrite: true, times: 10_000, chance: 0.5, action: { kind: 'delay', ms: 5 } });
    const clients = await Promise.all(Array.from({ length: 4 }, () => fixture.client()));
    await Promise.all(clients.flatMap((client, who) => Array.from({ length: 30 }, async (_, round) => {
      if (round % 3 === 0) await client.execute('UPDATE ks.t SET v = ? WHERE k = ? IF EXISTS', [`${who}.${round}`, round % 2], prepared);
      else if (round % 3 === 1) await client.execute('UPDATE ks.t SET list = list + ? WHERE k = ?', [[`${who}.${round}`], round % 3], prepared);
      else await client.execute(`UPDATE ks.t SET list = ['${who}.${round}'] WHERE k = 2`);
    })));
    await drained(fixture);
    expectSame(fixture, false);
    expect(fixture.intents.released.size).toBe(0);
  });

  test('one that waits in vain for its turn is answered in time, and is done nowhere', async () => {
    await using fixture = await withTable({ mode: 'DualSync', requestTimeoutMs: 500 });
    const client = await fixture.client();
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?) IF NOT EXISTS', [1, 'a'], prepared);
    const update = 'UPDATE ks.t SET v = ? WHERE k = ? IF EXISTS';
    await client.execute(update, ['first', 1], prepared);
    fixture.source.pause();
    const ended = await Promise.all(Array.from({ length: 4 }, (_, round) => client.execute(update, [`v${round}`, 1], prepared).then(() => 'ok', (error: { code?: number }) => error.code)));
    expect(ended.sort()).toEqual([responseErrorCodes.overloaded, responseErrorCodes.overloaded, responseErrorCodes.overloaded, responseErrorCodes.writeTimeout]);
    fixture.source.resume();
    await expect.poll(() => client.execute(update, ['last', 1], prepared).then(() => 'ok', String)).toBe('ok');
  });

  test('those that have waited in vain end once, and nobody else’s request with them, while the log is slow to take them back', async () => {
    await using fixture = await withTable({ mode: 'DualSync', requestTimeoutMs: 500 });
    const client = await fixture.client();
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?) IF NOT EXISTS', [1, 'a'], prepared);
    const update = 'UPDATE ks.t SET v = ? WHERE k = ? IF EXISTS';
    await client.execute(update, ['first', 1], prepared);
    await drained(fixture);
    const inHand = (): number => fixture.proxy.stats().counts.inHand;
    await expect.poll(inHand).toBe(0);
    const before = fixture.intents.ended.length;
    fixture.intents.isHeld = true;
    fixture.source.pause();
    const ended = Promise.all(Array.from({ length: 4 }, (_, round) => client.execute(update, [`v${round}`, 1], prepared).then(() => 'ok', (error: { code?: number }) => error.code)));
    await expect.poll(() => fixture.intents.ended.slice(before).map(({ how }) => how)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    await expect.poll(inHand).toBe(3);
    const read = client.execute('SELECT v FROM ks.t WHERE k = 1').then(() => 'ok', String);
    await expect.poll(inHand).toBe(4);
    fixture.intents.write();
    expect(inHand()).toBe(1);
    fixture.source.resume();
    expect(await read).toBe('ok');
    expect((await ended).sort()).toEqual([responseErrorCodes.overloaded, responseErrorCodes.overloaded, responseErrorCodes.overloaded, responseErrorCodes.writeTimeout]);
    await expect.poll(inHand).toBe(0);
  });
});

describe('order over a switch of the mode', () => {
  const update = 'UPDATE ks.t SET v = ? WHERE k = ? IF EXISTS';

  test('who waits for one cluster only does not wait behind one who waits for both, of whom the other does not answer', async () => {
    await using fixture = await withTable({ mode: 'DualSync', requestTimeoutMs: 3000, shadowTimeoutMs: 500 });
    const client = await fixture.client();
    await client.execute(insert, [1, 'a'], prepared);
    await client.execute(update, ['first', 1], prepared);
    await drained(fixture);
    fixture.target.pause();
    const waits = client.execute(update, ['both', 1], prepared).then(() => 'ok', (error: { code?: number }) => error.code);
    await expect.poll(() => String(fixture.source.run('SELECT v FROM ks.t')['rows' as never])).toBe('both');
    fixture.setMode('DualAsync');
    const begun = performance.now();
    expect((await client.execute(update, ['one', 1], prepared)).wasApplied()).toBe(true);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(await waits).toBe(responseErrorCodes.writeTimeout);
    fixture.target.resume();
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(0);
  });

  test.each<readonly [CqlMode, CqlMode, 'source' | 'target']>([
    ['DualAsync', 'DualSync', 'source'], ['DualSync', 'ShadowPrimary', 'target'], ['DualAsync', 'ShadowPrimary', 'source'], ['ShadowPrimary', 'DualAsync', 'target'], ['ShadowPrimary', 'DualSync', 'target'], ['ShadowSync', 'DualAsync', 'source'],
  ])('from %s to %s the later of two is the later on both clusters', async (before, after, slow) => {
    await using fixture = await withTable({ mode: before, cluster: () => ({ connectionsPerHost: 3 }) });
    const client = await fixture.client();
    for (const cluster of [fixture.source, fixture.target]) cluster.run("INSERT INTO ks.t (k, v) VALUES (1, 'a')", 1n);
    const append = 'UPDATE ks.t SET list = list + ? WHERE k = ?';
    await client.execute(append, [['warm'], 1], prepared);
    await drained(fixture);
    fixture[slow].faults.add({ isWrite: true, action: { kind: 'delay', ms: 300 } });
    const first = client.execute(append, [['first'], 1], prepared);
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(1);
    fixture.setMode(after);
    await Promise.all([first, client.execute(append, [['second'], 1], prepared)]);
    await drained(fixture);
    expectSame(fixture, false);
    expect(fixture.intents.released.size).toBe(0);
  });

  test('many clients change few rows while the mode is another one every few milliseconds', async () => {
    await using fixture = await withTable({ mode: 'DualAsync', cluster: () => ({ connectionsPerHost: 3 }) });
    for (const cluster of [fixture.source, fixture.target]) {
      for (let k = 0; k < 3; k += 1) cluster.run(`INSERT INTO ks.t (k, v) VALUES (${k}, '0')`, 1n);
      cluster.faults.add({ isWrite: true, times: 100_000, chance: 0.5, action: { kind: 'delay', ms: 4 } });
    }
    const clients = await Promise.all(Array.from({ length: 4 }, () => fixture.client()));
    const modes: readonly CqlMode[] = ['DualAsync', 'DualSync', 'ShadowPrimary', 'ShadowSync'];
    let switches = 0;
    const switching = setInterval(() => fixture.setMode(modes[(switches += 1 + (switches % 3)) % modes.length] ?? 'DualSync'), 7);
    try {
      await Promise.all(clients.flatMap((client, who) => Array.from({ length: 4 }, async (_, lane) => {
        for (let round = 0; round < 25; round += 1) {
          const value = `${who}.${lane}.${round}`;
          if (lane === 0) await client.execute(update, [value, round % 2], prepared);
          else if (lane === 1) await client.execute(`UPDATE ks.t SET list = ['${value}'] WHERE k = 2`);
          else await client.execute('UPDATE ks.t SET list = list + ? WHERE k = ?', [[value], round % 3], prepared);
        }
      })));
    } finally {
      clearInterval(switching);
    }
    expect(switches).toBeGreaterThan(20);
    await drained(fixture);
    expectSame(fixture, false);
    expect(fixture.intents.released.size).toBe(0);
  });
});

describe('TRUNCATE', () => {
  test('waits until nothing is queued, and no write gets between the truncations of the two clusters', async () => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    const client = await fixture.client();
    fixture.target.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.overloaded } });
    await client.execute(insert, [1, 'a'], prepared);
    await expect.poll(() => fixture.intents.released.size).toBe(1);
    await expect(client.execute('TRUNCATE ks.t')).rejects.toThrow(/MIG074/);
    for (const ticket of fixture.intents.released.keys()) fixture.intents.settle(ticket);
    for (const mode of ['DualSync', 'DualAsync'] as const) {
      fixture.setMode(mode);
      await client.execute(insert, [2, 'a'], prepared);
      await client.execute('UPDATE ks.c SET n = n + 1 WHERE k = 1', [], prepared);
      await drained(fixture);
      fixture.target.faults.add({ text: /^TRUNCATE/, action: { kind: 'delay', ms: 300 } });
      const truncate = client.execute('TRUNCATE TABLE ks.t');
      await expect.poll(() => fixture.source.run('SELECT k FROM ks.t')).toMatchObject({ rows: [] });
      await expect(client.execute(insert, [3, 'a'], prepared)).rejects.toThrow(/MIG082/);
      await expect(client.batch([{ query: insert, params: [3, 'a'] }], prepared)).rejects.toThrow(/MIG082/);
      await expect(client.execute("INSERT INTO ks.t (k, v) VALUES (3, 'a')")).rejects.toThrow(/MIG082/);
      // Another table's writes go on.
      await client.execute('UPDATE ks.c SET n = n + 1 WHERE k = 1', [], prepared);
      await truncate;
      await client.execute(insert, [4, 'a'], prepared);
      await drained(fixture);
      expectSame(fixture);
      expect(fixture.target.run('SELECT k FROM ks.t')).toMatchObject({ rows: [[Buffer.from([0, 0, 0, 4])]] });
    }
  });
});

describe('what must not be sent twice', () => {
  test.each([
    ['UPDATE ks.c SET n = n + ? WHERE k = ?', [1, 1], 'not-repeatable'],
    ['UPDATE ks.t SET list = list + ? WHERE k = ?', [['a'], 1], 'not-repeatable'],
    ['INSERT INTO ks.t (k, list) VALUES (?, ?)', [1, ['a']], 'not-repeatable'],
    ['INSERT INTO ks.t (k, v) VALUES (?, ?) IF NOT EXISTS', [1, 'a'], 'condition'],
  ] as const)('%s', async (text, values, reason) => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    const client = await fixture.client();
    fixture.target.faults.add({ isWrite: true, action: { kind: 'done-but-error', code: responseErrorCodes.writeTimeout } });
    await client.execute(text, [...values], prepared);
    await expect.poll(() => fixture.intents.released.size).toBe(1);
    const [intent] = fixture.intents.released.values();
    const before = fixture.target.counts['EXECUTE'];
    expect(intent && await new Promise<string>((resolve) => fixture.proxy.replay.send(1, intent, resolve))).toBe('ok');
    expect(fixture.repairs).toMatchObject([{ reason, intent: { owes: 2 } }]);
    expect(fixture.target.counts['EXECUTE']).toBe(before);
  });

  test.each([
    ['a frozen list', 'INSERT INTO ks.f (k, f) VALUES (?, ?)', [1, ['a', 'b']]],
    ['an element of a map, in a text', "UPDATE ks.f SET m['x'] = 1 WHERE k = 1", undefined],
    ['a deleted element, in a text', "DELETE m['x'], s['a'] FROM ks.f WHERE k = 1", undefined],
    ['a deleted list', 'DELETE list FROM ks.t WHERE k = 1', undefined],
  ] as const)('%s may be, as the schema tells', async (_, text, values) => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    fixture.both('CREATE TABLE ks.f (k int PRIMARY KEY, f frozen<list<text>>, m map<text, int>, s set<text>)');
    const client = await fixture.client();
    await client.execute("INSERT INTO ks.f (k, m, s) VALUES (1, {'x': 5, 'y': 6}, {'a', 'b'})");
    await client.execute("INSERT INTO ks.t (k, v, list) VALUES (1, 'v', ['a'])");
    await drained(fixture);
    fixture.target.faults.add({ isWrite: true, action: { kind: 'error', code: responseErrorCodes.writeTimeout } });
    await client.execute(text, values && [...values], { prepare: values !== undefined });
    await expect.poll(() => fixture.intents.released.size).toBe(1);
    const [intent] = fixture.intents.released.values();
    expect(intent && await new Promise<string>((resolve) => fixture.proxy.replay.send(1, intent, resolve))).toBe('ok');
    expect(fixture.repairs).toEqual([]);
    expectSame(fixture);
  });

  test('a set may be', async () => {
    await using fixture = await withTable({ mode: 'DualAsync' });
    const client = await fixture.client();
    fixture.target.faults.add({ isWrite: true, action: { kind: 'done-but-error', code: responseErrorCodes.writeTimeout } });
    await client.execute('UPDATE ks.t SET tags = tags + ? WHERE k = ?', [['a'], 1], prepared);
    await expect.poll(() => fixture.intents.released.size).toBe(1);
    const [intent] = fixture.intents.released.values();
    expect(intent && await new Promise<string>((resolve) => fixture.proxy.replay.send(1, intent, resolve))).toBe('ok');
    expect(fixture.repairs).toEqual([]);
    expectSame(fixture);
  });
});

describe('a switch of the mode', () => {
  test('is for the next frame; pages go on where they began, whatever the mode is by then', async () => {
    await using fixture = await withTable({ mode: 'SourceOnly' });
    for (let k = 0; k < 20; k += 1) fixture.source.run(`INSERT INTO ks.t (k, v) VALUES (${k}, 'source')`);
    for (let k = 0; k < 20; k += 1) fixture.target.run(`INSERT INTO ks.t (k, v) VALUES (${k}, 'target')`);
    const client = await fixture.client();
    const seen: string[] = [];
    let pageState: string | undefined;
    do {
      const page: cassandra.types.ResultSet = await client.execute('SELECT v FROM ks.t', [], { prepare: true, fetchSize: 6, ...(pageState === undefined ? {} : { pageState }) });
      seen.push(...page.rows.map(({ v }) => v as string));
      pageState = page.pageState ?? undefined;
      fixture.setMode('TargetOnly');
    } while (pageState !== undefined);
    expect(seen).toEqual(Array.from({ length: 20 }, () => 'source'));
    expect((await client.execute('SELECT v FROM ks.t WHERE k = 1', [], prepared)).rows[0]?.['v']).toBe('target');
  });

  test('holds by table and by keyspace, and a batch over tables that are written first on different clusters is refused', async () => {
    await using fixture = await withTable({ mode: 'SourceOnly' });
    fixture.both('CREATE TABLE ks.moved (k int PRIMARY KEY, v text)');
    fixture.both('CREATE TABLE ks.both (k int PRIMARY KEY, v text)');
    fixture.proxy.setModes({ ...everywhere('SourceOnly'), tables: new Map([['ks.moved', 'TargetOnly'], ['ks.both', 'DualSync']]) });
    const client = await fixture.client();
    for (const table of ['t', 'moved', 'both']) await client.execute(`INSERT INTO ks.${table} (k, v) VALUES (?, ?)`, [1, table], prepared);
    // Of the batch the shadow gets the part that is its own.
    await client.batch([{ query: 'INSERT INTO ks.t (k, v) VALUES (?, ?)', params: [2, 'x'] }, { query: 'INSERT INTO ks.both (k, v) VALUES (?, ?)', params: [2, 'x'] }], prepared);
    const counts = (table: string): number[] => [fixture.source, fixture.target].map((cluster) => {
      const result = cluster.run(`SELECT k FROM ks.${table}`);
      return result.is === 'rows' ? result.rows.length : -1;
    });
    expect([counts('t'), counts('moved'), counts('both')]).toEqual([[2, 0], [0, 1], [2, 2]]);
    await expect(client.batch([{ query: 'INSERT INTO ks.t (k, v) VALUES (?, ?)', params: [3, 'x'] }, { query: 'INSERT INTO ks.moved (k, v) VALUES (?, ?)', params: [3, 'x'] }], prepared)).rejects.toThrow(/MIG081/);
  });

  test('leaves what is in hand in the mode in which it began', async () => {
    await using fixture = await withTable({ mode: 'DualSync' });
    const client = await fixture.client();
    await client.execute(insert, [0, 'a'], prepared);
    fixture.target.pause();
    const write = client.execute(insert, [1, 'a'], prepared);
    await expect.poll(() => fixture.proxy.stats().counts.inHand).toBe(1);
    fixture.setMode('SourceOnly');
    let settled = false;
    const wait = fixture.proxy.settled().then(() => {
      settled = true;
    });
    await client.execute(insert, [2, 'a'], prepared);
    expect(settled).toBe(false);
    fixture.target.resume();
    await Promise.all([write, wait]);
    expect(fixture.target.run('SELECT k FROM ks.t WHERE k = 1')).toMatchObject({ rows: [[Buffer.from([0, 0, 0, 1])]] });
    expect(fixture.target.run('SELECT k FROM ks.t WHERE k = 2')).toMatchObject({ rows: [] });
  });
});
