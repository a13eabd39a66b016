/** What would lose or spoil changes without a word: each case is read exactly, or ends the stream by name. */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ReplicaConnection } from '../../../cdc/mysql/binlog/replica-connection.ts';
import type { TableFacts } from '../../../cdc/mysql/binlog/column-facts.ts';
import type { BinlogItem } from '../../../cdc/mysql/binlog/transaction.ts';
import type { MysqlPosition } from '../../../cdc/mysql/position.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { addressOf, endOf, factsOf, installMarkers, openReader, readToMarker, readToNow, statementsOf, transactionsOf, writeMarker } from './binlog-harness.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];

async function startShop(kind: MysqlKind, settings: readonly string[] = []): Promise<TestMysql> {
  const server = await startMysql(kind, { settings });
  await installMarkers(server);
  await server.createDatabase('shop');
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v longtext) ENGINE=InnoDB', 'shop');
  return server;
}

function insertedIds(items: readonly BinlogItem[]): number[] {
  return transactionsOf(items).filter(({ end }) => end !== 'rollback').flatMap(({ changes }) => changes.flatMap((change) => change.new.map(([id]) => Number(id))));
}

async function readFrom(server: TestMysql, start: MysqlPosition): Promise<number[]> {
  return insertedIds((await readToNow(server, await openReader(server, start))).items);
}

const asFile = ({ binlogFile, binlogPosition }: MysqlPosition): MysqlPosition => ({ type: 'mysql_binlog', binlogFile, binlogPosition });

/** Offset of the flags in a file's first event; the lowest says that the file is in use, so that a server that finds it so repairs it. */
const IN_USE_AT = 4 + 17;

/** Cuts the last transaction of the server's binlog off behind its first row event, as a crash may. */
async function cutLastTransaction(server: TestMysql): Promise<void> {
  const { binlogFile } = await endOf(server);
  const events = await server.sql(`SHOW BINLOG EVENTS IN '${binlogFile}'`);
  const last = events.findLastIndex((event) => /^(?:Gtid|Anonymous_Gtid)$/i.test(event['Event_type'] ?? ''));
  const rows = events.slice(last).find((event) => event['Event_type']?.startsWith('Write_rows'));
  const file = path.join(path.dirname(server.socketPath), 'data', binlogFile);
  await server.kill();
  fs.truncateSync(file, Number(rows?.['End_log_pos']));
  const handle = fs.openSync(file, 'r+');
  fs.writeSync(handle, Buffer.from([0]), 0, 1, IN_USE_AT);
  fs.closeSync(handle);
  await server.restart();
}

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let server: TestMysql;
    beforeAll(async () => (server = await startShop(kind)));
    afterAll(() => server.dispose());

    test('a transaction that a crash cut off is none, and is no part of the next one', async () => {
      const start = await endOf(server);
      await server.sql(`INSERT INTO t VALUES (1, 'whole'); BEGIN; INSERT INTO t VALUES (2, 'cut'); INSERT INTO t VALUES (3, 'cut'); COMMIT`, 'shop');
      await cutLastTransaction(server);
      await server.sql("INSERT INTO t VALUES (4, 'next')", 'shop');
      for (const from of [start, asFile(start)]) expect(await readFrom(server, from)).toEqual([1, 4]);
      const parts = await readToNow(server, await openReader(server, start, { batchBytes: 1 }));
      // What had been given out of it is taken back.
      expect(transactionsOf(parts.items).flatMap(({ end, changes }) => [...changes.flatMap((change) => change.new.map(([id]) => id)), end])).toEqual(['1', undefined, '2', undefined, '4', undefined]);
      expect(parts.items.map((item) => item.kind === 'transaction' && item.end).filter((end) => typeof end === 'string').slice(0, 3)).toEqual(['commit', 'rollback', 'commit']);
    });

    test('checksums may be turned on and off', async () => {
      await server.sql('SET GLOBAL binlog_checksum = CRC32; FLUSH BINARY LOGS');
      const start = await endOf(server);
      const reader = await openReader(server, start);
      const places: MysqlPosition[] = [start];
      const insert = async (id: number): Promise<void> => {
        await server.sql(`INSERT INTO t VALUES (${id}, 'c')`, 'shop');
        places.push(await endOf(server));
      };
      await insert(10);
      await server.sql('SET GLOBAL binlog_checksum = NONE');
      await insert(11);
      await server.sql('SET GLOBAL binlog_checksum = CRC32');
      await insert(12);
      await server.sql('SET GLOBAL binlog_checksum = NONE');
      await insert(13);
      expect(insertedIds((await readToNow(server, reader)).items)).toEqual([10, 11, 12, 13]);
      for (const now of ['NONE', 'CRC32']) {
        await server.sql(`SET GLOBAL binlog_checksum = ${now}`);
        for (const [index, place] of places.entries()) for (const from of [place, asFile(place)]) expect(await readFrom(server, from)).toEqual([10, 11, 12, 13].slice(index));
      }
    });

    test('a row larger than the server takes in one packet', async () => {
      const columns = Array.from({ length: 20 }, (_, index) => `c${index}`);
      await server.sql(`SET GLOBAL max_allowed_packet = 1048576; CREATE TABLE shop.wide (id int PRIMARY KEY, ${columns.map((name) => `${name} mediumtext CHARACTER SET latin1`).join(', ')}) ENGINE=MyISAM`);
      try {
        await server.sql('INSERT INTO wide (id) VALUES (1)', 'shop');
        for (const [index, name] of columns.entries()) {
          if (index === columns.length - 1) break;
          await server.sql(`SET sql_log_bin = 0; UPDATE wide SET ${name} = REPEAT('${index % 10}', 900000)`, 'shop');
        }
        const start = await endOf(server);
        await server.sql("UPDATE wide SET c19 = 'last'", 'shop');
        const { items } = await readToNow(server, await openReader(server, start));
        const [change] = transactionsOf(items)[0]?.changes ?? [];
        expect(change?.new[0]?.map((value) => value?.length)).toEqual([1, ...columns.slice(1).map(() => 900_000), 4]);
        expect(change?.old[0]?.at(-1)).toBeNull();
      } finally {
        await server.sql('SET GLOBAL max_allowed_packet = 67108864; DROP TABLE shop.wide');
      }
    });

    test('where rows may have been read by a later definition, the statement that made it says so', async () => {
      const start = await endOf(server);
      await server.sql('CREATE TABLE s (id int PRIMARY KEY, v int); INSERT INTO s VALUES (1, -1); UPDATE s SET v = 1; CREATE INDEX i ON s (v)', 'shop');
      expect(await readFrom(server, start)).toEqual([1, 1]);
      await server.sql('ALTER TABLE s CHANGE v w int unsigned', 'shop');
      const behind = await endOf(server);
      await server.sql('INSERT INTO s VALUES (2, 4294967295)', 'shop');
      const late = await readToNow(server, await openReader(server, start));
      expect(statementsOf(late.items).map(({ text, misread }) => [text.slice(0, 7), misread])).toEqual([['CREATE ', []], ['CREATE ', []], ['ALTER T', [{ schema: 'shop', name: 's' }]]]);
      const { items } = await readToNow(server, await openReader(server, behind));
      expect(transactionsOf(items).flatMap(({ changes }) => changes.map(({ table, new: rows }) => [table.columns, rows]))).toEqual([[['id', 'w'], [['2', '4294967295']]]]);
    });

    test('rows that were written under a definition of which nobody has been told are given out as unreadable, not read by another one', async () => {
      const start = await endOf(server);
      await server.sql(`CREATE TABLE swung (id int PRIMARY KEY, v int); CREATE TABLE beside (id int PRIMARY KEY); INSERT INTO swung VALUES (1, 1); INSERT INTO beside VALUES (1);
        ALTER TABLE swung MODIFY v int unsigned; INSERT INTO swung VALUES (2, 4294967295); INSERT INTO beside VALUES (2); DELETE FROM swung WHERE id = 2; ALTER TABLE swung MODIFY v int; INSERT INTO swung VALUES (3, -3)`, 'shop');
      const { items } = await readToNow(server, await openReader(server, start));
      const given = transactionsOf(items).flatMap(({ changes }) => changes.flatMap(({ table, old, new: rows }) => [...old, ...rows].map((row) => [table.name, table.unreadable === undefined ? row : 'unreadable'])));
      expect(given).toEqual([['swung', 'unreadable'], ['beside', ['1']], ['swung', 'unreadable'], ['beside', ['2']], ['swung', 'unreadable'], ['swung', ['3', '-3']]]);
      expect(statementsOf(items).map(({ misread }) => misread.map(({ name }) => name))).toEqual([[], [], ['swung'], ['swung']]);
    });

    test('a label that the definition of now has not stops its own table alone', async () => {
      const start = await endOf(server);
      await server.sql(`SET sql_mode = ''; CREATE TABLE choice (id int PRIMARY KEY, v enum('a', 'b', 'c')); CREATE TABLE by_itself (id int PRIMARY KEY); INSERT INTO choice VALUES (1, 'a'), (2, 'c'); INSERT INTO by_itself VALUES (1);
        DELETE FROM choice WHERE id = 2; ALTER TABLE choice MODIFY v enum('a', 'b'); INSERT INTO choice VALUES (3, 'b')`, 'shop');
      const { items } = await readToNow(server, await openReader(server, start));
      const given = transactionsOf(items).flatMap(({ changes }) => changes.map(({ table, old, new: rows }) => [table.name, table.unreadable === undefined ? [...old, ...rows] : 'unreadable']));
      expect(given.filter(([name]) => name === 'by_itself')).toEqual([['by_itself', [['1']]]]);
      expect(given.filter(([name, rows]) => name === 'choice' && rows !== 'unreadable')).toEqual([['choice', [['3', 'b']]]]);
    });

    test('behind statements that leave definitions as they are, those of other tables are not asked for again', async () => {
      const start = await endOf(server);
      const create = (at: number): string => `CREATE TRIGGER shop.guard${at} ${at % 2 === 0 ? 'BEFORE' : 'AFTER'} ${['INSERT', 'UPDATE', 'DELETE'][at >> 1]} ON shop.guarded FOR EACH ROW SET @x = 1`;
      await server.sql('CREATE TABLE busy (id int PRIMARY KEY); CREATE TABLE guarded (id int PRIMARY KEY); INSERT INTO busy VALUES (0)', 'shop');
      for (let at = 0; at < 6; at += 1) await server.sql(`${create(at)}; INSERT INTO shop.busy VALUES (${at + 1})`);
      const asked: string[] = [];
      const facts: TableFacts = (schema, name) => {
        asked.push(name);
        return factsOf(server)(schema, name);
      };
      const { items } = await readToNow(server, await openReader(server, start, { facts }));
      expect(insertedIds(items)).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(asked).toEqual(['busy']);
    });

    test('a catalog that cannot be asked now may be asked later', async () => {
      const start = await endOf(server);
      await server.sql("CREATE TABLE q (id int PRIMARY KEY); INSERT INTO q VALUES (1); DROP TABLE q", 'shop');
      const facts = (): Promise<never> => Promise.reject(new Error('Connection lost'));
      await expect(readToNow(server, await openReader(server, start, { facts }))).rejects.toMatchObject({ code: 'MIG023', retryable: true, detail: 'Connection lost' });
    });

    test('a statement is told in the characters in which it was written', async () => {
      const start = await endOf(server);
      await server.sql('SET NAMES latin1; CREATE TABLE `tä` (id int PRIMARY KEY); SET NAMES utf8; CREATE TABLE `tö` (id int PRIMARY KEY)', 'shop');
      const { items } = await readToNow(server, await openReader(server, start));
      expect(statementsOf(items).map(({ text }) => /`(.*)`/.exec(text)?.[1])).toEqual([Buffer.from('tä').toString('latin1'), 'tö']);
    });

    test('a table is captured from the moment on that it is asked for', async () => {
      let isWanted = false;
      const reader = await openReader(server, await endOf(server), { captures: (schema) => schema === 'shop' && isWanted });
      const items: BinlogItem[] = [];
      const batches = reader.batches();
      const until = async (token: string): Promise<void> => {
        while (!items.some((item) => item.kind === 'transaction' && item.markers.some((marker) => marker.token === token))) items.push(...((await batches.next()).value?.items ?? []));
      };
      await server.sql("INSERT INTO t VALUES (30, 'unseen')", 'shop');
      await until(await writeMarker(server));
      isWanted = true;
      await server.sql("INSERT INTO t VALUES (31, 'seen')", 'shop');
      await until(await writeMarker(server));
      reader.close();
      expect(insertedIds(items)).toEqual([31]);
    });

    test('a table made by a query comes with its rows; files that are loaded come as rows', async () => {
      const start = await endOf(server);
      const file = path.join(path.dirname(server.socketPath), 'rows.txt');
      fs.writeFileSync(file, '40\tx\n41\ty\n');
      await server.sql(`LOAD DATA INFILE '${file}' INTO TABLE t; CREATE TABLE loaded ENGINE=InnoDB AS SELECT * FROM t WHERE id IN (40, 41)`, 'shop').catch(async () => {
        // MySQL 5.6 refuses the second with GTIDs.
        expect(kind).toBe('mysql-5.6');
        await server.sql('CREATE TABLE loaded LIKE t; INSERT INTO loaded SELECT * FROM t WHERE id IN (40, 41)', 'shop');
      });
      const { items } = await readToNow(server, await openReader(server, start));
      expect(insertedIds(items)).toEqual([40, 41, 40, 41]);
      expect(statementsOf(items).map(({ text }) => text.slice(0, 12))).toEqual(['CREATE TABLE']);
    });

    test('a server that falls silent is left, before and after the binlog has begun', async () => {
      await using link = await startLink(server.port);
      const address = { ...addressOf(server), port: link.port };
      const reader = await openReader(server, await endOf(server), { address, heartbeatMs: 100 });
      const ended = (async () => {
        for await (const batch of reader.batches()) expect(batch.items).toEqual([]);
      })();
      link.silence();
      await expect(ended).rejects.toMatchObject({ code: 'MIG023', retryable: true });
      await expect(ReplicaConnection.open(address, 200)).rejects.toMatchObject({ code: 'MIG001', retryable: true });
    });

    test('a reader that is held back for longer than the server waits is still sent everything', async () => {
      await server.sql('SET GLOBAL net_write_timeout = 1');
      const start = await endOf(server);
      for (let id = 50; id < 80; id += 1) await server.sql(`INSERT INTO t VALUES (${id}, REPEAT('x', 1000000))`, 'shop');
      const token = await writeMarker(server);
      const reader = await openReader(server, start, { batchBytes: 100_000, queueBytes: 100_000 });
      const items: BinlogItem[] = [];
      for await (const batch of reader.batches()) {
        items.push(...batch.items);
        if (batch.items.some((item) => item.kind === 'transaction' && item.changes.length > 0)) break;
      }
      // Nothing to poll: the server must be waiting for longer than its limit.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      items.push(...(await readToMarker(reader, token)).items);
      expect(insertedIds(items)).toEqual(Array.from({ length: 30 }, (_, index) => 50 + index));
      await server.sql('DELETE FROM t; SET GLOBAL net_write_timeout = 60', 'shop');
    });

    test('two readers under one id', async () => {
      const start = await endOf(server);
      const first = await openReader(server, start);
      const ended = (async () => {
        for await (const batch of first.batches()) expect(transactionsOf(batch.items)).toEqual([]);
      })().catch((error: unknown) => error);
      // The server ends the one that asks first, and a reader does not wait for its question to arrive.
      await expect.poll(() => server.sql("SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")).toHaveLength(1);
      const second = await openReader(server, start);
      await readToNow(server, second);
      first.close();
      // MySQL 9.7 says why it ends the first one, MariaDB does now and then; MySQL 5.6 ends it.
      expect(await ended).toMatchObject({ code: 'MIG023', retryable: true, ...(kind !== 'mysql-9.7' ? {} : { hint: expect.stringContaining('an id of its own') }) });
    });
  });
}

interface Link extends AsyncDisposable {
  readonly port: number;
  /** Connections stay, and nothing passes any more. */
  silence(): void;
}

/** A network between a reader and a server. */
async function startLink(port: number): Promise<Link> {
  const sockets: net.Socket[] = [];
  let isSilent = false;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('data', (bytes) => isSilent || far.write(bytes));
    far.on('data', (bytes) => isSilent || near.write(bytes));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    silence: () => (isSilent = true),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

for (const kind of ['mysql-9.7', 'mysql-5.6'] as const) {
  describeMysql([kind], `${kind} without GTIDs`, () => {
    test('is read by file and offset, also after it was killed', async () => {
      await using server = await startShop(kind, ['gtid-mode=OFF', 'enforce-gtid-consistency=OFF']);
      let position = await endOf(server);
      expect(position.type).toBe('mysql_binlog');
      const seen: number[] = [];
      for (let round = 0; round < 3; round += 1) {
        for (let id = 0; id < 5; id += 1) await server.sql(`BEGIN; INSERT INTO t VALUES (${100 + round * 10 + id * 2}, 'a'); INSERT INTO t VALUES (${101 + round * 10 + id * 2}, 'b'); COMMIT${id === 2 ? '; FLUSH BINARY LOGS' : ''}`, 'shop');
        const read = await readToNow(server, await openReader(server, position));
        position = read.position;
        seen.push(...insertedIds(read.items));
        expect(transactionsOf(read.items).every(({ gtid }) => gtid === '')).toBe(true);
        await server.kill();
        await server.restart();
      }
      expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => 100 + index));
    });
  });
}

describeMysql(['mariadb-10.11'], 'mariadb-10.11 alone', () => {
  test('a change of definition that is logged in two phases is told once, when it is made', async () => {
    await using server = await startShop('mariadb-10.11', ['binlog-row-metadata=FULL']);
    const start = await endOf(server);
    await server.sql('SET binlog_alter_two_phase = ON; INSERT INTO t VALUES (1, 1), (2, 1); ALTER TABLE t ADD w int; INSERT INTO t VALUES (3, 1, 1)', 'shop');
    await expect(server.sql('SET binlog_alter_two_phase = ON; ALTER TABLE t ADD UNIQUE (w), ADD UNIQUE (v(1))', 'shop')).rejects.toThrow(/Duplicate/);
    const { items, position } = await readToNow(server, await openReader(server, start));
    expect(insertedIds(items)).toEqual([1, 2, 3]);
    expect(statementsOf(items).map(({ text }) => text)).toEqual(['ALTER TABLE t ADD w int']);
    expect(position).toEqual(await endOf(server));
  });
});

describeMysql(['mysql-9.7'], 'mysql-9.7 alone', () => {
  test('a transaction without GTID ends a stream that goes by GTID', async () => {
    await using server = await startShop('mysql-9.7');
    const start = await endOf(server);
    await server.sql("SET GLOBAL gtid_mode = ON_PERMISSIVE; SET gtid_next = 'ANONYMOUS'; INSERT INTO shop.t VALUES (1, 'anonymous')");
    await expect(readFrom(server, start)).rejects.toMatchObject({ code: 'MIG021', detail: expect.stringMatching(/AUTO_POSITION|anonymous/i) });
  });

  test('a large compressed transaction comes in parts', async () => {
    await using server = await startShop('mysql-9.7', ['binlog-transaction-compression=ON', 'max-allowed-packet=128M', 'innodb-redo-log-capacity=512M']);
    const start = await endOf(server);
    const digits = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(' UNION ALL ');
    await server.sql(`BEGIN; INSERT INTO t SELECT a.d * 1000 + b.d * 100 + c.d * 10 + e.d, CONCAT(a.d, b.d, c.d, e.d, REPEAT('x', 6000)) FROM (${digits}) a, (${digits}) b, (${digits}) c, (${digits}) e ORDER BY 1; INSERT INTO t VALUES (10000, REPEAT('y', 20000000)); COMMIT; INSERT INTO t VALUES (10001, 'z')`, 'shop');
    const { items, position } = await readToNow(server, await openReader(server, start));
    const parts = transactionsOf(items);
    expect(parts.length).toBeGreaterThan(10);
    expect(insertedIds(items)).toEqual(Array.from({ length: 10_002 }, (_, id) => id));
    expect(parts.flatMap(({ changes }) => changes.flatMap((change) => change.new)).every(([id, text]) => Number(id) >= 10_000 || text === String(id).padStart(4, '0') + 'x'.repeat(6000))).toBe(true);
    expect(position).toMatchObject({ gtidSet: (await endOf(server) as { gtidSet?: string }).gtidSet });
  });
});

for (const kind of ['mariadb-10.11', 'mysql-9.7'] as const) {
  describeMysql([kind], `${kind}, columns that nobody writes`, () => {
    for (const metadata of ['FULL', kind === 'mysql-9.7' ? 'MINIMAL' : 'NO_LOG']) {
      test(`are told apart with row metadata ${metadata}`, async () => {
        await using server = await startShop(kind, [`binlog-row-metadata=${metadata}`]);
        const functional = kind === 'mysql-9.7' ? ', KEY k ((a + 5))' : '';
        await server.sql(`CREATE TABLE g (id int PRIMARY KEY, v int AS (a + 1) VIRTUAL, a int, s int AS (a * 2) STORED, h int DEFAULT 7 INVISIBLE, b varchar(5)${functional}) ENGINE=InnoDB`, 'shop');
        const start = await endOf(server);
        await server.sql("INSERT INTO g (id, a, b) VALUES (1, 10, 'x'); UPDATE g SET a = 11", 'shop');
        const { items } = await readToNow(server, await openReader(server, start));
        const rows = transactionsOf(items).flatMap(({ changes }) => changes.flatMap(({ table, new: images }) => images.map((image) => Object.fromEntries(table.columns.map((name, at) => [name, image[at]])))));
        expect(rows).toMatchObject([{ id: '1', a: '10', s: '20', h: '7', b: 'x' }, { id: '1', a: '11', s: '22', h: '7', b: 'x' }]);
      });
    }
  });
}
