/** Property: what is prepared on local is committed when the MySQL server has committed the row of its decision, and rolled back, for good, when it has not; a row goes when nothing is prepared for it any more. */
import mysql from 'mysql2/promise';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MysqlDecisions } from '../../../cdc/mysql/decisions.ts';
import { resolveInDoubt } from '../../../cdc/postgres/decisions.ts';
import type { Resolution } from '../../../cdc/postgres/decisions.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { sourceKinds, startMysqlSource } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';

const MARK = 'causeway_testm_';

for (const kind of sourceKinds) {
  describeMysql([kind], `decisions of ${kind}`, () => {
    let source: MysqlSource;
    let local: pg.Client;
    let decisions: MysqlDecisions;
    let client: mysql.Connection;

    beforeAll(async () => {
      source = await startMysqlSource(kind);
      local = source.local;
      await local.query('CREATE TABLE decided (n int)');
      const { host, port, user, password } = source.mysql;
      decisions = new MysqlDecisions({ host, port, user, password, database: '' });
      client = await mysql.createConnection({ host, port, user, password });
    });
    afterAll(async () => {
      client?.destroy();
      await decisions?.close();
      await source?.[Symbol.asyncDispose]();
    });

    const prepare = (gid: string): Promise<unknown> => local.query(`BEGIN; INSERT INTO decided VALUES (1); PREPARE TRANSACTION '${gid}'`);
    const decide = (gid: string): Promise<unknown> => client.query(`INSERT INTO causeway.decision (gid) VALUES ('${gid}')`);
    const resolve = (): Promise<Resolution> => decisions.use((decider) => resolveInDoubt(local, decider, MARK));
    const rows = async (): Promise<number> => Number((await local.query<{ n: string }>('SELECT count(*) AS n FROM decided')).rows[0]?.n);
    const kept = async (): Promise<unknown> => (await client.query<mysql.RowDataPacket[]>('SELECT gid, outcome FROM causeway.decision ORDER BY gid'))[0].map(({ gid, outcome }) => `${gid} ${outcome}`.replace(MARK, ''));
    /** Younger ones belong to their sessions. */
    async function resolveAll(...gids: readonly string[]): Promise<Resolution['resolved']> {
      const found: Resolution['resolved'][number][] = [];
      await expect.poll(async () => {
        const { resolved, unresolved } = await resolve();
        expect(unresolved).toEqual([]);
        found.push(...resolved);
        return found.length;
      }, { timeout: 20_000, interval: 100 }).toBe(gids.length);
      return found;
    }

    test('are kept by a server that keeps what it has committed', async () => {
      await client.query('SET GLOBAL sync_binlog = 0');
      expect(await decisions.install()).toMatch(/sync_binlog = 0/);
      await client.query('SET GLOBAL sync_binlog = 1');
      await client.query('SET GLOBAL innodb_flush_log_at_trx_commit = 2');
      expect(await decisions.install()).toMatch(/innodb_flush_log_at_trx_commit = 2/);
      await client.query('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
      expect([await decisions.install(), await decisions.install()]).toEqual([undefined, undefined]);
    });

    test('are made by a login that may say "commit", and nothing else', async () => {
      await client.query("CREATE USER shop@'%' IDENTIFIED BY 'Shop-1'");
      await client.query("GRANT INSERT (gid) ON causeway.decision TO shop@'%'");
      const { host, port } = source.mysql;
      const shop = await mysql.createConnection({ host, port, user: 'shop', password: 'Shop-1' });
      await shop.query(`INSERT INTO causeway.decision (gid) VALUES ('${MARK}shop')`);
      expect(await kept()).toEqual(['shop commit']);
      await expect(shop.query("INSERT INTO causeway.decision (gid, outcome) VALUES ('other', 'abort')")).rejects.toMatchObject({ errno: 1143 });
      await expect(shop.query('DELETE FROM causeway.decision')).rejects.toMatchObject({ errno: 1142 });
      shop.destroy();
    });

    test('finish what is left by their rows; one that is being made is waited for, one that comes too late is refused', async () => {
      const other = await mysql.createConnection({ host: source.mysql.host, port: source.mysql.port, user: source.mysql.user, password: source.mysql.password });
      for (const name of ['decided', 'undecided', 'open']) await prepare(`${MARK}${name}`);
      await prepare('of somebody else');
      await decide(`${MARK}decided`);
      await other.query('BEGIN');
      await other.query(`INSERT INTO causeway.decision (gid) VALUES ('${MARK}open')`);
      expect((await resolveAll('decided', 'undecided')).toSorted((a, b) => a.gid.localeCompare(b.gid))).toEqual([{ gid: `${MARK}decided`, outcome: 'commit' }, { gid: `${MARK}undecided`, outcome: 'abort' }]);
      expect(await rows()).toBe(1);
      await expect(decide(`${MARK}undecided`)).rejects.toMatchObject({ errno: 1062 });
      expect(await resolve()).toEqual({ resolved: [], unresolved: [] });
      await other.query('COMMIT');
      other.destroy();
      expect(await resolveAll('open')).toEqual([{ gid: `${MARK}open`, outcome: 'commit' }]);
      expect(await rows()).toBe(2);
      await local.query("ROLLBACK PREPARED 'of somebody else'");
    }, 60_000);

    test('go when nothing is prepared for them, whatever time a session says it is', async () => {
      await client.query('TRUNCATE causeway.decision');
      await client.query('SET timestamp = 1000000000');
      for (const name of ['old', 'prepared']) await decide(`${MARK}${name}`);
      await client.query("INSERT INTO causeway.decision (gid, outcome) VALUES ('abort', 'abort')");
      await client.query('SET timestamp = DEFAULT');
      await decide(`${MARK}new`);
      await client.query("INSERT INTO causeway.decision (gid, outcome, decided_at) VALUES ('late', 'abort', NOW() - INTERVAL 1 DAY)");
      await prepare(`${MARK}prepared`);
      await decisions.use((decider) => decider.forget(async () => (await local.query<{ gid: string }>('SELECT gid FROM pg_prepared_xacts')).rows.map(({ gid }) => gid)));
      expect(await kept()).toEqual(['new commit', 'prepared commit', 'late abort']);
      await local.query(`ROLLBACK PREPARED '${MARK}prepared'`);
    });
  });
}
