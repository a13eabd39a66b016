/** The driver of a cluster's table meets commands that move the table while it looks: what it has seen is old then, and no reason for an error. */
import { expect, test } from 'vitest';
import { clusterWrapper } from '../../catalog/records.ts';
import { Turnstile } from '../../cdc/flow/turnstile.ts';
import { noFaults } from '../../config/faults.ts';
import { noMetrics, processClock } from '../../config/process-runtime.ts';
import type { Log } from '../../config/runtime.ts';
import { ClusterConnections } from '../../src/migrate/clusters/cluster-connections.ts';
import { driveClusterTable } from '../../src/migrate/clusters/drive-cluster-table.ts';
import type { ProxyPort, TableAtProxy } from '../../src/migrate/clusters/proxy-port.ts';
import { newTable, testCatalog } from '../catalog/support.ts';

const at: TableAtProxy = { mode: 'DualAsync', modes: ['DualAsync'], epoch: 0, isPending: false, isHeld: true, queued: 0, depth: 0, oldestQueuedMs: 0, repairs: 0, isRepairListWhole: true, damages: 0, isReachable: [true, false], refusal: null };

test('a validation that passes while the target is found to be away does not end the migration', async () => {
  await using opened = await testCatalog();
  const { catalog, directory } = opened;
  await catalog.createServer({ name: 'cassandra_source', wrapper: clusterWrapper, options: {} });
  const { tableId } = await catalog.createTable({ ...newTable('item'), sourceServer: 'cassandra_source' });
  const states = ['NOT_STARTED', 'BULK_LOADING', 'SYNCHRONIZING', 'DUAL_WRITE'] as const;
  for (const [index, to] of states.slice(1).entries()) await catalog.moveState(tableId, states[index] ?? 'NOT_STARTED', to, { trigger: 'test' });
  let looks = 0;
  const proxy: ProxyPort = {
    table: async () => {
      looks += 1;
      if (looks === 1) await catalog.moveState(tableId, 'DUAL_WRITE', 'CUTOVER_READY', { trigger: 'validation passed' });
      return at;
    },
    switchTable: async () => undefined,
    moveTable: async () => undefined,
    settleMove: async () => undefined,
    pause: async () => undefined,
    validated: async () => undefined,
  };
  const stop = new AbortController();
  const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => log };
  const nowhere = { contactPoints: ['127.0.0.1:1'] };
  await using connections = new ClusterConnections(processClock, { source: nowhere, target: nowhere }, directory);
  const driving = driveClusterTable({
    runtime: { log, metrics: noMetrics, clock: processClock, signal: stop.signal, faults: noFaults }, catalog, proxy, connections, loads: new Turnstile(1), progress: new Map(), retry: { max: 3, initialMs: 1, maxMs: 10 }, switchTimeoutMs: 1000, strangers: 0,
  }, tableId, stop.signal);
  await expect.poll(async () => (await catalog.table(tableId))?.state).not.toMatch(/DUAL_WRITE|CUTOVER_READY/);
  stop.abort();
  await driving;
  expect((await catalog.table(tableId))?.state).toBe('SYNCHRONIZING');
});
