/**
 * The MySQL server behind the gateway fails over to its replica while a table is in migration and clients of both doors write: whoever reads or writes the
 * source goes to the promoted server, nothing that was acknowledged is missing on either side, and the cutover goes by as ever. The same once local is the truth: what is
 * written there goes back to the promoted server, and the rollback ends there.
 */
import mysql from 'mysql2/promise';
import { expect, it } from 'vitest';
import { replicate, promote, untilReplicated } from '../support/mysql-replica.ts';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { Stack } from './support/stack.ts';
import { StepLog } from './support/step-log.ts';

const isEveryServer = process.env['CAUSEWAY_CRASH'] === 'all';
// Each engine has one of the two; `npm run soak` has both of both.
const before: readonly MysqlKind[] = isEveryServer ? ['mariadb-10.11', 'mysql-9.7'] : ['mariadb-10.11'];
const afterwards: readonly MysqlKind[] = isEveryServer ? ['mysql-9.7', 'mariadb-10.11'] : ['mysql-9.7'];

const LOADING_ROWS = 50;
/** A table's load stands here while its server goes. */
const LOADING = 'load.mid_chunk';

function startPair(primary: TestMysql, replica: TestMysql, port: number): Promise<Stack> {
  const login = (): object => ({ user: primary.user, password: primary.password });
  return Stack.start({
    sourceSql: 'CREATE TABLE other (id int PRIMARY KEY)', workers: 2, faultPoints: [LOADING],
    settings: {
      mysql: { listen: { port }, server: { host: primary.host, port: primary.port, standbys: [{ host: replica.host, port: replica.port }], ...login() } },
      users: [
        { name: 'operator', operator: true, trust_from: ['127.0.0.1/32'], source: { user: 'postgres' }, local: { user: 'postgres' }, mysql: login() },
        { name: 'app', password: 'right', trust_from: ['127.0.0.1/32'], source: { user: 'app' }, local: { user: 'app' }, mysql: login() },
      ],
    },
  });
}

for (const kind of before) {
  describeMysql([kind], `a server of ${kind} that fails over`, () => {
    it('takes its migration and its clients along', { timeout: 240_000 }, async () => {
      await using primary = await startMysql(kind);
      await using replica = await startMysql(kind);
      await replicate(replica, primary);
      await primary.createDatabase('shop');
      await primary.sql("CREATE TABLE line (id int PRIMARY KEY, v varchar(40)) ENGINE = InnoDB; INSERT INTO line VALUES (1, 'copied')", 'shop');
      await primary.sql(`CREATE TABLE loading (id int PRIMARY KEY) ENGINE = InnoDB; INSERT INTO loading VALUES ${Array.from({ length: LOADING_ROWS }, (_, id) => `(${id})`).join(', ')}`, 'shop');
      const port = await freePort();
      await using stack = await startPair(primary, replica, port);
      const connect = (): Promise<mysql.Connection> => mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'shop', connectTimeout: 10_000 });
      await stack.insist('START MIGRATION FOR TABLE shop.line FROM legacy_mysql OPTIONS (copy_grants TRUE)');
      await stack.makeReady('shop');
      stack.faults.arm(LOADING);
      await stack.insist('START MIGRATION FOR TABLE shop.loading FROM legacy_mysql OPTIONS (copy_grants TRUE)');
      await stack.faults.reached(LOADING, 30_000);
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
      stack.faults.release(LOADING);
      // What was being loaded may have had rows that the new server never had: it begins anew by itself.
      await stack.waitState(['DUAL_WRITE', 'CUTOVER_READY'], 60_000);
      expect((await local.query('SELECT count(*)::int AS n FROM shop.loading')).rows).toEqual([{ n: LOADING_ROWS }]);
      expect((await stack.command<{ Detail: string }>('SHOW MIGRATION ERRORS FOR TABLE shop.loading')).map(({ Detail }) => Detail).join()).toContain('another server of the source');
      // The old server is back: nobody goes there, not even another process.
      await primary.restart();
      await primary.sql('SET GLOBAL read_only = 0');
      await stack.kill('control');
      await stack.makeReady('shop');
      await after.query("INSERT INTO line VALUES (6, 'by the new one')");
      await stack.insist('CUTOVER SCHEMA shop TOGETHER');
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

for (const kind of afterwards) {
  describeMysql([kind], `a server of ${kind} that fails over while local is the truth`, () => {
    it('is gone on to with what local writes, and rolled back to', { timeout: 240_000 }, async () => {
      const steps = new StepLog();
      await using primary = await startMysql(kind);
      await using replica = await startMysql(kind);
      await replicate(replica, primary);
      await primary.createDatabase('shop');
      await primary.sql("CREATE TABLE line (id int PRIMARY KEY, v varchar(40)) ENGINE = InnoDB; INSERT INTO line VALUES (1, 'copied')", 'shop');
      steps.begin('servers');
      await using stack = await startPair(primary, replica, await freePort());
      await stack.insist('START MIGRATION FOR SCHEMA shop FROM legacy_mysql OPTIONS (copy_grants TRUE)');
      await stack.makeReady('shop', 120_000);
      steps.begin('cutover');
      await stack.command('CUTOVER TABLE shop.line');
      const app = await stack.connect('app');
      const idsOn = async (server: TestMysql): Promise<readonly number[]> => (await server.sql('SELECT id FROM line ORDER BY id', 'shop')).map(({ id }) => Number(id));
      await app.query("INSERT INTO shop.line VALUES (2, 'on local'), (3, 'on local')");
      await app.query('DELETE FROM shop.line WHERE id = 1');
      await expect.poll(() => idsOn(primary), { timeout: 60_000 }).toEqual([2, 3]);
      steps.begin('failover');
      await untilReplicated(replica, primary);
      await primary.kill();
      // Nobody takes it while nobody is promoted.
      await app.query("INSERT INTO shop.line VALUES (4, 'while the source is away')");
      await promote(replica);
      await app.query("INSERT INTO shop.line VALUES (5, 'after the promotion')");
      await expect.poll(() => idsOn(replica), { timeout: 90_000 }).toEqual([2, 3, 4, 5]);
      // The fence has come along.
      await expect(replica.sql("INSERT INTO line VALUES (99, 'past the gateway')", 'shop')).rejects.toThrow('MIG082');
      steps.begin('control killed');
      await primary.restart();
      await stack.kill('control');
      await app.query("UPDATE shop.line SET v = 'by another process' WHERE id = 5");
      await expect.poll(async () => (await replica.sql('SELECT v FROM line WHERE id = 5', 'shop'))[0]?.['v'], { timeout: 90_000 }).toBe('by another process');
      steps.begin('rollback');
      await stack.insist('ROLLBACK MIGRATION FOR TABLE shop.line PRESERVE LOCAL DATA', 60_000);
      await app.query("INSERT INTO shop.line VALUES (6, 'on the source again')");
      expect(await idsOn(replica)).toEqual([2, 3, 4, 5, 6]);
      expect(await idsOn(primary)).toEqual([2, 3]);
      steps.begin('ready again');
      await stack.makeReady('shop', 120_000);
      expect(await stack.command('VALIDATE MIGRATION FOR SCHEMA shop FULL')).toEqual([expect.objectContaining({ Result: 'PASS' })]);
      await app.end();
    });
  });
}
