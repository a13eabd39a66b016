/** Part `apply`: a backlog in the binlog to local, from the start of the stream's process to the last change visible. */
import { startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { until } from '../../cdc/stream/fixture.ts';
import type { ChangeFigures } from './change-process.ts';
import { makeItemPair } from './item-pair.ts';
import { changeItems, serverSettings } from './item-table.ts';

export interface ApplyFigure extends ChangeFigures {
  readonly kind: MysqlKind;
  readonly changesPerTransaction: number;
  readonly seconds: number;
  readonly changesPerSecond: number;
}

export async function measureApply(kind: MysqlKind, changes: number, sizes: readonly number[]): Promise<readonly ApplyFigure[]> {
  await using server = await startMysql(kind, { settings: serverSettings(kind) });
  await using local = await startTestPostgres({ settings: { shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '30min' } });
  const figures: ApplyFigure[] = [];
  for (const size of sizes) figures.push(await measure(server, local, changes, size));
  return figures;
}

async function measure(server: TestMysql, local: TestPostgres, changes: number, size: number): Promise<ApplyFigure> {
  const database = `apply${size}`;
  await using pair = await makeItemPair(server, local, database);
  await changeItems(server, database, changes, size);
  // The last of them all.
  await server.sql("UPDATE item SET note = 'the last one' WHERE id = 1", database);
  await pair.local.query('CHECKPOINT');
  const started = performance.now();
  const stop = await pair.startStream();
  await until('the backlog is applied', async () => (await pair.local.query("SELECT 1 FROM item WHERE id = 1 AND note = 'the last one'")).rows.length === 1, 600_000);
  const seconds = (performance.now() - started) / 1000;
  const figures = await stop();
  await checkSame(server, database, pair.local);
  return { kind: server.kind, changesPerTransaction: size, seconds, changesPerSecond: Math.round(changes / seconds), ...figures };
}

async function checkSame(server: TestMysql, database: string, local: { query(sql: string): Promise<{ rows: unknown[] }> }): Promise<void> {
  const of = 'COUNT(*) AS n, SUM(id) AS ids, SUM(quantity) AS quantities, SUM(price) AS prices, SUM(LENGTH(note)) AS lengths';
  const [there] = await server.sql(`SELECT CAST(n AS CHAR) AS n, CAST(ids AS CHAR) AS ids, CAST(quantities AS CHAR) AS quantities, CAST(prices AS CHAR) AS prices, CAST(lengths AS CHAR) AS lengths FROM (SELECT ${of} FROM item) AS sums`, database);
  const [here] = (await local.query(`SELECT n::text, ids::text, quantities::text, prices::text, lengths::text FROM (SELECT ${of} FROM item) AS sums`)).rows;
  if (JSON.stringify(there) !== JSON.stringify(here)) throw new Error(`the two sides differ: ${JSON.stringify(there)} and ${JSON.stringify(here)}`);
}
