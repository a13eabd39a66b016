/** A driver through the proxy to one cluster sees what it would see without it, and only the proxy as a node; prepared statements and keyspaces keep their meaning whatever the clusters forget. */
import cassandra from 'cassandra-driver';
import { expect, test } from 'vitest';
import { rowsOn, startFixture } from './proxy-fixture.ts';

test('the driver connects, finds one node which is the proxy, and does all kinds of statements', async () => {
  await using fixture = await startFixture();
  const client = await fixture.client();
  expect(client.hosts.length).toBe(1);
  expect(client.hosts.values()[0]?.address).toBe(`127.0.0.1:${fixture.port}`);
  await client.execute('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  await client.execute("INSERT INTO ks.t (k, v) VALUES (1, 'one')");
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [2, 'two'], { prepare: true });
  await client.batch([{ query: 'INSERT INTO ks.t (k, v) VALUES (?, ?)', params: [3, 'three'] }, { query: 'UPDATE ks.t SET v = ? WHERE k = ?', params: ['eins', 1] }], { prepare: true });
  const { rows } = await client.execute('SELECT k, v FROM ks.t WHERE k IN (1, 2, 3)', [], { prepare: true });
  expect(rows.map(({ k, v }) => [k, v]).sort()).toEqual([[1, 'eins'], [2, 'two'], [3, 'three']]);
  await expect(client.execute('SELECT * FROM ks.nothing')).rejects.toMatchObject({ code: cassandra.types.responseErrorCodes.invalid });
  // The other cluster was never asked anything.
  expect(fixture.target.counts).toEqual({});
});

test('what a cluster forgets is prepared again and no client hears of it; ids are the proxy\'s own', async () => {
  await using fixture = await startFixture();
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  const insert = 'INSERT INTO ks.t (k, v) VALUES (?, ?)';
  await client.execute(insert, [1, 'a'], { prepare: true });
  fixture.source.forgetPrepared();
  await client.execute(insert, [2, 'b'], { prepare: true });
  fixture.source.forgetPrepared();
  await client.batch([{ query: insert, params: [3, 'c'] }, { query: 'DELETE FROM ks.t WHERE k = ?', params: [1] }], { prepare: true });
  expect(rowsOn(fixture.source, 'SELECT k FROM ks.t')).toEqual(['00000002', '00000003']);
  expect(fixture.proxy.stats().counts.clusters[0]?.heals).toBeGreaterThanOrEqual(2);
  expect(fixture.proxy.stats().counts.unknownIds).toBe(0);
});

test.each([8, 16, 24])('clusters may have ids of %i bytes', async (preparedIdLength) => {
  await using fixture = await startFixture({ source: { preparedIdLength } });
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  for (let k = 0; k < 5; k += 1) await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, 'x'], { prepare: true });
  expect(rowsOn(fixture.source, 'SELECT k FROM ks.t')).toHaveLength(5);
});

test('an id that the proxy does not know is UNPREPARED, and the driver prepares it by itself', async () => {
  await using first = await startFixture();
  first.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await first.client();
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'a'], { prepare: true });
  // Nothing is kept: every prepared statement is thrown out by the next.
  await using second = await startFixture({ limits: { ...(await import('../../src/cql/proxy-options.ts')).defaultLimits, preparedBytes: 1 } });
  second.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const other = await second.client();
  await other.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'a'], { prepare: true });
  await other.execute('DELETE FROM ks.t WHERE k = ?', [7], { prepare: true });
  await other.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [2, 'b'], { prepare: true });
  expect(rowsOn(second.source, 'SELECT k FROM ks.t')).toEqual(['00000001', '00000002']);
  expect(second.proxy.stats().counts.unknownIds).toBeGreaterThan(0);
});

test('USE changes the keyspace of this client only, and a prepared statement stays in the one in which it was prepared', async () => {
  await using fixture = await startFixture();
  fixture.both("CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
  for (const keyspace of ['ks', 'other']) fixture.both(`CREATE TABLE ${keyspace}.t (k int PRIMARY KEY, v text)`);
  const one = await fixture.client({ keyspace: 'ks' });
  const two = await fixture.client({ keyspace: 'other' });
  await Promise.all(Array.from({ length: 20 }, (_, k) => [one.execute(`INSERT INTO t (k, v) VALUES (${k}, 'ks')`), two.execute('INSERT INTO t (k, v) VALUES (?, ?)', [k + 100, 'other'], { prepare: true })]).flat());
  expect(rowsOn(fixture.source, 'SELECT v FROM ks.t')).toEqual(Array.from({ length: 20 }, () => Buffer.from('ks').toString('hex')));
  expect(rowsOn(fixture.source, 'SELECT v FROM other.t')).toEqual(Array.from({ length: 20 }, () => Buffer.from('other').toString('hex')));
  await expect(one.execute('USE nowhere')).rejects.toMatchObject({ code: cassandra.types.responseErrorCodes.invalid });
});

test('pages are followed, and a paging state that another gave is refused', async () => {
  await using fixture = await startFixture();
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  for (let k = 0; k < 50; k += 1) fixture.source.run(`INSERT INTO ks.t (k, v) VALUES (${k}, 'x')`);
  const client = await fixture.client();
  for (const prepare of [true, false]) {
    const seen: number[] = [];
    let pageState: string | undefined;
    do {
      const page: cassandra.types.ResultSet = await client.execute('SELECT k FROM ks.t', [], { prepare, fetchSize: 7, ...(pageState === undefined ? {} : { pageState }) });
      seen.push(...page.rows.map(({ k }) => k as number));
      pageState = page.pageState ?? undefined;
    } while (pageState !== undefined);
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, k) => k));
  }
  await expect(client.execute('SELECT k FROM ks.t', [], { fetchSize: 7, pageState: 'ff00' })).rejects.toMatchObject({ code: cassandra.types.responseErrorCodes.protocolError });
});

test('a driver of protocol 3 is served in protocol 3, and one of protocol 5 steps down to 4', async () => {
  await using fixture = await startFixture();
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const seen = new Set<number>();
  fixture.source.onRequest = ({ version, opcode }) => void (opcode === 'EXECUTE' && seen.add(version));
  const old = await fixture.client({ protocolOptions: { maxVersion: 3 } });
  await old.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'a'], { prepare: true });
  expect([...seen]).toEqual([3]);
  const current = await fixture.client();
  await current.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [2, 'b'], { prepare: true });
  expect([...seen]).toEqual([3, 4]);
});

test('who must log in at the cluster must log in at the proxy, under the same name', async () => {
  const users = { app: 'right' };
  await using fixture = await startFixture({ source: { users }, target: { users } });
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client({ authProvider: new cassandra.auth.PlainTextAuthProvider('app', 'right') });
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'a'], { prepare: true });
  await expect(fixture.client({ authProvider: new cassandra.auth.PlainTextAuthProvider('app', 'wrong') })).rejects.toThrow(/All host\(s\) tried/);
  await expect(fixture.client()).rejects.toThrow(/All host\(s\) tried/);
  expect(fixture.proxy.stats().counts.badLogins).toBeGreaterThan(0);
});

test('a cluster of several nodes is one node to the driver, and all of them are used', async () => {
  await using fixture = await startFixture({ source: { addresses: ['127.0.0.61', '127.0.0.62', '127.0.0.63'] } });
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  expect(client.hosts.length).toBe(1);
  const connections = new Set<number>();
  fixture.source.onRequest = ({ opcode, connection }) => void (opcode === 'EXECUTE' && connections.add(connection));
  await expect.poll(async () => {
    await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'x'], { prepare: true });
    return connections.size;
  }).toBe(3);
});

test('answers come whole when the node sends them byte by byte, and in the order of their streams when it is slow', async () => {
  await using fixture = await startFixture();
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  fixture.source.isChunked = true;
  const text = 'long '.repeat(200);
  await Promise.all(Array.from({ length: 30 }, (_, k) => client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [k, `${k} ${text}`], { prepare: true })));
  const answers = await Promise.all(Array.from({ length: 30 }, (_, k) => client.execute('SELECT v FROM ks.t WHERE k = ?', [k], { prepare: true })));
  expect(answers.map(({ rows }) => rows[0]?.['v'] as string)).toEqual(Array.from({ length: 30 }, (_, k) => `${k} ${text}`));
});

test('warnings, payloads and traces of the cluster reach the client', async () => {
  await using fixture = await startFixture();
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  fixture.source.warnings = ['too many'];
  fixture.source.payload = new Map([['a', Buffer.from('b')]]);
  const client = await fixture.client();
  const { info } = await client.execute('SELECT k FROM ks.t', [], { prepare: true });
  expect(info.warnings).toEqual(['too many']);
  expect(String(info.customPayload['a'])).toBe('b');
});

test('a change of the schema is told to who asked, and no other event is', async () => {
  await using fixture = await startFixture();
  const client = await fixture.client();
  await client.execute('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  expect((await client.metadata.getTable('ks', 't'))?.columns.map(({ name }) => name).sort()).toEqual(['k', 'v']);
  await client.execute('ALTER TABLE ks.t ADD w int');
  await expect.poll(async () => (await client.metadata.getTable('ks', 't'))?.columns.length).toBe(3);
  fixture.source.emit({ kind: 'STATUS_CHANGE', what: 'UP', address: '10.1.2.3' });
  fixture.source.emit({ kind: 'TOPOLOGY_CHANGE', what: 'NEW_NODE', address: '10.1.2.3' });
  await client.execute('SELECT k FROM ks.t');
  expect(client.hosts.length).toBe(1);
});

test('without a cluster the client is told so; when it is back everything goes on', async () => {
  await using fixture = await startFixture({ requestTimeoutMs: 3000 });
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'a'], { prepare: true });
  await fixture.source.close();
  // What was on its way when the connection broke may have been done: that is a timeout. Afterwards it is known that there is nobody.
  await expect.poll(async () => client.execute('SELECT k FROM ks.t', [], { prepare: true }).then(() => 'done', String)).toMatch(/MIG001: the source cluster cannot be reached/);
  await fixture.source.reopen();
  await expect.poll(async () => client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [3, 'c'], { prepare: true }).then(() => 'done', String)).toBe('done');
  expect(rowsOn(fixture.source, 'SELECT k FROM ks.t')).toEqual(['00000001', '00000003']);
});

test('a node that does not answer: the client gets a timeout that its policy can read, and late answers go to nobody', async () => {
  await using fixture = await startFixture({ requestTimeoutMs: 400 });
  fixture.both('CREATE TABLE ks.t (k int PRIMARY KEY, v text)');
  const client = await fixture.client();
  await client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [1, 'a'], { prepare: true });
  fixture.source.faults.add({ isWrite: true, action: { kind: 'delay', ms: 900 } });
  await expect(client.execute('INSERT INTO ks.t (k, v) VALUES (?, ?)', [2, 'b'], { prepare: true })).rejects.toMatchObject({ code: cassandra.types.responseErrorCodes.writeTimeout, writeType: 'SIMPLE' });
  // What could not be prepared in time was no write.
  fixture.source.faults.add({ opcode: 'PREPARE', action: { kind: 'drop' } });
  await expect(client.execute('DELETE FROM ks.t WHERE k = ?', [2], { prepare: true })).rejects.toMatchObject({ code: cassandra.types.responseErrorCodes.overloaded });
  for (let round = 0; round < 20; round += 1) expect((await client.execute('SELECT v FROM ks.t WHERE k = 1', [], { prepare: true })).rows[0]?.['v']).toBe('a');
});
