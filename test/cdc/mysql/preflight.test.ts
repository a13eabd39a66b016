/** Property: each obstacle is found by name, with a remedy; once the remedies are carried out, none of them is found. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isGranted, parseGrant } from '../../../cdc/mysql/grants.ts';
import { preflightMysqlTable } from '../../../cdc/mysql/preflight.ts';
import type { MysqlPreflightOptions } from '../../../cdc/mysql/preflight.ts';
import { readMysqlServer } from '../../../cdc/mysql/introspect.ts';
import type { MysqlQuery } from '../../../cdc/mysql/query.ts';
import { mysqlWayBackFindings } from '../../../cdc/mysql/way-back-findings.ts';
import type { Finding } from '../../../cdc/postgres/finding.ts';
import { readTypeOverrides } from '../../../grammar/migration/type-overrides.ts';
import { describeMysql } from '../../support/mysql-servers.ts';
import { connectAs, sourceKinds, startMysqlSource } from './mysql-source.ts';
import type { MysqlSource } from './mysql-source.ts';
import { clauseTables } from './sample-tables.ts';

const codes = (findings: readonly Finding[], severity: Finding['severity']): string[] => [...new Set(findings.filter((finding) => finding.severity === severity).map((finding) => finding.code))].sort();

for (const kind of sourceKinds) {
  describeMysql([kind], `preflight of ${kind}`, () => {
    const isMaria = kind.startsWith('mariadb');
    let source: MysqlSource;

    beforeAll(async () => {
      source = await startMysqlSource(kind);
      await source.mysql.createDatabase('shop');
      for (const sql of clauseTables(kind)) await source.mysql.sql(sql, 'shop');
      await source.mysql.sql('CREATE TABLE plain (id INT PRIMARY KEY, v INT) ENGINE=InnoDB', 'shop');
      await source.local.query('CREATE DATABASE unused');
    });
    afterAll(() => source[Symbol.asyncDispose]());

    const check = (name: string, options: Partial<MysqlPreflightOptions> = {}, query: MysqlQuery = source.query): Promise<Finding[]> =>
      preflightMysqlTable(query, source.local, { tableId: name, table: { schema: 'shop', name }, ...options });

    const wayBack = async (name: string, query: MysqlQuery = source.query): Promise<string[]> =>
      (await mysqlWayBackFindings(query, await readMysqlServer(query), { schema: 'shop', name })).map(({ subject, message }) => `${subject} ${message}`);

    /** Local's own settings and a version without row metadata are no part of the question. */
    const own = (findings: readonly Finding[]): Finding[] => findings.filter((finding) => finding.subject !== 'local' && finding.code !== 'row_metadata');

    it('finds nothing to decide about a plain table', async () => {
      if (kind !== 'mysql-5.6') await source.mysql.sql("SET GLOBAL binlog_row_metadata = 'FULL'");
      await source.mysql.sql("SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES'");
      const findings = await check('plain');
      expect(own(findings).filter((finding) => finding.severity !== 'info')).toEqual([]);
      expect(codes(findings, 'info')).toEqual(expect.arrayContaining(['server_version', 'time_zone', 'disk_space']));
    });

    it('says what of a definition local does not get, and what it means otherwise', async () => {
      await source.mysql.sql(`CREATE TRIGGER watch BEFORE INSERT ON clauses FOR EACH ROW SET NEW.b = 1; CREATE VIEW seen AS SELECT id FROM clauses; CREATE VIEW seen_too AS SELECT id FROM seen;
        CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO DELETE FROM clauses WHERE id < 0`, 'shop');
      const findings = await check('clauses', { companions: [{ schema: 'shop', name: 'parent' }] });
      const cascades = kind === 'mysql-9.7' ? [] : ['cascade'];
      expect(codes(own(findings), 'error')).toEqual(cascades);
      expect(codes(own(findings), 'warning')).toEqual([...(kind === 'mysql-5.6' ? [] : ['check']), 'event', 'fulltext_index', 'key_collation', 'trigger', 'way_back'].sort());
      expect(codes(own(findings), 'info')).toEqual(expect.arrayContaining(['auto_increment', 'collation', 'on_update', 'prefix_index', 'type_loss', 'unsigned_64', 'view', ...(kind === 'mysql-5.6' ? [] : ['generated_column'])]));
      expect(findings.find((finding) => finding.code === 'view')?.message).toContain('shop.seen, shop.seen_too');
      expect(codes(await check('clauses'), 'warning')).toContain('foreign_key');
      expect(codes(await check('parent'), 'warning')).toContain('foreign_key');
    });

    it.each([
      ['another engine', 'CREATE TABLE x (id INT PRIMARY KEY) ENGINE=MyISAM', 'engine', 'MIG011'],
      ['a spatial index that is unique to nothing', 'CREATE TABLE x (id INT PRIMARY KEY, g POINT NOT NULL, SPATIAL KEY (g)) ENGINE=MyISAM', 'engine', 'MIG011'],
      ['a missing table', 'SELECT 1', 'table', 'MIG010'],
      ['a long name', `CREATE TABLE x (id INT PRIMARY KEY, ${'é'.repeat(40)} INT) ENGINE=InnoDB`, 'name_length', 'MIG011'],
      ['an AUTO_INCREMENT of fractions', `CREATE TABLE x (id ${kind === 'mysql-9.7' ? 'BIGINT UNSIGNED' : 'DOUBLE'} NOT NULL AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB`, 'auto_increment', 'MIG011'],
    ])('refuses %s', async (_, ddl, code, errorCode) => {
      await source.mysql.sql(`DROP TABLE IF EXISTS x; SET NAMES utf8; ${ddl}`, 'shop');
      const findings = await check('x', kind === 'mysql-9.7' && code === 'auto_increment' ? { overrides: readTypeOverrides('id numeric(20)') ?? [] } : {});
      expect(findings.find((finding) => finding.severity === 'error')).toMatchObject({ code, errorCode, remedy: expect.stringMatching(/./) as string });
      await source.mysql.sql('DROP TABLE IF EXISTS x', 'shop');
    });

    it('finds tables without a key, and keys whose values may become equal', async () => {
      await source.mysql.sql('CREATE TABLE keyless (a INT, UNIQUE KEY (a)) ENGINE=InnoDB; CREATE TABLE dated (d DATE PRIMARY KEY) ENGINE=InnoDB', 'shop');
      expect(codes(await check('keyless'), 'warning')).toContain('keyless');
      expect(codes(await check('dated'), 'error')).toEqual([]);
      expect(codes(await check('dated', { overrides: readTypeOverrides('* ON * CLAMP') ?? [] }), 'error')).toEqual(['key_loss']);
      expect(codes(await check('dated', { overrides: readTypeOverrides('d boolean') ?? [] }), 'error')).toEqual(['type_map']);
      expect(codes(await check('dated', { overrides: readTypeOverrides('d ON nonsense NULL') ?? [] }), 'error')).toEqual(['type_map']);
    });

    it('counts values that local cannot hold, until their column has a policy', async () => {
      await source.mysql.sql(`CREATE TABLE odd (id INT PRIMARY KEY, d DATE, dt DATETIME(3), t TEXT CHARACTER SET utf8, e ENUM('a'), flag TINYINT(1), big BIGINT UNSIGNED) ENGINE=InnoDB; SET sql_mode = 'ALLOW_INVALID_DATES';
        INSERT INTO odd VALUES (1, 0, 0, 'a\\0b', '', 3, 18446744073709551615), (2, '2024-02-30', '2024-00-01', 'ok', 'a', 1, 1), (3, '2024-02-29', '2023-12-31', 'ok', 'a', 0, 1), (4, NULL, NULL, NULL, NULL, NULL, NULL)`, 'shop');
      const findings = (await check('odd', { overrides: readTypeOverrides('big bigint') ?? [] })).filter((finding) => finding.errorCode === 'MIG014');
      expect(findings.map((finding) => `${finding.subject.replace('`shop`.`odd` ', '')} ${finding.code} ${finding.message.slice(0, 1)}`).sort()).toEqual(
        ['big unsigned_range 1', 'd invalid_date 1', 'd zero_date 1', 'dt invalid_date 1', 'dt zero_date 1', 'e enum_empty 1', 'flag boolean_range 1', 't nul_character 1']);
      const accepted = await check('odd', { overrides: readTypeOverrides('* ON * NULL, big bigint') ?? [] });
      expect(codes(accepted, 'error')).toEqual([]);
      expect(codes(accepted, 'warning')).toEqual(expect.arrayContaining(['zero_date', 'enum_empty']));
    });

    it('finds values of a unique key that are equal to local alone', async () => {
      await source.mysql.sql("CREATE TABLE street (id INT PRIMARY KEY, name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL, UNIQUE KEY (name)) ENGINE=InnoDB; SET NAMES utf8mb4; INSERT INTO street VALUES (1, 'Hauptstraße'), (2, 'Hauptstrasse')", 'shop');
      expect((await check('street')).find((finding) => finding.code === 'key_collision')).toMatchObject({ severity: 'error', message: expect.stringMatching(/Hauptstra(ß|ss)e/) as string });
    });

    it('refuses a log that cannot be followed, and says which setting', async () => {
      const settings: readonly (readonly [string, string, string, string])[] = [
        ['binlog_format', "'STATEMENT'", "'ROW'", 'binlog_format'], ['binlog_row_image', "'MINIMAL'", "'FULL'", 'row_image'], ...(kind === 'mysql-9.7' ? [['binlog_row_value_options', "'PARTIAL_JSON'", "''", 'partial_json'] as const] : []),
      ];
      for (const [name, bad, good, code] of settings) {
        await source.mysql.sql(`SET GLOBAL ${name} = ${bad}`);
        expect(codes(await check('plain'), 'error'), name).toEqual([code]);
        await source.mysql.sql(`SET GLOBAL ${name} = ${good}`);
      }
      const doubts: readonly (readonly [string, string, string, string])[] = [
        ...(kind === 'mysql-5.6' ? [] : [['binlog_row_metadata', "'MINIMAL'", "'FULL'", 'row_metadata'] as const]), ['sql_mode', "''", "'STRICT_TRANS_TABLES'", 'sql_mode'], ['read_only', 'ON', 'OFF', 'read_only'],
        ...(kind === 'mysql-5.6' ? [] : [['binlog_expire_logs_seconds', '3600', '604800', 'log_retention'] as const]),
      ];
      for (const [name, bad, good, code] of doubts) {
        await source.mysql.sql(`SET GLOBAL ${name} = ${bad}`);
        expect(codes(await check('plain'), 'warning'), name).toContain(code);
        await source.mysql.sql(`SET GLOBAL ${name} = ${good}`);
      }
    });

    it('lists every missing grant of a plain user, and none is left once they are given', async () => {
      await source.mysql.sql("CREATE USER weak@'%' IDENTIFIED BY 'weak'");
      {
        await using weak = await connectAs(source.mysql, 'weak');
        const before = await check('plain', {}, weak.query);
        expect(codes(before, 'error')).toEqual(['lock_privilege', 'own_schema_privilege', 'replication_privilege', 'select_privilege', 'table']);
        await source.mysql.sql(before.filter((finding) => finding.remedy.startsWith('GRANT ') && finding.remedy.endsWith(';')).map((finding) => finding.remedy).join(' '));
      }
      await using granted = await connectAs(source.mysql, 'weak');
      expect(await wayBack('plain', granted.query)).toEqual([]);
      expect(codes(await check('plain', {}, granted.query), 'warning')).toEqual(expect.arrayContaining(['fence']));
      await source.mysql.sql('SET GLOBAL log_bin_trust_function_creators = ON');
      expect(own(await check('plain', {}, granted.query)).filter((finding) => finding.severity !== 'info')).toEqual([]);
    });

    it('asks again at the cutover: for triggers that fire for what comes back, for rights, for a server that takes no writes', async () => {
      await source.mysql.sql("CREATE TABLE back (id INT PRIMARY KEY, v INT) ENGINE=InnoDB; CREATE USER reader@'%' IDENTIFIED BY 'reader'; GRANT SELECT ON shop.* TO reader@'%'; GRANT PROCESS, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO reader@'%'", 'shop');
      await using reader = await connectAs(source.mysql, 'reader');
      expect(await wayBack('back')).toEqual([]);
      expect((await wayBack('back', reader.query)).join('\n')).toMatch(/may not CREATE, SELECT[^]*may not INSERT, UPDATE, DELETE[^]*may not TRIGGER/);
      await source.mysql.sql('CREATE TRIGGER stamp BEFORE UPDATE ON back FOR EACH ROW SET NEW.v = 7', 'shop');
      expect(await wayBack('back')).toEqual([expect.stringContaining('`shop`.`back` stamp BEFORE UPDATE')]);
      expect(codes(await check('back'), 'warning')).toContain('way_back');
      await source.mysql.sql('DROP TRIGGER stamp; CREATE TRIGGER stamp BEFORE UPDATE ON back FOR EACH ROW BEGIN IF @causeway_applier IS NULL THEN SET NEW.v = 7; END IF; END', 'shop');
      expect(await wayBack('back')).toEqual([]);
      // Who has SUPER writes all the same.
      await source.mysql.sql("GRANT ALL ON shop.* TO reader@'%'; GRANT ALL ON causeway.* TO reader@'%'; SET GLOBAL read_only = ON");
      expect(await wayBack('back')).toEqual([]);
      await using writer = await connectAs(source.mysql, 'reader');
      expect(await wayBack('back', writer.query)).toEqual([expect.stringContaining('read only')]);
      await source.mysql.sql('SET GLOBAL read_only = OFF');
    });

    it.skipIf(!isMaria && kind !== 'mysql-9.7')('counts what comes by a role', async () => {
      await source.mysql.sql("CREATE ROLE mover; GRANT ALL ON *.* TO mover; CREATE USER helped@'%' IDENTIFIED BY 'helped'; GRANT mover TO helped@'%'");
      await source.mysql.sql(isMaria ? "SET DEFAULT ROLE mover FOR helped@'%'" : "SET DEFAULT ROLE mover TO helped@'%'");
      await using helped = await connectAs(source.mysql, 'helped');
      expect(codes(await check('plain', {}, helped.query), 'error')).toEqual([]);
    });
  });
}

it('grants are read with their wildcards', () => {
  const grants = ['GRANT SELECT, INSERT ON `my\\_shop`.* TO `u`@`%`', 'GRANT UPDATE (a, b), DELETE ON `other%`.`t` TO `u`@`%`', "GRANT USAGE ON *.* TO 'u'@'%' IDENTIFIED BY PASSWORD '*x'", 'GRANT `r`@`%` TO `u`@`%`'].flatMap((line) => parseGrant(line) ?? []);
  expect(isGranted(grants, 'SELECT', { schema: 'my_shop', table: 't' })).toBe(true);
  expect(isGranted(grants, 'SELECT', { schema: 'myxshop', table: 't' })).toBe(false);
  expect(isGranted(grants, 'DELETE', { schema: 'others', table: 't' })).toBe(true);
  expect(isGranted(grants, 'UPDATE', { schema: 'others', table: 't' })).toBe(false);
  expect(isGranted(grants, 'DELETE', { schema: 'others', table: 'u' })).toBe(false);
});
