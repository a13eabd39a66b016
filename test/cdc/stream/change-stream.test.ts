// A table that is added, drained and shared holds on the target exactly what the source holds, through every kind of change.
import { expect, test } from 'vitest';
import { contents, planOf, until, orderOr } from './fixture.ts';
import { both, bypasses, caughtUp, conflicts, failures, make, options, runError, same, schemaChanges, share, source, start, stop, stream, target, useStream } from './stream-harness.ts';

useStream();

test('spooled changes are applied when draining starts, later ones with the shared tables', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), at timestamptz DEFAULT now())');
  start();
  const plan = await planOf(source, 't');
  await stream.addTable(plan);
  await source.query("INSERT INTO t SELECT g, 'v' || g, g / 3.0 FROM generate_series(1, 500) g");
  await source.query("UPDATE t SET v = NULL WHERE id % 7 = 0; DELETE FROM t WHERE id % 5 = 0");
  await until('spooled', () => (stream.status(plan.tableId)?.pendingChanges ?? 0) > 500);
  expect(await contents(target, 't')).toEqual([]);
  await stream.startDraining(plan.tableId);
  await caughtUp(plan);
  await same('t');
  await until('shared', () => stream.status(plan.tableId)?.mode === 'shared');
  await source.query("UPDATE t SET v = 'x' WHERE id < 50; INSERT INTO t (id) VALUES (-1)");
  await caughtUp(plan);
  await same('t');
  expect(conflicts).toEqual([]);
  expect(runError).toBeUndefined();
});

test('keys of several kinds, key changes, TOAST left out, unique swaps, truncate', async () => {
  await both(`CREATE TABLE t (a int, b text, v text, big text, u int UNIQUE DEFERRABLE, PRIMARY KEY (a, b));
    ALTER TABLE t ALTER big SET STORAGE EXTERNAL`);
  await target.query('ALTER TABLE t DROP CONSTRAINT t_u_key; CREATE UNIQUE INDEX t_u ON t (u)');
  start();
  const plan = await share('t');
  await source.query("INSERT INTO t SELECT g, 'k' || g, 'v', repeat(chr(65 + g % 26), 4000), g FROM generate_series(1, 100) g");
  await source.query('UPDATE t SET a = a + 1000 WHERE a % 3 = 0');
  await source.query("UPDATE t SET v = 'w'");
  await source.query('UPDATE t SET u = CASE u WHEN 1 THEN 2 WHEN 2 THEN 1 END WHERE u IN (1, 2)');
  await source.query('UPDATE t SET u = 101 - u');
  await source.query("BEGIN; DELETE FROM t WHERE a = 4; INSERT INTO t VALUES (4, 'k4', 'again', 'short', 4); COMMIT").catch(() => source.query('ROLLBACK'));
  await source.query("BEGIN; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; UPDATE t SET v = 'kept' WHERE a = 7; COMMIT");
  await caughtUp(plan);
  await same('t');
  expect(conflicts).toEqual([]);
  await source.query("TRUNCATE t; INSERT INTO t VALUES (1, 'one', 'v', NULL, 1)");
  await caughtUp(plan);
  await same('t');
});

test('a large transaction is written in parts and appears at once', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v text)');
  start();
  const plan = await share('t');
  const counts = new Set<number>();
  let isDone = false;
  const watch = (async () => {
    while (!isDone) counts.add(Number((await target.query<{ n: string }>('SELECT count(*) AS n FROM t')).rows[0]?.n));
  })();
  await source.query("INSERT INTO t SELECT g, 'v' FROM generate_series(1, 35000) g");
  await caughtUp(plan);
  isDone = true;
  await watch;
  counts.add((await contents(target, 't')).length);
  expect([...counts].sort((a, b) => a - b)).toEqual([0, 35000]);
});

test('a backlog of small transactions is committed in parts, each of whole transactions', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY)');
  start();
  const plan = await share('t');
  await stop();
  const sizes = [...Array.from({ length: 200 }, (_, at) => 1 + (at % 5)), 95, 1];
  for (const [at, size] of sizes.entries()) await source.query(`INSERT INTO t SELECT ${at * 100} + g FROM generate_series(1, ${size}) g`);
  make({ limits: { ...options.limits, batchChanges: 20 } });
  stream.restore([{ plan, mode: 'shared', intervals: [] }]);
  let advances = 0;
  stream.onVisible(({ transactionIds }) => (advances += transactionIds.length > 0 ? 1 : 0));
  const seen = new Set<number>();
  let isDone = false;
  const watch = (async () => {
    while (!isDone) seen.add(Number((await target.query<{ n: string }>('SELECT count(*) AS n FROM t')).rows[0]?.n));
  })();
  start();
  await caughtUp(plan);
  isDone = true;
  await watch;
  await same('t');
  const ends = new Set(sizes.map((_, at) => sizes.slice(0, at).reduce((sum, size) => sum + size, 0)).concat(696));
  expect([...seen].filter((count) => !ends.has(count))).toEqual([]);
  expect(advances).toBeGreaterThan(25);
});

test('a change that cannot be applied stops its table exactly there, and no other', async () => {
  await both('CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int)');
  await target.query('ALTER TABLE a ADD CHECK (v < 100)');
  start();
  const a = await share('a');
  const b = await share('b');
  await source.query('INSERT INTO a SELECT g, g FROM generate_series(1, 10) g; INSERT INTO b VALUES (1, 1)');
  await source.query('INSERT INTO a VALUES (11, 1)');
  await source.query('INSERT INTO a VALUES (12, 500)');
  await source.query('INSERT INTO a VALUES (13, 1); INSERT INTO b VALUES (2, 2)');
  await until('a failed', () => failures.length > 0);
  expect(stream.status(a.tableId)?.mode).toBe('failed');
  expect(failures[0]?.error).toMatchObject({ rowKey: '["12"]' });
  await caughtUp(b);
  await same('b');
  expect((await contents(target, 'a')).length).toBe(11);
  await expect(caughtUp(a)).rejects.toThrow(/check|cannot be applied/);
  await stream.skipFailedChange(a.tableId);
  await until('a shared again', () => stream.status(a.tableId)?.mode === 'shared');
  expect((await contents(target, 'a')).length).toBe(12);
  await target.query('INSERT INTO a VALUES (12, 5)');
});

test('a definition that changes stops the table before its first change under it', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v int)');
  start();
  const plan = await share('t');
  expect(await stream.installDdlLog()).toBe(true);
  await source.query('INSERT INTO t VALUES (1, 1)');
  await source.query('ALTER TABLE t ADD COLUMN extra text');
  await until('failed', () => schemaChanges.length > 0);
  await source.query("INSERT INTO t VALUES (2, 2, 'e')");
  expect(stream.status(plan.tableId)).toMatchObject({ mode: 'failed', error: { code: 'MIG011' } });
  expect(await contents(target, 't')).toEqual(['(1,1)']);
  await target.query('ALTER TABLE t ADD COLUMN extra text');
  await stream.replan(await planOf(source, 't'));
  await stream.startDraining(plan.tableId);
  await caughtUp(plan);
  await same('t');
});

test('rows that a process left to be read again are read by the next', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v text)');
  start();
  const plan = await share('t');
  await source.query("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
  await caughtUp(plan);
  await stop();
  await target.query("DELETE FROM t WHERE id = 2; INSERT INTO causeway.reread VALUES ('id-t', '[\"2\"]', '0/1')");
  make();
  stream.restore([{ plan, mode: 'shared', intervals: [] }]);
  start();
  await until('connected', () => stream.health().connected);
  await caughtUp(plan);
  await same('t');
});

test('positions and membership survive a restart; nothing is repeated', async () => {
  await both('CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, v int)');
  start();
  const a = await share('a');
  const b = await planOf(source, 'b');
  await stream.addTable(b);
  await source.query('INSERT INTO a SELECT g, g FROM generate_series(1, 100) g; INSERT INTO b SELECT g, g FROM generate_series(1, 100) g');
  await caughtUp(a);
  await stop();
  await source.query('UPDATE a SET v = v + 1; UPDATE b SET v = v + 1; INSERT INTO a VALUES (0, 0)');
  make();
  stream.restore([{ plan: a, mode: 'shared', intervals: [] }, { plan: b, mode: 'spooling', intervals: [] }]);
  start();
  await until('b is known', () => stream.health().connected);
  await caughtUp(a);
  await same('a');
  expect(await contents(target, 'b')).toEqual([]);
  await stream.startDraining(b.tableId);
  await caughtUp(b);
  await same('b');
  expect(conflicts).toEqual([]);
});

test('pausing leaves at a boundary, and going on loses and repeats nothing', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v int)');
  start();
  const plan = await share('t');
  let next = 0;
  let isDone = false;
  const writer = (async () => {
    while (!isDone) await source.query(`INSERT INTO t VALUES (${(next += 1)}, 0); UPDATE t SET v = v + 1 WHERE id % 10 = ${next % 10}`);
  })();
  for (let round = 0; round < 5; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    await stream.pauseTable(plan.tableId);
    const before = await contents(target, 't');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await contents(target, 't')).toEqual(before);
    await stream.startDraining(plan.tableId);
    await until('shared', () => stream.status(plan.tableId)?.mode === 'shared');
  }
  isDone = true;
  await writer;
  await caughtUp(plan);
  await same('t');
  expect(conflicts).toEqual([]);
});

test('a table that is stopped for its indexes as it would join is not kept out for that', async () => {
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) await both(`CREATE TABLE ${name} (id int PRIMARY KEY, v int)`);
  // Time stands: what waits for later waits for ever.
  make({}, undefined, { monotonicMs: () => 1_000 });
  start();
  const plans = await Promise.all(names.map((name) => planOf(source, name)));
  for (const plan of plans) await stream.addTable(plan);
  for (const { source: { name } } of plans) await source.query(`INSERT INTO ${name} SELECT g, g FROM generate_series(1, 100) g`);
  for (const plan of plans) {
    await stream.startDraining(plan.tableId);
    await caughtUp(plan);
    await stream.pauseTable(plan.tableId);
  }
  for (const { tableId } of plans) await stream.startDraining(tableId);
  for (const { tableId } of plans) await until('shared', () => stream.status(tableId)?.mode === 'shared');
  for (const name of names) await same(name);
});

test('an update with a value left out, of a row that is not there, is read again', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v int, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL');
  await source.query("INSERT INTO t VALUES (1, 0, repeat('x', 5000)), (2, 0, repeat('y', 5000))");
  start();
  const plan = await planOf(source, 't');
  await stream.addTable(plan);
  await source.query('UPDATE t SET v = 1; UPDATE t SET id = 20, v = 2 WHERE id = 2');
  await stream.startDraining(plan.tableId);
  await caughtUp(plan);
  await same('t');
});

test('authority by position: changes outside an interval are bypass writes', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY)');
  start();
  const plan = await share('t');
  await source.query('INSERT INTO t VALUES (1)');
  const closed = await stream.waitForMarker(await stream.writeMarker(), [plan.tableId], 5000);
  await stream.closeInterval(plan.tableId, closed);
  await source.query('INSERT INTO t VALUES (2)');
  const opened = await stream.waitForMarker(await stream.writeMarker(), [plan.tableId], 5000);
  await stream.openInterval(plan.tableId, opened);
  await source.query('INSERT INTO t VALUES (3)');
  await caughtUp(plan);
  expect(await contents(target, 't')).toEqual(['(1)', '(3)']);
  expect(bypasses).toEqual([plan.tableId]);
});

test('an idle source still advances, and empty transactions are passed', async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)');
  start();
  await share('t');
  const { rows } = await source.query<{ lsn: string }>("INSERT INTO other VALUES (1) RETURNING (pg_current_wal_insert_lsn() - '0/0')::text AS lsn");
  await until('past it', () => orderOr(stream.health().visible, 0n) > BigInt(rows[0]?.lsn ?? 0), 3000);
});

test('identity and generated columns, filters, full replica identity', async () => {
  await both(`CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int, d int GENERATED ALWAYS AS (v * 2) STORED);
    CREATE TABLE f (id int PRIMARY KEY, region text, v text);
    CREATE TABLE k (a int, b text, j json); ALTER TABLE k REPLICA IDENTITY FULL`);
  start();
  const t = await share('t');
  const f = await share('f', { where: "region = 'eu'" });
  const k = await share('k');
  await source.query('INSERT INTO t (v) SELECT g FROM generate_series(1, 20) g; UPDATE t SET v = v + 1; DELETE FROM t WHERE id < 5');
  await source.query("INSERT INTO f SELECT g, CASE g % 2 WHEN 0 THEN 'eu' ELSE 'us' END, 'v' FROM generate_series(1, 20) g");
  await source.query("UPDATE f SET region = 'us' WHERE id < 5; UPDATE f SET region = 'eu' WHERE id > 18; UPDATE f SET id = id + 100 WHERE id = 8");
  await source.query("INSERT INTO k VALUES (1, 'x', '{}'), (1, 'x', '{}'), (2, NULL, NULL), (3, 'z', '[]'); DELETE FROM k WHERE ctid = '(0,1)'; UPDATE k SET b = 'q' WHERE a = 2");
  await caughtUp(t, f, k);
  await same('t');
  await same('k');
  expect(await contents(target, 'f')).toEqual((await source.query<{ r: string }>("SELECT f::text AS r FROM f WHERE region = 'eu' ORDER BY 1")).rows.map((row) => row.r));
});

test('a table that comes back does not get the changes of its earlier time again', async () => {
  await both("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'start'), (2, 'start')");
  start();
  const plan = await share('t');
  await source.query("UPDATE t SET v = 'in its first time'");
  await caughtUp(plan);
  await same('t');
  await stream.removeTable(plan.tableId);
  // Sooner than the source has been told that it may forget that, most of the time: it is sent again.
  await stop();
  await both("UPDATE t SET v = 'changed while it was away' WHERE id = 1");
  make();
  await stream.addTable(plan);
  await source.query("UPDATE t SET v = 'in its second time' WHERE id = 2");
  start();
  await stream.startDraining(plan.tableId);
  await caughtUp(plan);
  expect(await contents(target, 't')).toEqual(['(1,"changed while it was away")', '(2,"in its second time")']);
});

test('while a table that is read on the target lags, nothing that comes after it is told to be visible', async () => {
  await both('CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY)');
  start();
  const [a, b] = [await share('a'), await share('b')];
  stream.setServed([a.tableId, b.tableId], true);
  const told: number[] = [];
  stream.onVisible(({ transactionIds }) => told.push(...transactionIds));
  await target.query("ALTER TABLE a ADD CONSTRAINT good CHECK (v <> 'bad')");
  const write = async (sql: string): Promise<number> => Number((await source.query<{ xid: string }>(`WITH w AS (${sql} RETURNING 1) SELECT txid_current()::text AS xid FROM w`)).rows[0]?.xid) >>> 0;
  const bad = await write("INSERT INTO a VALUES (1, 'bad')");
  await until('a has failed', () => stream.status(a.tableId)?.mode === 'failed');
  const later = await write('INSERT INTO b VALUES (1)');
  await until('b is applied', async () => (await contents(target, 'b')).length === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(told).not.toContain(bad);
  expect(told).not.toContain(later);
  // Readers of `a` have gone to the source: what others wait for does not wait for it any longer.
  stream.setServed([a.tableId], false);
  expect(told).toEqual(expect.arrayContaining([bad, later]));
  expect(orderOr(stream.health().visible, 0n)).toBeGreaterThan(0n);
});

test('a spool at its limit stops the stream, and lets it go on by itself when its table is drained', async () => {
  await both('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, v text)');
  await stream.close();
  make({ limits: { ...options.limits, spoolBytes: 2 << 20 } });
  start();
  const a = await share('a');
  const b = await planOf(source, 'b');
  await stream.addTable(b);
  for (let part = 0; part < 40; part += 1) await source.query("INSERT INTO b SELECT g, repeat(md5(g::text), 30) FROM generate_series($1::int, $1::int + 199) g", [part * 200]);
  await until('the spool is full', () => stream.health().lastError?.message.includes('MIG086') === true);
  await source.query('INSERT INTO a VALUES (1)');
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await contents(target, 'a')).toEqual([]);
  expect(stream.health().spoolBytes).toBeLessThan(8 << 20);
  await stream.startDraining(b.tableId);
  await caughtUp(a, b);
  await same('a');
  await same('b');
  await until('b is shared', () => stream.status(b.tableId)?.mode === 'shared');
});
