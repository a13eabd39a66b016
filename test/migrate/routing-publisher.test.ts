/** Property: what is known of relations is what was read last, and whoever asks for it while it is being read gets what is read after that, once for all who ask. */
import { expect, it } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import type { TableRecord } from '../../catalog/records.ts';
import { noRelations, RoutingPublisher } from '../../src/migrate/routing-publisher.ts';
import type { RoutingRelations } from '../../src/migrate/routing-publisher.ts';
import type { WorkerFleet } from '../../src/migrate/worker-fleet.ts';

it('reads one after the other, and once for those who wait', async () => {
  let tables = 0;
  const reads: { readonly tables: number; readonly done: (relations: RoutingRelations) => void }[] = [];
  const catalog = { tables: async () => Promise.resolve(Array.from({ length: tables }, () => ({}) as TableRecord)), putSetting: async () => Promise.resolve() } as unknown as Catalog;
  const publisher = new RoutingPublisher(catalog, {} as WorkerFleet, (found) => new Promise((done) => reads.push({ tables: found.length, done })));
  const answer = (at: number): void => reads[at]?.done({ ...noRelations, shadows: [`read of ${reads[at].tables}`] });
  tables = 1;
  const first = publisher.refreshRelations();
  await expect.poll(() => reads.length).toBe(1);
  tables = 5;
  const others = Array.from({ length: 4 }, () => publisher.refreshRelations());
  // Those that do not wait for the one before have read by now.
  await new Promise((resolve) => setImmediate(resolve));
  for (let at = reads.length - 1; at >= 0; at -= 1) answer(at);
  await first;
  await expect.poll(() => reads.length).toBeGreaterThan(1);
  expect(publisher.isStale).toBe(true);
  answer(1);
  await Promise.all(others);
  expect(reads.map((read) => read.tables)).toEqual([1, 5]);
  expect(publisher.relations.shadows).toEqual(['read of 5']);
  expect(publisher.isStale).toBe(false);
});

it('tries again after a failure, for those who come then', async () => {
  let fails = true;
  const catalog = { tables: async () => Promise.resolve([{} as TableRecord]), putSetting: async () => Promise.resolve() } as unknown as Catalog;
  const publisher = new RoutingPublisher(catalog, {} as WorkerFleet, async () => (fails ? Promise.reject(new Error('away')) : Promise.resolve(noRelations)));
  await expect(publisher.refreshRelations()).rejects.toThrow('away');
  expect(publisher.isStale).toBe(true);
  fails = false;
  await publisher.refreshRelations();
  expect(publisher.isStale).toBe(false);
});
