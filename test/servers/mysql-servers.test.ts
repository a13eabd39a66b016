/** The servers that other suites rely on: each starts by itself, keeps what was committed through a kill, and shares nothing with another. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect, test } from 'vitest';
import { describeMysql, mysqlKinds, startMysql } from '../support/mysql-servers.ts';

for (const kind of mysqlKinds) {
  describeMysql([kind], kind, () => {
    test('starts twice at once, writes a binary log of rows, and comes back after a kill and a restart', async () => {
      await using first = await startMysql(kind);
      await using second = await startMysql(kind, { settings: ['max-connections=77'] });
      expect(first.port).not.toBe(second.port);
      expect((await first.sql('SELECT version() AS v'))[0]?.['v']).toContain(kind.split('-')[1]);
      expect(await second.sql('SELECT @@max_connections AS n')).toEqual([{ n: '77' }]);
      await first.createDatabase('shop');
      await first.sql("CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT INTO t VALUES (1, 'a'), (2, NULL)", 'shop');
      expect(await second.sql("SHOW DATABASES LIKE 'shop'")).toEqual([]);
      await first.kill();
      await first.restart();
      await first.sql("INSERT INTO t VALUES (3, 'ç')", 'shop');
      await first.restart();
      expect(await first.sql('SELECT * FROM t ORDER BY id', 'shop')).toEqual([{ id: '1', v: 'a' }, { id: '2', v: null }, { id: '3', v: 'ç' }]);
      expect(await first.sql('SELECT @@binlog_format AS f, @@log_bin AS b')).toEqual([{ f: 'ROW', b: '1' }]);
      if (kind.startsWith('mysql')) expect(await first.sql('SELECT @@server_uuid AS u')).not.toEqual(await second.sql('SELECT @@server_uuid AS u'));
      const folder = path.dirname(first.socketPath);
      await first.dispose();
      expect(fs.existsSync(folder)).toBe(false);
    });
  });
}
