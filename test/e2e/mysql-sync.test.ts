/**
 * `dual_write_mode 'sync'` for tables of a MySQL server: whoever is told that a write is committed, by either door, finds it on local at that moment; and when local is away, clients go on at the
 * server without an error. Rows of such a table that differ are repaired meanwhile.
 */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, mysqlKinds, startMysql } from '../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { writeBehind } from './support/behind-the-stream.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

/** CAUSEWAY_SYNC_SERVERS names others (mysql-9.7, mysql-5.6), by commas. */
const wanted = (process.env['CAUSEWAY_SYNC_SERVERS'] ?? 'mariadb-10.11').split(',');
const kinds: readonly MysqlKind[] = mysqlKinds.filter((kind) => wanted.includes(kind));

for (const kind of kinds) {
  describeMysql([kind], `commits that wait for local, on ${kind}`, () => {
    let server: TestMysql;
    let stack: Stack;
    let port: number;
    const mysqlClients: mysql.Connection[] = [];

    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('shop');
      await server.sql('CREATE TABLE line (id bigint PRIMARY KEY, times int NOT NULL) ENGINE = InnoDB; CREATE TABLE trail (id bigint PRIMARY KEY) ENGINE = InnoDB', 'shop');
      await server.sql('CREATE TRIGGER leaves AFTER INSERT ON line FOR EACH ROW INSERT INTO trail VALUES (NEW.id)', 'shop');
      await server.createDatabase('elsewhere');
      await server.sql('CREATE TABLE noise (id int AUTO_INCREMENT PRIMARY KEY) ENGINE = InnoDB', 'elsewhere');
      port = await freePort();
      stack = await startMysqlStack(server, { port, users: [{ name: 'app', role: 'postgres', password: 'right', isTrusted: true }, { name: 'guest', role: 'postgres', hasMysql: false }] });
      await expect(stack.command("START MIGRATION FOR SCHEMA shop FROM legacy_mysql OPTIONS (dual_write_mode 'two_phase')")).rejects.toThrow("MIG071");
      await stack.command("START MIGRATION FOR SCHEMA shop FROM legacy_mysql OPTIONS (dual_write_mode 'sync')");
      await stack.makeReady('shop', 120_000);
    });

    afterAll(async () => {
      for (const client of mysqlClients) client.destroy();
      await stack?.[Symbol.asyncDispose]();
      await server?.dispose();
    });

    /** Of either door; statements without parameters. */
    interface Writer {
      run(sql: string): Promise<unknown>;
    }

    async function overMysql(): Promise<Writer> {
      const client = await mysql.createConnection({ host: '127.0.0.1', port, user: 'app', password: 'right', database: 'shop' });
      mysqlClients.push(client);
      return { run: (sql) => client.query(sql) };
    }

    async function overPostgres(): Promise<Writer & { readonly client: pg.Client }> {
      const client = await stack.connect('app');
      return { client, run: (sql) => client.query(sql) };
    }

    /** Each unit is a line, by itself or in a transaction, which counts an older one up; then `told` looks. */
    async function write(writer: Writer, first: number, units: number, told: (id: number) => Promise<void>): Promise<void> {
      for (let id = first; id < first + units; id += 1) {
        if (id % 2 === 0) await writer.run('BEGIN');
        await writer.run(`INSERT INTO shop.line (id, times) VALUES (${id}, 0)`);
        if (id % 2 === 0) {
          await writer.run(`UPDATE shop.line SET times = times + 1 WHERE id = ${Math.max(first, id - 3)}`);
          await writer.run('COMMIT');
        }
        await told(id);
      }
    }

    it('local is never behind what a client was told, by either door, nor is a session that begins then', async () => {
      const missing: string[] = [];
      const warnings: string[] = [];
      const looking = await Promise.all(Array.from({ length: 4 }, () => stack.direct('local')));
      const guest = await stack.connect('guest');
      const fromPostgres = [await overPostgres(), await overPostgres()];
      for (const { client } of fromPostgres) client.on('notice', ({ message }) => warnings.push(message ?? ''));
      const writers: readonly Writer[] = [await overMysql(), await overMysql(), ...fromPostgres];
      let isDone = false;
      const others = (async () => {
        // Other transactions, and logs that end.
        for (let round = 0; !isDone; round += 1) {
          await server.sql(round % 20 === 0 ? 'FLUSH LOGS' : 'INSERT INTO noise VALUES ()', 'elsewhere');
          await delay(20);
        }
      })();
      await Promise.all(writers.map((writer, at) => write(writer, 1_000_000 * (at + 1), 25, async (id) => {
        const { rows } = (await looking[at]?.query<{ found: string }>(`SELECT (SELECT count(*) FROM shop.line WHERE id = ${id}) || ' ' || (SELECT count(*) FROM shop.trail WHERE id = ${id}) AS found`)) ?? { rows: [] };
        if (rows[0]?.found !== '1 1') missing.push(`${id}: ${rows[0]?.found}`);
        // A session that has no way to the server.
        if (at === 0 && (await guest.query(`SELECT 1 FROM shop.line WHERE id = ${id}`)).rowCount !== 1) missing.push(`${id} for a reader of local`);
      })));
      isDone = true;
      await others;
      expect(missing).toEqual([]);
      // Nobody was told because the bound of a wait was over.
      expect(warnings).toEqual([]);
      expect((await stack.status()).map(({ State }) => State)).toEqual(['CUTOVER_READY', 'CUTOVER_READY']);
      await guest.end();
    }, 120_000);

    it('a session reads on local what it wrote, once it was told', async () => {
      const { client } = await overPostgres();
      await client.query('INSERT INTO shop.line (id, times) VALUES (1, 7)');
      const explained = (await client.query<Record<string, string>>('EXPLAIN ROUTE SELECT times FROM shop.line WHERE id = 1')).rows.map((row) => Object.values(row).join(' ')).join('\n');
      expect(explained).toContain('LOCAL');
      expect((await client.query('SELECT times FROM shop.line WHERE id = 1')).rows).toEqual([{ times: 7 }]);
      await client.query('BEGIN');
      await client.query('UPDATE shop.line SET times = 8 WHERE id = 1');
      expect((await client.query('SELECT times FROM shop.line WHERE id = 1')).rows).toEqual([{ times: 8 }]);
      await client.query('ROLLBACK');
      expect((await client.query('SELECT times FROM shop.line WHERE id = 1')).rows).toEqual([{ times: 7 }]);
      await client.end();
    }, 60_000);

    it('rows that differ are repaired one by one while clients write', async () => {
      const [writer, local] = [await overMysql(), await stack.direct('local')];
      await writer.run('INSERT INTO shop.line (id, times) VALUES (10, 1), (11, 1), (12, 1)');
      await writeBehind(local, 'DELETE FROM shop.line WHERE id = 10; UPDATE shop.line SET times = 99 WHERE id = 11; INSERT INTO shop.line (id, times) VALUES (13, 1)');
      const writing = write(writer, 30_000_000, 10, () => Promise.resolve());
      expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.line FULL REPAIR COPY_FROM_SOURCE')).toEqual([expect.objectContaining({ Result: 'FAIL', Mismatches: '3', Repair: '2 written, 1 deleted, 0 left' })]);
      // The other way round, what the stream has not heard of; and rows of a predicate.
      await server.sql('SET SESSION sql_log_bin = 0; UPDATE line SET times = 77 WHERE id = 12', 'shop');
      expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.line FULL REPAIR COPY_TO_SOURCE')).toEqual([expect.objectContaining({ Result: 'FAIL', Mismatches: '1', Repair: '1 written, 0 deleted, 0 left' })]);
      await writeBehind(local, 'UPDATE shop.line SET times = 99 WHERE id IN (10, 11)');
      expect(await stack.command("RESYNC MIGRATION FOR TABLE shop.line WHERE 'times = 99 AND id <> 10'")).toEqual([expect.objectContaining({ Differed: '1', Written: '1', Deleted: '0' })]);
      await expect(stack.command("RESYNC MIGRATION FOR TABLE shop.line WHERE '`times` = 99'")).rejects.toThrow('MIG071');
      expect((await stack.command("RESYNC MIGRATION FOR TABLE shop.line WHERE 'times = 99'"))[0]).toMatchObject({ Written: '1' });
      await writing;
      expect(await server.sql('SELECT times FROM line WHERE id BETWEEN 10 AND 13', 'shop')).toEqual([{ times: '1' }, { times: '1' }, { times: '1' }]);
      expect(await stack.command('VALIDATE MIGRATION FOR TABLE shop.line FULL')).toEqual([expect.objectContaining({ Result: 'PASS', Repair: '-', State: 'CUTOVER_READY' })]);
      expect((await local.query('SELECT id::int, times FROM shop.line WHERE id BETWEEN 10 AND 13 ORDER BY id')).rows).toEqual([{ id: 10, times: 1 }, { id: 11, times: 1 }, { id: 12, times: 1 }]);
    }, 60_000);

    it('a row of local that wins a conflict is written to the server', async () => {
      const started = "START MIGRATION FOR TABLE elsewhere.won FROM legacy_mysql OPTIONS (conflict_strategy 'timestamp', conflict_timestamp_column";
      await server.sql('CREATE TABLE won (id int PRIMARY KEY, at datetime NOT NULL, words text) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4', 'elsewhere');
      await expect(stack.command(`${started} 'words')`)).rejects.toThrow(/MIG071.*does not say which row is newer/);
      await stack.insist(`${started} 'at')`);
      await expect.poll(async () => (await stack.status()).find(({ Table }) => Table === 'elsewhere.won')?.State, { timeout: 60_000 }).toBe('DUAL_WRITE');
      const local = await stack.direct('local');
      await writeBehind(local, "INSERT INTO elsewhere.won VALUES (1, '2030-01-01', 'local'), (2, '2010-01-01', 'local')");
      const { client } = await overPostgres();
      await client.query("INSERT INTO elsewhere.won (id, at, words) VALUES (1, '2020-01-01', 'source'), (2, '2020-01-01', 'source')");
      await client.end();
      await expect.poll(() => server.sql('SELECT words FROM won ORDER BY id', 'elsewhere'), { timeout: 20_000 }).toEqual([{ words: 'local' }, { words: 'source' }]);
      expect(await stack.command('VALIDATE MIGRATION FOR TABLE elsewhere.won FULL')).toMatchObject([{ Result: 'PASS', State: 'CUTOVER_READY' }]);
      expect(JSON.stringify(await stack.command('SHOW MIGRATION CONFLICTS FOR TABLE elsewhere.won'))).toContain('timestamp_wins');
      await stack.command('CUTOVER TABLE elsewhere.won');
      // Past the fence, unheard by either stream.
      await server.sql("SET @causeway_applier = (SELECT token FROM causeway.fence WHERE table_name = 'won'); SET SESSION sql_log_bin = 0; UPDATE won SET words = 'broken' WHERE id = 1; DELETE FROM won WHERE id = 2", 'elsewhere');
      await expect(stack.command('VALIDATE MIGRATION FOR TABLE elsewhere.won FULL REPAIR COPY_FROM_SOURCE')).rejects.toThrow(/MIG074.*local is the authority/);
      expect(await stack.command('VALIDATE MIGRATION FOR TABLE elsewhere.won FULL REPAIR COPY_TO_SOURCE')).toEqual([expect.objectContaining({ Mismatches: '2', Repair: '2 written, 0 deleted, 0 left' })]);
      await stack.command('ROLLBACK MIGRATION FOR TABLE elsewhere.won');
      expect(await server.sql('SELECT words FROM won ORDER BY id', 'elsewhere')).toEqual([{ words: 'local' }, { words: 'source' }]);
    }, 120_000);

    it('while the control or local is away clients go on without an error, and afterwards nothing is missing', async () => {
      const writers = [await overMysql(), await overPostgres()];
      // Who waits when the control goes asks the next one.
      const meanwhile = Promise.all(writers.map((writer, at) => write(writer, 50_000_000 * (at + 1), 10, () => Promise.resolve())));
      await stack.kill('control');
      await meanwhile;
      const before = await stack.direct('local');
      await expect.poll(async () => (await before.query('SELECT 1 FROM shop.line WHERE id IN (50000009, 100000009)')).rowCount, { timeout: 60_000 }).toBe(2);
      await stack.local.stop('immediate');
      await Promise.all(writers.map((writer, at) => write(writer, 200_000_000 * (at + 1), 30, () => Promise.resolve())));
      await stack.waitState(['SYNCHRONIZING'], 60_000);
      await stack.local.restart();
      await stack.makeReady('shop', 120_000);
      const local = await stack.direct('local');
      const text = 'SELECT CAST(count(*) AS CHAR(20)) AS n, CAST(sum(times) AS CHAR(20)) AS times FROM shop.line';
      expect((await local.query('SELECT count(*)::text AS n, sum(times)::text AS times FROM shop.line')).rows).toEqual(await server.sql(text));
      await write(await overMysql(), 900_000_000, 4, async (id) => expect((await local.query(`SELECT 1 FROM shop.line WHERE id = ${id}`)).rowCount).toBe(1));
    }, 180_000);
  });
}
