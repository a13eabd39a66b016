/**
 * Whatever applications send, whichever side fails meanwhile, and however often modes change: when nothing is owed any more, both
 * clusters hold the same in every cell, and no client was told of an error that its primary did not have.
 *
 * CQL_STREAM_OPERATIONS (3000), CQL_STREAM_SEED, CQL_STREAM_PHASE_MS (300).
 */
import { describe, expect, test } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { MockCluster } from '../support/cql/mock-cluster.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { runMockStream } from './mock-stream.ts';
import type { MockStreamResult } from './mock-stream.ts';
import { operations, refusedIn, schemaOf, unrepeatable } from './random-operations.ts';
import type { Actor } from './random-operations.ts';
import { Random } from '../soak/torture-random.ts';
import { randomSeed } from '../support/random-seed.ts';
import { repairFrom } from './repair-stores.ts';
import { operationNames } from './random-stream.ts';

const size = Number(process.env['CQL_STREAM_OPERATIONS'] ?? 3000);
const seed = randomSeed('CQL_STREAM_SEED');
const phaseMs = Number(process.env['CQL_STREAM_PHASE_MS'] ?? 300);
/** A row that waited in a paused cluster expires later there: by the pause, and by seconds that are cut off on both sides. */
const slackSeconds = Math.ceil(phaseMs / 1000) + 4;

test('each operation is one that a healthy cluster takes, and each that cannot be is refused', async () => {
  await using cluster = await MockCluster.start();
  for (const statement of schemaOf('ks')) cluster.run(statement);
  using plain = await RawClient.connect(cluster.port);
  using inKeyspace = await RawClient.connect(cluster.port, '127.0.0.1', { version: 3, compression: 'snappy', keyspace: 'ks' });
  const actors: Actor[] = [plain, inKeyspace].map((client, number) => ({ random: new Random(seed + number), client, version: number === 0 ? 4 : 3, keyspace: 'ks', isInKeyspace: number === 1, number, count: 2, prepared: new Map() }));
  for (let round = 0; round < 20; round += 1) {
    for (const operation of operations) for (const actor of actors) expect(await operation.run(actor), operation.name).not.toMatchObject({ kind: 'error' });
  }
  for (const text of refusedIn('ks')) expect((await plain.query(text)).kind, text).toBe('error');
});

function expectSame(result: MockStreamResult, isExact: boolean): void {
  const told = [`seed ${seed}`, ...result.phases, ...result.reports].join('\n');
  expect(result.owed, told).toBe(0);
  expect(result.unexpected.slice(0, 10), told).toEqual([]);
  expect(operationNames.filter((name) => !result.succeeded.get(name)), 'operations that never succeeded').toEqual([]);
  const repairs = result.repairs.entries();
  if (isExact) expect(repairs.slice(0, 3), told).toEqual([]);
  // Only what may not be sent twice waits for a repair, and what no cluster takes.
  expect(repairs.filter(({ reason, tables, texts }) => (reason === 'refused' ? !texts.every((text) => refusedIn('ks').includes(text)) : !tables.every((table) => unrepeatable.has(table.slice('ks.'.length))))).slice(0, 3), told).toEqual([]);
  const lines = repairs.map((entry) => JSON.stringify(entry));
  expect(lines.filter((line, index) => lines.indexOf(line) !== index), `noted more than once\n${told}`).toEqual([]);
  repairFrom(result.source, result.target, repairs);
  const { cells, differences } = compareStores(result.source.database, result.target.database, {
    // A table's own TTL counts from when the write arrives, also for one that was late; one of the statement is reduced by the wait.
    maxExpirySlackSeconds: (table) => slackSeconds + (table === 'ks.expiring' ? Math.ceil(result.longestOwedMs / 1000) : 0),
    isTimed: (table) => !unrepeatable.has(table.slice('ks.'.length)),
  });
  expect(differences, told).toEqual([]);
  expect(cells).toBeGreaterThan(200);
}

describe('a random stream leaves both clusters the same', () => {
  test.each(['DualSync', 'DualAsync', 'ShadowPrimary'] as const)('in %s, with nothing wrong', { timeout: 120_000 }, async (mode) => {
    await using result = await runMockStream({ seed, operations: Math.min(size, 3000), clients: 12, phaseMs: 1000, modes: [mode], hasFaults: false });
    expectSame(result, true);
  });

  test('while modes change', { timeout: 120_000 }, async () => {
    await using result = await runMockStream({ seed, operations: size, clients: 12, phaseMs, modes: ['DualSync', 'DualAsync', 'ShadowPrimary'], hasFaults: false });
    expectSame(result, false);
  });

  test('while modes change and one side fails at times', { timeout: 120_000 + size * 20 }, async () => {
    await using result = await runMockStream({ seed, operations: size, clients: 12, phaseMs, modes: ['DualSync', 'DualAsync', 'ShadowPrimary'], hasFaults: true });
    expectSame(result, false);
  });
});
