/** A loaded table is the source's cell by cell, with the source's times, whatever its types, and also when the loader was killed on the way. */
import { fork } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processClock } from '../../../config/process-runtime.ts';
import { Throttle } from '../../../cdc/cassandra/throttle.ts';
import type { TestCassandraClients } from '../../support/cassandra-servers.ts';
import { describeCassandra } from '../../support/cassandra-servers.ts';
import { startTwoClusters, withoutTtl } from './cassandra-fixture.ts';
import type { TwoClusters } from './cassandra-fixture.ts';

/** Type → literals of it. */
const types: Readonly<Record<string, readonly string[]>> = {
  ascii: ["'abc'", "''"], bigint: ['9223372036854775807', '-1'], blob: ['0x00ff', '0x'], boolean: ['true', 'false'], date: ["'1582-10-15'", "'2024-02-29'"], decimal: ['1.10', '-0.00000000000000000001'],
  double: ['NaN', '-0.0'], duration: ['1mo2d3ns', '-5y'], float: ['Infinity', '1.5'], inet: ["'127.0.0.1'", "'2001:db8::1'"], int: ['-2147483648', '0', 'blob_as_int(0x)'], smallint: ['-32768', '1'], text: ["'ç€😀'", "''"],
  time: ["'23:59:59.999999999'", "'00:00:00'"], timestamp: ['-9223372036854775808', "'2024-01-02T03:04:05.678Z'"], timeuuid: ['50554d6e-29bb-11e5-b345-feff819cdc9f'], tinyint: ['-128', '127'], uuid: ['123e4567-e89b-42d3-a456-426614174000'],
  varint: ['-123456789012345678901234567890', '0'], 'frozen<list<int>>': ['[3, 1, 2]', '[]'], 'frozen<map<text, frozen<set<int>>>>': ["{'a': {2, 1}}"], 'frozen<tuple<int, text, frozen<list<text>>>>': ["(1, null, ['x'])"], 'frozen<full_name>': ["{first: 'A', last: null}"],
  'list<text>': ["['b', 'a', 'b']"], 'set<uuid>': ['{123e4567-e89b-42d3-a456-426614174000}'], 'map<int, text>': ["{2: 'b', 1: 'a'}"], full_name: ["{first: 'Ada'}", "{first: 'A', last: 'B'}"], 'vector<float, 3>': ['[1, 2.5, -3]'], 'list<frozen<full_name>>': ["[{first: 'x', last: 'y'}]"],
};

describeCassandra('loading from one cluster to another', () => {
  let two: TwoClusters;
  beforeAll(async () => {
    two = await startTwoClusters();
    await two.both('CREATE TYPE ks.full_name (first text, last text)');
  }, 240_000);
  afterAll(() => two[Symbol.asyncDispose]());

  const expectSame = async (table: string): Promise<void> => {
    const [source, target] = [await two.dump('source', table), await two.dump('target', table)];
    expect(withoutTtl(target)).toEqual(withoutTtl(source));
    target.forEach(({ ttl, cell }, index) => {
      const theirs = source[index]?.ttl;
      if (theirs === undefined || ttl === undefined) expect({ cell, ttl }).toEqual({ cell, ttl: theirs });
      else expect(Math.abs(theirs - ttl), cell).toBeLessThanOrEqual(120);
    });
  };

  test('every type, in cells of its own times', async () => {
    const columns = Object.keys(types).map((type, index) => `c${index} ${type.replaceAll('full_name', `${two.keyspace}.full_name`)}`);
    await two.both(`CREATE TABLE ks.every (k int PRIMARY KEY, ${columns.join(', ')})`);
    let k = 0;
    const rounds = Math.max(...Object.values(types).map((literals) => literals.length));
    for (let round = 0; round < rounds; round += 1) {
      const literals = Object.values(types).map((choices) => choices[round % choices.length]);
      await two.on('source', `INSERT INTO ks.every (k, ${literals.map((_, index) => `c${index}`).join(', ')}) VALUES (${(k += 1)}, ${literals.join(', ')}) USING TIMESTAMP ${1_600_000_000_000_000 + round}`);
    }
    for (const [index, literals] of Object.values(types).entries()) {
      await two.on('source', `UPDATE ks.every USING TIMESTAMP ${1_650_000_000_000_000 + index} AND TTL ${5000 + index} SET c${index} = ${literals[0]} WHERE k = ${(k += 1)}`);
      await two.on('source', `UPDATE ks.every USING TIMESTAMP ${1_660_000_000_000_000 + index} SET c${index} = ${literals[0]} WHERE k = 1`);
    }
    const progress = await two.load(['every']);
    expect(progress.tables[0]).toMatchObject({ state: 'done', rows: k, share: 1, error: undefined });
    await expectSame('every');
  }, 120_000);

  test('elements of collections and fields of UDTs that were written one by one', async () => {
    await two.both('CREATE TABLE ks.parts (k int, c text, m map<text, int>, s set<int>, u full_name, l list<int>, v text, PRIMARY KEY (k, c))');
    await two.on('source',
      "UPDATE ks.parts USING TIMESTAMP 100 SET m['a'] = 1, s = s + {1} WHERE k = 1 AND c = 'x'",
      "UPDATE ks.parts USING TIMESTAMP 200 AND TTL 4000 SET m['b'] = 2, s = s + {2}, u.first = 'f' WHERE k = 1 AND c = 'x'",
      "UPDATE ks.parts USING TIMESTAMP 300 SET u.last = 'l', v = 'v' WHERE k = 1 AND c = 'x'",
      "UPDATE ks.parts USING TIMESTAMP 300 SET l = [1, 2] WHERE k = 2 AND c = 'y'",
    );
    // What a dual write has put there is kept, and what it has deleted stays so.
    await two.on('target', "UPDATE ks.parts USING TIMESTAMP 5000 SET m['new'] = 9 WHERE k = 1 AND c = 'x'", "DELETE m['a'] FROM ks.parts USING TIMESTAMP 5000 WHERE k = 1 AND c = 'x'");
    await two.on('source', "UPDATE ks.parts USING TIMESTAMP 5000 SET m['new'] = 9 WHERE k = 1 AND c = 'x'");
    await two.load(['parts']);
    await two.on('source', "DELETE m['a'] FROM ks.parts USING TIMESTAMP 5000 WHERE k = 1 AND c = 'x'");
    await expectSame('parts');
  }, 60_000);

  test('static columns, also of partitions without rows, rows that are only a key, and nothing for columns without a value', async () => {
    await two.both('CREATE TABLE ks.shelf (p int, c int, s text static, m map<int, int> static, v text, w text, PRIMARY KEY (p, c)) WITH CLUSTERING ORDER BY (c DESC) AND default_time_to_live = 90000', 'CREATE TABLE ks.bare (a int, b text, PRIMARY KEY (a, b))');
    await two.on('source',
      "INSERT INTO ks.shelf (p, s, m) VALUES (1, 'only static', {1: 1}) USING TIMESTAMP 11 AND TTL 0", "UPDATE ks.shelf USING TIMESTAMP 12 AND TTL 7000 SET s = 'x' WHERE p = 2",
      "INSERT INTO ks.shelf (p, c, v) VALUES (2, 1, 'v') USING TIMESTAMP 13 AND TTL 0", "INSERT INTO ks.shelf (p, c, w) VALUES (2, 2, 'w') USING TIMESTAMP 14", 'INSERT INTO ks.shelf (p, c) VALUES (3, 1)', "INSERT INTO ks.bare (a, b) VALUES (1, '')", "INSERT INTO ks.bare (a, b) VALUES (1, 'b')",
    );
    const progress = await two.load(['shelf', 'bare']);
    expect(progress.tables).toMatchObject([{ state: 'done', rows: 3 }, { state: 'done', rows: 2 }]);
    await expectSame('shelf');
    await expectSame('bare');
    // A column without a value is not a tombstone on the target: an older write of it still counts.
    await two.on('target', "UPDATE ks.shelf USING TIMESTAMP 1 SET w = 'older' WHERE p = 2 AND c = 1");
    expect((await two.target.cql(`SELECT w FROM ${two.keyspace}.shelf WHERE p = 2 AND c = 1`))[0]?.['w']).toBe('older');
  }, 60_000);

  test('a row of INSERT stays when its cells go, on both sides', async () => {
    await two.both('CREATE TABLE ks.marked (k int PRIMARY KEY, v text, w text)');
    await two.on('source', "INSERT INTO ks.marked (k, v, w) VALUES (1, 'v', 'w') USING TIMESTAMP 10", "UPDATE ks.marked USING TIMESTAMP 20 SET v = 'v2' WHERE k = 1");
    await two.load(['marked']);
    await two.both('DELETE v, w FROM ks.marked USING TIMESTAMP 30 WHERE k = 1');
    await expectSame('marked');
    expect(await two.dump('target', 'marked')).toHaveLength(1);
  }, 60_000);

  test('counters become equal, also when they are loaded again', async () => {
    await two.both('CREATE TABLE ks.hits (k int, c int, n counter, m counter, PRIMARY KEY (k, c))');
    for (let k = 0; k < 20; k += 1) await two.on('source', `UPDATE ks.hits SET n = n + ${k * 3 - 10} WHERE k = ${k} AND c = 1`);
    await two.on('source', 'UPDATE ks.hits SET n = n + 9223372036854775807, m = m + 0 WHERE k = 100 AND c = 1');
    await two.on('target', 'UPDATE ks.hits SET n = n + 7 WHERE k = 1 AND c = 1');
    await two.load(['hits']);
    await expectSame('hits');
    fs.rmSync(two.ledgerFile);
    await two.on('source', 'UPDATE ks.hits SET n = n - 2 WHERE k = 5 AND c = 1');
    await two.load(['hits']);
    await expectSame('hits');
  }, 60_000);

  test('a row that the target refuses is written down and does not stop the others; the load goes on with it later', async () => {
    await two.both('CREATE TABLE ks.big (k int PRIMARY KEY, v text)');
    // An indexed value has a limit of 64 KiB.
    await two.on('target', 'CREATE INDEX big_v ON ks.big (v)');
    for (let k = 0; k < 30; k += 1) await two.source.cql(`INSERT INTO ${two.keyspace}.big (k, v) VALUES (?, ?)`, [k, k === 17 ? 'x'.repeat(70_000) : 'small']);
    const first = await two.load(['big']);
    expect(first.tables[0]).toMatchObject({ state: 'incomplete', rows: 29, refused: 1 });
    const lines = fs.readFileSync(two.failedFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ table: `${two.keyspace}.big`, key: 'k = 17', keyBytes: ['00000011'] });
    expect(String(lines[0]?.['error'])).toMatch(/index/i);
    await two.on('target', `DROP INDEX ${two.keyspace}.big_v`);
    expect((await two.load(['big'])).tables[0]).toMatchObject({ state: 'done', rows: 30, refused: 0 });
    await expectSame('big');
  }, 60_000);

  test('many rows in wide partitions: killed again and again, it goes on and ends with the same', async () => {
    await two.both('CREATE TABLE ks.wide (p int, c int, s int static, v text, l list<int>, PRIMARY KEY (p, c))');
    await fill(two.source, two.keyspace);
    let crashes = 0;
    for (const passage of [1, 3, 6, 9]) {
      const end = await loadInChild(two, 'wide', `cassandra.load.page_written:crash@${passage}`);
      if (end === 'SIGKILL') crashes += 1;
    }
    expect(crashes).toBeGreaterThanOrEqual(3);
    expect(await loadInChild(two, 'wide', undefined)).toBe(0);
    const [source, target] = [await two.dump('source', 'wide'), await two.dump('target', 'wide')];
    expect(source.length).toBeGreaterThan(3500);
    expect(withoutTtl(target)).toEqual(withoutTtl(source));
  }, 180_000);

  test('no faster than the limits say', async () => {
    await two.both('CREATE TABLE ks.slow (k int PRIMARY KEY, v int)');
    for (let k = 0; k < 60; k += 1) await two.on('source', `INSERT INTO ks.slow (k, v) VALUES (${k}, ${k})`);
    const begun = performance.now();
    const progress = await two.load(['slow'], { targetLimits: { rowsPerSecond: 40, bytesPerSecond: 0 } });
    expect(performance.now() - begun).toBeGreaterThan(1400);
    expect(progress.rows).toBe(60);
  }, 60_000);

  test('at the limits that are set while it runs', async () => {
    const throttle = new Throttle(processClock, { rowsPerSecond: 1, bytesPerSecond: 0 });
    const begun = performance.now();
    const passed = throttle.pass(3600, 0, two.runtime.signal);
    throttle.limits = { rowsPerSecond: 3600 * 20, bytesPerSecond: 0 };
    await passed;
    expect(performance.now() - begun).toBeLessThan(30_000);
  }, 60_000);

  test('only the rows that are wanted', async () => {
    await two.both('CREATE TABLE ks.tenants (tenant text, k int, v int, PRIMARY KEY (tenant, k))');
    await two.on('source', "INSERT INTO ks.tenants (tenant, k, v) VALUES ('goes', 1, 1)", "INSERT INTO ks.tenants (tenant, k, v) VALUES ('stays', 1, 1)");
    expect((await two.load(['tenants'], { isLoaded: (_, row) => String(row.partitionKey[0]) !== 'stays' })).rows).toBe(1);
    expect((await two.target.cql(`SELECT tenant FROM ${two.keyspace}.tenants`)).map((row) => row['tenant'] as string)).toEqual(['goes']);
  }, 60_000);

  test('a table that is another on the target is not loaded', async () => {
    await two.on('source', 'CREATE TABLE ks.other (k int PRIMARY KEY, v int)');
    await two.on('target', 'CREATE TABLE ks.other (k int PRIMARY KEY, v bigint)');
    expect((await two.load(['other', 'absent'])).tables).toMatchObject([{ state: 'incomplete', error: expect.stringMatching(/MIG011.*v int.*v bigint/) as unknown }, { state: 'incomplete', error: expect.stringMatching(/MIG010/) as unknown }]);
  }, 60_000);
});

/** 1,500 rows, two partitions of them wide, lists and static columns among them. */
async function fill(source: TestCassandraClients, keyspace: string): Promise<void> {
  const client = await source.client();
  const rows = Array.from({ length: 1500 }, (_, index) => [index < 500 ? 1 : index < 900 ? 2 : index, index] as const);
  const insert = `INSERT INTO ${keyspace}.wide (p, c, v, l) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`;
  for (let at = 0; at < rows.length; at += 50) {
    await Promise.all(rows.slice(at, at + 50).map(([p, c]) => client.execute(insert, [p, c, `v${c}`, c % 3 === 0 ? [c, c] : undefined, 1_700_000_000_000_000 + c], { prepare: true })));
  }
  for (let p = 0; p < 50; p += 1) await client.execute(`INSERT INTO ${keyspace}.wide (p, s) VALUES (?, ?) USING TIMESTAMP 5`, [p, p], { prepare: true });
}

/** Exit code, or the signal that ended it. */
function loadInChild(two: TwoClusters, table: string, fault: string | undefined): Promise<number | NodeJS.Signals | null> {
  const child = fork(path.join(import.meta.dirname, 'load-child.ts'), [JSON.stringify({ source: two.source.address, target: two.target.address, keyspace: two.keyspace, table, ledgerFile: two.ledgerFile, failedFile: two.failedFile })], {
    env: { ...process.env, ...(fault === undefined ? {} : { CAUSEWAY_FAULT: fault }) }, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
}
