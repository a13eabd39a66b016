/** What is kept for one table is its own: given up for the others when the spool takes no more, lost or damaged, it stops that table until it is loaded again, and no other. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { TablePlan } from '../../../cdc/table-plan.ts';
import { orderOr, planOf, until } from './fixture.ts';
import { both, caughtUp, failures, make, options, runError, same, share, source, start, stop, stream, target, useStream } from './stream-harness.ts';

useStream();

const TABLES = ['a', 'b'].map((name) => `CREATE TABLE ${name} (id int PRIMARY KEY, v text)`).join(';');

function logOf({ tableId }: TablePlan): string {
  return path.join(options.spoolDirectory, `t-${Buffer.from(tableId).toString('hex')}`);
}

/** What was written so far may be forgotten by the source. */
/** A source that says nothing more is confirmed now and then only, and both sides write one log here: markers keep it talking. */
async function confirmed(): Promise<void> {
  const { rows } = await source.query<{ lsn: string }>("SELECT (pg_current_wal_insert_lsn() - '0/0')::text AS lsn");
  await until('confirmed', async () => {
    if (runError !== undefined) throw runError as Error;
    if (orderOr(stream.health().durable, 0n) >= BigInt(rows[0]?.lsn ?? 0)) return true;
    await stream.writeMarker();
    await delay(50);
    return false;
  });
}

async function expectLost(plan: TablePlan): Promise<void> {
  await until('the table is lost', () => {
    if (runError !== undefined) throw runError as Error;
    return stream.status(plan.tableId)?.needsResync === true;
  });
  expect(stream.status(plan.tableId)).toMatchObject({ mode: 'failed', error: { code: 'MIG021', hint: expect.stringContaining(`RESYNC MIGRATION FOR TABLE public.${plan.source.name};`) as unknown }, spoolBytes: 0 });
  await expect(stream.startDraining(plan.tableId)).rejects.toMatchObject({ code: 'MIG021' });
  await expect(stream.addTable(plan)).rejects.toMatchObject({ code: 'MIG021' });
  expect(failures.map(({ tableId }) => tableId)).toContain(plan.tableId);
}

let written = 10_000;
async function expectGoesOn(plan: TablePlan): Promise<void> {
  await source.query(`INSERT INTO ${plan.source.name} VALUES ($1, 'goes on')`, [written += 1]);
  await caughtUp(plan);
  await same(plan.source.name);
  expect(stream.status(plan.tableId)?.mode).toBe('shared');
}

/** As RESYNC does: out, its rows copied again, in. */
async function resync(plan: TablePlan): Promise<void> {
  const { name } = plan.source;
  await stream.removeTable(plan.tableId);
  await target.query(`TRUNCATE ${name}`);
  await stream.addTable(plan);
  for (const row of (await source.query<{ id: number; v: string }>(`SELECT id, v FROM ${name}`)).rows) await target.query(`INSERT INTO ${name} VALUES ($1, $2)`, [row.id, row.v]);
  await source.query(`INSERT INTO ${name} VALUES ($1, 'after the copy')`, [written += 1]);
  await stream.startDraining(plan.tableId);
  await until('shared again', () => stream.status(plan.tableId)?.mode === 'shared');
  await caughtUp(plan);
  await same(name);
}

/** The next process; what happens while there is none. */
async function again(modes: readonly (readonly [TablePlan, 'spooling' | 'draining'])[], meanwhile: () => void = () => undefined): Promise<void> {
  await stop();
  failures.length = 0;
  meanwhile();
  make();
  stream.restore(modes.map(([plan, mode]) => ({ plan, mode, intervals: [] })));
}

async function writeMuch(name: string, parts: number): Promise<void> {
  for (let part = 0; part < parts; part += 1) await source.query(`INSERT INTO ${name} SELECT g, repeat(md5(g::text), 30) FROM generate_series($1::int, $1::int + 199) g`, [part * 200]);
}

test.each(['is paused', 'has failed'])('a table that %s does not fill the spool for the others', async (how) => {
  await both(TABLES);
  await stream.close();
  make({ limits: { ...options.limits, spoolBytes: 2 << 20 } });
  start();
  const a = await share('a');
  const b = await share('b');
  if (how === 'is paused') {
    await stream.pauseTable(b.tableId);
    stream.setStopped(new Set([b.tableId]));
  } else {
    await target.query("ALTER TABLE b ADD CHECK (v <> 'bad')");
    await source.query("INSERT INTO b VALUES (-1, 'bad')");
    await until('b has failed', () => stream.status(b.tableId)?.mode === 'failed');
  }
  await writeMuch('b', 3);
  await until('something is kept', () => stream.health().stoppedBytes > 100_000);
  expect(stream.status(b.tableId)?.needsResync).toBe(false);
  await source.query('DELETE FROM b WHERE id >= 0');
  await writeMuch('b', 40);
  await expectGoesOn(a);
  await expectLost(b);
  expect(fs.existsSync(logOf(b))).toBe(false);
  expect(stream.health()).toMatchObject({ stoppedBytes: 0, blockedBy: undefined });
  // It is for good, also for the next process.
  await again([[a, 'draining'], [b, 'spooling']]);
  start();
  await expectGoesOn(a);
  await expectLost(b);
  await target.query('ALTER TABLE b DROP CONSTRAINT IF EXISTS b_v_check');
  await source.query('DELETE FROM b WHERE id >= 100');
  await resync(b);
  await expectGoesOn(a);
});

test('a table that is loading gives nothing up: the stream waits for it', async () => {
  await both(TABLES);
  await stream.close();
  make({ limits: { ...options.limits, spoolBytes: 2 << 20 } });
  start();
  await share('a');
  const b = await planOf(source, 'b');
  await stream.addTable(b);
  await writeMuch('b', 40);
  await until('the spool is full', () => stream.health().blockedBy !== undefined);
  expect(stream.status(b.tableId)).toMatchObject({ mode: 'spooling', needsResync: false });
  // An operator pauses it: then it is in the way of the others.
  stream.setStopped(new Set([b.tableId]));
  await until('it gave way', () => stream.status(b.tableId)?.needsResync === true);
  await until('there is room', () => stream.health().blockedBy === undefined);
});

const damages: Readonly<Record<string, (plan: TablePlan) => void>> = {
  'whose folder is gone': (plan) => fs.rmSync(logOf(plan), { recursive: true }),
  'whose file is gone': (plan) => fs.rmSync(fileOf(plan)),
  'whose file is cut short': (plan) => fs.truncateSync(fileOf(plan), fs.statSync(fileOf(plan)).size - 1),
  'whose file is empty': (plan) => fs.truncateSync(fileOf(plan), 0),
  'of whose file one byte has changed': (plan) => changeByte(fileOf(plan), Math.floor(fs.statSync(fileOf(plan)).size / 2)),
  'of whose file the first length has changed': (plan) => changeByte(fileOf(plan), 0),
  'of which the spool knows nothing more': (plan) => fs.rmSync(`${logOf(plan)}.json`),
  'of which the spool knows nothing that can be read': (plan) => fs.writeFileSync(`${logOf(plan)}.json`, '{"tableId":'),
};

function fileOf(plan: TablePlan): string {
  const [first] = fs.readdirSync(logOf(plan)).filter((name) => name.endsWith('.log'));
  return path.join(logOf(plan), first ?? 'none');
}

function changeByte(file: string, at: number): void {
  const bytes = fs.readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  fs.writeFileSync(file, bytes);
}

/** `b` is paused, and what was written to it since can be had from the spool alone. */
async function keepInSpool(): Promise<readonly [TablePlan, TablePlan]> {
  await both(TABLES);
  start();
  const plans = [await share('a'), await share('b')] as const;
  await stream.pauseTable(plans[1].tableId);
  await source.query("INSERT INTO b SELECT g, 'kept' FROM generate_series(1, 100) g");
  await source.query("UPDATE b SET v = 'changed' WHERE id < 50");
  await confirmed();
  return plans;
}

test.each(Object.entries(damages))('a table %s while nobody reads it stops alone, and is not taken for whole', async (_, damage) => {
  const [a, b] = await keepInSpool();
  await again([[a, 'draining'], [b, 'spooling']], () => damage(b));
  start();
  await expectGoesOn(a);
  await expectLost(b);
  await again([[a, 'draining'], [b, 'draining']]);
  start();
  await expectGoesOn(a);
  await expectLost(b);
  await resync(b);
});

test.each(Object.entries(damages).filter(([how]) => !how.startsWith('of which')))('a table %s under the stream stops alone, and is not taken for whole', async (_, damage) => {
  const [a, b] = await keepInSpool();
  damage(b);
  await stream.startDraining(b.tableId);
  await expectLost(b);
  await expectGoesOn(a);
  await resync(b);
});

test('a folder that goes away under a table that is being written to stops that table alone', async () => {
  await both(TABLES);
  await stream.close();
  make({ limits: { ...options.limits, spoolBytes: 4 << 20 } });
  start();
  const a = await share('a');
  const b = await planOf(source, 'b');
  await stream.addTable(b);
  await source.query("INSERT INTO b VALUES (-1, 'a file is there')");
  await confirmed();
  fs.rmSync(logOf(b), { recursive: true });
  // The file that is open is written until a new one is wanted, which cannot be made there.
  await writeMuch('b', 4);
  await expectLost(b);
  await expectGoesOn(a);
});

test('what the end of a log lost and the source sends again is no loss', async () => {
  const [a, b] = await keepInSpool();
  await stop();
  // Written, and not yet told to the source: the process ended before.
  fs.appendFileSync(fileOf(b), Buffer.alloc(40, 1));
  await again([[a, 'draining'], [b, 'draining']]);
  start();
  await caughtUp(a, b);
  await same('b');
});

test('what comes after a lost end that had been applied has its place behind it', async () => {
  const [a, b] = await keepInSpool();
  await stream.startDraining(b.tableId);
  await until('b is shared', () => stream.status(b.tableId)?.mode === 'shared');
  await stream.pauseTable(b.tableId);
  await source.query("INSERT INTO b SELECT g, 'more' FROM generate_series(200, 300) g");
  await confirmed();
  await again([[a, 'draining'], [b, 'spooling']]);
  // All of it has been applied, says the target, and more than the log holds.
  const size = fs.statSync(fileOf(b)).size;
  const { rows: [row] } = await target.query<{ lsn: string }>("SELECT (lsn - '0/0')::text AS lsn FROM causeway.applied WHERE stream = 'fwd'");
  await target.query("UPDATE causeway.table_applied SET spool_offset = $1, lsn = '0/0'::pg_lsn + $2::numeric WHERE table_id = $3", [size + 500, row?.lsn, b.tableId]);
  await target.query("INSERT INTO b SELECT g, 'more' FROM generate_series(200, 300) g");
  start();
  await until('connected', () => stream.health().connected);
  await source.query("INSERT INTO b VALUES (1000, 'behind it')");
  await confirmed();
  await again([[a, 'draining'], [b, 'draining']]);
  start();
  await caughtUp(a, b);
  await same('b');
});
