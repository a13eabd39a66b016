/** Property: LOAD DATA LOCAL INFILE leaves the same rows in a table on local as in the server's own, or fails and leaves none. */
import { Readable } from 'node:stream';
import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { describeMysql } from '../../support/mysql-servers.ts';
import { sourceKinds } from '../../cdc/mysql/mysql-source.ts';
import { onLocal } from '../gateway-fixture.ts';
import { BothSides } from './both-sides.ts';

const tables = [
  'CREATE TABLE line (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40), n decimal(8,2), at datetime, data blob, flag tinyint(1), UNIQUE KEY by_name (name)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
  'CREATE TABLE pair (a int PRIMARY KEY, b varchar(200)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4',
];

for (const kind of sourceKinds) {
  describeMysql([kind], `LOAD DATA LOCAL of a client of ${kind} into a table on local`, () => {
    let sides: BothSides;
    let server: mysql.ConnectionOptions;
    let there: mysql.Connection;

    beforeAll(async () => {
      sides = await BothSides.start(kind, tables);
      await sides.source.mysql.sql('SET GLOBAL local_infile = 1');
      sides.publish({ line: onLocal, pair: onLocal });
      const { host, port, user, password } = sides.source.mysql;
      server = { host, port, user, password, database: 'shop' };
    });
    beforeEach(async () => {
      there = await mysql.createConnection(server);
      await sides.source.local.query('TRUNCATE shop.line, shop.pair RESTART IDENTITY');
      await sides.source.mysql.sql('TRUNCATE line; TRUNCATE pair', 'shop');
    });
    afterEach(async () => {
      sides.endClients();
      await there.end();
    });
    afterAll(async () => {
      await sides?.[Symbol.asyncDispose]();
    });

    const load = async (client: mysql.Connection, sql: string, file: readonly (string | Buffer)[] | Buffer): Promise<unknown> => {
      try {
        const parts = Buffer.isBuffer(file) ? [file] : file.map((part) => Buffer.from(part));
        const [header] = await client.query<mysql.ResultSetHeader>({ sql, infileStreamFactory: () => Readable.from(parts, { objectMode: false }) } as mysql.QueryOptions);
        return [header.affectedRows, header.info.replace(/^[^A-Z]/, '').replace(/Warnings: \d+/, '')];
      } catch (error) {
        return error instanceof Error && 'errno' in error ? error.errno : String(error);
      }
    };
    const rows = async (client: mysql.Connection, table: string): Promise<unknown> => (await client.query(`SELECT * FROM ${table} ORDER BY 1`))[0];

    it.each<readonly [string, string, string]>([
      ['by tabs', "LOAD DATA LOCAL INFILE 'f' INTO TABLE line (name, n, at, flag)", 'eins\t1.50\t2024-02-29 12:00:00\t1\nzwölf\t-2\t\\N\t0\n'],
      ['with escapes', "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", '1\ta\\tb\\\\c\\nd\n2\t\\N\n3\tx\\\ny\n4\t\\Na\n5\tN'],
      ['of commas and quotes', "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\r\\n' IGNORE 1 LINES", 'a,b\r\n1,"x,y"\r\n2,"say ""hi"""\r\n3,plain\r\n4,NULL\r\n5,"NULL"\r\n6,"two\r\nlines"\r\n7,"odd"quote"\r\n8,""\r\n'],
      ['of several characters between fields', "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair FIELDS TERMINATED BY '||' LINES TERMINATED BY ';;'", '1||a|b;;2||c;d;;3||;;'],
      ['without escapes', "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair FIELDS TERMINATED BY ',' ESCAPED BY ''", '1,a\\nb\n2,\\N\n'],
      ['with rows that are there, or twice', "LOAD DATA LOCAL INFILE 'f' IGNORE INTO TABLE pair", '1\ta\n1\tb\n2\tc\n'],
      ['with numbers that are given and made', "LOAD DATA LOCAL INFILE 'f' INTO TABLE line (id, name)", '0\ta\n50\tb\n\\N\tc\n'],
      ['in latin1', "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair CHARACTER SET latin1", ''],
      ['of nothing', "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ''],
    ])('%s', async (name, sql, text) => {
      const file = name === 'in latin1' ? Buffer.from('1\tm\xe4rz \x80\n', 'latin1') : Buffer.from(text);
      const here = await sides.connect();
      expect(await load(here, sql, file)).toEqual(await load(there, sql, file));
      expect(await rows(here, 'line')).toEqual(await rows(there, 'line'));
      expect(await rows(here, 'pair')).toEqual(await rows(there, 'pair'));
      expect((await here.query('SELECT LAST_INSERT_ID() AS id'))[0]).toEqual((await there.query('SELECT LAST_INSERT_ID() AS id'))[0]);
    });

    it('bytes as they are, in packets of any size', async () => {
      const here = await sides.connect();
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at).filter((at) => ![9, 10, 92].includes(at)));
      const file = Buffer.concat([Buffer.from('a\t'), bytes, Buffer.from('\nb\t\n')]);
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE line CHARACTER SET binary (name, data)", [...file].map((byte) => Buffer.of(byte)))).toEqual([2, 'Records: 2  Deleted: 0  Skipped: 0  ']);
      expect(await sides.onLocal("SELECT encode(data, 'hex') FROM shop.line WHERE name = 'a'")).toBe(bytes.toString('hex'));
    });

    it('many rows, in little memory, as one statement', async () => {
      const here = await sides.connect();
      const count = 20_000;
      const parts = Array.from({ length: 200 }, (_, part) => Array.from({ length: count / 200 }, (__, at) => `${part * (count / 200) + at}\t${'x'.repeat(150)}\n`).join(''));
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", parts)).toEqual([count, `Records: ${count}  Deleted: 0  Skipped: 0  `]);
      expect(await sides.onLocal('SELECT count(*), sum(a) FROM shop.pair')).toBe(`${count}|${(count * (count - 1)) / 2}`);
      // What is wrong in the last row undoes all of them.
      await sides.source.local.query('TRUNCATE shop.pair');
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", [...parts, 'word\tx\n'])).toBe(1105);
      expect(await sides.onLocal('SELECT count(*) FROM shop.pair')).toBe('0');
      expect((await here.query('SELECT 1 AS one'))[0]).toEqual([{ one: 1 }]);
    });

    it('a file that is one endless row is not gathered', async () => {
      const here = await sides.connect();
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", Array.from({ length: 24 }, () => 'x'.repeat(1024 * 1024)))).toBe(1153);
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ['1\ta\n'])).toEqual([1, 'Records: 1  Deleted: 0  Skipped: 0  ']);
    });

    it('belongs to the transaction, and leaves it as it was when it fails', async () => {
      const here = await sides.connect();
      await here.query('BEGIN');
      await here.query("INSERT INTO pair VALUES (1, 'a')");
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ['2\tb\n3\n'])).toBe(1261);
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ['2\t'])).toBe(1261);
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ['2\tb\tc\n'])).toBe(1262);
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair CHARACTER SET utf8mb4", [Buffer.from('2\t\xff\n', 'latin1')])).toBe(1300);
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ['2\tb\n'])).toEqual([1, 'Records: 1  Deleted: 0  Skipped: 0  ']);
      expect(await rows(here, 'pair')).toEqual([{ a: 1, b: 'a' }, { a: 2, b: 'b' }]);
      await here.query('ROLLBACK');
      expect(await rows(here, 'pair')).toEqual([]);
    });

    it('what cannot be the same is refused before the file is asked for', async () => {
      const here = await sides.connect();
      for (const sql of [
        "LOAD DATA LOCAL INFILE 'f' REPLACE INTO TABLE pair", "LOAD DATA INFILE '/f' INTO TABLE pair", "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair (a, @b) SET b = @b", "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair LINES STARTING BY 'x'",
        "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair FIELDS TERMINATED BY ''", "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair (a, c)",
      ]) await expect(here.query({ sql, infileStreamFactory: () => Readable.from(['1\tx\n']) } as mysql.QueryOptions), sql).rejects.toThrow('MIG082');
      await sides.source.mysql.sql('SET GLOBAL local_infile = 0');
      expect(await load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", ['1\tx\n'])).toBe({ 'mariadb-10.11': 4166, 'mysql-9.7': 3948, 'mysql-5.6': 1148 }[kind]);
      await sides.source.mysql.sql('SET GLOBAL local_infile = 1');
      expect(await rows(here, 'pair')).toEqual([]);
    });

    it('a client that goes amid its file, or is interrupted, leaves nothing', async () => {
      const [here, other] = [await sides.connect(), await sides.connect()];
      const endless = new Readable({ read: () => undefined });
      endless.push('1\ta\n2\tb\n');
      const interrupted = load(here, "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", []);
      await interrupted;
      const running = here.query({ sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", infileStreamFactory: () => endless } as mysql.QueryOptions).then(() => 'done', (error: unknown) => error);
      await expect.poll(() => sides.onLocal("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'causeway mysql' AND state LIKE 'idle in transaction%'")).toBe('1');
      await other.query(`KILL QUERY ${here.threadId}`);
      endless.push('3\tc\n');
      endless.push(null);
      expect(await running).toMatchObject({ errno: 1317 });
      expect(await rows(here, 'pair')).toEqual([]);
      const gone = new Readable({ read: () => undefined });
      gone.push('1\ta\n');
      const lost = here.query({ sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE pair", infileStreamFactory: () => gone } as mysql.QueryOptions).then(() => 'done', () => 'lost');
      await expect.poll(() => sides.onLocal("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'causeway mysql' AND state LIKE 'idle in transaction%'")).toBe('1');
      here.destroy();
      await expect.poll(() => sides.onLocal("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'causeway mysql' AND state LIKE 'idle in transaction%'")).toBe('0');
      expect(await rows(other, 'pair')).toEqual([]);
      void lost;
    });
  });
}
