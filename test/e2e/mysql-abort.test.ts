// ABORT of a table that was on local before: its fence goes while clients of the gateway read and write the table, and the server ends none of their transactions.
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

const WRITERS = 4;
const ROUNDS = 3;

type Server = readonly [kind: MysqlKind, settings: readonly string[]];
const sample: readonly Server[] = [['mysql-9.7', []], ['mariadb-10.11', []]];
/** The third has its turn in `npm run soak`. */
const servers: readonly Server[] = process.env['CAUSEWAY_CRASH'] === 'all' ? [...sample, ['mysql-9.7', ['performance-schema=ON']]] : sample;
for (const [kind, settings] of servers) {
  describeMysql([kind], `ABORT on ${[kind, ...settings].join(' with ')}`, () => {
    let server: TestMysql;
    let stack: Stack;
    let port: number;

    beforeAll(async () => {
      server = await startMysql(kind, { settings });
      await server.createDatabase('shop');
      await server.sql('CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL)', 'shop');
      for (let id = 0; id < WRITERS; id += 1) await server.sql(`INSERT INTO account VALUES (${id}, 0)`, 'shop');
      port = await freePort();
      stack = await startMysqlStack(server, { port });
    });
    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    const triggers = async (): Promise<number> => (await server.sql("SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_NAME LIKE 'causeway_fence%'")).length;

    async function write(id: number, signal: AbortSignal, failed: string[]): Promise<number> {
      const client = await mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'shop' });
      let done = 0;
      while (!signal.aborted) {
        try {
          for (const sql of ['BEGIN', `SELECT n FROM account WHERE id = ${id}`, `UPDATE account SET n = n + 1 WHERE id = ${id}`, 'COMMIT']) await client.query(sql);
          done += 1;
        } catch (error) {
          failed.push(String(error));
          await client.query('ROLLBACK');
        }
        await delay(done % 7);
      }
      await client.end();
      return done;
    }

    it('ends no transaction, and the fence is gone', { timeout: 240_000 }, async () => {
      let expected = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        await stack.command('START MIGRATION FOR TABLE shop.account FROM legacy_mysql OPTIONS (copy_grants TRUE)');
        await stack.makeReady('shop');
        await stack.command('CUTOVER TABLE shop.account');
        await stack.command('ROLLBACK MIGRATION FOR TABLE shop.account PRESERVE LOCAL DATA');
        expect(await triggers()).toBe(3);
        const stop = new AbortController();
        const failed: string[] = [];
        const writing = Promise.all(Array.from({ length: WRITERS }, (_, id) => write(id, stop.signal, failed)));
        await expect.poll(async () => Number((await server.sql('SELECT SUM(n) AS n FROM account', 'shop'))[0]?.['n'])).toBeGreaterThan(expected + 20);
        await stack.command('ABORT MIGRATION FOR TABLE shop.account');
        expect(await triggers()).toBe(0);
        stop.abort();
        for (const done of await writing) expected += done;
        expect(failed).toEqual([]);
        expect(await server.sql('SELECT SUM(n) AS n FROM account', 'shop')).toEqual([{ n: String(expected) }]);
      }
    });
  });
}
