/** A table that is in step and lags by more than the limit is said once; one that is loading is expected to. */
import { expect, it } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { LagWatch } from '../../src/migrate/lag-watch.ts';
import type { TableStatus } from '../../src/migrate/table-status.ts';
import { testRuntime } from '../cdc/stream/fixture.ts';

const status = (tableId: string, state: string, lagMs: number | undefined): TableStatus => ({ record: { tableId, state }, name: `public.${tableId}`, lagMs }) as unknown as TableStatus;

it('says so once for each time', async () => {
  const said: string[] = [];
  const catalog = { insertErrors: async (errors: readonly { tableId: string; message: string }[]) => void said.push(...errors.map(({ tableId, message }) => `${tableId}: ${message}`)) } as unknown as Catalog;
  const watch = new LagWatch(testRuntime(new AbortController().signal), catalog, 10_000);
  await watch.check([status('a', 'DUAL_WRITE', 9_000), status('b', 'SYNCHRONIZING', 99_000), status('c', 'LOCAL_ONLY', undefined)]);
  expect(said).toEqual([]);
  await watch.check([status('a', 'DUAL_WRITE', 10_500), status('b', 'SYNCHRONIZING', 99_000)]);
  await watch.check([status('a', 'DUAL_WRITE', 12_000)]);
  expect(said).toEqual(['a: MIG022: it lags 10.5 s behind, more than 10.0 s (cdc_max_lag_seconds)']);
  await watch.check([status('a', 'DUAL_WRITE', 0)]);
  await watch.check([status('a', 'DUAL_WRITE', 30_000)]);
  expect(said.length).toBe(2);
});
