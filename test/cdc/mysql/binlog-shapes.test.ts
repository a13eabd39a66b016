/** Tables, row images and transactions of unusual shape are read as they are. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BinlogItem } from '../../../cdc/mysql/binlog/transaction.ts';
import { compareMysqlPositions } from '../../../cdc/mysql/position.ts';
import type { MysqlPosition } from '../../../cdc/mysql/position.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { endOf, installMarkers, knownFrom, openReader, readToMarker, readToNow, replay, statementsOf, transactionsOf, writeMarker } from './binlog-harness.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];

async function startShop(kind: MysqlKind, settings: readonly string[] = []): Promise<TestMysql> {
  const server = await startMysql(kind, { settings });
  await installMarkers(server);
  await server.createDatabase('shop');
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v varchar(20)) ENGINE=InnoDB', 'shop');
  return server;
}

function insertedIds(items: readonly BinlogItem[]): number[] {
  return transactionsOf(items).flatMap(({ changes }) => changes.flatMap((change) => change.new.map(([id]) => Number(id))));
}

/** Reads from each place between two transactions: what follows it comes, once. */
async function expectEveryPlaceToGoOn(server: TestMysql, start: MysqlPosition, ids: readonly number[]): Promise<void> {
  const token = await writeMarker(server);
  const places: { readonly position: MysqlPosition; readonly done: number }[] = [{ position: start, done: 0 }];
  const reader = await openReader(server, start, { batchBytes: 1, known: await knownFrom(server, start, 't') });
  const items: BinlogItem[] = [];
  for await (const batch of reader.batches()) {
    items.push(...batch.items);
    if (batch.items.some((item) => item.kind === 'transaction' && item.markers.some((marker) => marker.token === token))) break;
    if (batch.items.some((item) => item.kind === 'transaction' && item.end === 'commit')) places.push({ position: batch.position, done: insertedIds(items).length });
  }
  reader.close();
  expect(insertedIds(items)).toEqual(ids);
  expect(places.length).toBe(ids.length + 1);
  for (const { position, done } of places) expect(insertedIds((await readToMarker(await openReader(server, position), token)).items)).toEqual(ids.slice(done));
}

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let server: TestMysql;
    beforeAll(async () => (server = await startShop(kind)));
    afterAll(() => server.dispose());

    test('three hundred columns, some of them NULL', async () => {
      const names = Array.from({ length: 300 }, (_, index) => `c${index}`);
      await server.sql(`CREATE TABLE wide (id int PRIMARY KEY, ${names.map((name) => `${name} int`).join(', ')})`, 'shop');
      const reader = await openReader(server, await endOf(server));
      const value = (index: number): string | null => (index % 7 === 3 ? null : String(index * 3));
      await server.sql(`INSERT INTO wide VALUES (1, ${names.map((_, index) => value(index) ?? 'NULL').join(', ')}); UPDATE wide SET c299 = NULL, c3 = 5`, 'shop');
      const { items } = await readToNow(server, reader);
      expect(replay(items, 'wide').get('1')).toEqual(['1', ...names.map((_, index) => (index === 299 ? null : index === 3 ? '5' : value(index)))]);
      expect(transactionsOf(items)[1]?.changes[0]?.old[0]).toEqual(['1', ...names.map((_, index) => value(index))]);
    });

    test('partitions, and rows that go from one to another', async () => {
      await server.sql('CREATE TABLE p (id int PRIMARY KEY, v int) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE)', 'shop');
      const reader = await openReader(server, await endOf(server));
      await server.sql('INSERT INTO p VALUES (1, 1), (20, 2); UPDATE p SET id = 30 WHERE id = 1; DELETE FROM p WHERE id = 20', 'shop');
      const { items } = await readToNow(server, reader);
      expect([...replay(items, 'p').values()]).toEqual([['30', '1']]);
    });

    test('a table that takes the name of another', async () => {
      const reader = await openReader(server, await endOf(server));
      const items: BinlogItem[] = [];
      const batches = reader.batches();
      for (const text of ['CREATE TABLE b (id int PRIMARY KEY, w varchar(5))', "INSERT INTO t VALUES (1, 'old')", 'RENAME TABLE t TO a, b TO t', "INSERT INTO t VALUES (2, 'new')", "INSERT INTO a VALUES (3, 'moved')"]) {
        await server.sql(text, 'shop');
        for (const before = items.length; items.length === before; ) items.push(...((await batches.next()).value?.items ?? []));
      }
      reader.close();
      expect(transactionsOf(items).map(({ changes: [change] }) => [change?.table.name, change?.table.columns, change?.new])).toEqual([['t', ['id', 'v'], [['1', 'old']]], ['t', ['id', 'w'], [['2', 'new']]], ['a', ['id', 'v'], [['3', 'moved']]]]);
      expect(statementsOf(items).every(({ misread }) => misread.length === 0)).toBe(true);
      await server.sql('DROP TABLE t; RENAME TABLE a TO t; DELETE FROM t', 'shop');
    });

    for (const image of ['MINIMAL', 'NOBLOB'] as const) {
      test(`row images of kind ${image} leave out what is not in them`, async () => {
        await server.sql('CREATE TABLE i (id int PRIMARY KEY, v varchar(9), w text)', 'shop');
        const reader = await openReader(server, await endOf(server));
        await server.sql(`SET binlog_row_image = ${image}; INSERT INTO i VALUES (1, NULL, 'w'); UPDATE i SET v = 'x'; DELETE FROM i`, 'shop');
        const { items } = await readToNow(server, reader);
        const [update, remove] = image === 'MINIMAL' ? [[['1', undefined, undefined], [undefined, 'x', undefined]], ['1', undefined, undefined]] : [[['1', null, undefined], ['1', 'x', undefined]], ['1', 'x', undefined]];
        expect(transactionsOf(items).flatMap(({ changes }) => changes.map((change) => [...change.old, ...change.new]))).toEqual([[['1', null, 'w']], update, [remove]]);
        await server.sql('DROP TABLE i', 'shop');
      });
    }
  });
}

for (const kind of ['mysql-9.7', 'mysql-5.6'] as const) {
  describeMysql([kind], `${kind}, GTIDs`, () => {
    test('out of order, of other servers, of nothing', async () => {
      await using server = await startShop(kind);
      const start = await endOf(server);
      const other = 'aaaaaaaa-1111-2222-3333-444444444444';
      const sql = (text: string) => server.sql(text, 'shop');
      await sql(`SET gtid_next = '${other}:10'; INSERT INTO t VALUES (1, 'a')`);
      await sql(`SET gtid_next = '${other}:5'; INSERT INTO t VALUES (2, 'b')`);
      await sql(`SET gtid_next = '${other}:7'; BEGIN; COMMIT`);
      await sql("INSERT INTO t VALUES (3, 'c')");
      await sql(`FLUSH BINARY LOGS; SET gtid_next = '${other}:9'; INSERT INTO t VALUES (4, 'd')`);
      await expectEveryPlaceToGoOn(server, start, [1, 2, 3, 4]);
      const { position } = await readToNow(server, await openReader(server, start));
      expect(compareMysqlPositions(position, await endOf(server))).toBe(0);
      expect(position).toMatchObject({ gtidSet: expect.stringContaining(`${other}:5:7:9-10`) });
    });
  });
}

describeMysql(['mariadb-10.11'], 'mariadb-10.11, GTIDs', () => {
  test('of several domains and servers', async () => {
    await using server = await startShop('mariadb-10.11');
    const start = await endOf(server);
    const insert = (id: number, domain: number, serverId: number, flush = '') => server.sql(`SET gtid_domain_id = ${domain}, server_id = ${serverId}; ${flush} INSERT INTO t VALUES (${id}, 'x')`, 'shop');
    await insert(1, 5, 77);
    await insert(2, 0, server.port);
    await insert(3, 5, 78, 'FLUSH BINARY LOGS;');
    await insert(4, 9, 77);
    await insert(5, 0, server.port);
    await expectEveryPlaceToGoOn(server, start, [1, 2, 3, 4, 5]);
    const { items, position } = await readToNow(server, await openReader(server, start));
    expect(transactionsOf(items).map(({ gtid }) => gtid.split('-').slice(0, 2).join('-'))).toEqual(['5-77', `0-${server.port}`, '5-78', '9-77', `0-${server.port}`]);
    expect(position).toMatchObject({ gtidList: expect.stringMatching(/^0-\d+-\d+,5-78-2,9-77-1$/) });
  });
});
