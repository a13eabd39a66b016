/**
 * Property: MySQL clients that write all the time, in transactions, see no error and lose nothing through START, CUTOVER, ROLLBACK and CUTOVER again:
 * each acknowledged unit is there, once, on the side that is the authority.
 */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { checkLedger, mysqlShop, OPENING_TOTAL, openShop, ShopHistory, shopStatements } from './support/mysql-shop.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

/** Every server with CAUSEWAY_CRASH=all, as the crash matrix. */
const kinds: readonly MysqlKind[] = process.env['CAUSEWAY_CRASH'] === 'all' ? ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] : ['mariadb-10.11'];
const tables = { account: 'account', ledger: 'ledger' };
const CLIENTS = 4;
/** Two transactions that take the same rows in opposite orders: as likely before as after. */
const allowed = /: 1213$/;

for (const kind of kinds) {
  describeMysql([kind], `MySQL clients of ${kind} go on writing on local`, () => {
    let server: TestMysql;
    let stack: Stack;
    let port: number;
    const history = new ShopHistory();

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      for (const statement of shopStatements(tables)) await server.sql(statement, 'shop');
      port = await freePort();
      stack = await startMysqlStack(server, { port });
    });

    afterAll(async () => {
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    async function expectLife(units = 30): Promise<void> {
      const before = history.acknowledged;
      await expect.poll(() => history.acknowledged, { message: `writes while ${history.phase}; so far ${JSON.stringify(history.errorsByName())}`, timeout: 30_000, interval: 20 }).toBeGreaterThan(before + units);
    }

    /** Who may do what on local is not carried without copy_grants. */
    async function grant(): Promise<void> {
      const local = await stack.direct('local');
      await local.query('GRANT USAGE ON SCHEMA shop TO app; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA shop TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO app');
    }

    async function expectAllThere(): Promise<void> {
      const rows = await stack.insist<{ token: string; times: string }>('SELECT token::text, times::text FROM shop.ledger');
      expect(checkLedger(history, rows.map(({ token, times }) => ({ token: Number(token), times: Number(times) })))).toEqual([]);
      expect(await stack.insist('SELECT sum(balance)::text AS total FROM shop.account')).toEqual([{ total: OPENING_TOTAL }]);
    }

    it('through START, CUTOVER, ROLLBACK and CUTOVER', async () => {
      const shop = openShop(mysqlShop({ port, user: 'app', password: 'right', database: 'shop' }, tables), history, CLIENTS);
      try {
        history.phase = 'start';
        await expectLife();
        await stack.command('START MIGRATION FOR SCHEMA shop FROM legacy_mysql');
        await stack.makeReady('shop', 120_000);
        await grant();
        for (const round of [1, 2, 3]) {
          history.phase = `cutover ${round}`;
          await stack.command('CUTOVER SCHEMA shop');
          await expectLife();
          if (round === 3) break;
          history.phase = `rollback ${round}`;
          await stack.command('ROLLBACK MIGRATION FOR GROUP OF shop.ledger PRESERVE LOCAL DATA');
          await expectLife();
          await stack.makeReady('shop', 120_000);
        }
      } finally {
        await shop.stop();
        console.log(JSON.stringify({ kind, acknowledged: history.acknowledged, unknown: history.unknown, moved: history.moved, reconnects: history.reconnects, errors: history.errorsByName() }));
      }
      expect(Object.entries(history.errorsByName()).filter(([name]) => !allowed.test(name))).toEqual([]);
      expect({ moved: history.moved, unknown: history.unknown, reconnects: history.reconnects }).toEqual({ moved: 0, unknown: 0, reconnects: CLIENTS });
      await expectAllThere();
      // The way back has it as well.
      const [there] = await server.sql('SELECT COUNT(*) AS n FROM ledger', 'shop');
      const [here] = await stack.insist<{ n: string }>('SELECT count(*)::text AS n FROM shop.ledger');
      await expect.poll(async () => (await server.sql('SELECT COUNT(*) AS n FROM ledger', 'shop'))[0]?.['n'], { message: `from ${there?.['n']}`, timeout: 20_000 }).toBe(here?.n);
    }, 240_000);

    it('what an application asks is answered as before', async () => {
      const client = await mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'shop' });
      const ask = async (sql: string, values: readonly (string | number)[] = []): Promise<unknown> => (await client.query(sql, [...values]))[0];
      expect(await ask('SELECT COUNT(*) AS n, SUM(balance) AS total FROM account')).toEqual([{ n: 100, total: OPENING_TOTAL }]);
      const found = await ask('SELECT l.id, l.note, a.balance FROM ledger l JOIN account a ON a.id = l.account_id WHERE l.token = ? ORDER BY l.id LIMIT 1', [-41]);
      expect(found).toMatchObject([{ note: '' }]);
      const [added] = await client.query<mysql.ResultSetHeader>("INSERT INTO ledger (times, token, account_id, note, made) VALUES (0, -5000, 1, 'äöü', '2024-02-29 12:00:00')");
      expect(added.affectedRows).toBe(1);
      const [prepared] = await client.execute<mysql.RowDataPacket[]>('SELECT id, note, made FROM ledger WHERE token = ?', [-5000]);
      expect(prepared).toEqual([{ id: added.insertId, note: 'äöü', made: new Date(2024, 1, 29, 12, 0, 0) }]);
      await expect(client.query('INSERT INTO ledger (times, token, account_id, made) VALUES (0, 1, 777, NOW())')).rejects.toMatchObject({ errno: 1452 });
      await expect(client.query('DELETE FROM account WHERE id = 1')).rejects.toMatchObject({ errno: 1451 });
      await expect(client.query('INSERT INTO account VALUES (1, 1)')).rejects.toMatchObject({ errno: 1062 });
      await client.end();
    });
  });
}
