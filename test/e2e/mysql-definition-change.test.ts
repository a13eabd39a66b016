/**
 * RULES 6 on MariaDB as it is installed (its binlog says no names of columns): what changes in a definition between START and CUTOVER, on either side, is found
 * before the cutover; once both sides are the same the table moves, with every row.
 */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeMysql, startMysql } from '../support/mysql-servers.ts';
import type { TestMysql } from '../support/mysql-servers.ts';
import { freePort } from '../support/postgres.ts';
import { startMysqlStack } from './support/mysql-stack.ts';
import type { Stack } from './support/stack.ts';

describeMysql(['mariadb-10.11'], 'definitions that change', () => {
  let server: TestMysql;
  let stack: Stack;
  let port: number;

  beforeAll(async () => {
    server = await startMysql('mariadb-10.11');
    await server.createDatabase('shop');
    const table = (name: string): string => `CREATE TABLE ${name} (id int AUTO_INCREMENT PRIMARY KEY, level int NULL DEFAULT 1 CHECK (level < 1000), name varchar(40) NOT NULL) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4; INSERT INTO ${name} (level, name) SELECT seq, CONCAT('name ', seq) FROM seq_1_to_100;`;
    await server.sql([...['rule', 'keyed', 'grown', 'here', 'numbered'].map(table), 'CREATE TABLE parent (id int PRIMARY KEY) ENGINE = InnoDB; INSERT INTO parent SELECT seq FROM seq_1_to_1000'].join('\n'), 'shop');
    port = await freePort();
    stack = await startMysqlStack(server, { workers: 1, users: [], port });
    await stack.command('START MIGRATION FOR SCHEMA shop FROM legacy_mysql');
    await stack.makeReady('shop', 120_000);
  }, 240_000);
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
    await server?.dispose();
  });

  const onSource = (sql: string): Promise<unknown> => server.sql(sql, 'shop');
  const onLocal = async (sql: string): Promise<unknown> => (await stack.direct('local')).query(`SET search_path = shop; ${sql}; SET search_path = DEFAULT`);
  const refusal = async (statement: string): Promise<{ message: string; detail: string; hint: string }> => stack.command(statement).then(() => { throw new Error('it was not refused'); }, (error: unknown) => error as { message: string; detail: string; hint: string });
  async function refused(table: string): Promise<string> {
    const { message, detail } = await refusal(`CUTOVER TABLE shop.${table}`);
    return `${message}\n${detail ?? ''}`;
  }
  const stateOf = async (table: string): Promise<string | undefined> => (await stack.command<{ State: string; Table: string }>('SHOW MIGRATION STATUS')).find((row) => row.Table === `shop.${table}`)?.State;

  /** This table alone: others have stopped. */
  async function makeReady(table: string): Promise<void> {
    await expect.poll(() => stateOf(table), { timeout: 60_000 }).toMatch(/DUAL_WRITE|CUTOVER_READY/);
    await expect.poll(async () => {
      await stack.command(`VALIDATE MIGRATION FOR TABLE shop.${table} FULL`);
      return stateOf(table);
    }, { timeout: 60_000 }).toBe('CUTOVER_READY');
  }

  it('a default, a check and NOT NULL of the source, until local has them too', async () => {
    await onSource('ALTER TABLE rule ALTER COLUMN level SET DEFAULT 2, ADD CONSTRAINT low CHECK (level > -5); ALTER TABLE rule MODIFY level int NOT NULL DEFAULT 2 CHECK (level < 1000)');
    await expect.poll(() => stateOf('rule')).toMatch(/CUTOVER_READY|DUAL_WRITE/);
    const said = await refused('rule');
    expect(said).toMatch(/^MIG011: shop\.rule: its definition has changed: the default of level is 2 on the source now, and was 1; on local it is 1/);
    expect(said).toContain('level takes no NULL on the source any more, and does on local');
    expect(said).toMatch(/CHECK \(\(level > ['(]*-5.*is new on the source, and not on local/);
    const check = /(CHECK \(.*\)) is new on the source/.exec(said)?.[1] ?? '';
    await onLocal(`ALTER TABLE rule ALTER COLUMN level SET DEFAULT 2, ALTER COLUMN level SET NOT NULL, ADD ${check}`);
    await stack.command('CUTOVER TABLE shop.rule');
  }, 60_000);

  it('a unique key, an index and a foreign key of the source', async () => {
    await onSource('ALTER TABLE keyed ADD UNIQUE KEY by_name (name), ADD KEY by_level (level); ALTER TABLE keyed ADD CONSTRAINT of_parent FOREIGN KEY (level) REFERENCES parent (id)');
    const said = await refused('keyed');
    expect(said).toMatch(/index UNIQUE USING btree \(name\) is new on the source, and not on local/);
    expect(said).toMatch(/index USING btree \(level\) is new on the source, and not on local/);
    expect(said).toContain('foreign key (level) to parent (id) is new on the source, and not on local');
    await onLocal('CREATE UNIQUE INDEX ON keyed (name); CREATE INDEX ON keyed (level); ALTER TABLE keyed ADD FOREIGN KEY (level) REFERENCES parent (id)');
    await stack.command('CUTOVER GROUP OF shop.keyed');
  }, 60_000);

  it('a column of the source, with rows before and behind it: RESUME … ACCEPT DDL goes on where it came', async () => {
    await onSource("INSERT INTO grown (level, name) VALUES (1, 'before'); ALTER TABLE grown ADD COLUMN mood varchar(20) DEFAULT 'calm' AFTER id; INSERT INTO grown (level, name, mood) VALUES (2, 'behind', 'gay'); UPDATE grown SET mood = 'sad' WHERE name = 'name 7'; DELETE FROM grown WHERE name = 'name 8'");
    await expect.poll(() => stateOf('grown'), { timeout: 20_000 }).toBe('ERROR');
    expect(await refused('grown')).toMatch(/^MIG074: shop\.grown: it is in state ERROR \(MIG011: [^)]*\)[^]*column mood is new/);
    const { message, hint } = await refusal('RESUME MIGRATION FOR TABLE shop.grown ACCEPT DDL');
    expect(`${message} ${hint}`).toMatch(/^MIG011.*ADD COLUMN "mood" character varying\(20\)/s);
    // MariaDB has filled it in, without a word in its binlog.
    await onLocal(/Run on local: (.*)/.exec(hint)?.[1] ?? '');
    await stack.command('RESUME MIGRATION FOR TABLE shop.grown ACCEPT DDL');
    await makeReady('grown');
    await stack.command('CUTOVER TABLE shop.grown');
    const rows = await stack.command<{ row: string }>("SELECT concat_ws(' ', id, level, name, mood) AS row FROM shop.grown ORDER BY grown.id");
    expect(rows.map(({ row }) => row)).toEqual((await server.sql("SELECT CONCAT_WS(' ', id, level, name, mood) AS r FROM grown ORDER BY id", 'shop')).map(({ r }) => r));
    expect(rows).toHaveLength(101);
  }, 180_000);

  it('what local has of its own is left alone, unless rows no longer fit', async () => {
    await onLocal('ALTER TABLE here ALTER COLUMN level SET DEFAULT 9; CREATE INDEX ON here (name)');
    await onLocal('ALTER TABLE here ALTER COLUMN name TYPE text');
    expect(await refused('here')).toMatch(/^MIG011: shop\.here: its definition has changed: column name: type is character varying\(40\) on the source, text on local/);
    await onLocal('ALTER TABLE here ALTER COLUMN name TYPE varchar(40) COLLATE mysql.ai_ci');
    await stack.command('CUTOVER TABLE shop.here');
  }, 60_000);

  it('statements that leave the columns as they are, the product\'s own among them, hold no cutover up', async () => {
    for (let round = 1; round <= 3; round += 1) {
      await onSource(`INSERT INTO numbered (level, name) VALUES (5, 'before ${round}'); ALTER TABLE numbered AUTO_INCREMENT = ${round * 10_000}; INSERT INTO numbered (level, name) VALUES (6, 'behind ${round}'); CREATE OR REPLACE VIEW seen AS SELECT id FROM numbered; ANALYZE TABLE numbered; INSERT INTO numbered (level, name) VALUES (7, 'after ${round}')`);
      await makeReady('numbered');
      await onLocal('DROP VIEW IF EXISTS seen; CREATE VIEW seen AS SELECT id FROM numbered');
      await stack.command('CUTOVER TABLE shop.numbered');
      await stack.command("INSERT INTO shop.numbered (level, name) VALUES (8, 'on local')");
      // A MySQL client's key, on both sides (docs/decisions/0033): neither the stream back, nor the next cutover minds.
      const client = await mysql.createConnection({ host: '127.0.0.1', port, user: 'operator', database: 'shop' });
      await client.query(`ALTER TABLE numbered ADD INDEX by_level_${round} (level, name(5))${round === 1 ? '' : `, DROP INDEX by_level_${round - 1}`}`);
      await client.end();
      await stack.command("INSERT INTO shop.numbered (level, name) VALUES (9, 'behind the key')");
      await stack.command('ROLLBACK MIGRATION FOR TABLE shop.numbered PRESERVE LOCAL DATA');
    }
    // `grown`, and no other one.
    expect(await stack.command<{ n: string }>("SELECT count(DISTINCT table_id)::text AS n FROM SYS$MIGRATION_HISTORY WHERE new_state = 'ERROR'").then((rows) => rows[0]?.n)).toBe('1');
  }, 180_000);
});
