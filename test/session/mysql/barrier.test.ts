/** Property: a barrier is not passed by a MySQL session that may still write on the source what it touched before, and no statement passes it (RULES 10, 21). */
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TableRoute } from '../../../catalog/routing-snapshot.ts';
import type { QuiesceReport } from '../../../src/session/control-port.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';
import { onLocal, onSource } from '../gateway-fixture.ts';
import { openDoor } from './door-fixture.ts';
import type { DoorFixture } from './door-fixture.ts';

const kinds = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] as const;

describeMysql(kinds, 'barriers and MySQL sessions', () => {
  describe.each(kinds)('%s', (kind) => {
    let server: TestMysql;
    let fixture: DoorFixture;
    let clients: mysql.Connection[];

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      await server.sql('CREATE TABLE item (id int primary key, n int) ENGINE=InnoDB; CREATE TABLE other (id int primary key, n int) ENGINE=InnoDB', 'shop');
      await server.sql(`CREATE PROCEDURE leaves_open() BEGIN START TRANSACTION; UPDATE item SET n = 100 WHERE id = 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'left open'; END`, 'shop');
    });

    beforeEach(async () => {
      fixture = await openDoor(server);
      clients = [];
      await server.sql('DELETE FROM item; DELETE FROM other; INSERT INTO item VALUES (1, 1), (2, 2); INSERT INTO other VALUES (1, 1), (2, 2)', 'shop');
    });

    afterEach(async () => {
      for (const client of clients) client.destroy();
      await fixture[Symbol.asyncDispose]();
    });

    afterAll(() => server?.dispose());

    async function connect(): Promise<mysql.Connection> {
      const client = await mysql.createConnection({ host: '127.0.0.1', port: fixture.door.port, user: 'causeway', database: 'shop' });
      clients.push(client);
      return client;
    }

    const publish = (item: Partial<TableRoute>, more: Readonly<Record<string, Partial<TableRoute>>> = {}): void => fixture.control.publish({ item, ...more });
    const report = (): QuiesceReport => fixture.door.quiesceReport(['public.item'], fixture.control.snapshot.epoch);
    const barrier = { ...onSource, quiescing: true, barrier: 7 };
    const closed = { ...barrier, closed: true };
    const parked = (count: number): Promise<void> => expect.poll(() => report().parked).toBe(count);
    const rows = async (): Promise<string> => (await server.sql('SELECT n FROM shop.item ORDER BY id')).map((row) => row['n']).join();

    test('a whole cutover: who has begun ends, who comes later waits, and then is refused; nothing is written behind the barrier', async () => {
      const [holder, late, prepared] = [await connect(), await connect(), await connect()];
      const statement = await prepared.prepare('UPDATE item SET n = n + ? WHERE id = 2');
      publish(onSource);
      await holder.query('START TRANSACTION');
      await holder.query('UPDATE item SET n = 10 WHERE id = 1');
      publish(barrier);
      const writes = [late.query('UPDATE item SET n = 20 WHERE id = 2'), statement.execute([40])].map((each) => each.then(() => 'written', (error: unknown) => String(error)));
      await parked(2);
      publish(closed);
      expect(report().holding).toMatchObject([{ user: 'causeway', backendPids: { source: expect.any(Number) } }]);
      // The barrier waits for it: it has to get through.
      await holder.query('UPDATE item SET n = n + 1 WHERE id = 1');
      await holder.query('COMMIT');
      await expect.poll(() => report().holding).toEqual([]);
      const fenced = await rows();
      expect(fenced).toBe('11,2');
      publish(onLocal);
      for (const outcome of await Promise.all(writes)) expect(outcome).toContain('MIG082');
      await expect(holder.query('DELETE FROM item')).rejects.toThrow('MIG082');
      await expect(statement.execute([40])).rejects.toThrow('MIG082');
      expect(await rows()).toBe(fenced);
      expect((await late.query('SELECT n FROM other WHERE id = 2'))[0]).toEqual([{ n: 2 }]);
    });

    test('what began before anybody knew of the table is waited for: no table migrated, or another', async () => {
      const [early, beside] = [await connect(), await connect()];
      await early.query('BEGIN');
      await early.query('UPDATE item SET n = 5 WHERE id = 1');
      fixture.control.publish({ other: onSource });
      await beside.query('BEGIN');
      await beside.query('UPDATE item SET n = 6 WHERE id = 2');
      publish(onSource, { other: onSource });
      publish(closed, { other: onSource });
      expect(report().holding).toHaveLength(2);
      for (const client of [early, beside]) {
        await client.query('UPDATE item SET n = n * 10 WHERE id = 1 OR id = 2 LIMIT 0');
        await client.query('COMMIT');
      }
      await expect.poll(() => report().holding).toEqual([]);
      expect(await rows()).toBe('5,6');
    });

    test('autocommit off: the transaction begins with the statement', async () => {
      const client = await connect();
      publish(onSource);
      await client.query('SET autocommit = 0');
      await client.query('INSERT INTO item VALUES (3, 3)');
      publish(barrier);
      expect(report().holding).toHaveLength(1);
      await client.query('COMMIT');
      await expect.poll(() => report().holding).toEqual([]);
    });

    test('an error that leaves a transaction open, and one that ends it', async () => {
      const [caller, victim] = [await connect(), await connect()];
      publish(onSource);
      await expect(caller.query('CALL leaves_open()')).rejects.toThrow('left open');
      publish(barrier);
      expect(report().holding).toHaveLength(1);
      await caller.query('ROLLBACK');
      await expect.poll(() => report().holding).toEqual([]);
      publish(onSource);
      const direct = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: 'shop' });
      clients.push(direct);
      await direct.query('BEGIN');
      // Of two in a deadlock the one that has changed less is the victim.
      await direct.query('INSERT INTO other VALUES (3, 3), (4, 4), (5, 5), (6, 6)');
      await direct.query('UPDATE other SET n = 0 WHERE id = 1');
      await victim.query('BEGIN');
      await victim.query('UPDATE item SET n = 0 WHERE id = 1');
      const blocked = direct.query('UPDATE item SET n = 1 WHERE id = 1');
      await expect.poll(async () => (await server.sql("SELECT id FROM information_schema.processlist WHERE info LIKE 'UPDATE item SET n = 1%'")).length).toBe(1);
      await expect(victim.query('UPDATE other SET n = 1 WHERE id = 1')).rejects.toThrow('Deadlock');
      await blocked;
      publish(barrier);
      await expect.poll(() => report().holding).toEqual([]);
      await direct.query('ROLLBACK');
    });

    test('what a server says of an error stays as it was: the gateway\'s own question is not seen', async () => {
      const direct = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: 'shop' });
      clients.push(direct);
      const said: unknown[] = [];
      for (const client of [direct, await connect()]) {
        await client.query('BEGIN');
        await client.query('INSERT INTO item VALUES (9, 9)');
        await expect(client.query('INSERT INTO item VALUES (1, 1)')).rejects.toThrow('Duplicate');
        const count = (await client.query('SELECT ROW_COUNT() AS n'))[0];
        await expect(client.query('INSERT INTO item VALUES (1, 1)')).rejects.toThrow('Duplicate');
        said.push([count, (await client.query('SHOW WARNINGS'))[0], (await client.query('SELECT ROW_COUNT() AS n'))[0], (await client.query('SELECT COUNT(*) AS n FROM item'))[0]]);
        await client.query('ROLLBACK');
      }
      expect(said[1]).toEqual(said[0]);
    });

    test('LOCK TABLES outlasts its statement', async () => {
      const client = await connect();
      publish(onSource);
      await client.query('LOCK TABLES item WRITE');
      publish(closed);
      expect(report().holding).toHaveLength(1);
      await client.query('UPDATE item SET n = 8 WHERE id = 1');
      expect(report().holding).toHaveLength(1);
      await client.query('UNLOCK TABLES');
      await expect.poll(() => report().holding).toEqual([]);
    });

    test('a prepared branch of XA is waited for: it writes with its commit', async () => {
      const client = await connect();
      publish(onSource);
      for (const text of ["XA START 'x'", 'UPDATE item SET n = 7 WHERE id = 1', "XA END 'x'", "XA PREPARE 'x'"]) await client.query(text);
      publish(closed);
      expect(report().holding).toHaveLength(1);
      await client.query("XA COMMIT 'x'");
      await expect.poll(() => report().holding).toEqual([]);
      expect(await rows()).toBe('7,2');
    });

    test('one that is parked with locks is given up as a deadlock is; one without goes on waiting', async () => {
      const [inTransaction, alone] = [await connect(), await connect()];
      publish(onSource);
      await inTransaction.query('BEGIN');
      await inTransaction.query('UPDATE other SET n = 9 WHERE id = 1');
      publish(closed);
      const outcome = inTransaction.query('UPDATE item SET n = 9 WHERE id = 1').then(() => undefined, (error: unknown) => error);
      const waiting = alone.query('SELECT n FROM item WHERE id = 1');
      await parked(2);
      expect(fixture.door.failParked(fixture.door.parkedUnits(['public.item']).map(({ sessionId }) => sessionId))).toBe(1);
      expect(await outcome).toMatchObject({ errno: 1213, sqlState: '40001', message: expect.stringContaining('MIG083') });
      expect(await server.sql('SELECT n FROM shop.other WHERE id = 1 FOR UPDATE')).toEqual([{ n: '1' }]);
      expect(report()).toMatchObject({ holding: [], parked: 1 });
      publish(onSource);
      expect((await waiting)[0]).toEqual([{ n: 1 }]);
      expect((await inTransaction.query('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 1 }]);
    });

    test('without a lease nobody is let through by its locks', async () => {
      const client = await connect();
      publish(onSource, { other: onSource });
      await client.query('BEGIN');
      await client.query('UPDATE other SET n = 3 WHERE id = 1');
      fixture.control.leaseValid = false;
      publish(barrier, { other: onSource });
      const write = client.query('UPDATE item SET n = 3 WHERE id = 1');
      await parked(1);
      fixture.control.leaseValid = true;
      fixture.control.changed();
      await write;
      // Let in under the barrier's first epoch: the second one waits for it.
      publish(closed, { other: onSource });
      expect(report().holding).toHaveLength(1);
      await client.query('COMMIT');
      await expect.poll(() => report().holding).toEqual([]);
    });

    test('a table that has come back is not shown to a transaction from before', async () => {
      const client = await connect();
      publish(onLocal);
      await client.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
      publish({ ...onLocal, quiescing: true, closed: true });
      const read = client.query('SELECT n FROM item').then(() => 'read', (error: unknown) => String(error));
      await parked(1);
      publish(onSource);
      expect(await read).toContain('MIG083');
      await client.query('ROLLBACK');
      expect((await client.query('SELECT n FROM item WHERE id = 1'))[0]).toEqual([{ n: 1 }]);
    });

    test('who keeps a transaction open and sends nothing is ended', async () => {
      await using other = await openDoor(server, { limits: { idleTransactionMs: 200 } });
      const [idle, holder] = await Promise.all([0, 1].map(() => mysql.createConnection({ host: '127.0.0.1', port: other.door.port, user: 'causeway', database: 'shop' })));
      if (!idle || !holder) throw new Error('no clients');
      clients.push(idle, holder);
      other.control.publish({ item: onSource });
      await idle.query('SELECT n FROM item');
      await holder.query('BEGIN');
      await holder.query('UPDATE item SET n = 0 WHERE id = 1');
      const ended = new Promise<unknown>((resolve) => holder.on('error', resolve));
      other.control.publish({ item: closed });
      expect(await ended).toMatchObject({ message: expect.stringContaining('idle-in-transaction timeout') });
      await expect.poll(() => other.door.quiesceReport(['public.item'], other.control.snapshot.epoch).holding).toEqual([]);
      await expect.poll(rows).toBe('1,2');
      expect((await idle.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);
    });

    test('a client that goes while it waits leaves nothing, and its statement does not run', async () => {
      const client = await connect();
      publish(closed);
      const write = client.query('DELETE FROM item').then(() => 'written', () => 'gone');
      await parked(1);
      client.destroy();
      await parked(0);
      publish(onSource);
      await expect.poll(() => fixture.door.sessions).toBe(0);
      expect(await rows()).toBe('1,2');
      void write;
    });
  });
});
