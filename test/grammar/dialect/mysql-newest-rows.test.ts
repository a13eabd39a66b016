/** Property: a translated statement that changes rows changes them as they are when it gets their locks, as InnoDB does: what another transaction has committed while it waited is neither lost nor left out. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { MysqlColumnFacts, MysqlFacts, MysqlTableFacts } from '../../../grammar/dialect/postgres/mysql-translation.ts';
import { translateMysql } from '../../../grammar/dialect/postgres/translate-mysql.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';

const column = (name: string, nullable = true): MysqlColumnFacts => ({
  name, mysqlName: name, type: { name: 'int', length: undefined, scale: undefined, unsigned: false, zerofill: false, labels: [] }, localType: 'integer', isLocalEnum: false, charset: null, collation: null, padsBlanks: false, localCollation: undefined,
  nullable, hasDefault: true, autoIncrement: false, generated: false, onUpdateNow: false, isJsonText: false, invisible: false, exact: true,
});
const tables: Readonly<Record<string, Pick<MysqlTableFacts, 'columns' | 'primaryKey' | 'uniqueKeys'>>> = {
  jobs: { columns: [column('id', false), column('n'), column('owner')], primaryKey: ['id'], uniqueKeys: [['id']] },
  parts: { columns: [column('job', false), column('part', false), column('n')], primaryKey: ['job', 'part'], uniqueKeys: [['job', 'part']] },
};
const facts: MysqlFacts = {
  table: (database, name) => { const table = tables[name]; return table && { schema: 'public', name, mysqlDatabase: database, mysqlName: name, hasOtherUniqueKeys: false, isReferenced: false, ...table }; },
  database: 'shop', mode: { sqlMode: new Set(['STRICT_TRANS_TABLES']), server: { flavour: 'mysql', version: 90700 } }, timeZone: 'UTC', charset: 'utf8mb4', collation: 'utf8mb4_general_ci', foundRows: false, divPrecision: 4, groupConcatMaxLength: 1024, localVersion: 180000,
};

let postgres: TestPostgres;
let [first, second, watch]: pg.Client[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
  [first, second, watch] = [await postgres.client(), await postgres.client(), await postgres.client()];
  await watch.query('CREATE TABLE jobs (id int PRIMARY KEY, n int, owner int); CREATE TABLE parts (job int, part int, n int, PRIMARY KEY (job, part))');
});
afterAll(() => postgres?.[Symbol.asyncDispose]());
beforeEach(() => watch?.query('TRUNCATE jobs, parts; INSERT INTO jobs VALUES (1, 0, NULL), (2, 0, NULL); INSERT INTO parts VALUES (1, 1, 0), (1, 2, 0), (2, 1, 0)'));

/** The rows after `sql`, which met `other` in a transaction that was committed while it waited. */
async function meeting(other: string, sql: string, shown: string): Promise<string> {
  if (!first || !second || !watch) throw new Error('not connected');
  const plan = translateMysql(sql, facts);
  if (plan.type === 'refused') throw new Error(plan.construct);
  const { pid } = (await second.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0] ?? { pid: 0 };
  await first.query(`BEGIN; ${other}`);
  const waiting = second.query(plan.steps.map(({ text }) => text).join('; '));
  try {
    await expect.poll(async () => (await watch?.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = $2', [pid, 'Lock']))?.rowCount).toBe(1);
  } finally {
    await first.query('COMMIT');
  }
  await waiting;
  return (await watch.query<{ row: string }>(`SELECT t::text AS row FROM ${shown} t ORDER BY 1`)).rows.map(({ row }) => row).join(' ');
}

test.each([
  ['UPDATE with LIMIT', 'UPDATE jobs SET n = n + 1 WHERE id = 1', 'UPDATE jobs SET n = n + 1 WHERE id = 1 LIMIT 1', 'jobs', '(1,2,) (2,0,)'],
  ['UPDATE with LIMIT, of a key of two columns', 'UPDATE parts SET n = n + 1', 'UPDATE parts SET n = n + 1 WHERE job = 1 LIMIT 2', 'parts', '(1,1,2) (1,2,2) (2,1,1)'],
  ['UPDATE with LIMIT passes a row that somebody else has taken', 'UPDATE jobs SET owner = 7 WHERE id = 1', 'UPDATE jobs SET owner = 8 WHERE owner IS NULL ORDER BY id LIMIT 1', 'jobs', '(1,0,7) (2,0,8)'],
  ['UPDATE to what the row was', 'UPDATE jobs SET n = 6 WHERE id = 1', 'UPDATE jobs SET n = 0 WHERE id = 1', 'jobs', '(1,0,) (2,0,)'],
  ['UPDATE that only takes the lock', 'UPDATE jobs SET n = n WHERE id = 1', 'UPDATE jobs SET id = id WHERE id = 1', 'jobs', '(1,0,) (2,0,)'],
  ['UPDATE of a join, to what the rows were', 'UPDATE jobs SET n = 6 WHERE id = 1', 'UPDATE jobs j JOIN parts p ON p.job = j.id AND p.part = 1 SET j.n = p.n', 'jobs', '(1,0,) (2,0,)'],
  ['UPDATE of a join', 'UPDATE jobs SET n = n + 1 WHERE id = 1', 'UPDATE jobs j JOIN parts p ON p.job = j.id SET j.n = j.n + 1', 'jobs', '(1,2,) (2,1,)'],
  ['UPDATE of an outer join', 'UPDATE parts SET n = n + 1 WHERE job = 1', 'UPDATE jobs j LEFT JOIN parts p ON p.job = j.id SET p.n = p.n + 1', 'parts', '(1,1,2) (1,2,2) (2,1,1)'],
  ['DELETE with LIMIT', 'UPDATE jobs SET n = 1', 'DELETE FROM jobs WHERE id < 5 LIMIT 2', 'jobs', ''],
  ['DELETE of a join', 'UPDATE parts SET n = 1', 'DELETE p FROM parts p JOIN jobs j ON j.id = p.job WHERE j.id = 1', 'parts', '(2,1,1)'],
  ['DELETE of an outer join', 'UPDATE parts SET n = 1', 'DELETE p FROM jobs j LEFT JOIN parts p ON j.id = p.job WHERE j.id = 1', 'parts', '(2,1,1)'],
  ['DELETE from both tables of a join', 'UPDATE parts SET n = 1', 'DELETE p, j FROM parts p JOIN jobs j ON j.id = p.job WHERE j.id = 1', 'parts', '(2,1,1)'],
  ['DELETE from both tables of an outer join', 'UPDATE parts SET n = 1', 'DELETE p, j FROM jobs j LEFT JOIN parts p ON j.id = p.job WHERE j.id = 1', 'parts', '(2,1,1)'],
  ['a row that is another one by then is left alone', 'UPDATE jobs SET owner = 7 WHERE id = 1', 'UPDATE parts p RIGHT JOIN jobs j ON p.job = j.id SET j.n = 5 WHERE j.owner IS NULL', 'jobs', '(1,0,7) (2,5,)'],
])('%s', async (_, other, sql, shown, expected) => expect(await meeting(other, sql, shown)).toBe(expected));
