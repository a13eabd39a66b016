/**
 * RULES 10 and 15, "late writer": whoever writes the table around the steps of a cutover, and however: an orphan backend whose worker
 * was killed, a prepared transaction, a function that nobody can see into, a program past the gateway, a worker that was stopped. No change that is not
 * the reverse applier's comes behind the marker on the source, what was acknowledged is there once, and what can't be moved in time is undone
 * with the holder's name.
 *
 * A logical slot on the source sees every change in commit order, the marker among them.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from './support/stack.ts';
import type { StatusRow } from './support/stack.ts';
import { connectElsewhere, workerOf } from './support/worker-of.ts';

const steps = ['begun', 'reverse_ready', 'quiesced', 'fenced', 'drained', 'sequences', 'released_local', 'committed', 'published', 'reported'] as const;
/** At these the table is not parked yet: a client's statement goes to the source. */
const open: readonly string[] = ['begun', 'reverse_ready'];
/** A worker is killed under its client: at the first two with a statement under way, then with one that is parked. */
const kills: readonly string[] = ['begun', 'reverse_ready', 'fenced', 'committed'];
/** The rows of the table, by who counts there. */
const rowOf = { orphan: 1, direct: 2, opaque: 3, client: 4, prepared: 5, stopped: 6, holder: 7 } as const;
type Writer = keyof typeof rowOf;

const sourceSql = `
  CREATE TABLE ledger (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0);
  INSERT INTO ledger SELECT g FROM generate_series(1, 50) g;
  CREATE FUNCTION bump(which int) RETURNS bigint LANGUAGE plpgsql AS
    $$ DECLARE now_at bigint; BEGIN EXECUTE 'UPDATE ' || 'led' || 'ger SET n = n + 1 WHERE id = $1 RETURNING n' INTO now_at USING which; RETURN now_at; END $$;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ledger TO app`;

type Outcome = 'done' | 'refused' | 'unknown';

let stack: Stack;
let source: pg.Client;
/** What was told to each writer; unknown ones may or may not be there. */
const told = new Map<Writer, { done: number; unknown: number }>();

beforeAll(async () => {
  stack = await Stack.start({ sourceSql, faultPoints: steps.map((step) => `cutover.${step}`) });
  source = await stack.direct('source');
  await source.query("SELECT pg_create_logical_replication_slot('onlooker', 'test_decoding')");
  await stack.migrate('public', 'copy_grants TRUE');
});
afterAll(async () => stack[Symbol.asyncDispose]());

const update = (writer: Writer, from = ''): string => `UPDATE ledger SET n = n + 1 ${from} WHERE id = ${rowOf[writer]}`;

/** Runs one write and keeps what was told of it. */
async function write(writer: Writer, client: pg.ClientBase, sql: string): Promise<{ outcome: Outcome; error: pg.DatabaseError | undefined }> {
  const counts = told.get(writer) ?? { done: 0, unknown: 0 };
  told.set(writer, counts);
  try {
    await client.query(sql);
    counts.done += 1;
    return { outcome: 'done', error: undefined };
  } catch (error) {
    const isRefused = error instanceof pg.DatabaseError && error.severity === 'ERROR';
    if (!isRefused) counts.unknown += 1;
    return { outcome: isRefused ? 'refused' : 'unknown', error: error instanceof pg.DatabaseError ? error : undefined };
  }
}

type CutoverAnswer = { readonly ok: true } | { readonly ok: false; readonly error: pg.DatabaseError };

function beginCutover(operator: pg.Client, words = ''): Promise<CutoverAnswer> {
  return operator.query(`CUTOVER TABLE ledger ${words}`).then(() => ({ ok: true as const }), (error: unknown) => {
    if (error instanceof pg.DatabaseError) return { ok: false as const, error };
    throw error;
  });
}

/** Waits for what `pg_stat_activity` and `pg_locks` of the source show. */
async function seen(condition: string, parameters: readonly unknown[] = []): Promise<void> {
  await expect.poll(async () => (await source.query(`SELECT ${condition} AS it`, [...parameters])).rows[0]?.['it'] as boolean, { timeout: 15_000, interval: 10 }).toBe(true);
}

/** Transactions behind the last marker of a cutover that changed the table and are not the reverse applier's. Takes the changes from the slot. */
async function untaggedBehindMarker(): Promise<string[]> {
  const { rows } = await source.query<{ xid: string; data: string }>("SELECT xid::text, data FROM pg_logical_slot_get_changes('onlooker', NULL, NULL)");
  const marker = rows.findLastIndex(({ data }) => data.includes("'cutover:"));
  if (marker < 0) throw new Error('no marker of a cutover came out of the slot');
  const behind = rows.slice(marker + 1);
  const tagged = new Set(behind.filter(({ data }) => /^table causeway\.(?:table_)?applied:/.test(data)).map(({ xid }) => xid));
  return behind.filter(({ xid, data }) => data.startsWith('table public.ledger:') && !tagged.has(xid)).map(({ data }) => data);
}

async function expectNothingLost(side: 'source' | 'local'): Promise<void> {
  const reader = await stack.direct(side);
  const { rows } = await reader.query<{ id: number; n: string }>('SELECT id, n FROM ledger');
  await reader.end();
  const count = (id: number): number => Number(rows.find((row) => row.id === id)?.n);
  for (const [writer, { done, unknown }] of told) {
    expect(count(rowOf[writer]), `${writer}: acknowledged ones are there, on ${side}`).toBeGreaterThanOrEqual(done);
    expect(count(rowOf[writer]), `${writer}: none is there twice, on ${side}`).toBeLessThanOrEqual(done + unknown);
  }
}

async function backToReady(): Promise<void> {
  const [row] = await stack.status();
  if (row?.State === 'LOCAL_ONLY') await stack.command('ROLLBACK MIGRATION FOR TABLE ledger PRESERVE LOCAL DATA');
  await stack.makeReady('public');
}

describe('writers at every step', () => {
  it.each(steps)('%s', { timeout: 60_000 }, async (step) => {
    await backToReady();
    const victim = await stack.connect('app');
    const { worker, backend } = await workerOf(stack, victim);
    const [operator, client, caller] = [await connectElsewhere(stack, 'operator', [worker]), await connectElsewhere(stack, 'app', [worker]), await connectElsewhere(stack, 'app', [worker])];
    const direct = await stack.direct('source');
    const point = `cutover.${step}`;
    stack.faults.arm(point);
    const cutover = beginCutover(operator);
    let writes: Promise<{ outcome: Outcome; error: pg.DatabaseError | undefined }>[] = [];
    try {
      await Promise.race([stack.faults.reached(point, 20_000), cutover.then((early) => expect.fail(`answered before its step: ${JSON.stringify(early)}`))]);
      const orphan = write('orphan', victim, update('orphan', `FROM pg_sleep(${open.includes(step) ? 2 : 0.7})`));
      if (open.includes(step)) await seen("EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep')", [backend]);
      // Its backend goes on without it.
      if (kills.includes(step)) process.kill(worker, 'SIGKILL');
      writes = [orphan, write('direct', direct, update('direct')), write('opaque', caller, `SELECT bump(${rowOf.opaque})`), write('client', client, update('client'))];
      if (kills.includes(step)) expect(await orphan).toMatchObject({ outcome: 'unknown' });
      if (open.includes(step)) await Promise.all(writes);
    } finally {
      stack.faults.release(point);
    }
    const answer = await cutover;
    if (!answer.ok) expect.fail(`${answer.error.message}\n${answer.error.detail ?? ''}\n${stack.product.logTail(15)}`);
    const [, past, opaque, ordinary] = await Promise.all(writes);
    expect(ordinary?.outcome, 'a client goes on').toBe('done');
    // Past the gateway: before the fence it is carried over, behind it it is refused, and told why.
    if (steps.indexOf(step) < steps.indexOf('fenced')) expect(past?.outcome).toBe('done');
    else expect(past?.error).toMatchObject({ code: '55006', message: expect.stringContaining('MIG082') as string });
    if (open.includes(step)) expect(opaque?.outcome).toBe('done');
    else expect(opaque?.error, 'what nobody can see into waits, and meets the fence').toMatchObject({ code: '55006' });
    expect(await write('client', client, update('client'))).toMatchObject({ outcome: 'done' });
    expect(await untaggedBehindMarker()).toEqual([]);
    await expectNothingLost('local');
    await Promise.all([operator, client, caller, direct, ...(kills.includes(step) ? [] : [victim])].map((each) => each.end()));
  });
});

/** Each holds the table open past the budget: the attempt is undone, says who, and clients go on; later it goes through. */
describe('a writer that does not end', () => {
  async function expectUndone(operator: pg.Client, client: pg.Client, holder: RegExp, seconds = 1): Promise<void> {
    const begunMs = performance.now();
    const answer = await beginCutover(operator, `TIMEOUT ${seconds}`);
    if (answer.ok) return expect.fail('the cutover went through');
    expect(answer.error.message).toMatch(/^MIG05[12]/);
    expect(answer.error.detail).toMatch(holder);
    expect(performance.now() - begunMs, 'the budget, one attempt at the lock, and the way back').toBeLessThan(20_000);
    expect(await write('client', client, update('client'))).toMatchObject({ outcome: 'done' });
    expect((await operator.query<StatusRow>('SHOW MIGRATION STATUS')).rows[0]?.State).toBe('CUTOVER_READY');
  }

  async function expectMoved(operator: pg.Client, client: pg.Client): Promise<void> {
    expect(await beginCutover(operator)).toEqual({ ok: true });
    expect(await write('client', client, update('client'))).toMatchObject({ outcome: 'done' });
    expect(await untaggedBehindMarker()).toEqual([]);
    await expectNothingLost('local');
  }

  it('a prepared transaction', { timeout: 60_000 }, async () => {
    await backToReady();
    const [operator, client, direct] = [await stack.connect('operator'), await stack.connect('app'), await stack.direct('source')];
    await write('prepared', direct, `BEGIN; ${update('prepared')}; PREPARE TRANSACTION 'decided elsewhere'`);
    try {
      await expectUndone(operator, client, /decided elsewhere/);
    } finally {
      await direct.query("COMMIT PREPARED 'decided elsewhere'");
    }
    await expectMoved(operator, client);
    await Promise.all([operator.end(), client.end(), direct.end()]);
  });

  it('a program past the gateway', { timeout: 60_000 }, async () => {
    await backToReady();
    const [operator, client, direct] = [await stack.connect('operator'), await stack.connect('app'), await stack.direct('source')];
    const { rows } = await direct.query<{ pid: number }>("SET application_name = 'nightly job'; SELECT pg_backend_pid() AS pid").then((results) => (results as unknown as pg.QueryResult<{ pid: number }>[])[1] ?? { rows: [] });
    await direct.query('BEGIN');
    const written = await write('holder', direct, update('holder'));
    expect(written.outcome).toBe('done');
    try {
      await expectUndone(operator, client, new RegExp(`^Backend ${rows[0]?.pid ?? '?'} of postgres \\(nightly job\\) at 127\\.0\\.0\\.1, open for [\\d.]+ s: UPDATE ledger`));
    } finally {
      await direct.query('COMMIT');
    }
    await expectMoved(operator, client);
    await Promise.all([operator.end(), client.end(), direct.end()]);
  });

  it('a client of a worker that was stopped', { timeout: 60_000 }, async () => {
    await backToReady();
    const held = await stack.connect('app');
    const { worker, backend } = await workerOf(stack, held);
    const [operator, client] = [await connectElsewhere(stack, 'operator', [worker]), await connectElsewhere(stack, 'app', [worker])];
    await held.query('BEGIN');
    await held.query(update('holder'));
    process.kill(worker, 'SIGSTOP');
    try {
      await expectUndone(operator, client, new RegExp(`ackend ${backend} `), 3);
    } finally {
      process.kill(worker, 'SIGCONT');
    }
    await write('holder', held, 'COMMIT');
    await expectMoved(operator, client);
    await Promise.all([operator.end(), client.end(), held.end()]);
  });
});

it('a worker that was stopped, and wakes when the table has moved, writes nothing to the source', { timeout: 60_000 }, async () => {
  await backToReady();
  const sleeper = await stack.connect('app');
  const { worker } = await workerOf(stack, sleeper);
  const [operator, client] = [await connectElsewhere(stack, 'operator', [worker]), await connectElsewhere(stack, 'app', [worker])];
  process.kill(worker, 'SIGSTOP');
  let late: ReturnType<typeof write>;
  try {
    late = write('stopped', sleeper, update('stopped'));
    expect(await beginCutover(operator)).toEqual({ ok: true });
    expect(await write('client', client, update('client'))).toMatchObject({ outcome: 'done' });
  } finally {
    process.kill(worker, 'SIGCONT');
  }
  const { outcome, error } = await late;
  if (outcome !== 'done') expect(error).toMatchObject({ code: '55006', message: expect.stringContaining('MIG082') as string });
  await expect.poll(async () => (await write('stopped', sleeper, update('stopped'))).outcome, { timeout: 10_000 }).toBe('done');
  expect(await untaggedBehindMarker()).toEqual([]);
  await expectNothingLost('local');
  await Promise.all([operator.end(), client.end(), sleeper.end()]);
});
