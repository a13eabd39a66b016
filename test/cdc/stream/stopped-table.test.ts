/** A table that cannot go on stops alone: the stream goes on with the others, is in no trouble of its own meanwhile, and says of this one what is wrong with it. */
import { expect, test } from 'vitest';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { until } from './fixture.ts';
import { both, caughtUp, failures, make, runError, same, share, source, start, stop, stream, target, useStream } from './stream-harness.ts';

useStream();

async function shareBoth(): Promise<readonly [TablePlan, TablePlan]> {
  await both('CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int)');
  start();
  return [await share('a'), await share('b')];
}

/** The run goes on, or what it ended with is the error. */
async function hasFailed(plan: TablePlan): Promise<void> {
  await until('the table has failed', () => {
    if (runError !== undefined) throw runError as Error;
    return stream.status(plan.tableId)?.mode === 'failed';
  });
}

async function expectGoesOn(plan: TablePlan, id: number): Promise<void> {
  await source.query('INSERT INTO b VALUES ($1, 1)', [id]);
  await caughtUp(plan);
  await same('b');
  expect(stream.status(plan.tableId)?.mode).toBe('shared');
}

test.each([
  ['is gone', 'DROP TABLE a'],
  ['has lost a column', 'ALTER TABLE a DROP COLUMN v'],
  ['has another name', 'ALTER TABLE a RENAME TO z'],
])('its table on the target %s', async (_, sql) => {
  const [a, b] = await shareBoth();
  await target.query(sql);
  await source.query('INSERT INTO a VALUES (1, 1)');
  await hasFailed(a);
  await expectGoesOn(b, 1);
  const first = failures.length;
  expect(failures[0]?.tableId).toBe(a.tableId);
  await stop();
  make();
  stream.restore([a, b].map((plan) => ({ plan, mode: 'draining', intervals: [] })));
  start();
  await hasFailed(a);
  await expectGoesOn(b, 2);
  expect(failures.length).toBeGreaterThan(first);
});

test('while it is being taken out of the shared ones, the stream has no error of its own', async () => {
  const [a, b] = await shareBoth();
  await target.query('ALTER TABLE a ADD CHECK (v < 100)');
  // Taking it out waits for this.
  await target.query('BEGIN; SELECT 1 FROM causeway.table_applied FOR UPDATE');
  try {
    await source.query('INSERT INTO a VALUES (1, 500)');
    await until('taking it out waits', async () => ((await source.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%causeway.table_applied%'")).rowCount ?? 0) > 0);
    expect(stream.health()).toMatchObject({ connected: true, lastError: undefined });
  } finally {
    await target.query('COMMIT');
  }
  await hasFailed(a);
  await expectGoesOn(b, 1);
  expect(failures.map(({ tableId }) => tableId)).toEqual([a.tableId]);
});
