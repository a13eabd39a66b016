/** Transactions, statements and positions of real servers: in commit order, whole, each exactly once, whatever connection or server they are read from. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readBinlogEnd } from '../../../cdc/mysql/binlog/begin-dump.ts';
import { ReplicaConnection } from '../../../cdc/mysql/binlog/replica-connection.ts';
import { compareMysqlPositions, readPosition, writePosition } from '../../../cdc/mysql/position.ts';
import type { BinlogItem } from '../../../cdc/mysql/binlog/transaction.ts';
import type { MysqlPosition } from '../../../cdc/mysql/position.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { addressOf, endOf, installMarkers, knownFrom, openReader, readToMarker, readToNow, replay, statementsOf, transactionsOf, writeMarker } from './binlog-harness.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];

async function withShop(server: TestMysql): Promise<void> {
  await installMarkers(server);
  await server.createDatabase('shop');
  await server.createDatabase('other');
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v varchar(100)) ENGINE=InnoDB', 'shop');
  await server.sql('CREATE TABLE t (id int PRIMARY KEY, v varchar(100)) ENGINE=InnoDB', 'other');
}

const asFile = ({ binlogFile, binlogPosition }: MysqlPosition): MysqlPosition => ({ type: 'mysql_binlog', binlogFile, binlogPosition });

for (const kind of kinds) {
  describeMysql([kind], kind, () => {
    let server: TestMysql;
    beforeAll(async () => {
      server = await startMysql(kind, { settings: ['max-allowed-packet=64M'] });
      await withShop(server);
    });
    afterAll(() => server.dispose());

    test('a transaction comes whole, with its rows in order, once; others do not come', async () => {
      const reader = await openReader(server, await endOf(server));
      await server.sql("BEGIN; INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO other.t VALUES (1, 'x'); UPDATE t SET id = id + 10; DELETE FROM t WHERE id = 11; COMMIT", 'shop');
      await server.sql("BEGIN; INSERT INTO t VALUES (77, 'never'); ROLLBACK; INSERT INTO other.t VALUES (2, 'x')", 'shop');
      const { items, position } = await readToNow(server, reader);
      const [only, ...more] = transactionsOf(items);
      expect(more).toEqual([]);
      expect(only?.changes.map(({ op, table, old, new: rows }) => [op, table.name, old, rows])).toEqual([
        ['insert', 't', [], [['1', 'a'], ['2', 'b']]],
        ['update', 't', [['1', 'a'], ['2', 'b']], [['11', 'a'], ['12', 'b']]],
        ['delete', 't', [['11', 'a']], []],
      ]);
      expect(only).toMatchObject({ isFirst: true, end: 'commit', serverId: server.port, appliedBy: undefined });
      expect(Math.abs((only?.committedAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
      expect(only?.gtid).toMatch(kind.startsWith('mariadb') ? /^0-\d+-\d+$/ : /^[0-9a-f-]{36}:\d+$/);
      expect(compareMysqlPositions(position, await endOf(server))).toBe(0);
      expect(readPosition(JSON.parse(JSON.stringify(writePosition(position))))).toEqual(position);
    });

    test('file and offset, and GTIDs, lead to the same changes; each position in between goes on exactly behind it', async () => {
      const start = await endOf(server);
      const known = await knownFrom(server, start, 't');
      for (let id = 100; id < 110; id += 1) await server.sql(`INSERT INTO t VALUES (${id}, 'p')${id === 105 ? '; FLUSH BINARY LOGS' : ''}`, 'shop');
      const positions: MysqlPosition[] = [start];
      const token = await writeMarker(server);
      const whole = await readToMarker(await openReader(server, start), token);
      const byFile = await readToMarker(await openReader(server, asFile(start)), token);
      expect(transactionsOf(byFile.items).map(({ changes }) => changes)).toEqual(transactionsOf(whole.items).map(({ changes }) => changes));
      expect(byFile.position).toEqual(asFile(whole.position));
      // A limit of one byte ends each batch, and each part of a transaction, behind one event.
      const reader = await openReader(server, start, { batchBytes: 1, known });
      for await (const { items, position } of reader.batches()) {
        if (items.some((item) => item.kind === 'transaction' && item.end === 'commit')) positions.push(position);
        if (items.some((item) => item.kind === 'transaction' && item.markers.some((marker) => marker.token === token))) break;
      }
      reader.close();
      expect(positions.length).toBeGreaterThan(11);
      for (const [index, position] of positions.entries()) {
        expect(compareMysqlPositions(start, position)).toBe(index === 0 ? 0 : -1);
        if (index >= 10) continue;
        for (const from of [position, asFile(position)]) {
          const rest = await readToMarker(await openReader(server, from), token);
          const ids = transactionsOf(rest.items).flatMap(({ changes }) => changes.flatMap((change) => change.new.map(([id]) => Number(id))));
          expect(ids).toEqual(ids.filter((_, place) => ids.indexOf(ids[place] ?? 0) === place));
          expect(ids.at(-1)).toBe(109);
          expect(new Set(ids)).toEqual(new Set(transactionsOf(whole.items).flatMap(({ changes }) => changes.flatMap((change) => change.new.map(([id]) => Number(id)))).slice(-ids.length)));
        }
      }
    });

    test('a large transaction comes in parts, and the reader holds no more than it may', async () => {
      const start = await endOf(server);
      const rows = Array.from({ length: 20_000 }, (_, id) => `(${1000 + id}, '${'x'.repeat(90)}')`);
      await server.sql(`BEGIN; INSERT INTO t VALUES ${rows.slice(0, 10_000).join(',')}; INSERT INTO t VALUES ${rows.slice(10_000).join(',')}; COMMIT`, 'shop');
      const token = await writeMarker(server);
      const { items } = await readToMarker(await openReader(server, start, { batchBytes: 100_000, queueBytes: 100_000 }), token);
      const parts = transactionsOf(items);
      expect(parts.length).toBeGreaterThan(10);
      expect(parts.map(({ isFirst }) => isFirst)).toEqual(parts.map((_, index) => index === 0));
      expect(parts.map(({ end }) => end).slice(0, -1).every((end) => end === undefined)).toBe(true);
      const last = items.filter((item) => item.kind === 'transaction' && item.markers.length === 0).at(-1);
      expect(last).toMatchObject({ end: 'commit' });
      expect(replay(items, 't').size).toBe(20_000);
      await server.sql('DELETE FROM t', 'shop');
    });

    test('a statement comes exactly where it was run, with its database', async () => {
      const start = await endOf(server);
      const items: BinlogItem[] = [];
      const reader = await openReader(server, start);
      const batches = reader.batches();
      // Each is read before the next one is run: these servers do not log what columns are called.
      for (const text of ['CREATE TABLE d (id int PRIMARY KEY)', 'INSERT INTO d VALUES (1)', "ALTER TABLE d ADD v varchar(9) DEFAULT 'n'", "INSERT INTO d VALUES (2, 'b')", 'TRUNCATE TABLE d', 'DROP TABLE d']) {
        await server.sql(text, 'shop');
        for (const before = items.length; items.length === before; ) items.push(...((await batches.next()).value?.items ?? []));
      }
      reader.close();
      const told = items.flatMap((item) => (item.kind === 'statement' ? [item.text.trim().split(/\s+/).slice(0, 2).join(' ')] : item.changes.flatMap((change) => change.new.map((row) => row.join()))));
      expect(told).toEqual(['CREATE TABLE', '1', 'ALTER TABLE', '2,b', 'TRUNCATE TABLE', 'DROP TABLE']);
      expect(statementsOf(items).every(({ database }) => database === 'shop')).toBe(true);
    });

    test('markers and tags are told, in commit order', async () => {
      const start = await endOf(server);
      await server.sql("BEGIN; INSERT INTO causeway.applied (stream, position, token) VALUES ('back', 7, 'x') ON DUPLICATE KEY UPDATE position = 8; INSERT INTO t VALUES (500, 'tagged'); COMMIT; INSERT INTO t VALUES (501, 'own')", 'shop');
      const { items } = await readToNow(server, await openReader(server, start));
      expect(transactionsOf(items).map(({ appliedBy, changes }) => [appliedBy, changes[0]?.new[0]?.[0]])).toEqual([['back', '500'], [undefined, '501']]);
      expect(items.flatMap((item) => (item.kind === 'transaction' ? item.markers.map(({ name }) => name) : []))).toEqual(['test']);
    });

    test('an idle server says that it is there; the position moves past what is not captured', async () => {
      const start = await endOf(server);
      const reader = await openReader(server, start, { heartbeatMs: 200 });
      await server.sql("INSERT INTO other.t VALUES (900, 'x')");
      const wanted = await endOf(server);
      for await (const { items, position } of reader.batches()) {
        expect(items).toEqual([]);
        if (compareMysqlPositions(position, wanted) === 0) break;
      }
      reader.close();
    });

    test('a killed server is read on from where it was, without loss or repetition', async () => {
      let position = await endOf(server);
      const seen: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const reader = await openReader(server, position);
        const ended = (async () => {
          for await (const batch of reader.batches()) {
            position = batch.position;
            for (const { changes } of transactionsOf(batch.items)) for (const change of changes) seen.push(...change.new.map(([id]) => String(id)));
          }
        })().catch((error: unknown) => error);
        for (let id = 0; id < 20; id += 1) await server.sql(`INSERT INTO t VALUES (${600 + round * 20 + id}, 'k')`, 'shop');
        await server.kill();
        // The stream itself, or a question that it had for the server.
        expect(await ended).toMatchObject({ code: expect.stringMatching(/^MIG0(?:01|23)$/), retryable: true });
        await server.restart();
      }
      const { items } = await readToNow(server, await openReader(server, position));
      for (const { changes } of transactionsOf(items)) for (const change of changes) seen.push(...change.new.map(([id]) => String(id)));
      expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => String(600 + index)));
    });

    test('purged changes are a gap that is told, never skipped', async () => {
      const start = await endOf(server);
      await server.sql("INSERT INTO t VALUES (800, 'lost'); FLUSH BINARY LOGS; INSERT INTO t VALUES (801, 'kept'); FLUSH BINARY LOGS", 'shop');
      const { binlogFile } = await endOf(server);
      // A server keeps the files that connections of readers before still hold, which it notices late.
      await expect.poll(async () => {
        await server.sql(`PURGE BINARY LOGS TO '${binlogFile}'`);
        return (await server.sql('SHOW BINARY LOGS'))[0]?.['Log_name'];
      }).toBe(binlogFile);
      for (const from of [start, asFile(start)]) {
        const failure = openReader(server, from).then(async (reader) => {
          for await (const { items } of reader.batches()) expect(transactionsOf(items)).toEqual([]);
        });
        await expect(failure).rejects.toMatchObject({ code: 'MIG021', retryable: false });
      }
    });

    test('a change that was logged as a statement is refused when it names a captured table', async () => {
      const start = await endOf(server);
      await server.sql("SET SESSION binlog_format = 'STATEMENT'; INSERT INTO other.t VALUES (950, 'x')");
      await readToNow(server, await openReader(server, start));
      await server.sql("SET SESSION binlog_format = 'STATEMENT'; INSERT INTO t VALUES (951, 'x')", 'shop');
      await expect(readToNow(server, await openReader(server, start))).rejects.toMatchObject({ code: 'MIG021', detail: expect.stringContaining('INSERT INTO t') });
    });

    test('the end of the binlog is read with its GTIDs', async () => {
      const connection = await ReplicaConnection.open(addressOf(server));
      expect((await readBinlogEnd(connection)).type).toBe(kind.startsWith('mariadb') ? 'mariadb_gtid' : 'mysql_gtid');
      connection.close();
    });
  });
}
