/**
 * Changes applied per second from a backlog, against PostgreSQL's own logical subscription on the same backlog with the same
 * `synchronous_commit`. Both start from a slot of the same age and end when the backlog's last row is there.
 * Run: `node test/bench/apply.ts [changes]`; prints a table, then one line of JSON.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Client } from 'pg';
import { createChangeStream } from '../../cdc/postgres/change-stream.ts';
import type { TablePlan } from '../../cdc/table-plan.ts';
import { startTestPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { planOf, streamOptions, testRuntime, until } from '../cdc/stream/fixture.ts';

const BASE_ROWS = 200_000;

export interface ApplyFigure {
  readonly changesPerTransaction: number;
  readonly ours: number;
  readonly subscription: number;
  readonly ratio: number;
}

const table = 'CREATE TABLE item (id int PRIMARY KEY, quantity int NOT NULL, name text, price numeric(12,2), changed_at timestamptz, code uuid, note text)';
const last = 'CREATE TABLE last_row (id int PRIMARY KEY, at int)';
const fill = `INSERT INTO item SELECT g, g % 1000, 'item number ' || g, g / 7.0, '2024-01-01'::timestamptz + g * interval '1 second', md5(g::text)::uuid, repeat('n', 40)
  FROM generate_series(1, ${BASE_ROWS}) g`;

/** Half updates, three tenths inserts, two tenths deletes, in transactions of a given size. */
const workload = `CREATE PROCEDURE work(changes int, per_transaction int, first_new int) LANGUAGE plpgsql AS $$
DECLARE i int := 0; fresh int := first_new; victim int := first_new;
BEGIN
  WHILE i < changes LOOP
    CASE
      WHEN i % 10 < 5 THEN UPDATE item SET quantity = quantity + 1, price = price + 0.5, changed_at = now(), note = 'changed ' || i WHERE id = 1 + (i::bigint * 7919) % ${BASE_ROWS};
      WHEN i % 10 < 8 THEN INSERT INTO item VALUES (fresh, i, 'new item ' || i, i / 3.0, now(), md5(i::text)::uuid, repeat('x', 40)); fresh := fresh + 1;
      ELSE DELETE FROM item WHERE id = victim; victim := victim + 1;
    END CASE;
    i := i + 1;
    IF i % per_transaction = 0 THEN COMMIT; END IF;
  END LOOP;
END $$`;

export async function run(changes = 500_000, sizes: readonly number[] = [1, 10, 100_000]): Promise<readonly ApplyFigure[]> {
  const settings = { shared_buffers: '512MB', max_wal_size: '8GB', checkpoint_timeout: '30min', max_replication_slots: 20, autovacuum: 'off' };
  await using source = await startTestPostgres({ settings });
  await using target = await startTestPostgres({ settings });
  const figures: ApplyFigure[] = [];
  for (const [index, size] of sizes.entries()) figures.push(await measure(source, target, `round${index}`, changes, size));
  process.stdout.write('changes/transaction   ours (changes/s)   subscription (changes/s)   ratio\n');
  for (const figure of figures) {
    process.stdout.write(`${String(figure.changesPerTransaction).padStart(19)}${String(figure.ours).padStart(19)}${String(figure.subscription).padStart(27)}${figure.ratio.toFixed(2).padStart(8)}\n`);
  }
  process.stdout.write(`${JSON.stringify({ bench: 'apply', changes, figures })}\n`);
  return figures;
}

async function measure(source: TestPostgres, target: TestPostgres, name: string, changes: number, size: number): Promise<ApplyFigure> {
  const spoolDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-bench-'));
  await source.createDatabase(name);
  await target.createDatabase(`${name}_ours`);
  await target.createDatabase(`${name}_peer`);
  const from = await source.client(name);
  const ours = await target.client(`${name}_ours`);
  const peer = await target.client(`${name}_peer`);
  for (const client of [from, ours, peer]) await client.query(`${table}; ${last}; ${fill}`);
  await from.query(workload);
  const options = streamOptions({
    source: { ...source.address, database: name }, target: { ...target.address, database: `${name}_ours` }, spoolDirectory, slotName: `${name}_ours`, synchronousCommit: 'off',
  });
  const plans = [await planOf(from, 'item'), await planOf(from, 'last_row')];
  await whileRunning(options, [], async (stream) => {
    for (const plan of plans) await stream.addTable(plan);
    for (const plan of plans) await stream.startDraining(plan.tableId);
    await until('shared', () => plans.every((plan) => stream.status(plan.tableId)?.mode === 'shared'));
  });
  await from.query('CREATE PUBLICATION peer FOR TABLE item, last_row');
  await from.query(`SELECT pg_create_logical_replication_slot('${name}_peer', 'pgoutput')`);
  await peer.query(`CREATE SUBSCRIPTION ${name} CONNECTION 'host=127.0.0.1 port=${source.address.port} user=postgres dbname=${name}' PUBLICATION peer
    WITH (create_slot = false, slot_name = '${name}_peer', copy_data = false, enabled = false, synchronous_commit = off)`);
  await from.query('SET synchronous_commit = off');
  await from.query(`CALL work(${changes}, ${size}, ${BASE_ROWS + 1})`);
  await from.query('INSERT INTO last_row VALUES (1, 1)');
  for (const client of [from, ours, peer]) await client.query('CHECKPOINT');

  let oursMs = 0;
  const started = performance.now();
  await whileRunning(options, plans, async () => {
    await until('ours is through', () => isThrough(ours), 600_000);
    oursMs = performance.now() - started;
  });
  const peerStarted = performance.now();
  await peer.query(`ALTER SUBSCRIPTION ${name} ENABLE`);
  await until('the subscription is through', () => isThrough(peer), 600_000);
  const peerMs = performance.now() - peerStarted;
  await peer.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
  await peer.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
  await peer.query(`DROP SUBSCRIPTION ${name}`);
  await checkSame(ours, peer);
  await until('the slots are free', async () => {
    const { rows } = await from.query('SELECT 1 FROM pg_replication_slots WHERE active');
    return rows.length === 0;
  });
  await from.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`);
  fs.rmSync(spoolDirectory, { recursive: true, force: true });
  const rate = (ms: number): number => Math.round(changes / (ms / 1000));
  return { changesPerTransaction: size, ours: rate(oursMs), subscription: rate(peerMs), ratio: Number((peerMs / oursMs).toFixed(3)) };
}

async function whileRunning(options: Parameters<typeof createChangeStream>[1], plans: readonly TablePlan[], work: (stream: ReturnType<typeof createChangeStream>) => Promise<void>): Promise<void> {
  const abort = new AbortController();
  const stream = createChangeStream(testRuntime(abort.signal), options);
  stream.restore(plans.map((plan) => ({ plan, mode: 'shared', intervals: [] })));
  const running = stream.run(abort.signal);
  await Promise.race([work(stream), running.then(() => Promise.reject(new Error('the stream ended')))]);
  abort.abort();
  await running;
  await stream.close();
}

async function isThrough(client: Client): Promise<boolean> {
  return (await client.query('SELECT 1 FROM last_row')).rows.length === 1;
}

async function checkSame(a: Client, b: Client): Promise<void> {
  const digest = async (client: Client): Promise<string> => {
    const { rows } = await client.query<{ digest: string }>("SELECT count(*) || ' ' || sum(hashtextextended(t::text, 0)::numeric) AS digest FROM item t");
    return rows[0]?.digest ?? '';
  };
  const [left, right] = [await digest(a), await digest(b)];
  if (left !== right) throw new Error(`the two targets differ: ${left} and ${right}`);
}

if (process.argv[1]?.endsWith('apply.ts') === true) await run(Number(process.argv[2] ?? 500_000), process.argv[3]?.split(',').map(Number));
