/** Property: a MySQL client works through the gateway as it works directly, whatever of the protocol it uses. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Capability } from '../../../src/wire/mysql/capabilities.ts';
import { Command } from '../../../src/wire/mysql/commands.ts';
import { integer } from '../../../src/wire/mysql/payload.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { onLocal, onSource } from '../gateway-fixture.ts';
import { appPassword, openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';
import { errorIn, firstColumn, RawMysql } from './raw-mysql.ts';

const kinds = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] as const;

describeMysql(kinds, 'through the MySQL front door', () => {
  describe.each(kinds)('%s', (kind) => {
    let server: TestMysql;
    let fixture: DoorFixture;

    beforeAll(async () => {
      server = await startMysql(kind, { settings: ['max-allowed-packet=64M', ...(kind === 'mysql-5.6' ? ['innodb-log-file-size=400M'] : [])] });
      fixture = await openDoor(server);
      await server.createDatabase('shop');
      await server.sql("CREATE TABLE item (id int primary key, name varchar(100), price decimal(10,2)) ENGINE=InnoDB; INSERT INTO item VALUES (1, 'a', 1.50), (2, NULL, 2); CREATE TABLE big (id int auto_increment primary key, data longblob) ENGINE=InnoDB", 'shop');
    });

    afterAll(async () => {
      await fixture?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    const connect = (options: mysql.ConnectionOptions = {}): Promise<mysql.Connection> => mysql.createConnection({ host: '127.0.0.1', port: fixture.door.port, user: 'causeway', database: 'shop', ...options });
    const raw = (without = 0): Promise<RawMysql> => RawMysql.connect({ host: '127.0.0.1', port: fixture.door.port, user: 'causeway' }, 'shop', without);

    test('text, prepared and several statements, and what the control answers', async () => {
      const connection = await connect({ multipleStatements: true });
      expect((await connection.query('SELECT * FROM item ORDER BY id'))[0]).toEqual([{ id: 1, name: 'a', price: '1.50' }, { id: 2, name: null, price: '2.00' }]);
      for (const id of [1, 2]) expect((await connection.execute('SELECT name FROM item WHERE id = ?', [id]))[0]).toEqual([{ name: id === 1 ? 'a' : null }]);
      expect((await connection.query('SELECT 1 AS a; SELECT 2 AS b; DO 1'))[0]).toHaveLength(3);
      expect((await connection.query('SHOW MIGRATION STATUS'))[0]).toEqual([{ Table: 'orders', State: 'DUAL_WRITE' }, { Table: 'items', State: null }]);
      await expect(connection.query('SELECT nothing')).rejects.toThrow('Unknown column');
      await expect(connection.execute('SHOW MIGRATION STATUS')).rejects.toThrow('cannot be prepared');
      expect((await connection.query('CHECK TABLE item'))[0]).toHaveLength(1);
      await connection.end();
      expect(fixture.control.commands.every(({ user, searchPath }) => user === 'causeway' && searchPath[0] === 'shop')).toBe(true);
    });

    test('transactions: a migration statement that changes something is refused inside one', async () => {
      const connection = await connect();
      await connection.query('BEGIN');
      await connection.query("UPDATE item SET name = 'b' WHERE id = 1");
      await expect(connection.query('CUTOVER TABLE x')).rejects.toThrow('MIG074');
      expect((await connection.query('SHOW MIGRATION STATUS'))[0]).toHaveLength(2);
      await connection.query('ROLLBACK');
      expect((await connection.query('SELECT name FROM item WHERE id = 1'))[0]).toEqual([{ name: 'a' }]);
      connection.destroy();
    });

    test.each([['with EOF packets', Capability.deprecateEof], ['without', 0]])('commands one by one, %s', async (_name, without) => {
      using client = await raw(without | Capability.optionalMetadata);
      const send = async (code: number, shape: Parameters<RawMysql['answer']>[0], rest: Buffer | string = ''): Promise<readonly Buffer[]> => {
        client.socket.write(client.command(code, rest));
        return await client.answer(shape);
      };
      expect((await send(Command.ping, 'packet'))[0]?.[0]).toBe(0);
      expect((await send(Command.initDatabase, 'packet', 'shop'))[0]?.[0]).toBe(0);
      expect(errorIn(await send(Command.initDatabase, 'packet', 'nowhere'))).toContain('1049');
      expect((await send(Command.statistics, 'packet'))[0]?.toString()).toContain('Uptime');
      expect((await send(Command.setOption, 'packet', Buffer.of(0, 0)))[0]?.[0]).toBe(0xfe);
      expect((await send(Command.resetConnection, 'packet'))[0]?.[0]).toBe(kind === 'mysql-5.6' ? 0xff : 0);
      if (kind !== 'mysql-9.7') expect((await send(Command.fieldList, 'fields', 'item\0')).length).toBe(4);
      expect(errorIn(await send(0x12, 'packet', Buffer.alloc(10)))).toBe('1047 COM_BINLOG_DUMP is not possible through the gateway');
      expect(errorIn(await send(0xfa, 'packet'))).toContain('COM_STMT_BULK_EXECUTE');
      expect(errorIn(await send(0x77, 'packet'))).toContain('command 119');
      // Long data, a cursor, reset, close.
      const [prepared] = await send(Command.prepare, 'prepare', 'SELECT ? AS a UNION ALL SELECT 2');
      const id = prepared?.subarray(1, 5) ?? Buffer.alloc(4);
      client.socket.write(client.command(Command.sendLongData, Buffer.concat([id, Buffer.of(0, 0), Buffer.from('long ')])));
      client.socket.write(client.command(Command.sendLongData, Buffer.concat([id, Buffer.of(0, 0), Buffer.from('data')])));
      const execute = (cursor: number): Buffer => Buffer.concat([id, Buffer.of(cursor), integer(1, 4), Buffer.of(0, 1, 252, 0)]);
      const rows = await send(Command.execute, 'result', execute(0));
      expect(rows.some((row) => row.includes('long data'))).toBe(true);
      expect((await send(Command.resetStatement, 'packet', id))[0]?.[0]).toBe(0);
      client.socket.write(client.command(Command.sendLongData, Buffer.concat([id, Buffer.of(0, 0), Buffer.from('again')])));
      await send(Command.execute, 'result', execute(1));
      const fetched = [...await send(Command.fetch, 'rows', Buffer.concat([id, integer(1, 4)])), ...await send(Command.fetch, 'rows', Buffer.concat([id, integer(5, 4)]))];
      expect(fetched.filter((row) => row[0] === 0)).toHaveLength(2);
      client.socket.write(client.command(Command.closeStatement, id));
      expect(errorIn(await send(Command.execute, 'result', execute(0)))).toContain('1243');
      expect(firstColumn(await client.query('SELECT 7'), client.capabilities)).toEqual(['7']);
    });

    test('packets of 16 MiB and more, both ways', async () => {
      const connection = await connect();
      for (const size of [0xffffff - 40, 0xffffff, 0x1000000 + 5, 33_554_430]) {
        const data = Buffer.alloc(size, 'abcdefg');
        const [{ insertId }] = await connection.query<mysql.ResultSetHeader>('INSERT INTO big (data) VALUES (?)', [data.toString()]);
        const [[row]] = await connection.query<mysql.RowDataPacket[]>('SELECT data, LENGTH(data) AS bytes FROM big WHERE id = ?', [insertId]);
        expect([row?.['bytes'], data.equals(row?.['data'] as Buffer)]).toEqual([size, true]);
        await connection.execute('UPDATE big SET data = ? WHERE id = ?', [data.subarray(1), insertId]);
        expect((await connection.query<mysql.RowDataPacket[]>('SELECT LENGTH(data) AS bytes FROM big WHERE id = ?', [insertId]))[0]).toEqual([{ bytes: size - 1 }]);
      }
      await connection.query('TRUNCATE big');
      connection.destroy();
    }, 60_000);

    test('LOAD DATA LOCAL INFILE, of many packets, of none, and of a file that the client has not', async () => {
      const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-load-')), 'rows');
      fs.writeFileSync(file, Array.from({ length: 30_000 }, (_, id) => `${id + 100}\tname ${id}\t1.5\n`).join(''));
      const connection = await connect({ infileStreamFactory: (name: string) => fs.createReadStream(name) });
      await connection.query('CREATE TEMPORARY TABLE loaded LIKE item');
      const load = (name: string): Promise<unknown> => connection.query({ sql: `LOAD DATA LOCAL INFILE '${name}' INTO TABLE loaded`, infileStreamFactory: () => fs.createReadStream(name) });
      await load(file);
      expect((await connection.query('SELECT COUNT(*) AS n, MAX(id) AS last FROM loaded'))[0]).toEqual([{ n: 30_000, last: 30_099 }]);
      await load('/dev/null');
      await connection.query('SELECT 1');
      connection.destroy();
      fs.rmSync(path.dirname(file), { recursive: true });
    });

    test('another user on the same connection', async () => {
      const connection = await connect();
      await connection.query('SET @x = 1');
      await connection.changeUser({ user: 'app', password: appPassword, database: 'shop' });
      expect((await connection.query('SELECT @x AS x, DATABASE() AS d'))[0]).toEqual([{ x: null, d: 'shop' }]);
      await expect(connection.changeUser({ user: 'app', password: 'wrong' })).rejects.toThrow('Access denied');
      connection.destroy();
    });

    test('KILL by the number of the handshake, and by that of the source', async () => {
      using sleeper = await raw();
      using killer = await raw();
      const [own] = firstColumn(await sleeper.query('SELECT CONNECTION_ID()'), sleeper.capabilities);
      expect([sleeper.connectionId >= 2 ** 30, sleeper.connectionId < 2 ** 31]).toEqual([true, true]);
      for (const id of [sleeper.connectionId, own]) {
        const answered = sleeper.query('SELECT 1 FROM item WHERE SLEEP(30) = 5');
        await expect.poll(async () => (await server.sql(`SELECT id FROM information_schema.processlist WHERE id = ${own} AND info LIKE '%SLEEP%'`)).length).toBe(1);
        expect((await killer.query(`KILL QUERY ${id}`))[0]?.[0]).toBe(0);
        // Some answer an interrupted SLEEP with rows, some with an error.
        expect((await answered).length).toBeGreaterThan(0);
      }
      expect(errorIn(await killer.query(`KILL ${2 ** 31 + 1}`))).toContain('1094 Unknown thread id');
      killer.socket.write(killer.command(Command.processKill, integer(sleeper.connectionId, 4)));
      expect((await killer.answer('result'))[0]?.[0]).toBe(0);
      await sleeper.closed();
    });

    test('what runs ends when its client goes', async () => {
      const client = await raw();
      const [id] = firstColumn(await client.query('SELECT CONNECTION_ID()'), client.capabilities);
      client.socket.write(client.command(Command.query, 'SELECT SLEEP(60), 1 FROM item'));
      const running = async (): Promise<number> => (await server.sql(`SELECT id FROM information_schema.processlist WHERE id = ${id} AND info LIKE '%SLEEP%'`)).length;
      await expect.poll(running).toBe(1);
      client.socket.destroy();
      await expect.poll(running).toBe(0);
    });

    test('tables that migrate: what the source may not answer is refused, the rest passes', async () => {
      const connection = await connect({ multipleStatements: true });
      await using other = await openDoor(server);
      const guarded = await mysql.createConnection({ host: '127.0.0.1', port: other.door.port, user: 'causeway', database: 'shop' });
      const statement = await guarded.prepare('SELECT name FROM item WHERE id = ?');
      expect((await statement.execute([1]))[0]).toEqual([{ name: 'a' }]);
      other.control.publish({ item: onLocal, big: { ...onSource, writesBlocked: true } });
      await expect(guarded.query('SELECT * FROM item')).rejects.toThrow('MIG082: table "public.item" is LOCAL_ONLY');
      await expect(statement.execute([1])).rejects.toThrow('MIG082');
      await expect(guarded.query('INSERT INTO big (data) VALUES (1)')).rejects.toThrow('not to be written now');
      await expect(guarded.query(`INSERT INTO big (data) VALUES ('${'x'.repeat(40_000)}')`)).rejects.toThrow('not to be written now');
      expect((await guarded.query('SELECT COUNT(*) AS n FROM big'))[0]).toEqual([{ n: 0 }]);
      await expect(guarded.query('CALL anything()')).rejects.toThrow('CALL may touch');
      expect((await guarded.query('SELECT UPPER(DATABASE()) AS d'))[0]).toEqual([{ d: 'SHOP' }]);
      other.control.publish({});
      expect((await statement.execute([1]))[0]).toEqual([{ name: 'a' }]);
      guarded.destroy();
      connection.destroy();
    });

    test('a barrier: who has touched the table is waited for, who has not waits', async () => {
      await using other = await openDoor(server, { limits: { parkLimitMs: 1_500 } });
      const open = (): Promise<mysql.Connection> => mysql.createConnection({ host: '127.0.0.1', port: other.door.port, user: 'causeway', database: 'shop' });
      const [holder, late] = [await open(), await open()];
      const source = { state: 'SYNCHRONIZING', reads: 'source', writes: 'source' } as const;
      other.control.publish({ item: source });
      await holder.query('BEGIN');
      await holder.query("UPDATE item SET name = 'c' WHERE id = 1");
      other.control.publish({ item: { ...source, quiescing: true } });
      const report = () => other.door.quiesceReport(['public.item'], other.control.snapshot.epoch);
      expect(report()).toMatchObject({ holding: [{ user: 'causeway', lastStatement: expect.stringContaining('UPDATE') }], parked: 0 });
      const waiting = late.query('SELECT name FROM item WHERE id = 1');
      await expect.poll(() => report().parked).toBe(1);
      // It holds locks: it may go on, and end.
      await holder.query('SELECT * FROM item');
      await holder.query('ROLLBACK');
      expect(report()).toMatchObject({ holding: [], parked: 1 });
      other.control.publish({ item: source });
      expect((await waiting)[0]).toEqual([{ name: 'a' }]);
      other.control.publish({ item: { ...source, quiescing: true } });
      await expect(late.query('SELECT name FROM item')).rejects.toThrow('MIG087');
      expect((await late.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);
      for (const each of [holder, late]) each.destroy();
    });

    test('the end of the gateway: who is idle is told, who has something open may finish it', async () => {
      const going = await openDoor(server);
      const connection = await mysql.createConnection({ host: '127.0.0.1', port: going.door.port, user: 'causeway', database: 'shop' });
      await connection.query('BEGIN');
      await connection.query("UPDATE item SET name = 'd' WHERE id = 2");
      const over = going.door.drain(10_000, new AbortController().signal);
      await connection.query('COMMIT');
      await over;
      expect(going.door.sessions).toBe(0);
      await going[Symbol.asyncDispose]();
      expect((await server.sql('SELECT name FROM shop.item WHERE id = 2'))[0]).toEqual({ name: 'd' });
      await server.sql('UPDATE shop.item SET name = NULL WHERE id = 2');
      connection.destroy();
    });
  });
});
