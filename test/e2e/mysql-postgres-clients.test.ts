// PostgreSQL clients on tables of a MySQL server: they write while these are loaded, cut over, rolled back and cut over again; nothing that was acknowledged is missing, and no client sees an error.
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, mysqlKinds, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

/** CAUSEWAY_REACH_SERVERS names others (mysql-9.7, mysql-5.6), by commas. */
const wanted = (process.env['CAUSEWAY_REACH_SERVERS'] ?? 'mariadb-10.11').split(',');
const kinds: readonly MysqlKind[] = mysqlKinds.filter((kind) => wanted.includes(kind));
const customers = 100;

interface Seen {
  readonly inserted: bigint[];
  /** By SQLSTATE: what a client answers by running its transaction again. */
  readonly retried: Map<string, number>;
  readonly errors: string[];
}

for (const kind of kinds) {
  describeMysql([kind], `PostgreSQL clients on ${kind}`, () => {
    let server: TestMysql;
    let stack: Stack;

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      await server.sql(`
        CREATE TABLE customer (id int AUTO_INCREMENT PRIMARY KEY, name varchar(60) NOT NULL, email varchar(80) NULL, balance decimal(12, 2) NOT NULL, UNIQUE KEY by_email (email)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
        CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL, total decimal(12, 2) NOT NULL, paid tinyint(1) NOT NULL, state enum('new', 'sent', 'lost') NOT NULL, note varchar(100),
          made datetime(6) NOT NULL, KEY by_customer (customer_id), CONSTRAINT of_customer FOREIGN KEY (customer_id) REFERENCES customer (id)) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`, 'shop');
      await server.sql(`INSERT INTO customer (name, email, balance) VALUES ${Array.from({ length: customers }, (_, at) => `('Käufer ${at}', 'c${at}@example.com', ${at}.25)`).join(', ')}`, 'shop');
      await server.sql(`INSERT INTO orders (customer_id, total, paid, state, note, made) VALUES ${Array.from({ length: 2_000 }, (_, at) => `(${1 + (at % customers)}, ${at}.50, ${at % 2}, 'sent', 'alt', '2024-02-29 23:59:59')`).join(', ')}`, 'shop');
      stack = await startMysqlStack(server, {
        sourceSql: 'CREATE TABLE other (id int PRIMARY KEY, word text); INSERT INTO other VALUES (1, \'one\'), (2, \'two\'); GRANT ALL ON other TO app',
        users: [{ name: 'app', role: 'postgres' }, { name: 'guest', hasMysql: false }],
      });
      await stack.command('START MIGRATION FOR SCHEMA shop FROM legacy_mysql');
    });

    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    /** One transaction after the other; each second one with prepared statements, each fourth write without a block. */
    async function write(client: pg.Client, seen: Seen, id: number, signal: AbortSignal): Promise<void> {
      const run = async (name: string, text: string, values: readonly unknown[]): Promise<pg.QueryResult<{ id: string }>> => client.query({ ...(id % 2 === 0 ? { name } : {}), text, values: [...values] });
      const insert = 'INSERT INTO shop.orders (customer_id, total, paid, state, note, made) VALUES ($1, $2, $3, $4, $5, now()) RETURNING id';
      for (let at = 0; !signal.aborted; at += 1) {
        const customer = 1 + ((at * 7 + id) % customers);
        try {
          if (at % 4 === 0) {
            const { rows } = await run('insert', insert, [customer, at, at % 2 === 0, 'new', `während ${id}`]);
            seen.inserted.push(BigInt(rows[0]?.id ?? 0));
            continue;
          }
          await client.query('BEGIN');
          const { rows } = await run('insert', insert, [customer, at, at % 2 === 0, 'new', `während ${id}`]);
          await run('update', 'UPDATE shop.customer SET balance = balance + $1 WHERE id = $2', [1, customer]);
          const read = await client.query<{ state: string }>(`SELECT state FROM shop.orders WHERE id = ${rows[0]?.id}`);
          if (read.rows[0]?.state !== 'new') seen.errors.push(`its own order ${rows[0]?.id} is ${JSON.stringify(read.rows)}`);
          await client.query('COMMIT');
          seen.inserted.push(BigInt(rows[0]?.id ?? 0));
        } catch (error) {
          const code = error instanceof pg.DatabaseError ? error.code ?? '' : '';
          if (code === '40001' || code === '40P01') seen.retried.set(code, (seen.retried.get(code) ?? 0) + 1);
          else seen.errors.push(String(error));
          if (seen.errors.length > 5) return;
          await client.query('ROLLBACK').catch(() => undefined);
        }
      }
    }

    const totals = 'SELECT (SELECT sum(balance)::text FROM shop.customer) AS balance, (SELECT count(*)::text FROM shop.orders) AS orders';
    async function onServer(): Promise<unknown> {
      const [row] = await server.sql('SELECT CAST((SELECT SUM(balance) FROM customer) AS CHAR) AS balance, CAST((SELECT COUNT(*) FROM orders) AS CHAR) AS orders', 'shop');
      return row;
    }

    it('write through CUTOVER, ROLLBACK and CUTOVER: 0 lost, 0 errors', async () => {
      const stop = new AbortController();
      const seen = Array.from({ length: 4 }, (): Seen => ({ inserted: [], retried: new Map(), errors: [] }));
      const clients = await Promise.all(seen.map(() => stack.connect('app')));
      const writing = Promise.all(clients.map((client, id) => write(client, seen[id] ?? { inserted: [], retried: new Map(), errors: [] }, id, stop.signal)));
      writing.catch(() => undefined);
      const written = (): number => seen.reduce((sum, { inserted }) => sum + inserted.length, 0);
      const more = async (): Promise<void> => {
        const before = written();
        await expect.poll(() => written() - before + (seen.some(({ errors }) => errors.length > 5) ? 1e6 : 0), { timeout: 20_000 }).toBeGreaterThan(40);
      };
      await more();
      await stack.makeReady('shop', 120_000);
      await more();
      await stack.command('CUTOVER SCHEMA shop');
      const before = written();
      await more();
      await stack.command('ROLLBACK MIGRATION FOR GROUP OF shop.orders PRESERVE LOCAL DATA');
      await more();
      await stack.makeReady('shop', 120_000);
      await stack.command('CUTOVER SCHEMA shop');
      await more();
      stop.abort();
      await writing;
      for (const client of clients) await client.end();
      expect(seen.flatMap(({ errors }) => errors)).toEqual([]);
      expect(before).toBeGreaterThan(80);
      const acknowledged = seen.flatMap(({ inserted }) => inserted);
      expect(new Set(acknowledged).size).toBe(acknowledged.length);
      const found = (await stack.command<{ id: string }>("SELECT id::text FROM shop.orders WHERE note LIKE 'während%'")).map(({ id }) => BigInt(id));
      const known = new Set(found);
      expect(acknowledged.filter((id) => !known.has(id))).toEqual([]);
      expect(found.length).toBe(acknowledged.length);
      const [here] = await stack.command(totals);
      await expect.poll(onServer).toEqual(here);
    }, 240_000);

    it('see the same on the MySQL server as on local, join it with the source, and are told what happens', async () => {
      const client = await stack.connect('app');
      // Local draws from its own sequence; the server tells the number that it gave.
      expect((await client.query("SELECT nextval('shop.customer_id_seq') > 100 AS is_new")).rows).toEqual([{ is_new: true }]);
      await stack.command('ROLLBACK MIGRATION FOR GROUP OF shop.orders PRESERVE LOCAL DATA');
      await expect(client.query("SELECT nextval('shop.customer_id_seq')")).rejects.toThrow('MIG082');
      const { rows: [made] } = await client.query<{ id: number }>("INSERT INTO shop.customer (name, email, balance) VALUES ('neu', NULL, 0) RETURNING id");
      expect((await client.query("SELECT currval('shop.customer_id_seq')::int AS id, lastval()::int AS last")).rows).toEqual([{ id: made?.id, last: made?.id }]);
      const [here] = await stack.command(totals);
      expect(here).toEqual(await onServer());
      // Names compare on local as on the server.
      expect((await client.query("SELECT id, name FROM shop.customer WHERE name = 'KÄUFER 3'")).rows).toEqual([{ id: 4, name: 'Käufer 3' }]);
      expect((await client.query('SELECT o.word, c.name FROM other o JOIN shop.customer c ON c.id = o.id ORDER BY o.id')).rows).toEqual([{ word: 'one', name: 'Käufer 0' }, { word: 'two', name: 'Käufer 1' }]);
      expect((await client.query("SELECT state, count(*)::int AS n FROM shop.orders WHERE note = 'alt' GROUP BY state")).rows).toEqual([{ state: 'sent', n: 2_000 }]);
      await expect(client.query("INSERT INTO shop.customer (name, email, balance) VALUES ('x', 'c1@example.com', 1)")).rejects.toMatchObject({ code: '23505', constraint: 'customer_by_email' });
      const explained = (await client.query<Record<string, string>>('EXPLAIN ROUTE SELECT id FROM shop.orders WHERE id = 1')).rows.map((row) => Object.values(row).join(' ')).join('\n');
      expect(explained).toMatch(/MySQL server/);
      const told = async (text: string): Promise<string> => JSON.stringify((await client.query(`EXPLAIN ROUTE ${text}`)).rows);
      expect(await told('COPY shop.orders FROM STDIN')).toMatch(/runs on the MySQL server/);
      expect(await told('PREPARE w AS DELETE FROM shop.orders WHERE id = $1')).toMatch(/DELETE FROM .*orders/);
      const guest = await stack.connect('guest');
      await expect(guest.query('UPDATE shop.orders SET paid = true WHERE id = 1')).rejects.toThrow(/MIG082.*the user does not reach/);
      for (const each of [client, guest]) await each.end();
    }, 60_000);
  });
}
