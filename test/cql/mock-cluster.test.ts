/** The mock cluster is a CQL server: an unmodified driver works with it, cells are kept as Cassandra keeps them, and each fault does what it says. */
import * as cassandra from 'cassandra-driver';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { compress, decompress } from '../support/cql/compression.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { int32, int64, RawClient } from '../support/cql/raw-client.ts';
import type { RawAnswer } from '../support/cql/raw-client.ts';

const keyspace = "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}";

function driver(cluster: MockCluster, options: Partial<cassandra.ClientOptions> = {}): cassandra.Client {
  return new cassandra.Client({ contactPoints: [cluster.address], protocolOptions: { port: cluster.port }, localDataCenter: 'dc1', ...options });
}

describe('an unmodified driver', () => {
  test('makes a schema, prepares, pages, batches, and sees the schema', async () => {
    await using cluster = await MockCluster.start();
    const client = driver(cluster);
    try {
      await client.connect();
      await client.execute(keyspace);
      await client.execute('CREATE TYPE ks.address (street text, zip int)');
      await client.execute('CREATE TABLE ks.t (k int, c bigint, s text static, v text, m map<text, int>, l list<int>, st set<text>, u frozen<address>, tu tuple<int, text>, d decimal, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)');
      const insert = 'INSERT INTO ks.t (k, c, s, v, m, l, st, u, tu, d) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
      const row = [1, cassandra.types.Long.fromNumber(7), 'static', 'value', { a: 1, b: 2 }, [3, 2, 1], ['y', 'x'], { street: 'High', zip: 5 }, new cassandra.types.Tuple(1, 'one'), cassandra.types.BigDecimal.fromString('-12.34')];
      await client.execute(insert, row, { prepare: true });
      const read = await client.execute('SELECT * FROM ks.t WHERE k = ? AND c = ?', [1, 7], { prepare: true });
      const [first] = read.rows;
      expect(first?.keys()).toEqual(['k', 'c', 's', 'd', 'l', 'm', 'st', 'tu', 'u', 'v']);
      expect([first?.['s'], first?.['v'], first?.['l'], first?.['m'], first?.['st'], first?.['u'], String(first?.['tu']), String(first?.['d'])]).toEqual(['static', 'value', [3, 2, 1], { a: 1, b: 2 }, ['x', 'y'], { street: 'High', zip: 5 }, '(1,one)', '-12.34']);
      await client.batch(Array.from({ length: 250 }, (_, index) => ({ query: 'INSERT INTO ks.t (k, c, v) VALUES (?, ?, ?)', params: [2, index, `v${index}`] })), { prepare: true });
      const seen: string[] = [];
      let pages = 0;
      let state: string | undefined;
      do {
        const page = await client.execute('SELECT v FROM ks.t WHERE k = 2', [], { prepare: true, fetchSize: 60, ...(state !== undefined && { pageState: state }) });
        seen.push(...page.rows.map((each) => String(each['v'])));
        state = page.pageState ?? undefined;
        pages += 1;
      } while (state !== undefined);
      expect(seen).toEqual(Array.from({ length: 250 }, (_, index) => `v${249 - index}`));
      expect(pages).toBe(5);
      const lwt = await client.execute("UPDATE ks.t SET v = 'new' WHERE k = 1 AND c = 7 IF v = 'other'");
      expect(lwt.wasApplied()).toBe(false);
      expect(lwt.rows[0]?.['v']).toBe('value');
      const table = await client.metadata.getTable('ks', 't');
      expect(table?.partitionKeys.map(({ name }) => name)).toEqual(['k']);
      expect(table?.clusteringKeys.map(({ name }) => name)).toEqual(['c']);
      expect((await client.metadata.getUdt('ks', 'address'))?.fields.map(({ name }) => name)).toEqual(['street', 'zip']);
    } finally {
      await client.shutdown();
    }
  });

  test('logs in, compares nothing to a wrong password, and meets several nodes', async () => {
    await using cluster = await MockCluster.start({ users: { bob: 'secret' }, addresses: ['127.0.0.71', '127.0.0.72', '127.0.0.73'] });
    const client = driver(cluster, { authProvider: new cassandra.auth.PlainTextAuthProvider('bob', 'secret') });
    const wrong = driver(cluster, { authProvider: new cassandra.auth.PlainTextAuthProvider('bob', 'guess') });
    try {
      await client.connect();
      expect(client.hosts.keys().toSorted()).toEqual(['127.0.0.71', '127.0.0.72', '127.0.0.73'].map((address) => `${address}:${cluster.port}`));
      await expect(wrong.connect()).rejects.toThrow(/All host\(s\) tried for query failed|incorrect/);
    } finally {
      await Promise.all([client.shutdown(), wrong.shutdown()]);
    }
  });

  test('prepares again what a cluster has forgotten', async () => {
    await using cluster = await MockCluster.start();
    const client = driver(cluster);
    try {
      await client.connect();
      await client.execute(keyspace);
      await client.execute('CREATE TABLE ks.t (k int PRIMARY KEY, v int)');
      for (let k = 0; k < 3; k += 1) {
        await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, k], { prepare: true });
        cluster.forgetPrepared();
      }
      expect((await client.execute('SELECT count(*) FROM ks.t')).first()['count'].toString()).toBe('3');
      expect(cluster.counts['PREPARE']).toBeGreaterThanOrEqual(3);
    } finally {
      await client.shutdown();
    }
  });
});

describe('the protocol', () => {
  test('refuses version 5 in words that drivers look for, under the same stream', async () => {
    await using cluster = await MockCluster.start();
    using client = await RawClient.connect(cluster.port);
    client.socket.write(Buffer.from([5, 0, 0, 77, 5, 0, 0, 0, 0]));
    client.socket.removeAllListeners('data');
    const [bytes] = await new Promise<Buffer[]>((resolve) => client.socket.once('data', (data) => resolve([data])));
    expect([bytes?.readUInt8(0), bytes?.readInt16BE(2), bytes?.readUInt8(4), bytes?.readInt32BE(9)]).toEqual([0x84, 77, 0, 0x0a]);
    expect(bytes?.toString('latin1')).toContain('unsupported protocol version');
  });

  test.each(['lz4', 'snappy'] as const)('compresses with %s, byte by byte', async (compression) => {
    await using cluster = await MockCluster.start();
    cluster.isChunked = true;
    cluster.run(keyspace);
    cluster.run('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
    using client = await RawClient.connect(cluster.port, '127.0.0.1', { compression });
    const text = 'abcabcabcabc'.repeat(100);
    await client.need(`INSERT INTO ks.t (k, v) VALUES (1, '${text}')`);
    const answer = rows(await client.need('SELECT v FROM ks.t WHERE k = 1'));
    expect(answer[0]?.[0]?.toString()).toBe(text);
  });

  test('compression gives back what it was given', () => {
    const bodies = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.array(fc.constantFrom('abc', 'abcd', 'x', '\0\0\0\0\0'), { maxLength: 200 }).map((parts) => new Uint8Array(Buffer.from(parts.join('')))));
    fc.assert(fc.property(bodies, fc.constantFrom('lz4' as const, 'snappy' as const), (body, kind) => {
      expect(decompress(kind, compress(kind, Buffer.from(body))).equals(body)).toBe(true);
    }), { numRuns: 500 });
  });

  test('a paging state is refused by another cluster, and so is a prepared id', async () => {
    await using one = await MockCluster.start();
    await using two = await MockCluster.start();
    for (const cluster of [one, two]) {
      cluster.run(keyspace);
      cluster.run('CREATE TABLE ks.t (k int PRIMARY KEY)');
      for (let k = 0; k < 10; k += 1) cluster.run(`INSERT INTO ks.t (k) VALUES (${k})`);
    }
    using first = await RawClient.connect(one.port);
    using second = await RawClient.connect(two.port);
    const page = await first.query('SELECT k FROM ks.t', { pageSize: 3 });
    const state = page.kind === 'rows' ? page.pagingState : undefined;
    expect(state).toBeDefined();
    expect(await second.query('SELECT k FROM ks.t', { pageSize: 3, ...(state && { pagingState: state }) })).toMatchObject({ kind: 'error', code: 0x0a });
    const ids = await Promise.all([first, second].map((client) => client.prepare('SELECT k FROM ks.t')));
    expect(ids[0]?.equals(ids[1] ?? Buffer.alloc(0))).toBe(false);
    expect(await second.execute(ids[0] ?? Buffer.alloc(0))).toMatchObject({ kind: 'error', code: 0x2500 });
  });

  test('tells of schema changes to those who asked, and of nothing to others', async () => {
    await using cluster = await MockCluster.start();
    using asking = await RawClient.connect(cluster.port);
    using silent = await RawClient.connect(cluster.port);
    await asking.register('SCHEMA_CHANGE', 'STATUS_CHANGE');
    await silent.need(keyspace);
    cluster.emit({ kind: 'STATUS_CHANGE', what: 'DOWN', address: '127.0.0.9' });
    await expect.poll(() => asking.events.length).toBe(2);
    expect(asking.events.map(({ body }) => body.toString('latin1'))).toEqual(expect.arrayContaining([expect.stringContaining('CREATED'), expect.stringContaining('DOWN')]));
    expect(silent.events).toEqual([]);
  });

  test('warnings, payloads and tracing stand before the result', async () => {
    await using cluster = await MockCluster.start({ isScylla: true });
    cluster.warnings = ['careful'];
    cluster.payload = new Map([['k', Buffer.of(1)]]);
    using client = await RawClient.connect(cluster.port);
    const answer = await client.query("SELECT key FROM system.local WHERE key = 'local'", { isTraced: true });
    expect(answer).toMatchObject({ kind: 'rows', flags: 2 | 4 | 8, warnings: ['careful'] });
    expect(await client.query('SELECT * FROM system.peers_v2')).toMatchObject({ kind: 'error', code: 0x2200 });
  });
});

describe('the store', () => {
  let cluster: MockCluster;
  let client: RawClient;
  let now = 1_700_000_000_000;

  beforeAll(async () => {
    cluster = await MockCluster.start({ nowMs: () => now });
    client = await RawClient.connect(cluster.port);
    await client.need(keyspace);
    await client.need('CREATE TABLE ks.t (k int, c int, s text static, v text, w text, m map<text, int>, l list<int>, st set<int>, PRIMARY KEY (k, c))');
    await client.need('CREATE TABLE ks.counts (k int PRIMARY KEY, n counter)');
  });

  afterAll(async () => {
    client.close();
    await cluster.close();
  });

  const texts = async (query: string): Promise<(string | null)[][]> => rows(await client.need(query)).map((row) => row.map((value) => value?.toString() ?? null));

  test('keeps the newest write in whatever order they come; on a tie deletions win, then the larger value', async () => {
    await client.need("INSERT INTO ks.t (k, c, v, w) VALUES (1, 1, 'zzz', 'a') USING TIMESTAMP 10");
    await client.need("INSERT INTO ks.t (k, c, v, w) VALUES (1, 1, 'aaa', 'b') USING TIMESTAMP 10");
    await client.need("UPDATE ks.t USING TIMESTAMP 9 SET v = 'late' WHERE k = 1 AND c = 1");
    expect(await texts('SELECT v, w FROM ks.t WHERE k = 1 AND c = 1')).toEqual([['zzz', 'b']]);
    await client.need('DELETE w FROM ks.t USING TIMESTAMP 10 WHERE k = 1 AND c = 1');
    expect(await texts('SELECT v, w FROM ks.t WHERE k = 1 AND c = 1')).toEqual([['zzz', null]]);
  });

  test('a row made by INSERT stays without values, one made by UPDATE goes', async () => {
    await client.need("INSERT INTO ks.t (k, c, v) VALUES (2, 1, 'x')");
    await client.need("UPDATE ks.t SET v = 'x' WHERE k = 2 AND c = 2");
    await client.need('DELETE v FROM ks.t WHERE k = 2 AND c IN (1, 2)');
    expect(rows(await client.need('SELECT c FROM ks.t WHERE k = 2')).map(([c]) => c?.readInt32BE())).toEqual([1]);
  });

  test('deleted rows, slices and partitions stay deleted for older writes', async () => {
    for (let c = 0; c < 6; c += 1) await client.need(`INSERT INTO ks.t (k, c, v) VALUES (3, ${c}, 'x') USING TIMESTAMP 100`);
    await client.need('DELETE FROM ks.t USING TIMESTAMP 200 WHERE k = 3 AND c >= 1 AND c < 3');
    await client.need('DELETE FROM ks.t USING TIMESTAMP 200 WHERE k = 3 AND c = 5');
    await client.need("INSERT INTO ks.t (k, c, v) VALUES (3, 2, 'older') USING TIMESTAMP 150");
    await client.need("INSERT INTO ks.t (k, c, v) VALUES (3, 5, 'newer') USING TIMESTAMP 201");
    expect(rows(await client.need('SELECT c FROM ks.t WHERE k = 3')).map(([c]) => c?.readInt32BE())).toEqual([0, 3, 4, 5]);
    await client.need('DELETE FROM ks.t USING TIMESTAMP 300 WHERE k = 3');
    await client.need("INSERT INTO ks.t (k, c, v) VALUES (3, 1, 'older') USING TIMESTAMP 300");
    expect(await texts('SELECT c FROM ks.t WHERE k = 3')).toEqual([]);
  });

  test('what expires is gone, the rest of its row stays', async () => {
    await client.need("INSERT INTO ks.t (k, c, v) VALUES (4, 1, 'x')");
    await client.need("UPDATE ks.t USING TTL 10 SET w = 'short' WHERE k = 4 AND c = 1");
    now += 4000;
    const [row] = rows(await client.need('SELECT ttl(w), ttl(v), writetime(w) FROM ks.t WHERE k = 4'));
    expect([row?.[0]?.readInt32BE(), row?.[1]]).toEqual([6, null]);
    now += 7000;
    expect(await texts('SELECT v, w FROM ks.t WHERE k = 4')).toEqual([['x', null]]);
  });

  test('collections: overwriting, adding, elements, and a list written twice at one time doubles', async () => {
    await client.need("UPDATE ks.t USING TIMESTAMP 10 SET m = {'a': 1, 'b': 2}, l = [1, 2], st = {3, 1} WHERE k = 5 AND c = 1");
    await client.need("UPDATE ks.t USING TIMESTAMP 11 SET m = m + {'c': 3}, l = l + [3], st = st - {3} WHERE k = 5 AND c = 1");
    await client.need("UPDATE ks.t USING TIMESTAMP 12 SET m['a'] = 9, l = [0] + l, l[1] = 7 WHERE k = 5 AND c = 1");
    const read = async (column: string): Promise<string | undefined> => rows(await client.need(`SELECT ${column} FROM ks.t WHERE k = 5`))[0]?.[0]?.toString('hex');
    const listOf = (...values: number[]): string => Buffer.concat([int32(values.length), ...values.flatMap((value) => [int32(4), int32(value)])]).toString('hex');
    expect(await read('st')).toBe(listOf(1));
    expect(await read('l')).toBe(listOf(0, 7, 2, 3));
    expect(await read('m')).toContain(Buffer.concat([int32(1), Buffer.from('a'), int32(4), int32(9)]).toString('hex'));
    await client.need('UPDATE ks.t USING TIMESTAMP 20 SET l = [1, 2] WHERE k = 5 AND c = 1');
    await client.need('UPDATE ks.t USING TIMESTAMP 20 SET l = [1, 2] WHERE k = 5 AND c = 1');
    expect(await read('l')).toBe(listOf(1, 2, 1, 2));
  });

  test('static columns are of the partition, and are seen without a row', async () => {
    await client.need("UPDATE ks.t SET s = 'only' WHERE k = 6");
    expect(await texts('SELECT s, c FROM ks.t WHERE k = 6')).toEqual([['only', null]]);
    await client.need("INSERT INTO ks.t (k, c, v, s) VALUES (6, 1, 'x', 'both')");
    expect(await texts('SELECT s, v FROM ks.t WHERE k = 6')).toEqual([['both', 'x']]);
  });

  test('values not set leave columns alone, null deletes them', async () => {
    const id = await client.prepare('INSERT INTO ks.t (k, c, v, w) VALUES (?, ?, ?, ?)');
    await client.execute(id, { values: [int32(7), int32(1), Buffer.from('v'), Buffer.from('w')] });
    await client.execute(id, { values: [int32(7), int32(1), undefined, null] });
    expect(await texts('SELECT v, w FROM ks.t WHERE k = 7')).toEqual([['v', null]]);
  });

  test('lightweight transactions answer whether they did', async () => {
    const did = async (text: string): Promise<number | undefined> => rows(await client.need(text))[0]?.[0]?.readUInt8();
    expect(await did("INSERT INTO ks.t (k, c, v) VALUES (8, 1, 'x') IF NOT EXISTS")).toBe(1);
    expect(await did("INSERT INTO ks.t (k, c, v) VALUES (8, 1, 'y') IF NOT EXISTS")).toBe(0);
    expect(await did("UPDATE ks.t SET v = 'z' WHERE k = 8 AND c = 1 IF v = 'x'")).toBe(1);
    expect(await did("UPDATE ks.t SET v = 'z' WHERE k = 8 AND c = 1 IF v = 'x'")).toBe(0);
    expect(await did('DELETE FROM ks.t WHERE k = 8 AND c = 9 IF EXISTS')).toBe(0);
    expect(await did('UPDATE ks.t SET v = null WHERE k = 8 AND c = 1 IF w = null')).toBe(1);
    expect(await client.query("UPDATE ks.t USING TIMESTAMP 5 SET v = 'z' WHERE k = 8 AND c = 1 IF v = 'x'")).toMatchObject({ kind: 'error', code: 0x2200 });
  });

  test('counters count', async () => {
    await client.need('UPDATE ks.counts SET n = n + 5 WHERE k = 1');
    await client.need('BEGIN COUNTER BATCH UPDATE ks.counts SET n = n - 2 WHERE k = 1; UPDATE ks.counts SET n += 1 WHERE k = 2 APPLY BATCH');
    expect(rows(await client.need('SELECT n FROM ks.counts WHERE k IN (1, 2)')).map(([n]) => n?.readBigInt64BE())).toEqual([3n, 1n]);
  });

  test('token ranges are exact, and the least token as upper end is no end', async () => {
    const all = rows(await client.need('SELECT DISTINCT k, token(k) FROM ks.t')).map(([, token]) => token?.readBigInt64BE() ?? 0n);
    expect(all).toEqual(all.toSorted((a, b) => (a < b ? -1 : 1)));
    const counted = async (where: string): Promise<number> => rows(await client.need(`SELECT DISTINCT k FROM ks.t WHERE ${where}`)).length;
    const middle = all[Math.floor(all.length / 2)] ?? 0n;
    expect(await counted(`token(k) > ${middle}`) + await counted(`token(k) <= ${middle}`)).toBe(all.length);
    expect(await counted('token(k) <= -9223372036854775808')).toBe(all.length);
  });

  test('a timestamp of the frame counts, one of the text before it', async () => {
    await client.query("INSERT INTO ks.t (k, c, v) VALUES (9, 1, 'x')", { timestamp: 77n });
    await client.query("INSERT INTO ks.t (k, c, v) VALUES (9, 2, 'x') USING TIMESTAMP 5", { timestamp: 77n });
    expect(rows(await client.need('SELECT writetime(v) FROM ks.t WHERE k = 9')).map(([time]) => time)).toEqual([int64(77n), int64(5n)]);
  });
});

describe('faults', () => {
  const write = 'INSERT INTO ks.t (k) VALUES (1)';

  async function opened(): Promise<{ readonly cluster: MockCluster; readonly client: RawClient; readonly count: () => number }> {
    const cluster = await MockCluster.start();
    cluster.run(keyspace);
    cluster.run('CREATE TABLE ks.t (k int PRIMARY KEY)');
    const client = await RawClient.connect(cluster.port);
    return { cluster, client, count: () => cluster.database.userTables()[0]?.partitions.size ?? 0 };
  }

  test('an error for the n-th match, done or not', async () => {
    const { cluster, client, count } = await opened();
    await using _ = cluster;
    cluster.faults.add({ isWrite: true, skip: 1, times: 2, action: { kind: 'error', code: 0x1100 } });
    const answers: string[] = [];
    for (let k = 0; k < 4; k += 1) answers.push((await client.query(`INSERT INTO ks.t (k) VALUES (${k})`)).kind);
    expect(answers).toEqual(['void', 'error', 'error', 'void']);
    expect(count()).toBe(2);
    cluster.faults.add({ text: /k\) VALUES \(9/, action: { kind: 'done-but-error', code: 0x1100 } });
    expect(await client.query('INSERT INTO ks.t (k) VALUES (9)')).toMatchObject({ kind: 'error', code: 0x1100 });
    expect(count()).toBe(3);
  });

  test('no answer, with the write done or not', async () => {
    const { cluster, client, count } = await opened();
    await using _ = cluster;
    for (const [kind, done] of [['drop', 0], ['lose', 1]] as const) {
      using fault = cluster.faults.add({ isWrite: true, action: { kind } });
      const lost = client.query(write).catch(() => undefined);
      await client.need('SELECT * FROM ks.t');
      expect([fault.hits, client.pending, count()]).toEqual([1, kind === 'drop' ? 1 : 2, done]);
      void lost;
    }
  });

  test.each([['before', 0], ['after', 1], ['mid-frame', 1]] as const)('a connection that breaks %s the answer', async (when, done) => {
    const { cluster, client, count } = await opened();
    await using _ = cluster;
    cluster.faults.add({ isWrite: true, action: { kind: 'disconnect', when } });
    await expect(client.query(write)).rejects.toThrow('closed');
    expect(count()).toBe(done);
  });

  test('forgotten ids once, and a late answer', async () => {
    const { cluster, client } = await opened();
    await using _ = cluster;
    const id = await client.prepare('INSERT INTO ks.t (k) VALUES (?)');
    cluster.faults.add({ opcode: 'EXECUTE', action: { kind: 'unprepared' } });
    expect(await client.execute(id, { values: [int32(1)] })).toMatchObject({ kind: 'error', code: 0x2500 });
    expect((await client.prepare('INSERT INTO ks.t (k) VALUES (?)')).equals(id)).toBe(true);
    expect(await client.execute(id, { values: [int32(1)] })).toMatchObject({ kind: 'void' });
    cluster.faults.add({ isWrite: true, action: { kind: 'delay', ms: 40 } });
    const order: string[] = [];
    await Promise.all([client.need(write).then(() => order.push('delayed')), client.need('SELECT * FROM ks.t').then(() => order.push('read'))]);
    expect(order).toEqual(['read', 'delayed']);
  });

  test('a pause takes requests and answers after it; a closed cluster refuses, and comes back with its rows', async () => {
    const { cluster, client, count } = await opened();
    await using _ = cluster;
    cluster.pause();
    const waiting = client.need(write);
    using other = await connectUnanswered(cluster.port);
    expect([other.writable, count()]).toEqual([true, 0]);
    cluster.resume();
    await waiting;
    await cluster.close();
    await expect(RawClient.connect(cluster.port)).rejects.toThrow(/ECONNREFUSED/);
    await cluster.reopen();
    using again = await RawClient.connect(cluster.port);
    expect(rows(await again.need('SELECT * FROM ks.t'))).toHaveLength(1);
  });
});

test('stores are compared cell by cell', async () => {
  const now = (): number => 1_700_000_000_000;
  await using one = await MockCluster.start({ nowMs: now });
  await using two = await MockCluster.start({ nowMs: now });
  for (const cluster of [one, two]) {
    cluster.run(keyspace);
    cluster.run('CREATE TABLE ks.t (k int PRIMARY KEY, v text, m map<text, int>, l list<int>)');
    cluster.run("INSERT INTO ks.t (k, v, m, l) VALUES (1, 'x', {'a': 1}, [1, 2])", 5n);
  }
  expect(compareStores(one.database, two.database)).toEqual({ cells: 5, differences: [] });
  const differsAfter = (text: string, timestamp: bigint, options = {}): readonly string[] => {
    two.run(text, timestamp);
    return compareStores(one.database, two.database, options).differences;
  };
  expect(differsAfter("UPDATE ks.t SET v = 'x' WHERE k = 1", 6n)).toEqual([expect.stringContaining('@5 | 78@6')]);
  expect(differsAfter("UPDATE ks.t SET v = 'x' WHERE k = 1", 6n, { isTimed: () => false })).toEqual([]);
  one.run("UPDATE ks.t SET v = 'x' WHERE k = 1", 6n);
  expect(differsAfter("UPDATE ks.t SET m['b'] = 2 WHERE k = 1", 6n)).toEqual([expect.stringContaining('missing left')]);
  one.run("UPDATE ks.t SET m['b'] = 2 WHERE k = 1", 6n);
  expect(differsAfter('INSERT INTO ks.t (k) VALUES (2)', 6n)).toEqual([expect.stringContaining('row')]);
  one.run('INSERT INTO ks.t (k) VALUES (2)', 6n);
  expect(differsAfter("UPDATE ks.t USING TTL 100 SET v = 'y' WHERE k = 2", 7n)).toHaveLength(1);
  one.run("UPDATE ks.t USING TTL 101 SET v = 'y' WHERE k = 2", 7n);
  expect(compareStores(one.database, two.database).differences).toHaveLength(1);
  expect(compareStores(one.database, two.database, { maxExpirySlackSeconds: () => 2 }).differences).toEqual([]);
});

function rows(answer: RawAnswer): readonly (readonly (Buffer | null)[])[] {
  return answer.kind === 'rows' ? answer.rows : [];
}

async function connectUnanswered(port: number): Promise<{ readonly writable: boolean } & Disposable> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  await new Promise((resolve) => socket.once('connect', resolve));
  return { get writable() { return socket.writable; }, [Symbol.dispose]: () => void socket.destroy() };
}
