/** A load that is killed anywhere goes on and ends equal to the source; what is finished is not copied twice; an old token writes nothing. */
import { spawn } from 'node:child_process';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestPostgres } from '../../support/postgres.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { defaultOptions, makePair } from './loader-fixture.ts';
import type { Pair } from './loader-fixture.ts';
import type { LoadJob } from './load-process.ts';

const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'load-process.ts');
const ROWS = 20_000;
let server: TestPostgres;
let pair: Pair;

beforeAll(async () => {
  server = await startTestPostgres();
  pair = await makePair(server, 'resume');
});
afterAll(async () => server[Symbol.asyncDispose]());

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly output: Record<string, unknown>;
}

function loadInChild(table: string, faults: string, job: Partial<LoadJob> = {}): Promise<Ended> {
  const options = { parallelWorkers: 2, batchSize: 1000 };
  const child = spawn(process.execPath, [program, JSON.stringify({ ...pair.addresses, table, options, ...job })], { env: { ...process.env, CAUSEWAY_FAULT: faults }, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.once('close', (_, signal) => resolve({ signal, output: output === '' ? {} : (JSON.parse(output) as Record<string, unknown>) })));
}

async function makeTable(name: string, key = 'PRIMARY KEY (k, id)'): Promise<void> {
  const columns = 'k text NOT NULL, id int NOT NULL, v text';
  await pair.source.query(`CREATE TABLE ${name} (${columns}${key === '' ? '' : `, ${key}`}); INSERT INTO ${name} SELECT 'key ' || g % 97, g, repeat('v', 50) FROM generate_series(1, ${ROWS}) g; ANALYZE ${name}`);
  await pair.target.query(`CREATE TABLE ${name} (${columns})`);
  if (key === '') await pair.source.query(`ALTER TABLE ${name} REPLICA IDENTITY FULL`);
}

const points = ['load.before_chunk:crash@1', 'load.before_chunk:crash@7', 'load.mid_chunk:crash@1', 'load.mid_chunk:crash@9', 'load.before_chunk_commit:crash@6', 'load.after_chunk_commit:crash@1', 'load.after_chunk_commit:crash@12', 'load.before_key_build:crash', 'load.done:crash'];

describe('a killed load goes on', () => {
  it.each(points)('%s', async (fault) => {
    const name = `crash_${fault.replace(/\W/g, '_')}`;
    await makeTable(name);
    expect((await loadInChild(name, fault)).signal).toBe('SIGKILL');
    const resumed = await loadInChild(name, '');
    expect(resumed.output).toMatchObject({ rowsLoaded: ROWS });
    expect(await pair.digest('target', name)).toBe(await pair.digest('source', name));
    expect(await primaryKeys(name)).toBe(1);
  });

  it('through a second crash, in key ranges, without reading a finished range again', async () => {
    await makeTable('twice');
    await loadInChild('twice', 'load.after_chunk_commit:crash@5');
    expect((await loadInChild('twice', 'load.after_chunk_commit:crash@9')).signal).toBe('SIGKILL');
    const before = await finishedChunks('twice');
    expect(before.length).toBeGreaterThanOrEqual(9);
    const third = await loadInChild('twice', 'load.mid_chunk:error@3');
    expect(third.output['error']).toBeDefined();
    expect((await loadInChild('twice', '')).output).toMatchObject({ rowsLoaded: ROWS });
    const after = await finishedChunks('twice');
    expect(after).toEqual(expect.arrayContaining(before));
    expect(after).toHaveLength(20);
    expect(await pair.digest('target', 'twice')).toBe(await pair.digest('source', 'twice'));
  });

  it('rows that changed between the two snapshots are left for the replay: none is lost, none is doubled', async () => {
    await makeTable('moving', 'PRIMARY KEY (id)');
    await loadInChild('moving', 'load.after_chunk_commit:crash@8');
    await pair.source.query("UPDATE moving SET v = 'new' WHERE id % 3 = 0; DELETE FROM moving WHERE id % 50 = 1; INSERT INTO moving SELECT 'added', g, 'a' FROM generate_series(100001, 100100) g; UPDATE moving SET id = id + 200000 WHERE id % 50 = 2");
    await loadInChild('moving', '');
    const missing = await pair.source.query<{ ids: number[] | null }>('SELECT array_agg(id) AS ids FROM moving');
    const held = new Set((await pair.target.query<{ ids: number[] }>('SELECT array_agg(id) AS ids FROM moving')).rows[0]?.ids);
    expect((missing.rows[0]?.ids ?? []).filter((id) => !held.has(id))).toEqual([]);
    // Only rows that a spooled change speaks of may differ.
    const stale = await pair.target.query<{ n: string }>("SELECT count(*) AS n FROM moving WHERE v <> repeat('v', 50) AND v NOT IN ('new', 'a')");
    expect(Number(stale.rows[0]?.n)).toBe(0);
  });

  it('a keyless table begins again, and holds no row twice', async () => {
    await makeTable('keyless', '');
    await loadInChild('keyless', 'load.after_chunk_commit:crash@8');
    expect((await loadInChild('keyless', '')).output).toMatchObject({ rowsLoaded: ROWS });
    expect(await pair.digest('target', 'keyless')).toBe(await pair.digest('source', 'keyless'));
  });

  it('a changed definition voids what was copied', async () => {
    await makeTable('altered');
    await loadInChild('altered', 'load.after_chunk_commit:crash@8');
    await pair.both('ALTER TABLE altered ADD extra int');
    await pair.source.query('UPDATE altered SET extra = id');
    await loadInChild('altered', '');
    expect(await pair.digest('target', 'altered')).toBe(await pair.digest('source', 'altered'));
  });
});

describe('control of a load', () => {
  it('an older token is refused, while it copies too (MIG092)', async () => {
    await makeTable('fenced');
    const old = pair.loader({ token: 5n }).load(await pair.plan('fenced'), { ...defaultOptions, batchSize: 500, rateLimitRowsPerSecond: 4000 }, () => undefined, new AbortController().signal);
    const outcome = expect(old).rejects.toMatchObject({ code: 'MIG092' });
    await delay(700);
    await pair.loader({ token: 6n }).load(await pair.plan('fenced'), { ...defaultOptions, batchSize: 2000 }, () => undefined, new AbortController().signal);
    await outcome;
    expect(await pair.digest('target', 'fenced')).toBe(await pair.digest('source', 'fenced'));
    await expect(pair.load(await pair.plan('fenced'), {}, pair.loader({ token: 5n }))).rejects.toMatchObject({ code: 'MIG092' });
    await expect(pair.loader({ token: 5n }).forget('fenced')).rejects.toMatchObject({ code: 'MIG092' });
  });

  it('forget starts from nothing, a finished load does nothing', async () => {
    await makeTable('again');
    const plan = await pair.plan('again');
    await pair.load(plan);
    await pair.source.query('DELETE FROM again WHERE id > 10');
    expect((await pair.load(plan)).result.rowsLoaded).toBe(ROWS);
    await pair.loader().forget('again');
    expect((await pair.load(plan)).result.rowsLoaded).toBe(10);
    expect(await pair.digest('target', 'again')).toBe(await pair.digest('source', 'again'));
    await pair.loader().forget('never loaded');
  });

  it('an abort ends within a chunk, leaves no transaction behind, and the load can go on', async () => {
    await makeTable('aborted');
    const stop = new AbortController();
    // Twenty seconds of work.
    const running = pair.loader().load(await pair.plan('aborted'), { ...defaultOptions, batchSize: 5000, rateLimitRowsPerSecond: 1000 }, () => undefined, stop.signal);
    const outcome = expect(running).rejects.toThrow('paused by the operator');
    await isCopying('aborted');
    const at = performance.now();
    stop.abort(new Error('paused by the operator'));
    await outcome;
    expect(performance.now() - at).toBeLessThan(3000);
    await expect.poll(loaderBackends).toBe(0);
    expect((await pair.load(await pair.plan('aborted'))).result.rowsLoaded).toBe(ROWS);
    expect(await pair.digest('target', 'aborted')).toBe(await pair.digest('source', 'aborted'));
  });

  it('a source that goes away is a retryable MIG002, a refused one MIG001', async () => {
    await makeTable('lost');
    const plan = await pair.plan('lost');
    const running = pair.load(plan, { rateLimitRowsPerSecond: 1000, batchSize: 1000 });
    const outcome = expect(running).rejects.toMatchObject({ code: 'MIG002', retryable: true });
    await isCopying('lost');
    expect((await pair.source.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway load' AND datname = current_database()")).rowCount).toBeGreaterThan(0);
    await outcome;
    expect((await pair.load(plan)).result.rowsLoaded).toBe(ROWS);
    expect(await pair.digest('target', 'lost')).toBe(await pair.digest('source', 'lost'));
    await expect(pair.load(plan, {}, pair.loader({ source: { ...pair.addresses.source, port: 1 } }))).rejects.toMatchObject({ code: 'MIG001', retryable: true });
    await expect(pair.load({ ...plan, tableId: 'gone', source: { schema: 'public', name: 'gone' } })).rejects.toMatchObject({ code: 'MIG010' });
  });
});

it('every transaction that writes rows begins with the tag by which the other direction drops it', async () => {
  await makeTable('tagged');
  await loadInChild('tagged', 'load.before_chunk:crash@1');
  await pair.target.query('CREATE PUBLICATION tagged FOR TABLE tagged, causeway.applied');
  await pair.target.query("SELECT pg_create_logical_replication_slot('tagged', 'pgoutput')");
  await loadInChild('tagged', 'load.after_chunk_commit:crash@5');
  await loadInChild('tagged', '');
  const { rows } = await pair.target.query<{ data: Buffer }>("SELECT data FROM pg_logical_slot_get_binary_changes('tagged', NULL, NULL, 'proto_version', '1', 'publication_names', 'tagged')");
  await pair.target.query("SELECT pg_drop_replication_slot('tagged')");
  const writing = transactionsOf(rows.map((row) => row.data)).filter((tables) => tables.includes('tagged'));
  expect(writing.length).toBeGreaterThan(10);
  expect(writing.filter(([first]) => first !== 'applied')).toEqual([]);
  // The crashed process has left its rows behind; the next one takes them away, and its own.
  await pair.loader({ token: 100n }).forget('tagged');
  expect((await pair.target.query("SELECT stream FROM causeway.applied WHERE stream LIKE 'load %'")).rows).toEqual([]);
});

/** Names of the tables that each transaction changed, in order, from pgoutput's messages. */
function transactionsOf(messages: readonly Buffer[]): string[][] {
  const names = new Map<number, string>();
  const transactions: string[][] = [];
  for (const message of messages) {
    const kind = String.fromCharCode(message[0] ?? 0);
    if (kind === 'B') transactions.push([]);
    if (kind === 'R') {
      const schemaEnd = message.indexOf(0, 5);
      names.set(message.readUInt32BE(1), message.toString('utf8', schemaEnd + 1, message.indexOf(0, schemaEnd + 1)));
    }
    if (kind === 'I' || kind === 'U') transactions.at(-1)?.push(names.get(message.readUInt32BE(1)) ?? '');
  }
  return transactions;
}

it('holds no more than its bound while the target is slower than the source', async () => {
  await pair.source.query("CREATE TABLE wide (id int PRIMARY KEY, t text); ALTER TABLE wide ALTER t SET STORAGE EXTERNAL; INSERT INTO wide SELECT g, repeat(md5(g::text), 4000) FROM generate_series(1, 1500) g; INSERT INTO wide VALUES (0, repeat('x', 60000000))");
  await pair.target.query('CREATE TABLE wide (id int, t text)');
  const ended = await loadInChild('wide', '', { memoryBytes: 8 << 20, options: { parallelWorkers: 2, batchSize: 1000 } });
  expect(ended.output).toMatchObject({ rowsLoaded: 1501 });
  expect(Number(ended.output['maxRssMb'])).toBeLessThan(200);
  expect(await pair.digest('target', 'wide')).toBe(await pair.digest('source', 'wide'));
});

async function primaryKeys(name: string): Promise<number> {
  const result = await pair.target.query<{ n: number }>(`SELECT count(*)::int AS n FROM pg_index WHERE indrelid = '${name}'::regclass AND indisprimary`);
  return result.rows[0]?.n ?? 0;
}

async function finishedChunks(name: string): Promise<unknown[]> {
  const result = await pair.target.query('SELECT chunk_no, lower_bound, upper_bound, rows, finished_at FROM causeway.chunk WHERE table_id = $1 AND chunk_no > 0 ORDER BY chunk_no', [name]);
  return result.rows;
}

/** A part of this table has been written. */
async function isCopying(table: string): Promise<void> {
  const written = (): Promise<number | null> => pair.target.query(`SELECT 1 FROM ${table} LIMIT 1`).then(({ rowCount }) => rowCount, () => 0);
  await expect.poll(written, { timeout: 30_000, interval: 20 }).toBe(1);
}

async function loaderBackends(): Promise<number> {
  const result = await pair.source.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'causeway load'");
  return result.rows[0]?.n ?? 0;
}
