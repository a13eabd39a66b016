/** The mock cluster answers what a real Cassandra answers: the same statements, in the same order, give the same rows byte by byte and errors of the same kind. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeCassandra, sharedCassandra } from '../support/cassandra-servers.ts';
import type { TestCassandraClients } from '../support/cassandra-servers.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import type { RawAnswer } from '../support/cql/raw-client.ts';

const script: readonly string[] = [
  'CREATE TYPE ad (street text, zip int)',
  'CREATE TABLE t (k int, c int, s text static, v text, w text, m map<text, int>, l list<int>, st set<int>, f frozen<list<int>>, u ad, tu tuple<int, text>, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)',
  'CREATE TABLE types (k int PRIMARY KEY, a ascii, b bigint, bl blob, bo boolean, da date, de decimal, do double, fl float, i inet, si smallint, ti tinyint, tm time, ts timestamp, uu uuid, vi varint)',
  'CREATE TABLE counts (k int, c text, n counter, PRIMARY KEY (k, c))',
  'CREATE TABLE pairs (a int, b text, c int, d timeuuid, PRIMARY KEY ((a, b), c))',
  // Last write wins, ties, tombstones
  "INSERT INTO t (k, c, v, w) VALUES (1, 1, 'zzz', 'a') USING TIMESTAMP 10",
  "INSERT INTO t (k, c, v, w) VALUES (1, 1, 'aaa', 'b') USING TIMESTAMP 10",
  "UPDATE t USING TIMESTAMP 9 SET v = 'late' WHERE k = 1 AND c = 1",
  'DELETE w FROM t USING TIMESTAMP 10 WHERE k = 1 AND c = 1',
  'SELECT * FROM t WHERE k = 1',
  'SELECT writetime(v), ttl(v), v AS x FROM t WHERE k = 1',
  "INSERT INTO t (k, c, v) VALUES (2, 1, 'x') USING TIMESTAMP 10", "UPDATE t USING TIMESTAMP 10 SET v = 'x' WHERE k = 2 AND c = 2", 'DELETE v FROM t USING TIMESTAMP 11 WHERE k = 2 AND c IN (1, 2)', 'SELECT c, v FROM t WHERE k = 2',
  "INSERT INTO t (k, c, v, s) VALUES (3, 0, 'x', 'st') USING TIMESTAMP 100", "INSERT INTO t (k, c, v) VALUES (3, 2, 'x') USING TIMESTAMP 100", "INSERT INTO t (k, c, v) VALUES (3, 5, 'x') USING TIMESTAMP 100",
  'DELETE FROM t USING TIMESTAMP 200 WHERE k = 3 AND c >= 1 AND c < 3', "INSERT INTO t (k, c, v) VALUES (3, 2, 'older') USING TIMESTAMP 150", 'SELECT c, v FROM t WHERE k = 3',
  'SELECT c FROM t WHERE k = 3 AND c > 0 ORDER BY c ASC', 'SELECT c FROM t WHERE k = 3 LIMIT 1', 'SELECT DISTINCT k, s FROM t WHERE k IN (1, 3)',
  'DELETE FROM t USING TIMESTAMP 300 WHERE k = 3', "INSERT INTO t (k, c, v) VALUES (3, 7, 'older') USING TIMESTAMP 300", 'SELECT * FROM t WHERE k = 3', "INSERT INTO t (k, s) VALUES (3, 'again') USING TIMESTAMP 301", 'SELECT k, c, s, v FROM t WHERE k = 3',
  // Collections
  "UPDATE t USING TIMESTAMP 10 SET m = {'b': 1, 'a': 2}, l = [1, 2], st = {3, 1, -2}, f = [5, 4], u = {street: 'x'}, tu = (1, 'y') WHERE k = 4 AND c = 1", 'SELECT m, l, st, f, u, tu FROM t WHERE k = 4',
  "UPDATE t USING TIMESTAMP 11 SET m = m + {'c': 3}, l = l + [3], st = st - {3} WHERE k = 4 AND c = 1", "UPDATE t USING TIMESTAMP 12 SET m['a'] = 9, l = [8, 9] + l, u.zip = 7 WHERE k = 4 AND c = 1", 'UPDATE t USING TIMESTAMP 13 SET l[1] = 70 WHERE k = 4 AND c = 1', 'SELECT m, l, st, u FROM t WHERE k = 4',
  "DELETE m['b'], l[0], u.street FROM t USING TIMESTAMP 14 WHERE k = 4 AND c = 1", 'SELECT m, l, st, u FROM t WHERE k = 4', 'UPDATE t USING TIMESTAMP 20 SET l = [1, 2] WHERE k = 4 AND c = 1', 'UPDATE t USING TIMESTAMP 20 SET l = [1, 2] WHERE k = 4 AND c = 1', 'UPDATE t USING TIMESTAMP 21 SET l = l - [2] WHERE k = 4 AND c = 1', 'SELECT l FROM t WHERE k = 4',
  'UPDATE t USING TIMESTAMP 30 SET m = {}, st = null WHERE k = 4 AND c = 1', 'SELECT m, st FROM t WHERE k = 4', "SELECT k FROM t WHERE k = 4 AND m CONTAINS KEY 'a' ALLOW FILTERING", 'SELECT k FROM t WHERE l CONTAINS 1 ALLOW FILTERING',
  'SELECT writetime(v) FROM t WHERE k = 99', 'UPDATE t SET l[9] = 1 WHERE k = 4 AND c = 1',
  // Types
  "INSERT INTO types (k, a, b, bl, bo, da, de, do, fl, i, si, ti, tm, ts, uu, vi) VALUES (1, 'x', -9223372036854775808, 0xCAFE, true, '2024-02-29', -12.340, 1.5e-7, -0.5, '10.1.2.3', -32768, 127, '12:34:56.789', '2024-01-02 03:04:05+0000', 123e4567-e89b-12d3-a456-426655440000, -170141183460469231731687303715884105728)", 'SELECT * FROM types WHERE k = 1',
  "INSERT INTO types (k, b) VALUES (1, 'x')", 'INSERT INTO types (k, si) VALUES (1, 40000)', 'INSERT INTO types (a) VALUES (1)', 'INSERT INTO types (k, nothing) VALUES (1, 1)', 'INSERT INTO nothing (k) VALUES (1)', 'NOT CQL', 'SELECT nothing FROM types',
  // Transactions
  "INSERT INTO t (k, c, v) VALUES (8, 1, 'x') IF NOT EXISTS", "UPDATE t SET v = 'z' WHERE k = 8 AND c = 1 IF v = 'x'", "UPDATE t SET v = 'z' WHERE k = 8 AND c = 1 IF v = 'x'", 'DELETE FROM t WHERE k = 8 AND c = 9 IF EXISTS', 'SELECT v FROM t WHERE k = 8', "UPDATE t USING TIMESTAMP 5 SET v = 'z' WHERE k = 8 AND c = 1 IF v = 'x'", 'UPDATE t SET v = null WHERE k = 8 AND c = 1 IF w = null',
  // Counters and batches
  "UPDATE counts SET n = n + 5 WHERE k = 1 AND c = 'a'", "BEGIN COUNTER BATCH UPDATE counts SET n = n - 2 WHERE k = 1 AND c = 'a'; UPDATE counts SET n += 1 WHERE k = 1 AND c = 'b' APPLY BATCH", 'SELECT c, n FROM counts WHERE k = 1', "UPDATE counts USING TIMESTAMP 5 SET n = n + 1 WHERE k = 1 AND c = 'a'", "INSERT INTO counts (k, c, n) VALUES (1, 'a', 1)",
  "BEGIN BATCH USING TIMESTAMP 50 INSERT INTO pairs (a, b, c) VALUES (1, 'x', 1); INSERT INTO pairs (a, b, c) VALUES (1, 'x', 2); DELETE FROM pairs WHERE a = 1 AND b = 'x' AND c = 1 APPLY BATCH", "SELECT a, b, c, d FROM pairs WHERE a = 1 AND b = 'x'", "SELECT token(a, b) FROM pairs WHERE a = 1 AND b = 'x' LIMIT 1", 'SELECT c FROM pairs WHERE a = 1',
  // Rings
  'SELECT DISTINCT k, token(k) FROM t', 'SELECT count(*) FROM t', 'SELECT k FROM t WHERE token(k) <= -9223372036854775808', 'SELECT k, c FROM t PER PARTITION LIMIT 1', 'TRUNCATE t', 'SELECT * FROM t', 'USE nowhere_at_all',
];

describeCassandra('a real Cassandra beside the mock', () => {
  let server: TestCassandraClients;
  let mock: MockCluster;
  let clients: readonly [RawClient, RawClient];

  beforeAll(async () => {
    server = await sharedCassandra('source');
    const keyspace = await server.createKeyspace('truth');
    mock = await MockCluster.start();
    mock.run(`CREATE KEYSPACE ${keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`);
    clients = [await RawClient.connect(server.address.port, server.address.host, { keyspace }), await RawClient.connect(mock.port, mock.address, { keyspace })];
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await mock.close();
    await server[Symbol.asyncDispose]();
  });

  test('answers the same', async () => {
    const differences: string[] = [];
    for (const text of script) {
      const [real, ours] = [printed(await clients[0].query(text)), printed(await clients[1].query(text))];
      if (real.answer !== ours.answer) differences.push(`${text}\n  real: ${real.answer} ${real.message}\n  mock: ${ours.answer} ${ours.message}`);
    }
    expect(differences.join('\n')).toBe('');
  });

  test('prepares the same and pages the same', async () => {
    for (const client of clients) for (let c = 0; c < 25; c += 1) await client.need(`INSERT INTO t (k, c, v) VALUES (77, ${c}, 'v${c}') USING TIMESTAMP 5`);
    for (const pageSize of [1, 7, 24, 25, 26]) {
      const pages = await Promise.all(clients.map(async (client) => {
        const id = await client.prepare('SELECT c, v FROM t WHERE k = ? AND c < ? LIMIT ?');
        const values = [77, 24, 23].map((value) => Buffer.of(0, 0, 0, value));
        const found: string[] = [];
        for (let state: Buffer | undefined, page = 0; page === 0 || state; page += 1) {
          const answer = await client.execute(id, { values, pageSize, ...(state && { pagingState: state }) });
          state = answer.kind === 'rows' ? answer.pagingState : undefined;
          if (answer.kind !== 'rows' || answer.rows.length > 0) found.push(printed(answer).answer);
        }
        return found;
      }));
      expect(pages[1], `pages of ${pageSize}`).toEqual(pages[0]);
    }
  });
});

function printed(answer: RawAnswer): { readonly answer: string; readonly message: string } {
  switch (answer.kind) {
    case 'rows': return { answer: `${answer.columns.join(',')} ${answer.rows.map((row) => row.map((value) => value?.toString('hex') ?? '-').join(',')).join(' | ')}`, message: '' };
    case 'error': return { answer: `error 0x${answer.code.toString(16)}`, message: answer.message };
    case 'keyspace': return { answer: `keyspace ${answer.keyspace}`, message: '' };
    default: return { answer: answer.kind, message: '' };
  }
}
