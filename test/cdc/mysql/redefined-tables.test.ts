// RULES 6 where the binlog does not say how its rows are to be read: a definition that changes under writers stops its table at that very statement, and
// nothing is read by a definition of another moment; what leaves the columns as they are stops nothing.
import { expect, it } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import { contents, until } from '../stream/fixture.ts';
import { followForward } from './forward-fixture.ts';
import { makeMysqlPair } from './mysql-pair.ts';
import type { MysqlPair } from './mysql-pair.ts';
import { sourceKinds } from './mysql-source.ts';

interface Redefinition {
  readonly sql: string;
  /** What makes local fit; undefined where the rows have to be loaded again. */
  readonly onLocal?: string;
  /** The stream goes on by itself. */
  readonly isHarmless?: true;
}

/** Of tables with `id, a, b, s, e, k`. */
const redefinitions: Readonly<Record<string, Redefinition>> = {
  added: { sql: 'ADD COLUMN w int DEFAULT 5', onLocal: 'ADD COLUMN w integer DEFAULT 5' },
  added_between: { sql: 'ADD COLUMN w smallint NOT NULL DEFAULT 7 AFTER id', onLocal: 'ADD COLUMN w smallint NOT NULL DEFAULT 7' },
  dropped: { sql: 'DROP COLUMN k', onLocal: 'DROP COLUMN k' },
  dropped_and_added: { sql: 'DROP COLUMN k, ADD COLUMN w int', onLocal: 'DROP COLUMN k, ADD COLUMN w integer' },
  widened: { sql: 'MODIFY a bigint', onLocal: 'ALTER COLUMN a TYPE bigint' },
  sign: { sql: 'MODIFY a int unsigned', onLocal: 'ALTER COLUMN a TYPE bigint' },
  longer: { sql: 'MODIFY s varchar(300) CHARACTER SET latin1', onLocal: 'ALTER COLUMN s TYPE varchar(300)' },
  finer: { sql: 'MODIFY k decimal(20,6)', onLocal: 'ALTER COLUMN k TYPE numeric(20,6)' },
  reordered: { sql: 'MODIFY b int FIRST, MODIFY s varchar(40) CHARACTER SET latin1 AFTER a', isHarmless: true },
  renamed: { sql: 'CHANGE k l decimal(10,2)', onLocal: 'RENAME COLUMN k TO l' },
  swapped: { sql: 'CHANGE a b int, CHANGE b a int' },
  made_anew: { sql: 'DROP COLUMN k, ADD COLUMN k decimal(10,2)' },
};

/** No names, signs or character sets in the binlog. */
export function withoutMetadata(kind: MysqlKind): readonly string[] {
  return kind === 'mysql-5.6' ? [] : [`binlog-row-metadata=${kind === 'mysql-9.7' ? 'MINIMAL' : 'NO_LOG'}`];
}

for (const kind of sourceKinds) {
  describeMysql([kind], `${kind} without row metadata`, () => {
    it('a statement that leaves the columns as they are stops no table, however late it is read', async () => {
      await using server = await startMysql(kind, { settings: withoutMetadata(kind) });
      await using local = await startTestPostgres();
      await using pair = await makeMysqlPair(server, local, 'shop');
      await server.sql('CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v int unsigned, s varchar(20)) ENGINE=InnoDB; INSERT INTO t (v, s) VALUES (1, \'a\')', 'shop');
      await using forward = await followForward(pair, ['t']);
      const harmless = (at: number): readonly string[] => [`ALTER TABLE t AUTO_INCREMENT = ${1000 * (at + 1)}`, `ALTER TABLE t ADD INDEX i${at} (v)`, "ALTER TABLE t COMMENT = 'of t'", 'CREATE OR REPLACE VIEW seen AS SELECT id FROM t', `ALTER TABLE t ALTER COLUMN v SET DEFAULT ${at}`, 'DROP TEMPORARY TABLE IF EXISTS t'];
      for (let round = 0; round < 4; round += 1) {
        // Rows on both sides of each, so that a reader that begins anew has to read them again.
        for (const statement of harmless(round)) await server.sql(`INSERT INTO t (v, s) VALUES (4294967295, 'before'); ${statement}; INSERT INTO t (v, s) VALUES (7, 'after')`, 'shop');
        await until('in step again', () => ['shared', 'failed'].includes(forward.stream.status('t')?.mode ?? ''));
      }
      await forward.settle(['t']);
      await until('in step at the end', () => ['shared', 'failed'].includes(forward.stream.status('t')?.mode ?? ''));
      expect(forward.stream.status('t')).toMatchObject({ mode: 'shared', error: undefined });
      await forward.settle(['t']);
      expect(await contents(pair.client, 't')).toEqual((await server.sql("SELECT CONCAT('(', id, ',', v, ',', s, ')') AS r FROM t", 'shop')).map(({ r }) => r).sort());
    }, 120_000);

    it('a table that stops takes no other one out of step, nor does the stream pass for one that has lost its connection', async () => {
      await using server = await startMysql(kind, { settings: withoutMetadata(kind) });
      await using local = await startTestPostgres();
      await using pair = await makeMysqlPair(server, local, 'shop');
      await server.sql('CREATE TABLE a (id int PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE b (id int PRIMARY KEY) ENGINE=InnoDB', 'shop');
      await using forward = await followForward(pair, ['a', 'b']);
      const seen = new Set<string>();
      const look = setInterval(() => {
        const { connected, lastError } = forward.stream.health();
        if (!connected) seen.add(`not connected: ${String(lastError)}`);
        if (forward.stream.status('b')?.mode !== 'shared') seen.add('b is out of step');
      }, 0);
      await server.sql('INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); ALTER TABLE a ADD COLUMN v int; INSERT INTO a VALUES (2, 2); INSERT INTO b VALUES (2)', 'shop');
      await until('stopped', () => forward.stream.status('a')?.mode === 'failed');
      await forward.settle(['b']);
      clearInterval(look);
      expect([...seen]).toEqual([]);
      expect(await contents(pair.client, 'b')).toEqual(['(1)', '(2)']);
    }, 60_000);

    it('a definition that changes under writers stops its table there, and nothing is lost or read wrongly', async () => {
      await using server = await startMysql(kind, { settings: withoutMetadata(kind) });
      await using local = await startTestPostgres();
      await using pair = await makeMysqlPair(server, local, 'shop');
      const tables = Object.keys(redefinitions);
      await server.sql('CREATE TABLE marks (name varchar(40) PRIMARY KEY, n int) ENGINE=InnoDB', 'shop');
      for (const table of tables) {
        await server.sql(`CREATE TABLE ${table} (id int AUTO_INCREMENT PRIMARY KEY, a int, b int, s varchar(40) CHARACTER SET latin1, e enum('x','y') NOT NULL, k decimal(10,2)) ENGINE=InnoDB;
          INSERT INTO ${table} (a, b, s, e, k) VALUES (0, -1, 's0', 'x', 0)`, 'shop');
      }
      await using forward = await followForward(pair, tables);
      const stop = new AbortController();
      const written = { count: 0 };
      const writing = Promise.all([1, 2].map((first) => writeRows(server, tables, first, written, stop.signal)));
      writing.catch(() => undefined);
      await until('rows before', () => written.count > 20);
      for (const [table, { sql }] of Object.entries(redefinitions)) {
        // Nobody writes between the count and the statement.
        await server.sql(`LOCK TABLES ${table} WRITE, marks WRITE; INSERT INTO marks SELECT '${table}', COUNT(*) FROM ${table}; ALTER TABLE ${table} ${sql}; UNLOCK TABLES`, 'shop');
        const before = written.count;
        await until('rows between', () => written.count > before + 2);
      }
      stop.abort();
      await writing;
      const stopped = tables.filter((table) => redefinitions[table]?.isHarmless !== true);
      await until('stopped', () => stopped.every((table) => forward.stream.status(table)?.mode === 'failed'), 60_000).catch(() => undefined);
      expect(tables.filter((table) => forward.stream.status(table)?.mode === 'failed')).toEqual(stopped);
      for (const table of stopped) {
        expect(forward.stream.status(table)?.error, table).toMatchObject({ code: 'MIG011' });
        // As they were written: every sum and text is that of its own row.
        const { rows } = await pair.client.query<{ n: string; all: string }>(`SELECT count(*)::text AS all, count(*) FILTER (WHERE a + b = -1 AND s = 's' || a AND k * 4 = a)::text AS n FROM ${table}`);
        expect(rows[0]?.n, table).toBe(rows[0]?.all);
        // Exactly those of before the statement.
        expect(Number(rows[0]?.all), table).toBe(await rowsBefore(server, table));
      }
      for (const [table, { onLocal }] of Object.entries(redefinitions)) {
        if (onLocal === undefined) continue;
        await pair.client.query(`ALTER TABLE ${table} ${onLocal}`);
        await forward.stream.replan(await pair.planAgain(table));
        await forward.stream.startDraining(table);
      }
      const recovered = tables.filter((table) => redefinitions[table]?.onLocal !== undefined || redefinitions[table]?.isHarmless === true);
      await until('in step again', () => recovered.every((table) => ['shared', 'failed'].includes(forward.stream.status(table)?.mode ?? '')), 60_000).catch(() => undefined);
      expect(recovered.map((table) => [table, forward.stream.status(table)?.mode, String(forward.stream.status(table)?.error?.message)])).toEqual(recovered.map((table) => [table, 'shared', 'undefined']));
      await forward.settle(recovered);
      for (const table of recovered) expect(await localRows(pair, table), table).toEqual(await sourceRows(server, pair, table));
      for (const table of stopped.filter((each) => !recovered.includes(each))) expect(forward.stream.status(table)?.error, table).toMatchObject({ detail: expect.stringContaining('RESYNC') as string });
    }, 240_000);
  });
}

/** Rows of which each value follows from another one, in the columns that every definition has. */
async function writeRows(server: TestMysql, tables: readonly string[], first: number, written: { count: number }, signal: AbortSignal): Promise<void> {
  for (let n = first; !signal.aborted; n += 2) {
    await Promise.all(tables.map(async (table) => {
      const wide = `INSERT INTO ${table} (a, b, s, e, k) VALUES (${4 * n}, ${-4 * n - 1}, 's${4 * n}', 'y', ${n})`;
      // Who has lost a column goes on without it.
      await server.sql(wide, 'shop').catch(() => server.sql(`INSERT INTO ${table} (a, s, e) VALUES (${4 * n}, 's${4 * n}', 'y')`, 'shop'));
    }));
    written.count += 1;
  }
}

async function rowsBefore(server: TestMysql, table: string): Promise<number> {
  return Number((await server.sql(`SELECT n FROM marks WHERE name = '${table}'`, 'shop'))[0]?.['n']);
}

/** By the names that the source has now. */
async function sourceRows(server: TestMysql, pair: MysqlPair, table: string): Promise<readonly unknown[]> {
  const names = (await pair.planAgain(table)).columns.map(({ name }) => name).sort();
  return (await server.sql(`SELECT ${names.join(', ')} FROM ${table} ORDER BY id`, 'shop')).map((row) => names.map((name) => `${name} ${row[name]}`).join());
}

async function localRows(pair: MysqlPair, table: string): Promise<readonly unknown[]> {
  const names = (await pair.planAgain(table)).columns.map(({ name }) => name).sort();
  return (await pair.client.query<Record<string, string>>(`SELECT ${names.map((name) => `${name}::text`).join(', ')} FROM ${table} ORDER BY ${table}.id`)).rows.map((row) => names.map((name) => `${name} ${row[name]}`).join());
}
