/**
 * Rows that a client's own transaction has written to the target (RULES 24): the target shows them at once and never goes back, and ends as
 * the source, whatever else changes the same rows and wherever a writer dies.
 */
import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApplyConnection } from '../../../cdc/apply/apply-connection.ts';
import { writeMarked } from '../../../cdc/apply/write-marked.ts';
import { installBookkeeping } from '../../../cdc/postgres/bookkeeping.ts';
import { installFenceSupport, installGuard } from '../../../cdc/postgres/fence.ts';
import { beginMarking, installMarks } from '../../../cdc/postgres/marks.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { contents, until } from './fixture.ts';
import { seeded } from './random-workload.ts';
import { both, bypasses, caughtUp, conflicts, failures, make, options, same, server, share, source, start, stop, stream, target, useStream } from './stream-harness.ts';

useStream();

const columns = [{ name: 'id', type: 'integer' }, { name: 'v', type: 'text' }, { name: 'big', type: 'text' }] as const;
let connection: ApplyConnection;
let plan: TablePlan;

beforeEach(async () => {
  await both('CREATE TABLE t (id int PRIMARY KEY, v text, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL');
  make({ mayHaveMarks: () => true });
  start();
  plan = await share('t');
  await installBookkeeping(target);
  await installFenceSupport(target);
  await installMarks(target);
  await target.query('BEGIN');
  await installGuard(target, [plan.target], { epoch: 1, token: '1' });
  await target.query('COMMIT');
  await beginMarking(target, plan.tableId, plan.target);
  connection = await openConnection();
});

afterEach(() => connection?.close());

function openConnection(): Promise<ApplyConnection> {
  return ApplyConnection.open(options.target, 'marking', { token: 0n, synchronousCommit: 'on', lockTimeoutMs: 2_000 });
}

/** As a new process would: the tables are handed in. */
async function restart(over: Parameters<typeof make>[0] = {}): Promise<void> {
  make(over);
  await stream.restore([{ plan, mode: 'shared', intervals: [] }]);
  start();
}

/** Runs statements in one transaction of the source and writes their rows to the target; gives what commits first the one, then the other. */
async function openMarked(client: Client, on: ApplyConnection, statements: readonly string[]): Promise<() => Promise<void>> {
  const rows = new Map<string, readonly (string | null)[] | undefined>();
  await client.query('BEGIN');
  for (const sql of statements) {
    const result = await client.query<{ id: number; v: string | null; big: string | null }>(`${sql} RETURNING *`);
    for (const row of result.rows) {
      const key = JSON.stringify([String(row.id)]);
      rows.delete(key);
      rows.set(key, result.command === 'DELETE' ? undefined : [String(row.id), row.v, row.big]);
    }
  }
  const { rows: [xid] } = await client.query<{ id: string }>('SELECT pg_current_xact_id_if_assigned()::text AS id');
  if (rows.size > 0) await writeMarked(on, { transactionId: Number(BigInt(xid?.id ?? 0) & 0xffffffffn), tables: [{ tableId: plan.tableId, local: plan.target, columns, key: ['id'], rows }] });
  return async () => {
    await client.query('COMMIT');
    if (rows.size > 0) await on.send({ text: 'COMMIT' });
  };
}

async function marked(...statements: string[]): Promise<void> {
  await (await openMarked(source, connection, statements))();
}

async function marks(): Promise<number> {
  return Number((await target.query<{ n: string }>('SELECT count(*) AS n FROM causeway.mark')).rows[0]?.n);
}

async function expectClean(): Promise<void> {
  await caughtUp(plan);
  await same('t');
  expect(conflicts).toEqual([]);
  expect(failures).toEqual([]);
  expect(bypasses).toEqual([]);
  expect(await marks()).toBe(0);
}

test('a marked write is on the target while the stream stands, and the stream clears its mark', async () => {
  await stop();
  await marked("INSERT INTO t VALUES (1, 'one', repeat('x', 4000)), (2, 'two', NULL)");
  await marked("UPDATE t SET v = 'changed' WHERE id = 1", 'DELETE FROM t WHERE id = 2');
  await same('t');
  expect(await marks()).toBe(2);
  await restart();
  await expectClean();
  await source.query("UPDATE t SET v = 'later' WHERE id = 1; INSERT INTO t VALUES (2, 'again', NULL)");
  await expectClean();
});

test('changes that committed earlier and come later do not take a marked row back', async () => {
  await source.query("INSERT INTO t VALUES (1, 'a', repeat('a', 4000)), (2, 'b', NULL), (3, 'c', NULL), (4, 'd', repeat('d', 4000))");
  await caughtUp(plan);
  await stop();
  await source.query("UPDATE t SET big = repeat('b', 4000) WHERE id = 1; UPDATE t SET v = 'old' WHERE id IN (1, 3); DELETE FROM t WHERE id = 2; UPDATE t SET id = 40 WHERE id = 4; INSERT INTO t VALUES (5, 'old', NULL)");
  await marked("UPDATE t SET v = 'new' WHERE id = 1", "INSERT INTO t VALUES (2, 'new', NULL), (4, 'new', NULL)", 'DELETE FROM t WHERE id IN (3, 5)');
  const wanted = await contents(source, 't');
  const seen = new Set<string>();
  let watching = true;
  const watcher = await server.client(options.target.database);
  const watch = (async () => {
    while (watching) seen.add((await contents(watcher, 't')).filter((row) => !row.startsWith('(40,')).join());
  })();
  await restart();
  await expectClean().finally(() => (watching = false));
  await watch;
  expect([...seen]).toEqual([wanted.filter((row) => !row.startsWith('(40,')).join()]);
});

test('a TRUNCATE that comes later than the mark leaves the row that was written after it', async () => {
  await source.query("INSERT INTO t SELECT g, 'v' FROM generate_series(1, 5) g");
  await caughtUp(plan);
  await stop();
  await source.query('TRUNCATE t');
  await marked("INSERT INTO t VALUES (3, 'new', NULL)");
  await restart();
  await expectClean();
});

test('what triggers of the source make of a marked row comes with the stream', async () => {
  await source.query(`CREATE FUNCTION after_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET big = 'by trigger' WHERE id = NEW.id; RETURN NULL; END $$;
    CREATE TRIGGER after_it AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION after_it()`);
  await marked("INSERT INTO t VALUES (1, 'one', NULL)");
  await expectClean();
  expect(await contents(target, 't')).toEqual(['(1,one,"by trigger")']);
});

test('an open writer holds the table up, rolled back it leaves nothing, and no mark of a table that is not marked', async () => {
  await openMarked(source, connection, ["INSERT INTO t VALUES (1, 'undone', NULL)"]);
  const other = await server.client(options.source.database);
  await other.query("INSERT INTO t VALUES (2, 'two', NULL)");
  await source.query('ROLLBACK');
  await connection.send({ text: 'ROLLBACK' });
  await expectClean();
  await stream.removeTable(plan.tableId);
  await expect(openMarked(source, connection, ["INSERT INTO t VALUES (3, 'late', NULL)"])).rejects.toThrow('not marked at present');
  await source.query('ROLLBACK');
});

test('a change that an operator leaves out takes its mark along', async () => {
  await stop();
  await marked("INSERT INTO t VALUES (1, 'bad', NULL)");
  await target.query("ALTER TABLE t ADD CONSTRAINT good CHECK (v <> 'bad') NOT VALID");
  await restart();
  await until('it has failed', () => stream.status(plan.tableId)?.mode === 'failed');
  await stream.skipFailedChange(plan.tableId);
  // Nothing but what is left out: that is applied by itself, before the table shares the stream again.
  await until('it is shared', () => stream.status(plan.tableId)?.mode === 'shared');
  await source.query("UPDATE t SET v = 'good' WHERE id = 1");
  await caughtUp(plan);
  await same('t');
  expect(await marks()).toBe(0);
});

test('a marked transaction that is larger than a unit meets no conflict, and leaves no mark', async () => {
  await stop();
  await restart({ limits: { ...options.limits, batchChanges: 3 } });
  await source.query("INSERT INTO t SELECT g, 'v' FROM generate_series(1, 10) g");
  await caughtUp(plan);
  const commit = await openMarked(source, connection, ['DELETE FROM t WHERE id <= 8', "INSERT INTO t SELECT g, 'w' FROM generate_series(20, 26) g", "UPDATE t SET v = 'u' WHERE id > 8"]);
  await commit();
  await caughtUp(plan);
  await expectClean();
});

test.each([1, 2, 3, 4])('random writers, marked and not, that die anywhere, and a stream that is killed: both sides end the same, seed %i', async (seed) => {
  const random = seeded(seed);
  const pick = (most: number): number => 1 + Math.floor(random() * most);
  const write = (): string => {
    const [id, kind] = [pick(12), random()];
    if (kind < 0.3) return `INSERT INTO t VALUES (${id}, 'v${pick(99)}', repeat('${String.fromCharCode(96 + pick(26))}', ${pick(2) === 1 ? 5 : 3000})) ON CONFLICT (id) DO UPDATE SET v = excluded.v`;
    if (kind < 0.6) return `UPDATE t SET v = 'u${pick(99)}' WHERE id = ${id}`;
    if (kind < 0.75) return `UPDATE t SET big = repeat('z', ${pick(4000)}) WHERE id = ${id}`;
    return `DELETE FROM t WHERE id = ${id}`;
  };
  const moves = (): string => (random() < 0.15 ? 'TRUNCATE t' : `UPDATE t SET id = ${pick(12)} WHERE id = ${pick(12)} AND NOT EXISTS (SELECT FROM t u WHERE u.id = ${pick(12)})`);
  const direct = async (): Promise<void> => {
    const client = await server.client(options.source.database);
    for (let round = 0; round < 60; round += 1) await client.query(random() < 0.2 ? moves() : write()).catch(() => undefined);
  };
  const markedWriter = async (): Promise<void> => {
    const client = await server.client(options.source.database);
    const on = await openConnection();
    for (let round = 0; round < 40; round += 1) {
      try {
        const commit = await openMarked(client, on, random() < 0.3 ? [write(), write()] : [write()]);
        // Dies before or after the source has committed, or is slow in between.
        const fate = random();
        if (fate < 0.2) {
          await client.query(fate < 0.1 ? 'ROLLBACK' : 'COMMIT');
          await on.send({ text: 'ROLLBACK' });
        } else if (fate < 0.3) {
          await client.query('COMMIT');
          await new Promise((resolve) => setTimeout(resolve, 30));
          await on.send({ text: 'COMMIT' });
        } else await commit();
      } catch {
        await client.query('ROLLBACK');
        await on.send({ text: 'ROLLBACK' });
      }
    }
    await on.close();
  };
  const killer = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      await stop();
      await restart({ limits: { ...options.limits, batchChanges: pick(2) === 1 ? 3 : 10_000 } });
    }
  };
  await Promise.all([direct(), direct(), markedWriter(), markedWriter(), markedWriter(), killer()]);
  await expectClean();
}, 60_000);
