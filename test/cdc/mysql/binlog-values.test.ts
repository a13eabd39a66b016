/** What comes out of the binlog of a real server is, value by value, what SELECT prints on it: every type, extreme values, with and without row metadata. */
import { expect, test } from 'vitest';
import { describeMysql, startMysql } from '../../support/mysql-servers.ts';
import type { MysqlKind, TestMysql } from '../../support/mysql-servers.ts';
import type { Row } from '../../../cdc/mysql/binlog/transaction.ts';
import { endOf, factsOf, installMarkers, openReader, readToNow, replay } from './binlog-harness.ts';
import { sampleColumns, sampleRows } from './sample-types.ts';
import type { SampleColumn } from './sample-types.ts';

interface Setup {
  readonly kind: MysqlKind;
  readonly settings: readonly string[];
}

const setups: readonly Setup[] = [
  { kind: 'mariadb-10.11', settings: ['binlog-row-metadata=FULL'] },
  { kind: 'mariadb-10.11', settings: ['binlog-row-metadata=NO_LOG', 'log-bin-compress=ON', 'log-bin-compress-min-len=10'] },
  { kind: 'mariadb-10.11', settings: ['binlog-row-metadata=FULL', 'mysql56-temporal-format=OFF'] },
  { kind: 'mariadb-11.8', settings: ['binlog-row-metadata=MINIMAL'] },
  { kind: 'mysql-9.7', settings: ['binlog-row-metadata=FULL', 'binlog-transaction-compression=ON'] },
  { kind: 'mysql-9.7', settings: ['binlog-row-metadata=MINIMAL', 'binlog-checksum=NONE'] },
  { kind: 'mysql-5.6', settings: ['character-set-server=utf8'] },
  { kind: 'mysql-5.6', settings: ['log-bin-use-v1-row-events=ON'] },
];

/** Every literal as it stands; dates may be zero. */
const lenient = "SET NAMES utf8mb4, sql_mode = '', time_zone = '+00:00'; ";

for (const { kind, settings } of setups) {
  describeMysql([kind], `${kind} with ${settings.join(', ')}`, () => {
    test('every value of every type', async () => {
      await using server = await startMysql(kind, { settings });
      const columns = sampleColumns(kind);
      await installMarkers(server);
      await server.createDatabase('shop');
      await server.sql(`${lenient}CREATE TABLE t (id int PRIMARY KEY, ${columns.map(({ name, type }) => `${name} ${type}${/\bNULL$/.test(type) ? '' : ' NULL'}`).join(', ')})`, 'shop');
      const start = await endOf(server);
      const reader = await openReader(server, start, { facts: factsOf(server) });
      const rows = sampleRows(columns);
      const write = (id: number, values: readonly string[]): string => `INSERT INTO t VALUES (${id}, ${values.join(', ')})`;
      for (const [id, values] of rows.entries()) await server.sql(`${lenient}${write(id, values)}`, 'shop');
      // Each row takes the values of the next one, which is in both images of an update.
      for (const [id, values] of rows.entries()) await server.sql(`${lenient}${write(1000 + id, values)}; UPDATE t SET ${columns.map(({ name }, index) => `${name} = ${rows[(id + 1) % rows.length]?.[index] ?? 'NULL'}`).join(', ')} WHERE id = ${1000 + id}`, 'shop');
      await server.sql('DELETE FROM t WHERE id BETWEEN 1000 AND 1001', 'shop');
      const { items } = await readToNow(server, reader);
      const captured = replay(items, 't');
      expect(await differences(server, columns, captured)).toEqual([]);
      expect(captured.size).toBe(rows.length * 2 - 2);
      // Both images of an update are read alike.
      const old = items.flatMap((item) => (item.kind === 'transaction' ? item.changes.filter(({ op }) => op === 'update') : [])).flatMap((change) => change.old);
      expect(old.map((row) => row.slice(1))).toEqual(rows.map((_, id) => captured.get(String(id))?.slice(1)));
    });
  });
}

/** `column: literal → captured instead of selected`. */
async function differences(server: TestMysql, columns: readonly SampleColumn[], captured: ReadonlyMap<string, Row>): Promise<string[]> {
  const found: string[] = [];
  const selected = await server.sql(`${lenient}SELECT id, ${columns.map(({ name, select }) => `${select(name)} AS ${name}`).join(', ')} FROM t ORDER BY id`, 'shop');
  for (const row of selected) {
    const ours = captured.get(row['id'] ?? '');
    columns.forEach(({ name, type, compare }, index) => {
      const [mine, theirs] = [ours?.[index + 1], row[name]];
      if (!isSame(mine, theirs ?? null, compare)) found.push(`${type}: ${String(mine).slice(0, 300)} instead of ${String(theirs).slice(0, 300)}`);
    });
  }
  return [...new Set(found)];
}

function isSame(mine: string | null | undefined, theirs: string | null, compare: SampleColumn['compare']): boolean {
  if (compare === 'text' || mine === null || theirs === null || mine === undefined) return mine === theirs;
  return compare === 'float' ? Math.fround(Number(mine)) === Math.fround(Number(theirs)) : Object.is(Number(mine), Number(theirs));
}
