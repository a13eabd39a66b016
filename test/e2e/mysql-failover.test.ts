/**
 * The MySQL server behind the gateway fails over to its replica while a table is in migration and clients of both doors write: whoever reads or writes the
 * source goes to the promoted server, nothing that was acknowledged is missing on either side, and the cutover goes by as ever.
 */
import mysql from 'mysql2/promise';
import { expect, it } from 'vitest';
import { replicate, promote, untilReplicated } from '../support/mysql-replica.ts';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { Stack } from './support/stack.ts';

const kinds: readonly MysqlKind[] = process.env['CAUSEWAY_CRASH'] === 'all' ? ['mariadb-10.11', 'mysql-9.7'] : ['mariadb-10.11'];

for (const kind of kinds) {
  describeMysql([kind], `a server of ${kind} that fails over`, () => {
    it('takes its migration and its clients along', { timeout: 240_000 }, async () => {
      await using primary = await startMysql(kind);
      await using replica = await startMysql(kind);
      await replicate(replica, primary);
      await primary.createDatabase('shop');
      await primary.sql("CREATE TABLE line (id int PRIMARY KEY, v varchar(40)) ENGINE = InnoDB; INSERT INTO line VALUES (1, 'copied')", 'shop');
      const port = await freePort();
      const login = (): object => ({ user: primary.user, password: primary.password });
      await using stack = await Stack.start({
        sourceSql: 'CREATE TABLE other (id int PRIMARY KEY)', workers: 2,
        settings: {
          mysql: { listen: { port }, server: { host: primary.host, port: primary.port, standbys: [{ host: replica.host, port: replica.port }], ...login() } },
          users: [
            { name: 'operator', operator: true, trust_from: ['127.0.0.1/32'], source: { user: 'postgres' }, local: { user: 'postgres' }, mysql: login() },
            { name: 'app', password: 'right', trust_from: ['127.0.0.1/32'], source: { user: 'app' }, local: { user: 'app' }, mysql: login() },
          ],
        },
      });
      const connect = (): Promise<mysql.Connection> => mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'shop', connectTimeout: 10_000 });
      await stack.insist('START MIGRATION FOR SCHEMA shop FROM legacy_mysql OPTIONS (copy_grants TRUE)');
      await stack.makeReady('shop');
      const [before, idle, fromPostgres] = [await connect(), await connect(), await stack.connect('app')];
      for (const client of [before, idle]) client.on('error', () => undefined);
      await idle.query('SELECT 1');
      await before.query("INSERT INTO line VALUES (2, 'by the old server')");
      await fromPostgres.query("INSERT INTO shop.line VALUES (3, 'by the old server')");
      await untilReplicated(replica, primary);
      // It is still there, and would take what is written to it: a planned change of servers, or one that was cut off for a moment.
      await promote(replica);
      await primary.sql('SET GLOBAL read_only = 1');
      await primary.kill();
      const next = async (): Promise<mysql.Connection> => {
        for (;;) {
          const client = await connect().catch(() => undefined);
          if (client) return client;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      const after = await next();
      await after.query("INSERT INTO line VALUES (4, 'by the new one')");
      await expect(idle.query('SELECT 1')).rejects.toThrow();
      await expect.poll(() => fromPostgres.query("INSERT INTO shop.line VALUES (5, 'by the new one')").then(() => 'done', (error: unknown) => String(error)), { timeout: 30_000 }).toMatch(/done|duplicate/i);
      expect((await replica.sql('SELECT id FROM line ORDER BY id', 'shop')).map(({ id }) => Number(id))).toEqual([1, 2, 3, 4, 5]);
      const local = await stack.direct('local');
      await expect.poll(async () => (await local.query('SELECT id FROM shop.line ORDER BY id')).rows.map(({ id }: { id: number }) => id), { timeout: 60_000 }).toEqual([1, 2, 3, 4, 5]);
      // The old server is back: nobody goes there, not even another process.
      await primary.restart();
      await primary.sql('SET GLOBAL read_only = 0');
      await stack.kill('control');
      await stack.makeReady('shop');
      await after.query("INSERT INTO line VALUES (6, 'by the new one')");
      await stack.insist('CUTOVER TABLE shop.line');
      const last = await next();
      await last.query("INSERT INTO line VALUES (7, 'on local')");
      expect((await local.query('SELECT id FROM shop.line ORDER BY id')).rows.map(({ id }: { id: number }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7]);
      await expect.poll(async () => (await replica.sql('SELECT MAX(id) AS id FROM line', 'shop'))[0]?.['id'], { timeout: 30_000 }).toBe('7');
      expect((await primary.sql('SELECT MAX(id) AS id FROM line', 'shop'))[0]?.['id']).toBe('3');
      for (const client of [before, idle, after, last]) client.destroy();
      await fromPostgres.end();
    });
  });
}
