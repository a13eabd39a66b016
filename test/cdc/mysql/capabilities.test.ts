/** Property: each server does what the table says of its version, and does not what the table says it cannot; the page is the table. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import mysql from 'mysql2/promise';
import { mysqlCapabilities, mysqlCapabilityTable, mysqlServerCapabilities, parseMysqlVersion } from '../../../cdc/mysql/capabilities.ts';
import type { MysqlCapabilities, MysqlCapability } from '../../../cdc/mysql/capabilities.ts';
import { lossTable } from '../../../cdc/mysql/type-loss.ts';
import { describeMysql, mysqlKinds, startMysql } from '../../support/mysql-servers.ts';
import type { TestMysql } from '../../support/mysql-servers.ts';

const page = readFileSync(new URL('../../../docs/mysql.md', import.meta.url), 'utf8');

/** Statements in database `d`, which has `t (id INT PRIMARY KEY, v INT)`; the last has to succeed where the server has the capability, and to fail elsewhere. */
const statements: { readonly [Name in MysqlCapability]?: string } = {
  insertReturning: 'INSERT INTO t VALUES (1, 1) RETURNING id', deleteReturning: 'DELETE FROM t WHERE id = 99 RETURNING id',
  generatedColumns: 'CREATE TABLE with_generated (a INT, b INT GENERATED ALWAYS AS (a + 1) STORED)', expressionDefaults: 'CREATE TABLE computed (a INT DEFAULT (1 + 1))',
  functionalIndexes: 'CREATE TABLE functional (a INT, KEY ((a + 1)))', commonTableExpressions: 'WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 3) SELECT * FROM x',
  windowFunctions: 'SELECT ROW_NUMBER() OVER (ORDER BY id) FROM t', setOperations: 'SELECT 1 EXCEPT SELECT 2', lateral: 'SELECT * FROM t, LATERAL (SELECT t.id) x', skipLocked: 'SELECT * FROM t FOR UPDATE SKIP LOCKED',
  jsonFunctions: "SELECT JSON_EXTRACT('{\"a\": 1}', '$.a')", inet6Type: 'CREATE TABLE inet6 (a INET6)', inet4Type: 'CREATE TABLE inet4 (a INET4)', uuidType: 'CREATE TABLE uuids (a UUID)', vectorType: 'CREATE TABLE vectors (a VECTOR(3))', roles: 'CREATE ROLE r1', dataLocks: 'SELECT OBJECT_NAME, LOCK_MODE FROM performance_schema.data_locks LIMIT 1',
};

/** Those that take more than one statement to see. */
const probes: { readonly [Name in MysqlCapability]?: (server: TestMysql, has: MysqlCapabilities) => Promise<boolean> } = {
  safePreparedXa: async (server) => {
    await server.sql("XA START 'x'; INSERT INTO t VALUES (5, 5); XA END 'x'; XA PREPARE 'x'", 'd');
    // The connection above is gone; its end reaches the server a little later.
    await expect.poll(async () => (await server.sql("SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE DB = 'd' AND ID <> CONNECTION_ID()", 'd'))[0]?.['n']).toBe('0');
    const kept = await server.sql('XA RECOVER');
    await server.sql("XA ROLLBACK 'x'").catch(() => undefined);
    return kept.length === 1;
  },
  checks: async (server) => {
    await server.sql('CREATE TABLE checked (a INT, CHECK (a > 0))', 'd');
    return server.sql('INSERT INTO checked VALUES (-1)', 'd').then(() => false, () => true);
  },
  descendingIndexes: async (server) => {
    await server.sql('CREATE TABLE falling (a INT, KEY k (a DESC))', 'd');
    return (await server.sql("SELECT COLLATION AS direction FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'falling'"))[0]?.['direction'] === 'D';
  },
  severalTriggers: async (server) => {
    await server.sql('CREATE TABLE fired (a INT); CREATE TRIGGER first_one BEFORE INSERT ON fired FOR EACH ROW SET @x = 1', 'd');
    return server.sql('CREATE TRIGGER second_one BEFORE INSERT ON fired FOR EACH ROW SET @x = 2', 'd').then(() => true, () => false);
  },
  nativeJson: async (server) => {
    await server.sql('CREATE TABLE json_values (a JSON)', 'd').catch(() => undefined);
    return (await server.sql("SELECT DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'json_values'"))[0]?.['type'] === 'json';
  },
  rowMetadata: (server) => hasVariable(server, 'binlog_row_metadata'),
  compressedLog: async (server) => (await hasVariable(server, 'log_bin_compress')) || hasVariable(server, 'binlog_transaction_compression'),
  statementTimeout: async (server) => (await hasVariable(server, 'max_statement_time')) || hasVariable(server, 'max_execution_time'),
  loggedCascades: async (server) => {
    await server.sql('CREATE TABLE p (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE) ENGINE=InnoDB; INSERT INTO p VALUES (1); INSERT INTO c VALUES (7, 1)', 'd');
    const before = (await server.sql('SHOW BINLOG EVENTS')).length;
    await server.sql('DELETE FROM p', 'd');
    return (await server.sql('SHOW BINLOG EVENTS')).slice(before).filter((event) => event['Event_type']?.startsWith('Delete_rows') === true).length === 2;
  },
  longTimestamps: async (server) => {
    await server.sql('CREATE TABLE instants (a TIMESTAMP NULL)', 'd');
    return server.sql("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'; INSERT INTO instants VALUES ('2106-02-07 06:28:15')", 'd').then(() => true, () => false);
  },
  ownTransactionId: ownId,
};

async function hasVariable(server: TestMysql, name: string): Promise<boolean> {
  return (await server.sql(`SHOW GLOBAL VARIABLES LIKE '${name}'`)).length === 1;
}

/** MariaDB has it as a variable of the session, MySQL sends it behind the OK of the commit to sessions that ask for it. */
async function ownId(server: TestMysql, has: MysqlCapabilities): Promise<boolean> {
  const connection = await mysql.createConnection({ host: server.host, port: server.port, user: server.user, password: server.password, database: 'd' });
  try {
    if (has.flavour === 'mysql') return await connection.query("SET SESSION session_track_gtids = 'OWN_GTID'").then(() => true, () => false);
    await connection.query('UPDATE t SET v = v + 1');
    await connection.query('INSERT INTO t VALUES (77, 7)');
    const [rows] = await connection.query('SELECT @@last_gtid AS id');
    return /^\d+-\d+-\d+$/.test(JSON.stringify(rows).match(/"id":"([^"]*)"/)?.[1] ?? '');
  } finally {
    connection.destroy();
  }
}

for (const kind of mysqlKinds) {
  describeMysql([kind], `capabilities of ${kind}`, () => {
    let server: TestMysql;
    beforeAll(async () => {
      server = await startMysql(kind);
      await server.createDatabase('d');
      await server.sql('CREATE TABLE t (id INT PRIMARY KEY, v INT) ENGINE=InnoDB', 'd');
    });
    afterAll(() => server.dispose());

    it.each(mysqlCapabilities)('%s', async (name) => {
      const has = mysqlServerCapabilities(parseMysqlVersion((await server.sql('SELECT VERSION() AS v'))[0]?.['v'] ?? ''));
      const statement = statements[name];
      const probe = probes[name];
      const found = statement !== undefined ? await server.sql(statement, 'd').then(() => true, () => false) : await probe?.(server, has);
      expect(found).toBe(has[name]);
    });
  });
}

it('versions are read from what servers say', () => {
  expect(parseMysqlVersion('5.5.5-10.6.12-MariaDB-log')).toMatchObject({ flavour: 'mariadb', version: 100612 });
  expect(parseMysqlVersion('8.0.36-28')).toMatchObject({ flavour: 'mysql', version: 80036 });
  expect(() => parseMysqlVersion('Percona')).toThrow(/cannot be read/);
  expect(mysqlServerCapabilities(parseMysqlVersion('8.0.36')).gtidForm).toBe('uuid');
  expect(mysqlServerCapabilities(parseMysqlVersion('9.7.4')).gtidForm).toBe('tagged_uuid');
});

it('the page has the tables', () => {
  expect(page).toContain(mysqlCapabilityTable());
  expect(page).toContain(lossTable());
});
