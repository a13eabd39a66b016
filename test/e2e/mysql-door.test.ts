// The MySQL front door of the whole product: its settings, its workers, the control's barrier over sessions of both protocols.
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

describeMysql(['mariadb-10.11'], 'the MySQL front door of the product', () => {
  let server: TestMysql;
  let stack: Stack;
  let port: number;
  const open: mysql.Connection[] = [];

  beforeAll(async () => {
    server = await startMysql('mariadb-10.11');
    await server.createDatabase('shop');
    await server.sql("CREATE TABLE note (id int PRIMARY KEY, body text); INSERT INTO note VALUES (1, 'mysql')", 'shop');
    port = await freePort();
    stack = await startMysqlStack(server, { port, users: [{ name: 'app', password: 'right' }, { name: 'other', password: 'right', hasMysql: false }] });
  });

  afterAll(async () => {
    for (const connection of open) connection.destroy();
    await stack?.[Symbol.asyncDispose]();
    await server?.dispose();
  });

  async function connect(user = 'app', password = 'right'): Promise<mysql.Connection> {
    const connection = await mysql.createConnection({ host: '127.0.0.1', port, user, password, database: 'shop' });
    open.push(connection);
    return connection;
  }

  /** Before the barrier, then parked by it. */
  async function readUntilRefused(connection: mysql.Connection): Promise<string> {
    for (;;) {
      const refusal = await connection.query('SELECT body FROM note').then(() => undefined, String);
      if (refusal !== undefined) return refusal;
    }
  }

  it('lets in who has a login there', async () => {
    expect((await (await connect()).query('SELECT body FROM note'))[0]).toEqual([{ body: 'mysql' }]);
    await expect(connect('app', 'wrong')).rejects.toThrow('Access denied');
    await expect(connect('other')).rejects.toThrow('MIG003');
    expect(await stack.metrics()).toContain('scratchbird_gateway_mysql_connections');
  });

  it('ends statements by the number of the handshake, whichever worker has them', async () => {
    const sleepers = await Promise.all(Array.from({ length: 6 }, () => connect()));
    const outcomes = sleepers.map((sleeper) => sleeper.query('SELECT 1 FROM note WHERE SLEEP(60) = 0').then(() => 'slept', (error: unknown) => String(error)));
    await expect.poll(async () => (await server.sql("SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(60)%' AND info NOT LIKE '%processlist%'")).length).toBe(6);
    const killer = await connect();
    for (const { threadId } of sleepers) await killer.query(`KILL QUERY ${threadId}`);
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toContain('interrupted');
    await expect(killer.query('KILL QUERY 1073741824')).resolves.toBeDefined();
  });

  it('a migration, by statements of a MySQL client; its barrier waits for what a MySQL session has open', async () => {
    const operator = await connect('operator', '');
    await expect((await connect()).query('START MIGRATION FOR SCHEMA shop FROM legacy_mysql')).rejects.toThrow(/MIG\d+/);
    const lacks = expect.objectContaining({ Severity: 'warning', Code: 'user_privilege', Subject: 'app', Finding: expect.stringContaining('USAGE of schema shop, SELECT, INSERT, UPDATE, DELETE, TRUNCATE') as string, Remedy: expect.stringContaining('GRANT USAGE ON SCHEMA "shop" TO "app"; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON "shop"."note" TO "app";') as string }) as object;
    expect((await operator.query('CHECK MIGRATION FOR TABLE shop.note FROM legacy_mysql'))[0]).toEqual(expect.arrayContaining([lacks]));
    await operator.query('START MIGRATION FOR SCHEMA shop FROM legacy_mysql');
    await stack.makeReady('shop');
    expect((await operator.query('SHOW MIGRATION STATUS'))[0]).toMatchObject([{ Table: expect.stringContaining('note'), State: 'CUTOVER_READY' }]);
    for (const word of ['', ' FORCE NO FENCE NO ROLLBACK']) await expect(operator.query(`CUTOVER TABLE shop.note${word}`)).rejects.toThrow(/MIG054.*app: USAGE of schema shop, SELECT, INSERT, UPDATE, DELETE/s);
    const [holder, late] = [await connect(), await connect()];
    await holder.query('BEGIN');
    await holder.query('SELECT body FROM note');
    await expect(operator.query('CUTOVER TABLE shop.note NO GRANTS TIMEOUT 4')).rejects.toThrow(/MIG052.*Session of app.*SELECT body FROM note/s);
    let hasEnded = false;
    const cutover = operator.query('CUTOVER TABLE shop.note NO GRANTS').then(() => hasEnded);
    const refused = readUntilRefused(late);
    await expect.poll(async () => /scratchbird_gateway_parked_total\S* [1-9]/.test(await stack.metrics())).toBe(true);
    expect((await holder.query('SELECT body FROM note'))[0]).toEqual([{ body: 'mysql' }]);
    hasEnded = true;
    await holder.query('COMMIT');
    expect(await cutover).toBe(true);
    // What NO GRANTS means.
    expect(await refused).toContain('command denied on local');
    await (await stack.direct('local')).query('GRANT USAGE ON SCHEMA shop TO app; GRANT SELECT ON shop.note TO app');
    expect((await holder.query('SELECT body FROM note'))[0]).toEqual([{ body: 'mysql' }]);
    expect((await holder.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);
    await operator.query('ROLLBACK MIGRATION FOR TABLE shop.note');
    await expect.poll(async () => (await holder.query('SELECT body FROM note').then(([rows]) => rows, String))).toEqual([{ body: 'mysql' }]);
  });
});
