// A MySQL database to local by statements of an operator, while its clients go on writing through the front door: nothing that was acknowledged is missing.
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

const kinds: readonly MysqlKind[] = ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'];
const customers = 200;

for (const kind of kinds) {
  describeMysql([kind], `a migration from ${kind}`, () => {
    let server: TestMysql;
    let stack: Stack;
    let port: number;
    const open: mysql.Connection[] = [];

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      await server.sql(`
        CREATE TABLE customer (id int AUTO_INCREMENT PRIMARY KEY, name varchar(60) NOT NULL, email varchar(80) NULL, seen timestamp NULL, balance decimal(12, 2) NOT NULL, UNIQUE KEY by_email (email)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
        CREATE TABLE orders (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, total decimal(12, 2) NOT NULL, paid tinyint(1) NOT NULL, state enum('new', 'sent', 'lost') NOT NULL, note text, picture blob,
          made datetime NOT NULL, KEY by_customer (customer_id), CONSTRAINT of_customer FOREIGN KEY (customer_id) REFERENCES customer (id)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`, 'shop');
      const rows = Array.from({ length: customers }, (_, at) => `('Käufer ${at}', 'c${at}@example.com', '2024-02-29 12:00:00', ${at}.25)`);
      await server.sql(`INSERT INTO customer (name, email, seen, balance) VALUES ${rows.join(', ')}`, 'shop');
      const orders = Array.from({ length: 3_000 }, (_, at) => `(${1 + (at % customers)}, ${at}.50, ${at % 2}, '${['new', 'sent', 'lost'][at % 3]}', '${'ö'.repeat(at % 50)}', x'00ff', '2024-02-29 23:59:59')`);
      await server.sql(`INSERT INTO orders (customer_id, total, paid, state, note, picture, made) VALUES ${orders.join(', ')}`, 'shop');
      port = await freePort();
      stack = await startMysqlStack(server, { port });
    });

    afterAll(async () => {
      for (const connection of open) connection.destroy();
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    async function connect(): Promise<mysql.Connection> {
      const connection = await mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'shop' });
      connection.on('error', () => undefined);
      open.push(connection);
      return connection;
    }

    /** Who may do what on local is not carried without copy_grants. */
    async function grant(): Promise<void> {
      const local = await stack.direct('local');
      await local.query('GRANT USAGE ON SCHEMA shop TO app; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA shop TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO app');
    }

    /** Orders and payments, one transaction after the other, wherever the tables are. */
    async function write(seen: { inserted: bigint[] }, signal: AbortSignal): Promise<void> {
      const connection = await connect();
      for (let at = 0; !signal.aborted; at += 1) {
        try {
          await connection.query('BEGIN');
          const [result] = await connection.execute<mysql.ResultSetHeader>("INSERT INTO orders (customer_id, total, paid, state, note, made) VALUES (?, ?, 0, 'new', ?, NOW())", [1 + (at % customers), at, `während ${at}`]);
          await connection.query(`UPDATE customer SET balance = balance + 1 WHERE id = ${1 + (at % customers)}`);
          if (at % 5 === 0) await connection.query(`DELETE FROM orders WHERE id = ${1 + (at % 1_000)} AND note NOT LIKE 'während%'`);
          await connection.query('COMMIT');
          seen.inserted.push(BigInt(result.insertId));
        } catch (error) {
          if (!/Deadlock|Lock wait/i.test(String(error))) throw error;
          await connection.query('ROLLBACK');
        }
      }
    }

    it('loses nothing from START to CUTOVER', async () => {
      const stop = new AbortController();
      const writers = [0, 1, 2].map(() => ({ inserted: [] as bigint[] }));
      const writing = Promise.all(writers.map((seen) => write(seen, stop.signal)));
      writing.catch(() => undefined);
      const findings = await stack.command<Record<string, string | null>>('CHECK MIGRATION FOR SCHEMA shop FROM legacy_mysql');
      expect(findings.filter((finding) => finding['Severity'] === 'error')).toEqual([]);
      expect(new Set(findings.map((finding) => finding['Table']))).toEqual(new Set(['shop.customer', 'shop.orders']));
      await stack.command('START MIGRATION FOR SCHEMA shop FROM legacy_mysql');
      // A PostgreSQL client is answered by the MySQL server as long as the table is only there.
      expect(Number((await stack.command<{ n: string }>('SELECT count(*) AS n FROM shop.orders'))[0]?.n)).toBeGreaterThan(2_000);
      await stack.makeReady('shop', 120_000);
      await grant();
      const status = Object.fromEntries((await stack.command<Record<string, string>>('SHOW MIGRATION STATUS FOR TABLE shop.orders')).map((row) => [`${row['Section']} ${row['Item']}`, row['Value']]));
      expect(status).toMatchObject({ 'CDC Mode': 'binlog', 'Table Key': 'id' });
      const count = (): number => writers.reduce((sum, { inserted }) => sum + inserted.length, 0);
      await stack.command('CUTOVER SCHEMA shop');
      const before = count();
      expect(before).toBeGreaterThan(50);
      // They go on, on local.
      await expect.poll(count).toBeGreaterThan(before + 30);
      stop.abort();
      await writing;
      const acknowledged = writers.flatMap(({ inserted }) => inserted);
      const found = new Set((await stack.command<{ id: string }>("SELECT id::text FROM shop.orders WHERE note LIKE 'während%'")).map(({ id }) => BigInt(id)));
      expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
      const [here] = await stack.command<{ balance: string; orders: string }>('SELECT sum(balance)::text AS balance, (SELECT count(*) FROM shop.orders)::text AS orders FROM shop.customer');
      // The way back brings it to the server.
      const there = async (): Promise<unknown> => {
        const [row] = await server.sql('SELECT CAST(SUM(balance) AS CHAR) AS balance, (SELECT COUNT(*) FROM orders) AS orders FROM customer', 'shop');
        return { balance: row?.['balance'], orders: String(row?.['orders']) };
      };
      await expect.poll(there, { timeout: 20_000 }).toEqual(here);
    }, 240_000);

    it('is the truth afterwards: clients of both protocols write on local, numbers go on, and the source takes nothing any more', async () => {
      const [largest] = await server.sql('SELECT MAX(id) AS id FROM orders', 'shop');
      const client = await connect();
      const [sent] = await client.query<mysql.ResultSetHeader>("INSERT INTO orders (customer_id, total, paid, state, note, made) VALUES (1, 1.25, 1, 'sent', 'über', '2024-02-29 23:59:59')");
      expect((await client.execute<mysql.RowDataPacket[]>('SELECT total, paid, state, note FROM orders WHERE id = ?', [sent.insertId]))[0]).toEqual([{ total: '1.25', paid: 1, state: 'sent', note: 'über' }]);
      expect(await stack.command(`SELECT total::text, paid, state::text FROM shop.orders WHERE id = ${sent.insertId}`)).toEqual([{ total: '1.25', paid: true, state: 'sent' }]);
      const [made] = await stack.command<{ id: string }>("INSERT INTO shop.orders (customer_id, total, paid, state, made) VALUES (1, 1, true, 'sent', now()) RETURNING id::text");
      expect(BigInt(made?.id ?? 0)).toBeGreaterThan(BigInt(String(largest?.['id'])));
      // The way back is open.
      await expect.poll(async () => (await server.sql(`SELECT state FROM orders WHERE id = ${made?.id}`, 'shop')).map((row) => row['state'])).toEqual(['sent']);
      await expect(server.sql("INSERT INTO orders (customer_id, total, paid, state, made) VALUES (1, 1, 0, 'new', NOW())", 'shop')).rejects.toThrow(/fence|causeway/i);
      const [row] = await stack.command("SELECT paid, state::text, note, picture, made::text FROM shop.orders WHERE id = (SELECT max(id) FROM shop.orders WHERE picture IS NOT NULL)");
      expect(row).toEqual({ paid: true, state: 'lost', note: 'ö'.repeat(2_999 % 50), picture: Buffer.from([0, 255]), made: '2024-02-29 23:59:59' });
    });

    it('comes back with what local has written, and goes again', async () => {
      await stack.command("UPDATE shop.customer SET balance = balance + 0.75, name = name || ' ✓' WHERE id <= 10");
      await stack.command('DELETE FROM shop.orders WHERE id = 2');
      const totals = 'SELECT (SELECT sum(balance)::text FROM shop.customer) AS balance, (SELECT count(*)::text FROM shop.orders) AS orders, (SELECT max(id)::text FROM shop.orders) AS last';
      const [before] = await stack.command<{ balance: string; orders: string; last: string }>(totals);
      await stack.command('ROLLBACK MIGRATION FOR GROUP OF shop.orders PRESERVE LOCAL DATA');
      const client = await connect();
      const read = async (): Promise<unknown> => (await client.query('SELECT CAST((SELECT SUM(balance) FROM customer) AS CHAR) AS balance, CAST((SELECT COUNT(*) FROM orders) AS CHAR) AS orders, CAST((SELECT MAX(id) FROM orders) AS CHAR) AS last'))[0];
      expect(await read()).toEqual([before]);
      expect((await client.query('SELECT name FROM customer WHERE id = 3'))[0]).toEqual([{ name: 'Käufer 2 ✓' }]);
      const [added] = await client.query<mysql.ResultSetHeader>("INSERT INTO orders (customer_id, total, paid, state, made) VALUES (7, 9.99, 1, 'new', NOW())");
      expect(added.insertId).toBeGreaterThan(Number(before?.last));
      const [theirs] = await stack.command<{ id: string }>("INSERT INTO shop.orders (customer_id, total, paid, state, made) VALUES (1, 1, true, 'sent', now()) RETURNING id::text");
      expect(await server.sql(`SELECT state FROM orders WHERE id = ${theirs?.id}`, 'shop')).toEqual([{ state: 'sent' }]);
      await stack.makeReady('shop');
      await stack.command('CUTOVER SCHEMA shop');
      const [after] = await stack.command<{ orders: string }>(totals);
      expect(after?.orders).toBe(String(Number(before?.orders) + 2));
      expect(await stack.command(`SELECT total::text FROM shop.orders WHERE id = ${added.insertId}`)).toEqual([{ total: '9.99' }]);
    }, 120_000);
  });
}
