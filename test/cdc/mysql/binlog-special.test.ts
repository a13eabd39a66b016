/** What only some servers do: prepared XA transactions, tagged GTIDs, savepoints among tables without transactions, failover, rows of more than 16 MB. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GtidSet } from '../../../cdc/mysql/binlog/gtid-set.ts';
import type { BinlogItem } from '../../../cdc/mysql/binlog/transaction.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { endOf, factsOf, installMarkers, noFacts, openReader, readToMarker, readToNow, transactionsOf, writeMarker } from './binlog-harness.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];

async function withShop(server: TestMysql): Promise<void> {
  await installMarkers(server);
  await server.createDatabase('shop');
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v longtext) ENGINE=InnoDB; CREATE TABLE m (id int PRIMARY KEY) ENGINE=MyISAM', 'shop');
}

function insertedIds(items: readonly BinlogItem[]): number[] {
  return transactionsOf(items).flatMap(({ changes }) => changes.flatMap((change) => change.new.map(([id]) => Number(id))));
}

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let server: TestMysql;
    beforeAll(async () => {
      server = await startMysql(kind, { settings: ['max-allowed-packet=128M', 'log-slave-updates=ON', 'innodb-log-file-size=256M', 'loose-innodb-redo-log-capacity=512M'].filter((setting) => !(kind === 'mysql-9.7' && setting.startsWith('innodb-log'))) });
      await withShop(server);
    });
    afterAll(() => server.dispose());

    test('an XA transaction comes when it is committed; until then reading begins before it', async () => {
      const start = await endOf(server);
      await server.sql("XA START 'one', 'b', 7; INSERT INTO t VALUES (1, 'xa'); XA END 'one', 'b', 7; XA PREPARE 'one', 'b', 7", 'shop').catch((error: unknown) => error);
      const isSplit = kind !== 'mysql-5.6';
      await server.sql("INSERT INTO t VALUES (2, 'between')", 'shop');
      const token = await writeMarker(server);
      const before = await readToMarker(await openReader(server, start), token);
      expect(insertedIds(before.items)).toEqual([2]);
      expect(before.resume).toEqual(isSplit ? start : before.position);
      if (!isSplit) return;
      await server.sql("XA COMMIT 'one', 'b', 7; XA START 'two'; INSERT INTO t VALUES (3, 'gone'); XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two'; XA START 'three'; INSERT INTO t VALUES (4, 'phase'); XA END 'three'; XA COMMIT 'three' ONE PHASE", 'shop');
      const after = await readToNow(server, await openReader(server, before.resume));
      expect(insertedIds(after.items)).toEqual([2, 1, 4]);
      expect(after.resume).toEqual(after.position);
      await expect(readToNow(server, await openReader(server, before.position))).rejects.toMatchObject({ code: 'MIG021', detail: expect.stringContaining(',7') });
      await expect(readToNow(server, await openReader(server, start, { preparedBytes: 10 }))).rejects.toMatchObject({ code: 'MIG085' });
    });

    test('what was rolled back to a savepoint does not come, though it was logged', async () => {
      const start = await endOf(server);
      await server.sql("BEGIN; INSERT INTO t VALUES (10, 'kept'); SAVEPOINT `a b`; INSERT INTO t VALUES (11, 'gone'); INSERT INTO m VALUES (1); ROLLBACK TO `a b`; INSERT INTO t VALUES (12, 'kept'); COMMIT", 'shop').catch(async () => {
        // With GTIDs MySQL refuses the two kinds of tables in one transaction.
        expect(kind).not.toBe('mariadb-10.11');
        await server.sql("BEGIN; INSERT INTO t VALUES (10, 'kept'); SAVEPOINT a; INSERT INTO t VALUES (11, 'gone'); ROLLBACK TO a; INSERT INTO t VALUES (12, 'kept'); COMMIT", 'shop');
      });
      const { items } = await readToNow(server, await openReader(server, start, { captures: (schema, name) => schema === 'shop' && name === 't' }));
      expect(insertedIds(items)).toEqual([10, 12]);
    });

    test('a row of more than 16 MB', async () => {
      const start = await endOf(server);
      const length = 20_000_000;
      await server.sql(`INSERT INTO t VALUES (20, REPEAT('0123456789', ${length / 10}))`, 'shop');
      const { items } = await readToNow(server, await openReader(server, start));
      const [[id, text] = []] = transactionsOf(items)[0]?.changes[0]?.new ?? [];
      expect([id, text?.length, text === '0123456789'.repeat(length / 10)]).toEqual(['20', length, true]);
    });

    test('another server goes on by GTID where this one ended', async () => {
      await using replica = await startMysql(kind, { settings: ['max-allowed-packet=128M'] });
      await follow(replica, server, await endOf(server));
      const start = await endOf(server);
      await server.sql("INSERT INTO t VALUES (30, 'a')", 'shop');
      const first = await readToNow(server, await openReader(server, start));
      await server.sql("INSERT INTO t VALUES (31, 'b')", 'shop');
      await expect.poll(() => replica.sql('SELECT MAX(id) AS id FROM shop.t').catch(() => []), { timeout: 30_000 }).toEqual([{ id: '31' }]);
      await replica.sql(kind === 'mysql-9.7' ? 'STOP REPLICA' : 'STOP SLAVE');
      await replica.sql("INSERT INTO t VALUES (32, 'c')", 'shop');
      const second = await readToNow(replica, await openReader(replica, first.position));
      expect([...insertedIds(first.items), ...insertedIds(second.items)]).toEqual([30, 31, 32]);
      // The first server lacks what the replica has written meanwhile: another history.
      await server.sql("INSERT INTO t VALUES (33, 'fork')", 'shop');
      const failure = openReader(server, second.position).then(async (reader) => {
        for await (const batch of reader.batches()) expect(insertedIds(batch.items)).toEqual([]);
      });
      await expect(failure).rejects.toMatchObject({ code: 'MIG021' });
    });

    test('a definition that has changed since is noticed when the binlog does not tell the old one', async () => {
      const start = await endOf(server);
      await server.sql("CREATE TABLE x (id int PRIMARY KEY, v varchar(9)); INSERT INTO x VALUES (1, 'a'); ALTER TABLE x MODIFY v int", 'shop').catch(() => server.sql('DELETE FROM x; ALTER TABLE x MODIFY v int', 'shop'));
      for (const [facts, detail] of [[factsOf(server), 'v'], [noFacts, undefined]] as const) {
        const { items } = await readToNow(server, await openReader(server, start, { facts }));
        // Other tables go on.
        expect(transactionsOf(items)[0]?.changes[0]).toMatchObject({ op: 'insert', table: { name: 'x', columns: [], unreadable: { code: 'MIG011', ...(detail === undefined ? {} : { detail }) } }, new: [[]] });
      }
    });
  });
}

/** `replica` begins where `server` is; its table is made by hand, since the changes before are not sent. */
async function follow(replica: TestMysql, server: TestMysql, from: Awaited<ReturnType<typeof endOf>>): Promise<void> {
  await replica.sql('SET sql_log_bin = 0; CREATE DATABASE shop; CREATE DATABASE causeway; CREATE TABLE shop.t (id int PRIMARY KEY, v longtext)');
  for (const table of ['marker', 'applied']) await replica.sql(`SET sql_log_bin = 0; ${(await server.sql(`SHOW CREATE TABLE causeway.${table}`))[0]?.['Create Table'] ?? ''}`, 'causeway');
  for (const row of await server.sql('SELECT name, token FROM causeway.marker')) await replica.sql(`SET sql_log_bin = 0; INSERT INTO causeway.marker VALUES ('${row['name']}', '${row['token']}')`);
  const { host, port, user, password } = server;
  switch (from.type) {
    case 'mariadb_gtid':
      await replica.sql(`SET GLOBAL gtid_slave_pos = '${from.gtidList}'; CHANGE MASTER TO MASTER_HOST = '${host}', MASTER_PORT = ${port}, MASTER_USER = '${user}', MASTER_PASSWORD = '${password}', MASTER_USE_GTID = slave_pos; START SLAVE`);
      return;
    case 'mysql_gtid':
      if (replica.kind === 'mysql-9.7') {
        await replica.sql(`RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${from.gtidSet}'; CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${port}, SOURCE_USER = '${user}', SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1; START REPLICA`);
      } else await replica.sql(`RESET MASTER; SET GLOBAL gtid_purged = '${from.gtidSet}'; CHANGE MASTER TO MASTER_HOST = '${host}', MASTER_PORT = ${port}, MASTER_USER = '${user}', MASTER_PASSWORD = '${password}', MASTER_AUTO_POSITION = 1; START SLAVE`);
      return;
    case 'mysql_binlog':
      throw new Error('these servers have GTIDs');
    default:
      from satisfies never;
  }
}

describeMysql(['mysql-9.7'], 'mysql-9.7 alone', () => {
  let server: TestMysql;
  beforeAll(async () => {
    server = await startMysql('mysql-9.7', { settings: ['binlog-row-metadata=FULL'] });
    await withShop(server);
  });
  afterAll(() => server.dispose());

  test('tagged GTIDs are read, and read on from', async () => {
    const start = await endOf(server);
    await server.sql("SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b'); SET gtid_next = 'AUTOMATIC:green'; INSERT INTO t VALUES (3, 'c')", 'shop');
    const { items, position } = await readToNow(server, await openReader(server, start));
    expect(transactionsOf(items).map(({ gtid }) => gtid.split(':').slice(1).join(':'))).toEqual(['blue:1', 'blue:2', 'green:1']);
    expect(transactionsOf(items).every(({ committedAtMs }) => Math.abs(committedAtMs - Date.now()) < 60_000)).toBe(true);
    expect(position).toMatchObject({ type: 'mysql_gtid', gtidSet: expect.stringMatching(/:blue:1-2:green:1$/) });
    const executed = (await server.sql('SELECT @@GLOBAL.gtid_executed AS g'))[0]?.['g'] ?? '';
    expect(GtidSet.parse(executed).toString()).toBe(executed.replaceAll('\n', ''));
    await server.sql("INSERT INTO t VALUES (4, 'd')", 'shop');
    expect(insertedIds((await readToNow(server, await openReader(server, position))).items)).toEqual([4]);
  });

  test('parts of JSON values are refused by name', async () => {
    const start = await endOf(server);
    await server.sql(`CREATE TABLE j (id int PRIMARY KEY, v json); INSERT INTO j VALUES (1, JSON_OBJECT('a', REPEAT('x', 200), 'b', 1)); SET binlog_row_value_options = 'PARTIAL_JSON', binlog_row_image = 'MINIMAL'; UPDATE j SET v = JSON_SET(v, '$.b', 2)`, 'shop');
    await expect(readToNow(server, await openReader(server, start))).rejects.toMatchObject({ code: 'MIG021', message: expect.stringContaining('JSON') });
  });

  test('a column that a row image leaves out is not NULL', async () => {
    await server.sql("CREATE TABLE i (id int PRIMARY KEY, v varchar(9), w varchar(9)); INSERT INTO i VALUES (1, NULL, 'w')", 'shop');
    const start = await endOf(server);
    await server.sql("SET binlog_row_image = 'MINIMAL'; UPDATE i SET v = 'x' WHERE id = 1; DELETE FROM i", 'shop');
    const { items } = await readToNow(server, await openReader(server, start));
    expect(transactionsOf(items).flatMap(({ changes }) => changes.map((change) => [change.old, change.new]))).toEqual([[[['1', undefined, undefined]], [[undefined, 'x', undefined]]], [[['1', undefined, undefined]], []]]);
  });
});
