/**
 * Property: what clients have prepared before a fence is made goes on when its triggers are there, on tables that have triggers of their own, and on those
 * whose triggers write a table that gets a fence; and meets the fence once it stands.
 */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { installMysqlFenceSupport } from '../../../cdc/mysql/fence.ts';
import { MysqlSourceSide } from '../../../cdc/mysql/source-side.ts';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { makeTriggers } from './make-triggers.ts';
import { testRuntime } from '../snapshot/loader-fixture.ts';

const kinds = ['mariadb-10.11', 'mariadb-11.8', 'mysql-9.7'] as const satisfies readonly MysqlKind[];
const marker = 'CREATE TABLE IF NOT EXISTS causeway.marker (name varchar(190) CHARACTER SET utf8 COLLATE utf8_bin NOT NULL PRIMARY KEY, token varchar(64) CHARACTER SET ascii NOT NULL) ENGINE=InnoDB';
const entry = { schema: 'shop', name: 'entry' };
const ledger = { schema: 'shop', name: 'ledger' };
const last = { schema: 'shop', name: 'last' };
const events = ['INSERT', 'UPDATE', 'DELETE'];
const each = (timing: string, on: string, body: string): string[] => events.map((event) => `CREATE TRIGGER ${on}_${timing}_${event} ${timing} ${event} ON shop.${on} FOR EACH ROW ${body}`);
/** Inserts, changes and deletes rows of a table. */
const changes = (table: string): string[] => [`INSERT INTO ${table} (n) VALUES (?)`, `UPDATE ${table} SET n = n + ? WHERE id = 1`, `DELETE FROM ${table} WHERE id > 1 AND n >= ?`];

interface Case {
  readonly name: string;
  readonly made: readonly string[];
  readonly fenced: readonly (typeof entry)[];
  readonly prepared: readonly string[];
}

const cases: readonly Case[] = [
  { name: 'a table with triggers of its own before everything', made: each('BEFORE', 'entry', 'SET @seen = 1'), fenced: [entry], prepared: changes('shop.entry') },
  { name: 'one with two of them before and after everything', made: [...each('BEFORE', 'entry', 'SET @seen = 1'), ...each('AFTER', 'entry', 'SET @seen = 2'), 'CREATE TRIGGER second BEFORE INSERT ON shop.entry FOR EACH ROW SET @seen = 3'], fenced: [entry], prepared: changes('shop.entry') },
  { name: 'a trigger writes the one that has a fence, which has triggers too', made: [...each('BEFORE', 'ledger', 'SET @seen = 1'), ...each('AFTER', 'entry', 'INSERT INTO shop.ledger (n) VALUES (1)')], fenced: [ledger], prepared: changes('shop.entry') },
  { name: 'both have a fence', made: [...each('BEFORE', 'ledger', 'SET @seen = 1'), ...each('BEFORE', 'entry', 'INSERT INTO shop.ledger (n) VALUES (1)')], fenced: [entry, ledger], prepared: changes('shop.entry') },
  { name: 'a trigger calls what writes it', made: [...each('BEFORE', 'ledger', 'SET @seen = 1'), 'CREATE PROCEDURE shop.note() INSERT INTO shop.ledger (n) VALUES (1)', ...each('AFTER', 'entry', 'CALL shop.note()')], fenced: [ledger], prepared: changes('shop.entry') },
  { name: 'a table of another schema writes it, through a view', made: [...each('BEFORE', 'ledger', 'SET @seen = 1'), 'CREATE TRIGGER other.told AFTER INSERT ON other.entry FOR EACH ROW INSERT INTO shop.ledger (n) VALUES (NEW.n)', 'CREATE VIEW other.shown AS SELECT id, n FROM other.entry'], fenced: [ledger], prepared: ['INSERT INTO other.shown (n) VALUES (?)'] },
  { name: 'a function writes it', made: [...each('BEFORE', 'ledger', 'SET @seen = 1'), 'CREATE FUNCTION shop.noted(x int) RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO shop.ledger (n) VALUES (x); RETURN x; END'], fenced: [ledger], prepared: ['SELECT shop.noted(?) AS n'] },
];

for (const kind of kinds) describeMysql([kind], `prepared statements and a fence on ${kind}`, () => suite(kind));

function suite(kind: MysqlKind): void {
  let server: TestMysql;
  let side: MysqlSourceSide;

  beforeAll(async () => {
    server = await startMysql(kind, { settings: ['log-bin-trust-function-creators=ON'] });
    const address = { host: server.host, port: server.port, user: server.user, password: server.password, database: 'mysql' };
    // Nothing of it is asked of local.
    side = new MysqlSourceSide(testRuntime(), { source: address, local: address, bookkeeping: [], readPosition: () => Promise.reject(new Error('not here')), assertSaved: () => Promise.reject(new Error('not here')) });
    await installMysqlFenceSupport((sql) => server.sql(sql));
    await server.sql(marker);
  });
  afterAll(async () => {
    await side.close();
    await server.dispose();
  });

  async function makeTables(made: readonly string[]): Promise<void> {
    const table = '(id int AUTO_INCREMENT PRIMARY KEY, n int NOT NULL) ENGINE=InnoDB';
    for (const sql of ['DELETE FROM causeway.fence', 'DROP DATABASE IF EXISTS shop', 'DROP DATABASE IF EXISTS other', 'CREATE DATABASE shop', 'CREATE DATABASE other', `CREATE TABLE shop.entry ${table}`, `CREATE TABLE shop.ledger ${table}`, `CREATE TABLE other.entry ${table}`, 'INSERT INTO shop.entry (n) VALUES (1)']) await server.sql(sql);
    for (const sql of made) await server.sql(sql, 'shop');
  }

  async function open(): Promise<mysql.Connection> {
    return mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password });
  }

  it.each(cases)('$name', async ({ made, fenced, prepared }) => {
    await makeTables(made);
    const client = await open();
    const refusals = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const sql of prepared) await client.execute(sql, [1]).catch((error: unknown) => found.push(`${sql}: ${error instanceof Error ? error.message : String(error)}`));
      return found;
    };
    expect(await refusals()).toEqual([]);
    for (let round = 0; round < 3; round += 1) {
      await makeTriggers(server, fenced);
      for (let times = 0; times < 2; times += 1) expect(await refusals()).toEqual([]);
      expect(await side.dropFences(fenced, { timeoutMs: 5_000 })).toEqual([]);
      expect(await refusals()).toEqual([]);
    }
    await side.fence(fenced, { epoch: 1, token: 7n, partitions: [], timeoutMs: 5_000, fence: true, marker: { stream: 's', token: 'prepared' } });
    // What none of its rows is there for finds nothing to refuse.
    for (const refusal of await refusals()) expect(refusal).toContain('MIG082');
    expect((await refusals()).length).toBeGreaterThan(0);
    await side.unfence(fenced, 5_000);
    expect(await refusals()).toEqual([]);
    client.destroy();
  });

  it.each([
    ['of several tables', [entry, ledger, last]],
    ['of a table that is written by triggers of triggers', [last]],
  ])('makes and drops the triggers %s under statements that reach all of them, and none of them fails', async (_, fenced) => {
    await makeTables(['CREATE TABLE shop.last (id int AUTO_INCREMENT PRIMARY KEY, n int NOT NULL) ENGINE=InnoDB', ...each('BEFORE', 'ledger', 'INSERT INTO shop.last (n) VALUES (1)'), ...each('AFTER', 'entry', 'INSERT INTO shop.ledger (n) VALUES (1)')]);
    const stop = new AbortController();
    let done = 0;
    const write = async (inTransactions: boolean): Promise<void> => {
      const client = await open();
      await client.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      await client.query('SET lock_wait_timeout = 30');
      while (!stop.signal.aborted) {
        if (inTransactions) await client.query('BEGIN');
        const [{ insertId }] = await client.execute<mysql.ResultSetHeader>('INSERT INTO shop.entry (n) VALUES (?)', [1]);
        await client.execute('UPDATE shop.entry SET n = n + ? WHERE id = ?', [1, insertId]);
        await client.execute('DELETE FROM shop.entry WHERE id = ?', [insertId]);
        if (inTransactions) await client.query('COMMIT');
        done += 1;
      }
      client.destroy();
    };
    const writing = Promise.all([write(false), write(false), write(true)]);
    writing.catch(() => undefined);
    const rounds = async (): Promise<void> => {
      for (let round = 0; round < 5; round += 1) {
        const before = done;
        await makeTriggers(server, fenced);
        await side.dropFences(fenced, { timeoutMs: 1_000 });
        while (done < before + 10) await Promise.race([writing, delay(5)]);
      }
    };
    await rounds();
    stop.abort();
    await writing;
    expect(await server.sql('SELECT COUNT(*) AS n FROM shop.entry')).toEqual([{ n: '1' }]);
    expect(await server.sql('SELECT COUNT(*) AS n FROM shop.ledger')).toEqual([{ n: String(3 * done) }]);
    expect(await server.sql('SELECT COUNT(*) AS n FROM shop.last')).toEqual([{ n: String(3 * done) }]);
  });
}
