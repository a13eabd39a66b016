/**
 * Many rows of every kind, the loader killed at random points: the clusters are the same, cell by cell. CAUSEWAY_CQL_ROWS says how many rows (3,000), CAUSEWAY_CQL_SEED
 * which they are and where the loader dies.
 */
import { fork } from 'node:child_process';
import * as path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { comparingDefaults } from '../../../cdc/cassandra/compare/compare-tables.ts';
import { Validator } from '../../../cdc/cassandra/compare/validator.ts';
import { murmur3Token, partitionKeyBytes } from '../../../grammar/cql/murmur3.ts';
import { describeCassandra } from '../../support/cassandra-servers.ts';
import { startTwoClusters } from './cassandra-fixture.ts';
import type { TwoClusters } from './cassandra-fixture.ts';

const ROWS = Number(process.env['CAUSEWAY_CQL_ROWS'] ?? 3000);
const SEED = Number(process.env['CAUSEWAY_CQL_SEED'] ?? 1);
/** As the child reads them. */
const PAGE_ROWS = 200;
const PATIENCE_MS = 120_000 + ROWS * 10;

describeCassandra(`${ROWS} rows of every kind`, () => {
  let two: TwoClusters;
  beforeAll(async () => {
    two = await startTwoClusters();
  }, 240_000);
  afterAll(() => two[Symbol.asyncDispose]());

  test('are the same after a load that was killed again and again', async () => {
    const random = randomFrom(SEED);
    await two.both('CREATE TYPE ks.place (street text, "No" int)', 'CREATE TABLE ks.many ("Tenant" text, area int, c1 timeuuid, c2 text, s text static, sm map<text, int> static, v text, n bigint, m map<int, text>, z set<text>, u place, l list<int>, f frozen<list<text>>, "Odd ""Name" double, PRIMARY KEY (("Tenant", area), c1, c2)) WITH CLUSTERING ORDER BY (c1 DESC, c2 ASC)');
    await fill(two, random);
    // In pages: small tables die early, large ones anywhere in the first half.
    const farthest = Math.max(6, Math.floor(ROWS / PAGE_ROWS / 16));
    let kills = 0;
    let end: number | NodeJS.Signals | null = null;
    for (let attempt = 0; attempt < 40 && end !== 0; attempt += 1) {
      end = await loadInChild(two, attempt < 8 ? 1 + Math.floor(random() * farthest) : undefined);
      if (end === 'SIGKILL') kills += 1;
    }
    expect(end).toBe(0);
    expect(kills).toBeGreaterThan(0);
    const table = { keyspace: two.keyspace, name: 'many' };
    const report = await new Validator(two.runtime, two.clusters, { ...comparingDefaults, ranges: 32, recheckPauseMs: 20 }).validate([{ sourceTable: table, targetTable: table }], { mode: 'FullScan' }, two.runtime.signal);
    expect(report.tables[0]?.discrepancies).toEqual([]);
    expect(report).toMatchObject({ passed: true, rowsDifferent: 0, unsettled: 0 });
    expect(report.rowsCompared).toBeGreaterThan(ROWS * 0.9);
  }, PATIENCE_MS);

  test('have the tokens that the grammar reckons', async () => {
    const int = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes; };
    const rows = await two.source.cql(`SELECT DISTINCT "Tenant", area, token("Tenant", area) AS t FROM ${two.keyspace}.many`);
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) expect(murmur3Token(partitionKeyBytes([Buffer.from(String(row['Tenant'])), int(Number(row['area']))]))).toBe(BigInt(String(row['t'])));
  }, PATIENCE_MS);
});

async function fill(two: TwoClusters, random: () => number): Promise<void> {
  const client = await two.source.client();
  const pick = (count: number): number => Math.floor(random() * count);
  // A server that is flooded answers late; what it has done twice then is what the source holds.
  const run = async (text: string, values: readonly unknown[], left = 10): Promise<unknown> => {
    try {
      return await client.execute(text.replaceAll('ks.', `${two.keyspace}.`), [...values], { prepare: true });
    } catch (error) {
      if (left === 0) throw error;
      await delay(500);
      return run(text, values, left - 1);
    }
  };
  const partitions = Math.max(30, Math.floor(ROWS / 50));
  const key = (index: number): readonly unknown[] => {
    // Some partitions are wide.
    const partition = index % 3 === 0 ? index % 3 : index % partitions;
    return [`tenant ${partition % 7}`, partition, `${index.toString(16).padStart(8, '0')}-29bb-11e5-b345-feff819cdc9f`, index % 5 === 0 ? '' : `c${index}`];
  };
  const where = 'WHERE "Tenant" = ? AND area = ? AND c1 = ? AND c2 = ?';
  let pending: Promise<unknown>[] = [];
  const add = async (one: Promise<unknown>): Promise<void> => {
    pending.push(one);
    if (pending.length < 64) return;
    await Promise.all(pending);
    pending = [];
  };
  for (let index = 0; index < ROWS; index += 1) {
    const time = String(1_650_000_000_000_000 + pick(1_000_000));
    const ttl = pick(3) === 0 ? 50_000 + pick(50_000) : 0;
    switch (pick(6)) {
      case 0:
        await add(run('INSERT INTO ks.many ("Tenant", area, c1, c2) VALUES (?, ?, ?, ?) USING TIMESTAMP ?', [...key(index), time]));
        break;
      case 1:
        await add(run(`UPDATE ks.many USING TIMESTAMP ? AND TTL ? SET m = m + ?, z = z + ?, u."No" = ? ${where}`, [time, ttl, { [pick(9)]: 'm' }, ['z', `z${pick(9)}`], pick(100), ...key(index)]));
        await add(run(`UPDATE ks.many USING TIMESTAMP ? SET m = m + ?, u.street = ?, n = ? ${where}`, [String(BigInt(time) + 7n), { [10 + pick(9)]: 'later' }, 'street', pick(1000), ...key(index)]));
        break;
      case 2:
        await add(run('INSERT INTO ks.many ("Tenant", area, c1, c2, l, f, v) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?', [...key(index), [1, pick(5), 1], ['f', ''], 'with a list', time, ttl]));
        break;
      default:
        await add(run('INSERT INTO ks.many ("Tenant", area, c1, c2, v, n, "Odd ""Name") VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?', [...key(index), 'x'.repeat(pick(200)), index, index / 3, time, ttl]));
        if (pick(4) === 0) await add(run(`UPDATE ks.many USING TIMESTAMP ? SET v = ? ${where}`, [String(BigInt(time) + 5n), 'again', ...key(index)]));
        if (pick(9) === 0) await add(run(`DELETE n FROM ks.many USING TIMESTAMP ? ${where}`, [String(BigInt(time) + 6n), ...key(index)]));
    }
  }
  for (let partition = 0; partition < partitions + 5; partition += 1) await add(run('UPDATE ks.many USING TIMESTAMP ? AND TTL ? SET s = ?, sm = sm + ? WHERE "Tenant" = ? AND area = ?', ['1650000000000000', partition % 4 === 0 ? 80_000 : 0, `s${partition}`, { a: partition }, `tenant ${partition % 7}`, partition]));
  await Promise.all(pending);
}

/** Exit code, or the signal that ended it; killed after so many pages. */
function loadInChild(two: TwoClusters, pages: number | undefined): Promise<number | NodeJS.Signals | null> {
  const orders = { source: two.source.address, target: two.target.address, keyspace: two.keyspace, table: 'many', ledgerFile: two.ledgerFile, failedFile: two.failedFile };
  const child = fork(path.join(import.meta.dirname, 'load-child.ts'), [JSON.stringify(orders)], {
    env: { ...process.env, ...(pages === undefined ? {} : { CAUSEWAY_FAULT: `cassandra.load.page_written:crash@${pages}` }) }, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
}

/** Numbers from 0 to 1, the same for one seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
