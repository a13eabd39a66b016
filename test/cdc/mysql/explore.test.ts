import { test, expect } from 'vitest';
import { startMysql } from '../../support/mysql-servers.ts';
import * as h from './binlog-harness.ts';
for (const kind of ['mariadb-10.11', 'mysql-9.7', 'mysql-5.6'] as const) test(kind, async () => {
  await using server = await startMysql(kind);
  await h.installMarkers(server);
  await server.createDatabase('shop');
  await server.sql('CREATE TABLE t (id int unsigned primary key, v varchar(20), d decimal(10,3))', 'shop');
  const start = await h.endOf(server);
  const reader = await h.openReader(server, start);
  await server.sql("INSERT INTO t VALUES (1,'a',1.5),(2,null,-2); UPDATE t SET v='z' WHERE id=2; DELETE FROM t WHERE id=1; ALTER TABLE t ADD x int; INSERT INTO t VALUES (4000000000,'ä',null,-5)", 'shop');
  const got = await h.readToNow(server, reader);
  console.log(kind, JSON.stringify(got, null, 1));
  expect([...h.replay(got.items, 't').values()]).toEqual([['2','z','-2.000'],['4000000000','ä',null,'-5']]);
});
