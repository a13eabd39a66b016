/**
 * Writes whose order is their meaning reach the shadow in the order in which the primary did them: the answer to the first is what
 * the second one builds on. Here the shadow is slow for the first of two, so that the second could overtake it.
 */
import { afterEach, expect, test } from 'vitest';
import { compareStores } from '../support/cql/compare-stores.ts';
import { RawClient } from '../support/cql/raw-client.ts';
import { startFixture } from './proxy-fixture.ts';
import type { Fixture } from './proxy-fixture.ts';

let fixture: Fixture | undefined;
afterEach(async () => {
  await fixture?.[Symbol.asyncDispose]();
  fixture = undefined;
});

const cases: readonly (readonly [name: string, first: string, second: string])[] = [
  ['conditional updates', 'UPDATE ks.t SET v = 1 WHERE k = 1 IF EXISTS', 'UPDATE ks.t SET v = 2 WHERE k = 1 IF EXISTS'],
  ['appends to a list', 'UPDATE ks.t SET l = l + [1] WHERE k = 1', 'UPDATE ks.t SET l = l + [2] WHERE k = 1'],
  ['an overwrite and an append', 'UPDATE ks.t SET l = [1] WHERE k = 1', 'UPDATE ks.t SET l = l + [2] WHERE k = 1'],
];

test.each(cases)('%s', async (_name, first, second) => {
  fixture = await startFixture({ mode: 'DualAsync', cluster: () => ({ connectionsPerHost: 2 }) });
  const { source, target, both, intents } = fixture;
  both('CREATE TABLE ks.t (k int PRIMARY KEY, v int, l list<int>)');
  for (const cluster of [source, target]) cluster.run('INSERT INTO ks.t (k, v) VALUES (1, 0)', 1n);
  using client = await RawClient.connect(fixture.port);
  target.faults.add({ isWrite: true, action: { kind: 'delay', ms: 150 } });
  await client.need(first);
  await client.need(second);
  await expect.poll(() => intents.state().depth).toBe(0);
  expect(fixture.repairs).toEqual([]);
  expect(compareStores(source.database, target.database, { isTimed: () => false }).differences).toEqual([]);
});

