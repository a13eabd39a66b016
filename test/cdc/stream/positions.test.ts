// A gap or a fork between source, spool and target is an error before anything streams; echo is dropped; visible is never early.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { orderOf } from '../../../cdc/change.ts';
import { createChangeStream } from '../../../cdc/postgres/change-stream.ts';
import { dropSlot } from '../../../cdc/postgres/slot.ts';
import type { OpenedStream } from '../../../cdc/stream/change-stream.ts';
import type { PostgresStreamOptions } from '../../../cdc/postgres/change-stream.ts';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { contents, planOf, streamOptions, testRuntime, until } from './fixture.ts';

let server: TestPostgres;
const spools: string[] = [];
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  for (const spool of spools) fs.rmSync(spool, { recursive: true, force: true });
});

interface Pair {
  readonly source: Client;
  readonly target: Client;
  readonly options: PostgresStreamOptions;
}

let number = 0;
async function pair(over: Partial<PostgresStreamOptions> = {}): Promise<Pair> {
  number += 1;
  const names = [`ps${number}`, `pt${number}`] as const;
  for (const name of names) await server.createDatabase(name);
  const spoolDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-spool-'));
  spools.push(spoolDirectory);
  const options = streamOptions({ source: { ...server.address, database: names[0] }, target: { ...server.address, database: names[1] }, spoolDirectory, slotName: `pslot${number}`, ...over });
  return { source: await server.client(names[0]), target: await server.client(names[1]), options };
}

interface Running {
  readonly stream: OpenedStream;
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

function startStream(options: PostgresStreamOptions, plans: readonly TablePlan[] = [], mode: 'spooling' | 'shared' = 'shared'): Running {
  const abort = new AbortController();
  const stream = createChangeStream(testRuntime(abort.signal), options);
  stream.restore(plans.map((plan) => ({ plan, mode, intervals: [] })));
  const ended = stream.run(abort.signal).then(() => undefined, (error: unknown) => error);
  return {
    stream, ended,
    stop: async () => {
      abort.abort();
      await ended;
      await stream.close();
    },
  };
}

async function share(running: Running, plan: TablePlan): Promise<void> {
  await running.stream.addTable(plan);
  await running.stream.startDraining(plan.tableId);
  await until('shared', () => running.stream.status(plan.tableId)?.mode === 'shared');
}

const table = 'CREATE TABLE t (id int PRIMARY KEY, v int)';

/** The source may forget what comes before this position, and sends none of it again. */
async function isConfirmed({ source, options }: Pick<Pair, 'source' | 'options'>, lsn: string | undefined): Promise<boolean> {
  return (await source.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn', [options.slotName, lsn])).rowCount === 1;
}

async function sharedPair(over: Partial<PostgresStreamOptions> = {}): Promise<Pair & { plan: TablePlan }> {
  const made = await pair(over);
  for (const client of [made.source, made.target]) await client.query(table);
  const plan = await planOf(made.source, 't');
  const running = startStream(made.options);
  await share(running, plan);
  await made.source.query('INSERT INTO t SELECT g, g FROM generate_series(1, 50) g');
  const { rows: [inserted] } = await made.source.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await running.stream.waitForMarker(await running.stream.writeMarker(), [plan.tableId], 10_000);
  await until('the source has been told', () => isConfirmed(made, inserted?.lsn));
  await running.stop();
  return { ...made, plan };
}

test('a slot that is gone is not made again', async () => {
  const { options, plan, source } = await sharedPair();
  // The server learns a moment later that the stream has let go of it.
  await dropSlot(source, options.slotName);
  const running = startStream(options, [plan]);
  expect(await running.ended).toMatchObject({ code: 'MIG020', retryable: false });
  expect((await source.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [options.slotName])).rows).toEqual([]);
});

test('a target that was restored from an earlier time is a gap', async () => {
  const { options, plan, target } = await sharedPair();
  // The source has been told to forget more than this.
  const earlier = await target.query("UPDATE causeway.applied SET lsn = confirmed_flush_lsn - 5000 FROM pg_replication_slots WHERE stream = 'fwd' AND slot_name = $1", [options.slotName]);
  expect(earlier.rowCount).toBe(1);
  const running = startStream(options, [plan]);
  expect(await running.ended).toMatchObject({ code: 'MIG021', retryable: false });
});

test('a source that ends before what was applied, and another cluster, are forks', async () => {
  const { options, plan, target } = await sharedPair();
  await target.query("UPDATE causeway.applied SET lsn = lsn + 1000000000000 WHERE stream = 'fwd'");
  expect(await startStream(options, [plan]).ended).toMatchObject({ code: 'MIG021' });
  await target.query("UPDATE causeway.applied SET lsn = lsn - 1000000000000, system_id = '42' WHERE stream = 'fwd'");
  expect(await startStream(options, [plan]).ended).toMatchObject({ code: 'MIG021', detail: expect.stringContaining('another cluster') as unknown });
});

test('a spool that was lost, or put back from an earlier time, is a gap of the tables that need it, and of no others', async () => {
  const { options, source, target, plan } = await sharedPair();
  const first = startStream(options, [plan]);
  await until('connected', () => first.stream.health().connected);
  await first.stream.pauseTable(plan.tableId);
  const copy = `${options.spoolDirectory}.copy`;
  spools.push(copy);
  fs.cpSync(options.spoolDirectory, copy, { recursive: true });
  await source.query('UPDATE t SET v = v + 1');
  const { rows: [updated] } = await source.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await until('confirmed past it', async () => {
    await source.query('INSERT INTO t VALUES ((SELECT max(id) + 1 FROM t), 0)');
    return isConfirmed({ source, options }, updated?.lsn);
  });
  await first.stop();
  fs.rmSync(options.spoolDirectory, { recursive: true });
  fs.renameSync(copy, options.spoolDirectory);
  for (const how of ['put back', 'gone', 'unreadable']) {
    if (how === 'gone') fs.rmSync(options.spoolDirectory, { recursive: true });
    if (how === 'unreadable') fs.writeFileSync(path.join(options.spoolDirectory, 'spool.json'), '{"id":');
    const next = startStream(options, [plan], 'spooling');
    await until(how, () => next.stream.status(plan.tableId)?.needsResync === true && next.stream.health().connected);
    expect(next.stream.status(plan.tableId)).toMatchObject({ mode: 'failed', error: { code: 'MIG021' } });
    await next.stop();
  }
  const last = startStream(options, [plan], 'spooling');
  await until('connected', () => last.stream.health().connected);
  await last.stream.removeTable(plan.tableId);
  await target.query('TRUNCATE t');
  await last.stream.addTable(plan);
  await target.query(`INSERT INTO t SELECT * FROM unnest($1::int[], $2::int[])`, unzip((await source.query<{ id: number; v: number }>('SELECT id, v FROM t')).rows));
  await last.stream.startDraining(plan.tableId);
  await last.stream.waitForMarker(await last.stream.writeMarker(), [plan.tableId], 10_000);
  expect(await contents(target, 't')).toEqual(await contents(source, 't'));
  await last.stop();
});

function unzip(rows: readonly { readonly id: number; readonly v: number }[]): [number[], number[]] {
  return [rows.map(({ id }) => id), rows.map(({ v }) => v)];
}

test('a control process that was replaced writes nothing more', async () => {
  const { options, plan, source, target } = await sharedPair();
  const old = startStream(options, [plan]);
  await until('connected', () => old.stream.health().connected);
  await target.query('UPDATE causeway.applied SET token = 7');
  await source.query('INSERT INTO t VALUES (1000, 1)');
  expect(await old.ended).toMatchObject({ code: 'MIG092' });
  expect(await contents(target, 't')).not.toContain('(1000,1)');
  expect(await startStream(options, [plan]).ended).toMatchObject({ code: 'MIG092' });
  const next = startStream({ ...options, token: 8n }, [plan]);
  await until('applied', async () => (await contents(target, 't')).includes('(1000,1)'));
  await next.stop();
});

test('two streams between the same tables: nothing echoes, and each writes what the other side wrote', async () => {
  const { options, source, target } = await pair();
  for (const client of [source, target]) await client.query(`${table}; CREATE TABLE u (id int PRIMARY KEY, v int)`);
  const plans = [await planOf(source, 't'), await planOf(source, 'u')] as const;
  const bypassed: string[] = [];
  const conflicts: unknown[] = [];
  const shared = { onBypassWrite: (id: string) => bypassed.push(id), onConflict: (conflict: unknown) => conflicts.push(conflict) };
  const forward = startStream({ ...options, ...shared });
  const spoolDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-spool-'));
  spools.push(spoolDirectory);
  const reverse = startStream({ ...options, ...shared, direction: 'reverse', name: 'rev', slotName: `prev${number}`, source: options.target, target: options.source, spoolDirectory });
  for (const plan of plans) {
    await share(forward, plan);
    await share(reverse, plan);
  }
  const mark = async (running: Running): Promise<bigint> => orderOf(await running.stream.waitForMarker(await running.stream.writeMarker(), plans.map((plan) => plan.tableId), 20_000));
  const position = (lsn: bigint) => ({ type: 'postgresql_lsn' as const, lsn });
  let writes = 0;
  for (let round = 0; round < 6; round += 1) {
    // `t` changes sides, `u` stays with the source, in the same slots.
    const isLocal = round % 2 === 1;
    const [home, away] = isLocal ? [target, source] : [source, target];
    for (let n = 0; n < 20; n += 1) {
      await home.query(`INSERT INTO t VALUES (${(writes += 1)}, 0); UPDATE t SET v = v + 1 WHERE id % 5 = ${n % 5}`);
      await source.query(`INSERT INTO u VALUES (${writes}, ${round})`);
    }
    const [forwardAt, reverseAt] = [await mark(forward), await mark(reverse)];
    expect(await contents(away, 't')).toEqual(await contents(home, 't'));
    expect(await contents(target, 'u')).toEqual(await contents(source, 'u'));
    if (isLocal) {
      await reverse.stream.closeInterval(plans[0].tableId, position(reverseAt));
      await forward.stream.openInterval(plans[0].tableId, position(forwardAt));
    } else {
      await forward.stream.closeInterval(plans[0].tableId, position(forwardAt));
      await reverse.stream.openInterval(plans[0].tableId, position(reverseAt));
    }
  }
  expect(bypassed).toEqual([]);
  expect(conflicts).toEqual([]);
  await forward.stop();
  await reverse.stop();
});

test('a transaction that is told as visible can be read on the target', async () => {
  const { options, plan, source } = await sharedPair();
  const running = startStream(options, [plan]);
  await until('connected', () => running.stream.health().connected);
  const check = await server.client(options.target.database);
  // Without it the source sends what it has flushed, a fifth of a second later.
  await source.query('SET synchronous_commit = on');
  const rowOf = new Map<number, number>();
  const checks: Promise<boolean>[] = [];
  const seen = new Set<number>();
  running.stream.onVisible(({ transactionIds }) => {
    for (const id of transactionIds) {
      seen.add(id);
      const row = rowOf.get(id);
      if (row !== undefined) checks.push(check.query('SELECT 1 FROM t WHERE id = $1', [row]).then(({ rows }) => rows.length === 1));
    }
  });
  for (let id = 5000; id < 5100; id += 1) {
    await source.query('BEGIN');
    const { rows: [row] } = await source.query<{ xid: string }>('INSERT INTO t VALUES ($1, 0) RETURNING (txid_current() % 4294967296)::text AS xid', [id]);
    rowOf.set(Number(row?.xid), id);
    await source.query('COMMIT');
    await until('seen', () => seen.has(Number(row?.xid)));
  }
  expect((await Promise.all(checks)).filter((isThere) => !isThere)).toEqual([]);
  expect(checks.length).toBe(100);
  await running.stop();
});
